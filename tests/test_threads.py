"""The same bits for any number of threads, from any Python thread; and how the number is set."""

import os
import threading

import numpy as np
import pytest

import fastnn as fnn
from cases import CASES, DTYPES
from checks import check_parity

LARGE = [case for case in CASES if case.large]
SMALL = [case for case in CASES if not case.large]


def bits(case, dtype=np.float32):
    args, kwargs = case.inputs(dtype)
    return [None if r is None else r.tobytes() for r in case.operation.call(fnn.functional, args, kwargs)]


@pytest.mark.parametrize("case", SMALL, ids=str)
def test_same_bits_small(case):
    with fnn.num_threads(1):
        expected = bits(case)
    for n in (2, 7):
        with fnn.num_threads(n):
            assert bits(case) == expected, f"{n} threads"


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize("case", LARGE, ids=str)
def test_same_bits_large(case, dtype):
    with fnn.num_threads(1):
        expected = bits(case, dtype)
    for n in (2, 7):
        with fnn.num_threads(n):
            for _ in range(4):
                assert bits(case, dtype) == expected, f"{n} threads"


@pytest.mark.parametrize("case", LARGE, ids=str)
def test_parity_with_seven_threads(case):
    with fnn.num_threads(7):
        check_parity(case, np.float32)


def test_concurrent_python_threads():
    """Four Python threads share the pool; each sees what it would see alone."""
    expected = [bits(case) for case in LARGE]
    wrong = []

    def work(start):
        for i in range(2 * len(LARGE)):
            j = (start + i) % len(LARGE)
            if bits(LARGE[j]) != expected[j]:
                wrong.append(str(LARGE[j]))

    with fnn.num_threads(2):
        workers = [threading.Thread(target=work, args=(5 * i,)) for i in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(timeout=120)
    assert not any(worker.is_alive() for worker in workers)
    assert not wrong


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
    assert run_python("-c", source, FASTNN_NUM_THREADS="3").stdout.strip() == "3"
    for bad in ("none", "0", "-2"):
        process = run_python("-c", source, FASTNN_NUM_THREADS=bad)
        assert process.returncode != 0
        assert "FASTNN_NUM_THREADS" in process.stderr
        assert bad in process.stderr


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no CPU affinity here")
def test_default_follows_the_affinity(run_python):
    one_cpu = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
    assert run_python("-c", one_cpu + "import fastnn; print(fastnn.get_num_threads())").stdout.strip() == "1"


def test_threadpoolctl_sees_the_pool():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    fnn.set_num_threads(4)
    ours = [c for c in threadpoolctl.ThreadpoolController().lib_controllers if c.internal_api == "fastnn"]
    assert len(ours) == 1
    assert ours[0].num_threads == 4
    with threadpoolctl.threadpool_limits(limits=1):
        assert fnn.get_num_threads() == 1
    assert fnn.get_num_threads() == 4
