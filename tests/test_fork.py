"""fork after the pool has worked: parent and child both go on, with the same bits. In a process of its own, so
that a hang is a failure and not the end of the test run."""

import os

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

PREPARE = """
import os, sys, threading
import numpy as np
import fastnn as fnn

fnn.set_num_threads(2)
rng = np.random.default_rng(0)
x = rng.standard_normal((8, 16, 24, 24)).astype("f4")
w = rng.standard_normal((32, 16, 3, 3)).astype("f4")

def work():
    y = fnn.functional.conv2d(x, w, padding=1)
    return b"".join(g.tobytes() for g in fnn.functional.conv2d_backward(y, x, w, padding=1))

expected = work()
"""

FORK = """
for _ in range(5):
    child = os.fork()
    if child == 0:
        os._exit(0 if work() == expected and work() == expected else 1)
    assert work() == expected
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print("done")
"""

FORK_WHILE_WORKING = """
stop = threading.Event()

def keep_working():
    while not stop.is_set():
        work()

others = [threading.Thread(target=keep_working) for _ in range(2)]
for other in others:
    other.start()
for _ in range(int(sys.argv[1])):
    child = os.fork()
    if child == 0:
        os._exit(0 if work() == expected else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
stop.set()
for other in others:
    other.join()
print("done")
"""

GRANDCHILD = """
child = os.fork()
if child == 0:
    ok = work() == expected
    grandchild = os.fork()
    if grandchild == 0:
        os._exit(0 if work() == expected else 1)
    ok = ok and os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]) == 0
    os._exit(0 if ok else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print("done")
"""

MULTIPROCESSING = """
import multiprocessing

if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool:
        results = [pool.apply_async(work) for _ in range(4)]
        assert all(r.get(timeout=60) == expected for r in results)
    print("done")
"""


@pytest.mark.parametrize(
    "source",
    [FORK, FORK_WHILE_WORKING, GRANDCHILD, MULTIPROCESSING],
    ids=["fork", "fork-while-working", "grandchild", "multiprocessing"],
)
def test_fork(source, run_python):
    # Python 3.12 warns of any fork beside threads; that is what is tested here.
    process = run_python("-W", "ignore", "-c", PREPARE + source, "8", timeout=60)
    assert process.stdout.strip() == "done", process.stderr
    assert process.returncode == 0


@pytest.mark.slow
def test_a_hundred_forks_while_working(run_python):
    process = run_python("-W", "ignore", "-c", PREPARE + FORK_WHILE_WORKING, "100", timeout=600)
    assert process.stdout.strip() == "done", process.stderr


def test_exit_with_sleeping_workers(run_python):
    """The interpreter ends while the workers sleep, and while a daemon thread is inside a kernel."""
    busy = "threading.Thread(target=lambda: [work() for _ in range(10_000)], daemon=True).start()\nprint('done')"
    process = run_python("-W", "ignore", "-c", PREPARE + busy, timeout=60)
    assert process.stdout.strip() == "done", process.stderr
    assert process.returncode == 0
