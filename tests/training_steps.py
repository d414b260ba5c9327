"""What the tests of training steps share: networks, the three lines of a loop, and what is compared."""

import copy

import numpy as np

import fastnn as fnn
from networks import normal

L, S = fnn.Linear, fnn.Sequential


def perceptron(dtype=np.float32):
    return S(L(4, 32, dtype=dtype), fnn.Tanh(), L(32, 16, dtype=dtype), fnn.ReLU(), L(16, 5, dtype=dtype))


def wide(dtype=np.float32):
    return S(fnn.Flatten(), L(300, 200, dtype=dtype), fnn.ReLU(), L(200, 5, bias=False, dtype=dtype))


def maps(dtype=np.float32):
    return S(
        fnn.Tanh(), fnn.GELU(), L(4, 9, dtype=dtype), fnn.Sigmoid(), S(L(9, 7, dtype=dtype), fnn.ELU()), fnn.SiLU(),
        fnn.LeakyReLU(), fnn.ReLU(), fnn.ReLU(), L(7, 5, dtype=dtype), fnn.ReLU(), fnn.Hardswish(), fnn.Tanh(),
        fnn.Softplus(), fnn.Identity(),
    )  # fmt: skip


def images(dtype=np.float32):
    return S(
        fnn.Conv2d(2, 6, 5, padding=2, dtype=dtype), fnn.ReLU(), fnn.MaxPool2d(2),
        fnn.Conv2d(6, 8, 3, stride=2, groups=2, dtype=dtype), fnn.Tanh(), fnn.AvgPool2d(3, stride=1, padding=1),
        fnn.MaxPool2d(3, stride=2, padding=1), fnn.Conv2d(8, 9, 1, bias=False, dtype=dtype), fnn.ReLU(),
        fnn.AvgPool2d(2), fnn.Flatten(), L(9, 12, dtype=dtype), fnn.ReLU(), L(12, 5, dtype=dtype),
    )  # fmt: skip


def sequences(dtype=np.float32):
    return S(
        fnn.Conv1d(2, 6, 5, padding=2, dtype=dtype), fnn.ReLU(), fnn.MaxPool1d(2), fnn.AvgPool1d(2, stride=1),
        fnn.Flatten(), L(30, 5, dtype=dtype),
    )  # fmt: skip


def winograd(dtype=np.float32):
    """3 x 3 layers, and more parameters than go by groups."""
    return S(
        fnn.Conv2d(2, 16, 3, padding=1, dtype=dtype), fnn.ReLU(), fnn.Conv2d(16, 16, 3, padding=1, dtype=dtype),
        fnn.ReLU(), fnn.MaxPool2d(2), fnn.Flatten(), L(784, 200, dtype=dtype), fnn.ReLU(), L(200, 5, dtype=dtype),
    )  # fmt: skip


def normalised(dtype=np.float32):
    net = S(
        fnn.Conv2d(2, 6, 3, bias=False, dtype=dtype), fnn.BatchNorm2d(6, dtype=dtype), fnn.ReLU(), fnn.MaxPool2d(2),
        fnn.Dropout2d(0.2), fnn.Conv2d(6, 8, 3, dtype=dtype), fnn.BatchNorm2d(8, affine=False, dtype=dtype), fnn.ReLU(),
        fnn.Flatten(), fnn.Dropout(0.4), L(128, 12, dtype=dtype), fnn.Dropout(1.0),
        fnn.BatchNorm1d(12, track_running_stats=False, momentum=0.3, dtype=dtype), fnn.Tanh(), L(12, 5, dtype=dtype),
    )  # fmt: skip
    for stream, place in enumerate((4, 9, 11)):
        net[place].stream = stream  # else the first call draws it
    return net


