"""A thousand steps of training end with the same bits on 1, 2, 3 and 7 threads, on an idle machine and a busy one."""

import hashlib
import subprocess
import sys
from contextlib import ExitStack

import numpy as np
import pytest

import fastnn as fnn
from fastnn import networks

pytestmark = pytest.mark.slow

STEPS = 1000
# Network, images, batch.
NETWORKS = {
    "LeNet": (networks.lenet, (1, 28, 28), 32),
    "SmallVGG": (networks.small_vgg, (1, 28, 28), 8),
    "CNN with batch normalisation and dropout": (lambda: networks.cnn(36, (16, 32, 64, 128)), (3, 32, 32), 8),
}


def digest(name):
    """Of all weights and running statistics after training."""
    make, image, batch = NETWORKS[name]
    fnn.manual_seed(1)
    net, rng, criterion = make(), np.random.default_rng(2), fnn.CrossEntropyLoss()
    optimizer = fnn.SGD(net.parameters(), lr=0.01, momentum=0.9)
    templates = rng.standard_normal((10, *image)).astype(np.float32)
    for _ in range(STEPS):
        labels = rng.integers(0, 10, batch)
        x = templates[labels] + rng.standard_normal((batch, *image)).astype(np.float32)
        loss = criterion(net(x), labels)
        net.backward(criterion.backward(), needs_dx=False)
        optimizer.step()
    state = net.state_dict()
    assert np.isfinite(loss)
    assert all(np.isfinite(array).all() for array in state.values())
    return hashlib.sha256(b"".join(array.tobytes() for array in state.values())).hexdigest()


@pytest.mark.parametrize("name", NETWORKS)
def test_same_bits(name):
    with fnn.num_threads(1):
        expected = digest(name)
    for threads in (2, 3, 7):
        with fnn.num_threads(threads):
            assert digest(name) == expected, f"{threads} threads"
    with ExitStack() as stack, fnn.num_threads(2):
        for _ in range(2):
            busy = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            stack.callback(busy.kill)
        assert digest(name) == expected, "a busy machine"
