"""Other processes, interpreters, signals and little memory: in a process of its own each, so that a hang or a crash is
a failure and not the end of the test run. What fork alone does is in test_fork.py."""

import os
import sys
import threading

import numpy as np
import pytest

import fastnn as fnn
from test_fork import PREPARE

posix = pytest.mark.skipif(os.name != "posix", reason="no such signals or limits here")

SPAWN = """
import multiprocessing

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        results = [pool.apply_async(work) for _ in range(4)]
        assert all(r.get(timeout=60) == expected for r in results)
    print("done")
"""

LOKY = """
import joblib

def threads(_):
    return fnn.get_num_threads(), work() == expected

if __name__ == "__main__":
    with joblib.parallel_config("loky", inner_max_num_threads=1):
        assert joblib.Parallel(n_jobs=2)(joblib.delayed(threads)(i) for i in range(4)) == [(1, True)] * 4
    cores = joblib.cpu_count()
    shares = joblib.Parallel(n_jobs=cores + 1, backend="loky")(joblib.delayed(threads)(i) for i in range(8))
    assert shares == [(1, True)] * 8, shares
    print("done")
"""


LARGE = """
import joblib
from fastnn.training import BestWeights, Trainer

def train(net, optimizer, trainer, weights):
    assert not weights.flags.writeable, "joblib maps no files any more: nothing is tested"
    x, labels = np.ones((2, 600), np.float32), np.array([0, 1])
    criterion = fnn.CrossEntropyLoss()
    for step in range(2):
        criterion(net(x), labels)
        net.backward(criterion.backward(), needs_dx=False)
        fnn.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
    net.load_state_dict(net.state_dict())
    optimizer.load_state_dict(optimizer.state_dict())
    net[0].weight.data -= 1
    trainer.fit((x, labels), (x, labels), epochs=2, progress=False)
    return [a.tobytes() for a in net.state_dict().values()]

def made():
    fnn.manual_seed(0)
    net = fnn.Sequential(fnn.Linear(600, 600), fnn.BatchNorm1d(600), fnn.ReLU(), fnn.Linear(600, 600))
    net[3].weight = net[0].weight
    optimizer = fnn.Adam(net.parameters(), lr=0.01)
    for p in net.parameters():
        p.grad = np.ones_like(p.data)
    optimizer.step()
    other = fnn.Sequential(fnn.Linear(600, 600))
    trainer = Trainer(other, fnn.CrossEntropyLoss(), fnn.SGD(other.parameters(), lr=0.1, momentum=0.9), rng=0,
                      callbacks=[BestWeights("eval_loss")])
    trainer.fit((np.ones((2, 600), np.float32), np.array([0, 1])), (np.ones((2, 600), np.float32), np.array([0, 1])),
                epochs=1, progress=False)
    return net, optimizer, trainer

if __name__ == "__main__":
    net, optimizer, trainer = made()
    call = joblib.delayed(train)(net, optimizer, trainer, net.state_dict()["0.weight"])
    there = joblib.Parallel(n_jobs=2, backend="loky")([call] * 2)
    weights = net.state_dict()["0.weight"]
    weights.flags.writeable = False
    here = train(net, optimizer, trainer, weights)
    assert there == [here, here]
    print("done")
"""


@pytest.mark.parametrize(
    "source", [SPAWN, LARGE, pytest.param(LOKY, marks=pytest.mark.slow)], ids=["spawn", "large", "loky"]
)
def test_workers(source, run_python, tmp_path):
    """New processes compute the same bits; those of joblib share the cores, and train what is 1 MB and more."""
    if source is not SPAWN:
        pytest.importorskip("joblib")
    module = tmp_path / "workers.py"  # that the workers can import
    module.write_text(PREPARE.replace("fnn.set_num_threads(2)\n", "") + source)
    process = run_python("-W", "ignore", str(module), timeout=120)
    assert process.stdout.strip() == "done", process.stderr


SLEEPING = """
import time
time.sleep(0.1)  # the workers do too
print("done")
"""

SIGNALS = """
import signal

caught = 0

def handler(*_):
    global caught
    caught += 1

signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 1e-3, 1e-3)
while caught < 200:
    assert work() == expected
signal.setitimer(signal.ITIMER_REAL, 0)

signal.signal(signal.SIGALRM, signal.default_int_handler)
for delay in (1e-4, 1e-3, 3e-3, 1e-2):
    try:
        signal.setitimer(signal.ITIMER_REAL, delay)  # inside: it may ring before the next line
        while True:
            work()
    except KeyboardInterrupt:
        pass
    assert work() == expected
print("done")
"""

AGAIN = """
import importlib

importlib.reload(fnn)
assert work() == expected
for name in [name for name in sys.modules if name.partition(".")[0] == "fastnn"]:
    del sys.modules[name]
import fastnn as fnn
assert work() == expected
print("done")
"""

SUBINTERPRETER = """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

number = interpreters.create()
source = f"import sys; sys.path[:] = {sys.path!r}; import fastnn"
try:
    refused = interpreters.exec(number, source) if hasattr(interpreters, "exec") else None
    if not hasattr(interpreters, "exec"):
        interpreters.run_string(number, source)
except Exception as error:
    refused = error
message = getattr(refused, "formatted", None) or str(refused)
assert "ImportError" in message, message
interpreters.destroy(number)
assert work() == expected
print("done")
"""

