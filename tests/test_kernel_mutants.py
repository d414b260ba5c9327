"""Faults planted in the kernels, one at a time: the tests must notice each. This tests the tests.

    pytest -m slow tests/test_kernel_mutants.py [-k softmax]

takes some 20 seconds a fault, and wants kernels that are built in place. Each mutant is a copy of the checkout in which
one passage is replaced; one tier is compiled again there, and the tests named beside the fault are run on it.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fastnn as fnn
from kernel_mutants import MUTANTS

ROOT = Path(__file__).parents[1]
KERNELS = Path("src/fastnn/_kernels")
TIER = "v3" if "v3" in fnn.isa_available() else "baseline"  # v4 takes five times as long to compile
AVX512 = ("amx",) if "v4" in fnn.isa_available() else ()
HAS_TILES = "amx" in fnn.isa_available()

pytestmark = pytest.mark.skipif(not (ROOT / KERNELS / "csrc").exists(), reason="a checkout is needed")


def source_of(mutant):
    return KERNELS / mutant.file if mutant.file.endswith(".pyx") else KERNELS / "csrc" / mutant.file


def replace(path, old, new):
    """Replace the one place of a passage. A header keeps its time: all that includes it would be built again."""
    times = path.stat()
    path.write_text(path.read_text().replace(old, new))
    if path.suffix != ".pyx":
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def tier_of(tests):
    """The tier that is compiled again: test_amx.py wants matrix tiles, which AVX-512 can emulate."""
    return "amx" if tests == "test_amx.py" else TIER


def run(root, tier, *command):
    environment = {**os.environ, "PYTHONPATH": str(root / "src"), "FASTNN_ISA": tier}
    if tier == "amx" and not HAS_TILES:
        environment["FASTNN_EMULATE_TILES"] = "1"
    return subprocess.run([sys.executable, *command], cwd=root, env=environment, capture_output=True, text=True)


@pytest.fixture
def mutated(tmp_path):
    """A function that makes a checkout with this fault, or without one, and runs tests in it."""

    def outcome(mutant, tests, cases):
        if tier_of(tests) not in (TIER, *AVX512):
            pytest.skip("matrix tiles are emulated by AVX-512 alone")
        for name in ("src", "build", "tests"):
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
            shutil.copy2(ROOT / name, tmp_path / name)
        replace(tmp_path / "setup.py", '"-O3"', '"-O1"')  # a third of the time
        if mutant is not None:
            replace(tmp_path / source_of(mutant), mutant.old, mutant.new)
        tier = tier_of(tests)
        for built in (*tmp_path.glob(f"build/temp*/{tier}/**/*.o*"), *tmp_path.glob("*/**/_table.*.so")):
            built.unlink()
        built = run(tmp_path, tier, "setup.py", "-q", "build_ext", "--inplace", "-j1")
        assert built.returncode == 0, built.stdout + built.stderr
        return run(tmp_path, tier, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"tests/{tests}", "-k", cases)

    yield outcome
    shutil.rmtree(tmp_path)  # 60 MB


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_fault_has_its_place(mutant):
    """In the kernels as they are, once: whoever changes the passage finds the fault another one."""
    assert (ROOT / source_of(mutant)).read_text().count(mutant.old) == 1


def test_every_family_of_tiles_has_a_fault():
    files = {path.name for path in (ROOT / KERNELS / "csrc").glob("tile_*.h")}
    assert files <= {mutant.file for mutant in MUTANTS}


@pytest.mark.slow
@pytest.mark.parametrize("tests", dict.fromkeys(mutant.tests for mutant in MUTANTS))
def test_without_a_fault_nothing_fails(mutated, tests):
    cases = dict.fromkeys(mutant.cases for mutant in MUTANTS if mutant.tests == tests)
    found = mutated(None, tests, " or ".join(filter(None, cases)))
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_fault_is_noticed(mutated, mutant):
    found = mutated(mutant, mutant.tests, mutant.cases)
    crashed = found.returncode < 0
    assert found.returncode == 1 or crashed, found.stdout + found.stderr
