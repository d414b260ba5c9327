"""Every ISA tier that this CPU has is forced in a process of its own and runs the tests of values there."""

import importlib.util
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import fastnn as fnn

HERE = Path(__file__).parent
OTHERS = [tier for tier in fnn.isa_available() if tier != fnn.isa()]
VALUE_TESTS = (
    "test_parity.py",
    "test_extremes.py",
    "test_long_sums.py",
    "test_gradients.py",
    "test_memory.py",
    "test_threads.py",
    "test_fuzz.py",
    "test_plan.py",
    "test_plan_changes.py",
    "test_plan_layers.py",
    "test_plan_rows.py",
)


def test_isa_is_among_those_available():
    assert fnn.isa() in fnn.isa_available()
    assert "baseline" in fnn.isa_available()


@pytest.mark.skipif("FASTNN_ISA" not in os.environ, reason="no tier is forced")
def test_forced_tier_is_in_use():
    assert fnn.isa() == os.environ["FASTNN_ISA"]


@pytest.mark.parametrize("tier", fnn.isa_available())
def test_forcing_a_tier(tier, run_python):
    source = "import fastnn; print(fastnn.isa()); fastnn.show_config()"
    process = run_python("-c", source, FASTNN_ISA=tier)
    assert process.returncode == 0, process.stderr
    assert process.stdout.splitlines()[0] == tier


PRODUCT = """
import hashlib, numpy as np, fastnn as fnn
rng = np.random.default_rng(0)
a, b = rng.standard_normal((40, 500)).astype("f4"), rng.standard_normal((500, 40)).astype("f4")
print(hashlib.sha256(fnn.functional.matmul(a, b).tobytes()).hexdigest())
"""


@pytest.mark.skipif("v3" not in fnn.isa_available(), reason="one tier only, or another kind of CPU")
def test_forced_tiers_compute_differently(run_python):
    """v3 multiplies and adds in one rounding, baseline cannot: their sums differ in the last bits."""
    bits = {tier: run_python("-c", PRODUCT, FASTNN_ISA=tier).stdout for tier in ("baseline", "v3")}
    assert all(bits.values())
    assert bits["baseline"] != bits["v3"]


@pytest.fixture(scope="module")
def processes(run_python):
    """The tests of values on each of the other tiers, all at the same time."""
    files = [str(HERE / name) for name in VALUE_TESTS]
    forced = f"{HERE / 'test_isa.py'}::test_forced_tier_is_in_use"
    few = ["--hypothesis-profile", "few"] if importlib.util.find_spec("hypothesis") else []
    pytest_ = ["-m", "pytest", "-x", "-m", "not slow and not external", "-p", "no:cacheprovider", *few, *files, forced]
    with ThreadPoolExecutor(len(OTHERS)) as threads:
        yield {tier: threads.submit(run_python, *pytest_, timeout=600, FASTNN_ISA=tier) for tier in OTHERS}


@pytest.mark.parametrize("tier", OTHERS)
@pytest.mark.skipif("FASTNN_ISA" in os.environ, reason="already on a forced tier")
def test_values_on_tier(tier, processes):
    """The tier in use is tested by the ordinary run. One process per tier: its start is paid once."""
    process = processes[tier].result()
    assert process.returncode == 0, process.stdout[-6000:] + process.stderr[-2000:]
    assert f"isa {tier} (forced)" in process.stdout
    summary = process.stdout.splitlines()[-1]
    assert "passed" in summary
    assert "skipped" not in summary or sys.platform != "linux", summary


def test_unknown_tier_is_refused(run_python):
    process = run_python("-c", "import fastnn", FASTNN_ISA="v9")
    assert process.returncode != 0
    message = process.stderr.strip().splitlines()[-1]
    assert message.startswith("ImportError")
    assert "FASTNN_ISA" in message
    assert "v9" in message
    assert all(tier in message for tier in fnn.isa_available()), message


def test_empty_choice_is_no_choice(run_python):
    process = run_python("-c", "import fastnn; print(fastnn.isa())", FASTNN_ISA="")
    assert process.returncode == 0, process.stderr


def test_show_config_names_what_is_in_use(capsys):
    shown = fnn.show_config()
    text = capsys.readouterr().out + (shown or "")
    assert fnn.__version__ in text
    assert fnn.isa() in text
    assert all(tier in text for tier in fnn.isa_available())
