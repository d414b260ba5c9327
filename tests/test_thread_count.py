"""How the number of threads is chosen and set."""

import math
import os

import pytest

import fastnn as fnn
from fastnn import _runtime


def test_number_is_set_and_restored():
    fnn.set_num_threads(3)
    assert fnn.get_num_threads() == 3
    with fnn.num_threads(2):
        assert fnn.get_num_threads() == 2
    assert fnn.get_num_threads() == 3
    with pytest.raises(KeyError), fnn.num_threads(5):
        raise KeyError
    assert fnn.get_num_threads() == 3


@pytest.mark.parametrize(("bad", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), ("2", TypeError)])
def test_bad_number(bad, error):
    with pytest.raises(error, match=r"^n: got"):
        fnn.set_num_threads(bad)


def test_number_from_the_environment(run_python):
    source = "import fastnn; print(fastnn.get_num_threads())"
    assert run_python("-c", source, FASTNN_NUM_THREADS="3", OMP_NUM_THREADS="1").stdout.strip() == "3"
    assert run_python("-c", source, FASTNN_NUM_THREADS="").stdout == run_python("-c", source).stdout
    assert run_python("-c", source, FASTNN_NUM_THREADS="9" * 5000).stdout.strip() == "256"
    for bad in ("none", "0", "-2", " ", "\N{SUPERSCRIPT TWO}", "2.0"):
        process = run_python("-c", source, FASTNN_NUM_THREADS=bad)
        assert process.returncode != 0
        assert "FASTNN_NUM_THREADS" in process.stderr
        assert bad in process.stderr


@pytest.mark.parametrize(
    ("share", "expected"),
    [("1,4", 1), (" 1 ", 1), ("1000", None), ("none", None), ("\N{SUPERSCRIPT TWO}", None)],
)
def test_default_is_at_most_the_share(run_python, share, expected):
    """OMP_NUM_THREADS says how many are this process's, as in workers of joblib; not more than there are."""
    source = "import fastnn; print(fastnn.get_num_threads())"
    count = run_python("-c", source, OMP_NUM_THREADS=share).stdout.strip()
    assert int(count) == (expected or int(run_python("-c", source, OMP_NUM_THREADS="").stdout))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no CPU affinity here")
def test_default_follows_the_affinity(run_python):
    one_cpu = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
    assert run_python("-c", one_cpu + "import fastnn; print(fastnn.get_num_threads())").stdout.strip() == "1"


THREADPOOLCTL = """
import threadpoolctl, fastnn
fastnn.set_num_threads(4)
(ours,) = [c for c in threadpoolctl.ThreadpoolController().lib_controllers if c.internal_api == "fastnn"]
assert ours.num_threads == 4
with threadpoolctl.threadpool_limits(limits=1):
    assert fastnn.get_num_threads() == 1
assert fastnn.get_num_threads() == 4
print("done")
"""


def test_threadpoolctl_sees_the_pool(run_python):
    pytest.importorskip("threadpoolctl")
    process = run_python("-c", THREADPOOLCTL)
    assert process.stdout.strip() == "done", process.stderr


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"/proc/self/cgroup": "0::/a/b\n", "/sys/fs/cgroup/a/cpu.max": "150000 100000\n"}, 1.5),
        ({"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "max 100000\n"}, math.inf),
        (
            {
                "/proc/self/cgroup": "0::/a/b/\n",
                "/sys/fs/cgroup/a/b/cpu.max": "400000 100000\n",
                "/sys/fs/cgroup/a/cpu.max": "max 100000\n",
                "/sys/fs/cgroup/cpu.max": "200000 100000\n",
            },
            2,
        ),
        (
            {
                "/proc/self/cgroup": "7:memory:/x\n4:cpu,cpuacct:/x\n",
                "/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "50000\n",
                "/sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000\n",
            },
            0.5,
        ),
        ({"/proc/self/cgroup": "0::/a\n", "/sys/fs/cgroup/a/cpu.max": "nonsense\n"}, math.inf),
        ({}, math.inf),
    ],
    ids=["of the group above", "none", "the least of all groups", "version 1", "nonsense", "no groups"],
)
def test_the_limit_of_a_container_is_that_of_its_control_groups(monkeypatch, files, quota):
    def text(path):
        if path not in files:
            raise FileNotFoundError(path)
        return files[path]

    monkeypatch.setattr(_runtime, "_text", text)
    assert _runtime._cgroup_quota() == quota
