"""A layer as calls to time: fastnn's, and PyTorch's in its layouts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn import losses, optim
from fastnn._bench.sweep.drawn import Drawn
from fastnn._extras import require
from fastnn._validate import Array
from fastnn.interop.torch import to_torch
from fastnn.layers import Dropout, Dropout2d, Module
from fastnn.plan.training import TrainingStep

Work = Callable[[], Any]
Works = dict[str, dict[str, Work]]  # by direction, and by contestant; fastnn first

OURS, TORCH, CHANNELS_LAST = "fastnn", "torch", "torch-nhwc"
IN_BOTH_LAYOUTS = ("conv", "pool")
AGREEMENT = 1e-3  # of the largest number: sums are added in another order
NEAR_ZERO = 0.1  # gradients that cancel out, as those of a normalisation of two numbers
RATE = 1e-3  # of learning


def pytorch_version() -> str:
    return str(_torch().__version__)


def _torch() -> Any:
    return require("torch", "comparing with PyTorch", "bench")


def works_of(drawn: Drawn) -> Works:
    """What is to be timed, once all are found to compute the same.

    Raises
    ------
    AssertionError
        They do not, so that their times would mean nothing.
    """
    torch = _torch()
    rng = np.random.default_rng(1)
    x = rng.standard_normal(drawn.x, dtype=np.float32)
    if drawn.trained:
        labels = rng.integers(0, drawn.classes, drawn.x[0])
        works = {"step": {OURS: _our_step(drawn, x, labels), TORCH: _torch_step(torch, drawn, x, labels)}}
    else:
        layouts = {TORCH: torch.contiguous_format}
        if drawn.kind in IN_BOTH_LAYOUTS:
            layouts[CHANNELS_LAST] = torch.channels_last
        ours, dy = _our_calls(drawn.module(), x, rng)
        theirs = {name: _torch_calls(torch, drawn.module(), x, dy, layout) for name, layout in layouts.items()}
        works = {name: {OURS: ours[name], **{who: calls[name] for who, calls in theirs.items()}} for name in ours}
    if not isinstance(drawn.module(), Dropout | Dropout2d):  # which draw random numbers of their own
        _compare(drawn, works)
    return works


def _our_calls(layer: Module, x: Array, rng: np.random.Generator) -> tuple[dict[str, Work], Array]:
    """Both directions of a layer, and the gradient that goes into backward."""
    dy = rng.standard_normal(layer(x).shape, dtype=np.float32)
    return {"forward": lambda: layer(x), "backward": lambda: layer.backward(dy)}, dy


def _torch_calls(torch: Any, layer: Module, x: Array, dy: Array, layout: Any) -> dict[str, Work]:
    module = to_torch(layer).to(memory_format=layout)
    leaf = torch.from_numpy(x).contiguous(memory_format=layout).requires_grad_()
    slope = torch.from_numpy(dy).contiguous(memory_format=layout)
    y, leaves = module(leaf), [leaf, *module.parameters()]
    backward = torch.autograd.grad
    return {"forward": lambda: module(leaf), "backward": lambda: backward(y, leaves, slope, retain_graph=True)[0]}


def _our_step(drawn: Drawn, x: Array, labels: Array) -> Work:
    net, criterion = drawn.module(), losses.CrossEntropyLoss()
    step = TrainingStep(net, criterion, optim.Adam(net.parameters(), lr=RATE))
    return lambda: step(x, labels)


def _torch_step(torch: Any, drawn: Drawn, x: Array, labels: Array) -> Work:
    net, criterion = to_torch(drawn.module()), torch.nn.CrossEntropyLoss()
    images, targets = torch.from_numpy(x), torch.from_numpy(labels)
    optimizer = torch.optim.Adam(net.parameters(), lr=RATE)

    def step() -> object:
        optimizer.zero_grad(set_to_none=True)
        loss = criterion(net(images), targets)
        loss.backward()
        optimizer.step()
        return loss

    return step


def _compare(drawn: Drawn, works: Works) -> None:
    for direction, contestants in works.items():
        results = {who: work() for who, work in contestants.items()}
        arrays = {who: np.asarray(r.detach() if hasattr(r, "detach") else r) for who, r in results.items()}
        expected = arrays.pop(OURS)
        for who, got in arrays.items():
            difference = float(np.abs(got - expected).max()) if got.shape == expected.shape else np.inf
            if not difference <= AGREEMENT * max(float(np.abs(expected).max()), NEAR_ZERO):
                raise AssertionError(f"{drawn.text}: {direction} of {who} differs by {difference:.3g}")