# Whatever the limit, a call gives its result or a MemoryError, and afterwards all is as before.
LITTLE_MEMORY = """
import resource

big = rng.standard_normal((16, 32, 66, 66)).astype("f4")
w3 = rng.standard_normal((64, 32, 3, 3)).astype("f4")
w5 = rng.standard_normal((64, 32, 5, 5)).astype("f4")
matrix = rng.standard_normal((2000, 3000)).astype("f4")
rows = rng.standard_normal((1500, 2000)).astype("f4")
dy = rng.standard_normal((16, 64, 64, 64)).astype("f4")
dy5 = rng.standard_normal((16, 64, 62, 62)).astype("f4")
net = fnn.Sequential(fnn.Conv2d(32, 64, 3), fnn.ReLU(), fnn.MaxPool2d(2), fnn.Flatten(), fnn.Linear(65536, 40)).eval()
F = fnn.functional
CALLS = {
    "winograd": lambda: F.conv2d(big, w3),
    "planes": lambda: F.conv2d(big, w5),
    "its gradients": lambda: F.conv2d_backward(dy, big, w3),
    "gradients": lambda: F.conv2d_backward(dy5, big, w5),
    "matmul": lambda: F.matmul(rows, matrix),
    "pool": lambda: F.max_pool2d(big, 2, return_positions=True),
    "norm": lambda: F.batch_norm(big, training=True),
    "unfold": lambda: F.unfold(big, 3),
    "plan": lambda: net(big),
}

def used():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()

def bits(result):
    return [None if r is None else r.tobytes() for r in (result if isinstance(result, tuple) else (result,))]

start, *limits = sys.argv[1:]  # "fresh": no worker has been started, no block is cached
alone = {name: bits(call()) for name, call in CALLS.items()} if start == "warm" else {}
refused = worked = 0
hard = resource.getrlimit(resource.RLIMIT_AS)[1]
for name, call in CALLS.items():
    for megabytes in map(int, limits):
        fnn._runtime.empty_cache()
        resource.setrlimit(resource.RLIMIT_AS, (used() + megabytes * 2**20, hard))
        try:
            result = call()
            worked += 1
        except MemoryError as error:
            assert str(error), name
            result = None
            refused += 1
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, hard))
        if result is not None and name in alone:
            assert bits(result) == alone[name], name
        del result
    assert work() == expected, name
assert refused and worked, (refused, worked)
print(f"{refused} refused, {worked} worked", file=sys.stderr)
print("done")
"""


@posix
@pytest.mark.parametrize(
    "source", [SLEEPING, SIGNALS, AGAIN], ids=["exit-while-workers-sleep", "signals", "import-twice"]
)
def test_process(source, run_python):
    process = run_python("-W", "ignore", "-c", PREPARE + source, timeout=120)
    assert process.stdout.strip() == "done", process.stderr
    assert process.returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="NumPy 2.0 was seen to wait for ever there (in Wine)")
def test_a_second_interpreter_is_refused(run_python):
    """NumPy, and every module of fastnn, is one interpreter's; the error says so, and that one goes on."""
    process = run_python("-W", "ignore", "-c", PREPARE + SUBINTERPRETER, timeout=60)
    if "No module named '_xxsubinterpreters'" in process.stderr:
        pytest.skip("this Python has no interpreters to try it with")
    assert process.stdout.strip() == "done", process.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize(
    ("start", "limits"),
    [
        ("warm", (2, 12, 58)),
        pytest.param("warm", range(0, 200, 3), marks=pytest.mark.slow),
        pytest.param("fresh", range(1, 200, 3), marks=pytest.mark.slow),
    ],
)
def test_little_memory(start, limits, run_python):
    """Each call at each limit, in megabytes above what is in use."""
    process = run_python("-W", "ignore", "-c", PREPARE + LITTLE_MEMORY, start, *map(str, limits), timeout=600)
    assert process.stdout.strip() == "done", process.stderr
    assert process.returncode == 0


def network(seed):
    fnn.manual_seed(seed)
    dropout = fnn.Dropout(0.3)
    dropout.stream = seed  # else drawn by whichever network comes first
    first = fnn.Conv2d(1, 6, 3, padding=1), fnn.BatchNorm2d(6), fnn.ReLU(), fnn.MaxPool2d(2), dropout
    return fnn.Sequential(*first, fnn.Flatten(), fnn.Linear(6 * 14 * 14, 10))


def train(net, seed, steps=12):
    rng, criterion, optimizer = np.random.default_rng(seed), fnn.CrossEntropyLoss(), fnn.Adam(net.parameters(), lr=0.01)
    for _ in range(steps):
        criterion(net(rng.standard_normal((32, 1, 28, 28)).astype(np.float32)), rng.integers(0, 10, 32))
        net.backward(criterion.backward(), needs_dx=False)
        optimizer.step()
    return [array.tobytes() for array in net.state_dict().values()]


def test_eight_threads_train_eight_networks():
    """Each ends with the bits that it has when it is trained alone."""
    with fnn.num_threads(2):
        alone = [train(network(seed), seed) for seed in range(8)]
        nets, together = [network(seed) for seed in range(8)], [None] * 8

        def work(seed):
            together[seed] = train(nets[seed], seed)

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=120)
    assert together == alone