def residual(dtype=np.float32):
    """Branches of all kinds: without and with a shortcut, one in another, an empty one, and one of one layer."""
    conv = lambda a, b, k, **more: fnn.Conv2d(a, b, k, padding=k // 2, dtype=dtype, **more)  # noqa: E731
    norm = lambda c: fnn.BatchNorm2d(c, dtype=dtype)  # noqa: E731
    return S(
        conv(2, 6, 3), fnn.ReLU(), fnn.Residual(S(conv(6, 6, 3), norm(6), fnn.ReLU(), conv(6, 6, 3), norm(6))),
        fnn.ReLU(), fnn.Residual(S(conv(6, 8, 3, stride=2), norm(8)), S(conv(6, 8, 1, stride=2), norm(8))), fnn.ReLU(),
        fnn.MaxPool2d(2), fnn.Residual(S(fnn.Tanh(), fnn.Residual(conv(8, 8, 3)))), fnn.Residual(fnn.Identity()),
        fnn.AdaptiveAvgPool2d(1), fnn.Flatten(), fnn.Residual(L(8, 8, dtype=dtype)), fnn.ReLU(), L(8, 5, dtype=dtype),
    )  # fmt: skip


def joined(dtype=np.float32):
    conv = lambda a, b, k: fnn.Conv2d(a, b, k, padding=k // 2, dtype=dtype)  # noqa: E731
    return S(
        fnn.Concat([conv(2, 3, 1), S(conv(2, 4, 3), fnn.ReLU()), fnn.Identity()]), fnn.MaxPool2d(2),
        fnn.Concat([S(conv(9, 4, 3), fnn.ReLU()), fnn.Residual(S(conv(9, 9, 3), fnn.Sigmoid()))]), fnn.Tanh(),
        fnn.Concat([fnn.AvgPool2d(3, stride=1), fnn.MaxPool2d(3, stride=1)], dim=-1), fnn.AdaptiveMaxPool2d(2),
        fnn.Flatten(), L(52, 5, dtype=dtype),
    )  # fmt: skip


def rows(dtype=np.float32):
    """Normalised rows, learnt slopes, functions of rows, other sizes of planes."""
    return S(
        fnn.Conv2d(2, 6, 3, bias=False, dtype=dtype), fnn.LayerNorm((12, 12), dtype=dtype), fnn.PReLU(6, dtype=dtype),
        fnn.Upsample(scale_factor=2, mode="bilinear"), fnn.Conv2d(6, 4, 3, stride=3, bias=False, dtype=dtype),
        fnn.InstanceNorm2d(4, affine=True, dtype=dtype), fnn.PReLU(dtype=dtype),
        fnn.Upsample(scale_factor=2, mode="bicubic"), fnn.GroupNorm(2, 4, dtype=dtype), fnn.AdaptiveAvgPool2d(3),
        fnn.Flatten(2), L(9, 7, dtype=dtype),
        fnn.LayerNorm(7, dtype=dtype), fnn.Softmax(-1), fnn.Flatten(), L(28, 5, dtype=dtype), fnn.LogSoftmax(1),
    )  # fmt: skip


NETWORKS = {perceptron: (4,), wide: (3, 100), maps: (4,), images: (2, 14, 14), sequences: (2, 12)}
NETWORKS |= {winograd: (2, 14, 14), normalised: (2, 14, 14), residual: (2, 12, 12), joined: (2, 12, 12)}
NETWORKS |= {rows: (2, 14, 14)}
OPTIMIZERS = {
    "sgd": lambda p: fnn.SGD(p, lr=0.1),
    "momentum": lambda p: fnn.SGD(p, lr=0.05, momentum=0.9, dampening=0.1, weight_decay=0.01),
    "nesterov": lambda p: fnn.SGD(p, lr=0.05, momentum=0.9, nesterov=True, maximize=True),
    "adam": lambda p: fnn.Adam(p, lr=0.01, weight_decay=0.01),
    "amsgrad": lambda p: fnn.Adam(p, lr=0.01, amsgrad=True),
    "adamw": lambda p: fnn.AdamW(p, lr=0.01),
    "rmsprop": lambda p: fnn.RMSprop(p, lr=0.01, eps=1e-3),
}
LOSSES = {
    "cross entropy": fnn.CrossEntropyLoss,
    "smoothed sum": lambda: fnn.CrossEntropyLoss(ignore_index=2, reduction="sum", label_smoothing=0.1),
    "squared error": fnn.MSELoss,
}


class Loop:
    """The three lines."""

    def __init__(self, net, criterion, optimizer):
        self.net, self.criterion, self.optimizer = net, criterion, optimizer

    def __call__(self, x, y):
        loss = self.criterion(self.net(x), y)
        self.net.backward(self.criterion.backward(), needs_dx=False)
        self.optimizer.step()
        return loss


def made(kind, net, criterion=None, optimizer=OPTIMIZERS["adam"]):
    net = copy.deepcopy(net)
    return kind(net, fnn.CrossEntropyLoss() if criterion is None else criterion, optimizer(net.parameters()))


def data(net, n, loss="cross entropy", dtype=np.float32):
    x = normal(n, *NETWORKS[net], dtype=dtype)
    y = np.random.default_rng(1).integers(0, 5, n)
    return x, normal(n, 5, seed=2, dtype=dtype) if loss == "squared error" else y


def plans(step):
    return [plan for plan in step._bound.plans.values() if plan is not None] if step._bound else []


def state(step):
    arrays = [*step.net.state_dict().values(), *(p.grad for p in step.net.parameters())]
    kept = step.optimizer.state_dict()["state"]
    return [*arrays, *(v for each in kept.values() for v in each.values())]


def assert_near(step, loop, terms):
    """All that a step changes is what the loop makes of it, but for the rounding of sums of so many terms."""
    for got, expected in zip(state(step), state(loop), strict=True):
        if got is None or expected is None:
            assert got is expected
            continue
        got, expected = np.asarray(got), np.asarray(expected)
        assert got.dtype == expected.dtype
        largest = np.max(np.abs(expected), initial=0)
        np.testing.assert_allclose(got, expected, rtol=0, atol=terms * np.finfo(got.dtype).eps * largest
                                   if got.dtype.kind == "f" else 0)  # fmt: skip


def assert_same_bits(step, loop):
    for got, expected in zip(state(step), state(loop), strict=True):
        assert np.asarray(got).tobytes() == np.asarray(expected).tobytes()
