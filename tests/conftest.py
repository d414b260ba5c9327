"""What every test file shares: the header that says what is tested, and the state that tests must not leak."""

import os

# NumPy's BLAS waits, spinning, for threads that a busy machine has not scheduled: the reference is faster on one.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import subprocess
import sys
from pathlib import Path

import pytest

import fastnn as fnn

try:
    from hypothesis import HealthCheck, settings
except ImportError:
    pass
else:
    quiet = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
    settings.register_profile("ordinary", max_examples=100, derandomize=True, **quiet)
    settings.register_profile("few", max_examples=20, derandomize=True, **quiet)
    settings.register_profile("nightly", max_examples=10_000, print_blob=True, **quiet)
    settings.load_profile("ordinary")


def pytest_report_header(config):
    forced = " (forced)" if os.environ.get("FASTNN_ISA") else ""
    tiers = ", ".join(fnn.isa_available())
    return f"fastnn: isa {fnn.isa()}{forced}, of {tiers}; {fnn.get_num_threads()} threads"


@pytest.fixture(autouse=True)
def same_thread_count():
    """A test may set the number of threads; the next one starts from the old number."""
    before = fnn.get_num_threads()
    yield
    fnn.set_num_threads(before)


@pytest.fixture
def unpainted(monkeypatch):
    """Figures are made, but not painted, which takes most of a short run: their files are the start of a PNG."""
    monkeypatch.setattr("fastnn.plots.save", lambda _figure, path: path.write_bytes(b"\x89PNG".ljust(24)))


@pytest.fixture(scope="session")
def run_python():
    """Run Python source in a new process, with this process's import path; returns the finished process."""

    def run(*arguments: str, timeout: float = 120, **environment: str) -> subprocess.CompletedProcess[str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("FASTNN_", "PYTEST_"))}
        path = os.pathsep.join([str(Path(fnn.__file__).parents[1]), *filter(None, [inherited.get("PYTHONPATH")])])
        return subprocess.run(
            [sys.executable, *arguments],
            env={**inherited, "PYTHONPATH": path, **environment},
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return run
