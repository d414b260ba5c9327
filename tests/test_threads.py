"""The same bits for any number of threads, from any Python thread."""

import sys
import threading

import numpy as np
import pytest

import fastnn as fnn
from cases import CASES, DTYPES
from checks import check_parity

LARGE = [case for case in CASES if case.large]
SMALL = [case for case in CASES if not case.large]


def bits(case, inputs):
    return [None if r is None else r.tobytes() for r in case.operation.call(fnn.functional, *inputs)]


@pytest.mark.parametrize("case", SMALL, ids=str)
def test_same_bits_small(case):
    inputs = case.inputs(np.float32)
    with fnn.num_threads(1):
        expected = bits(case, inputs)
    for n in (2, 7):
        with fnn.num_threads(n):
            assert bits(case, inputs) == expected, f"{n} threads"


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize("case", LARGE, ids=str)
def test_same_bits_large(case, dtype):
    inputs = case.inputs(dtype)
    with fnn.num_threads(1):
        expected = bits(case, inputs)
    for n in (2, 7):
        with fnn.num_threads(n):
            for _ in range(4):
                assert bits(case, inputs) == expected, f"{n} threads"


@pytest.mark.parametrize("case", LARGE, ids=str)
def test_parity_with_seven_threads(case):
    with fnn.num_threads(7):
        check_parity(case, np.float32)


def test_more_chunks_than_are_done_at_a_time():
    """An image is a chunk here, and the pool counts 65,535 at a time."""
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(shape).astype(np.float32) for shape in ((66_000, 1, 2, 2), (3, 1, 2, 2)))
    expected = fnn.reference.conv2d(x, w, padding=1)
    outputs = []  # all kept, lest one finds in its memory what another has left there
    for n in (1, 2, 7):
        with fnn.num_threads(n):
            outputs.append(fnn.functional.conv2d(x, w, padding=1))
    for y in outputs:
        np.testing.assert_allclose(y, expected, atol=1e-5)


def test_concurrent_python_threads():
    """Four Python threads share the pool; each sees what it would see alone."""
    inputs = [case.inputs(np.float32) for case in LARGE]
    expected = list(map(bits, LARGE, inputs))
    wrong = []

    def work(start):
        for i in range(2 * len(LARGE)):
            j = (start + i) % len(LARGE)
            if bits(LARGE[j], inputs[j]) != expected[j]:
                wrong.append(str(LARGE[j]))

    with fnn.num_threads(2):
        workers = [threading.Thread(target=work, args=(5 * i,)) for i in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(timeout=120)
    assert not any(worker.is_alive() for worker in workers)
    assert not wrong


PLACES = """
import os, subprocess, sys, time
import numpy as np
cpus = os.sched_getaffinity(0)
if "one" in sys.argv:
    cpus = {min(cpus)}
    os.sched_setaffinity(0, cpus)
import fastnn as fnn
fnn.set_num_threads(3)
a = np.random.default_rng(0).standard_normal((300, 300)).astype("f4")
expected = fnn.functional.matmul(a, a)
spin = "import os; parent = os.getppid()\\nwhile os.getppid() == parent: pass"
others = [subprocess.Popen([sys.executable, "-c", spin]) for _ in cpus]
try:
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        assert np.array_equal(fnn.functional.matmul(a, a), expected)
finally:
    for other in others:
        other.kill()
threads = os.listdir("/proc/self/task")
assert len(threads) > 2, threads
end = time.monotonic() + 10
while True:  # one may have been put off in the middle of a move
    back = [os.sched_getaffinity(int(thread)) == cpus for thread in threads]
    if all(back) or time.monotonic() > end:
        break
    time.sleep(0.01)
print(*back)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads are moved on Linux only")
@pytest.mark.parametrize("cpus", ["all", "one"])
def test_threads_that_are_moved_may_run_where_they_might_before(cpus, run_python):
    process = run_python("-c", PLACES, cpus)
    assert set(process.stdout.split()) == {"True"}, process.stdout + process.stderr


def test_the_number_may_change_while_kernels_run():
    """One Python thread computes, another sets the number of threads all the while."""
    inputs = [case.inputs(np.float32) for case in LARGE]
    expected = list(map(bits, LARGE, inputs))
    stop = threading.Event()

    def keep_setting():
        n = 0
        while not stop.wait(1e-4):
            n = n % 7 + 1
            fnn.set_num_threads(n)

    setter = threading.Thread(target=keep_setting)
    setter.start()
    try:
        for _ in range(3):
            wrong = [str(case) for case, x, b in zip(LARGE, inputs, expected, strict=True) if bits(case, x) != b]
            assert not wrong
    finally:
        stop.set()
        setter.join()
