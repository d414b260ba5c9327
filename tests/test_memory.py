"""Nothing is written beside outputs; inputs of any layout work and are left alone.

That outputs are written in full is part of every check of parity: the memory they get is full of NaN before.
"""

import sys

import numpy as np
import pytest

import fastnn as fnn
from cases import CASES, DTYPES, Array
from checks import laid_out
from fastnn import _runtime
from layouts import LAYOUTS, reversed_axes, strided, unaligned

SMALL = [case for case in CASES if not case.large]
GUARD = 64  # elements before and after; keeps the alignment of the middle


def by_bytes(array: Array) -> Array:
    return array.reshape(-1).view(np.uint8)


@pytest.fixture
def guarded(monkeypatch):
    """Every block that the door asks for lies inside a larger one; the margins are compared at the end."""
    original, margins = _runtime.empty, []

    def empty(shape, dtype):
        size = int(np.prod(shape))
        buffer = np.empty(size + 2 * GUARD, dtype)
        by_bytes(buffer)[:] = 0xFF
        margins.append((by_bytes(buffer[:GUARD]), by_bytes(buffer[GUARD + size :])))
        return buffer[GUARD : GUARD + size].reshape(shape)

    doors = [module for name, module in sys.modules.items() if name.startswith(("fastnn.functional.", "fastnn.plan."))]
    for owner in (_runtime, *doors):
        if getattr(owner, "empty", None) is original:
            monkeypatch.setattr(owner, "empty", empty)
    yield margins
    for before, after in margins:
        assert np.all(before == 0xFF), "written before the start of a buffer"
        assert np.all(after == 0xFF), "written past the end of a buffer"


BY_NUMPY = ("flatten", "unflatten", "pixel_shuffle", "pixel_unshuffle", "weigh_losses", "weigh_losses_backward")


@pytest.mark.parametrize("case", SMALL, ids=str)
def test_nothing_is_written_outside(case, guarded):
    for dtype in DTYPES:
        case.operation.call(fnn.functional, *case.inputs(dtype))
    copies = case.op in BY_NUMPY or case.operation.in_place
    scalar = all(np.ndim(r) == 0 for r in case.operation.call(fnn.reference, *case.inputs(np.float32)))
    assert guarded or copies or scalar, "the door allocated elsewhere: nothing was guarded"


@pytest.mark.parametrize("n", [1, 3])
def test_plans_write_nothing_outside(n, guarded):
    net = fnn.Sequential(
        fnn.Conv2d(3, 17, 3), fnn.ReLU(), fnn.MaxPool2d(2), fnn.Flatten(), fnn.Linear(153, 7), fnn.Tanh()
    ).eval()
    x = np.ones((n, 3, 9, 9), np.float32)
    assert np.all(np.isfinite(net(x)))
    assert len(guarded) == 1, "the output alone is an array"


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
def test_in_place_step_stays_inside(dtype):
    for size in (1, 7, 16, 33, 65, 1000):
        buffers = [np.full(size + 2 * GUARD, 7.0, dtype) for _ in range(2)]
        p, v = (b[GUARD : GUARD + size] for b in buffers)
        fnn.functional.sgd_step(p, np.ones(size, dtype), v, lr=0.5, momentum=0.9)
        running = [b[GUARD : GUARD + size] for b in (np.full(size + 2 * GUARD, 7.0, dtype) for _ in range(2))]
        buffers += [r.base for r in running]
        fnn.functional.batch_norm(np.ones((3, size), dtype), *running, training=True)
        for b in buffers:
            assert np.all(b[:GUARD] == 7)
            assert np.all(b[GUARD + size :] == 7)
            assert np.all(b[GUARD : GUARD + size] != 7)


@pytest.mark.parametrize("case", SMALL, ids=str)
def test_input_layouts(case):
    """Any layout gives the bits that C order gives, and the inputs are as before."""
    op = case.operation
    args, kwargs = case.inputs(np.float32)
    expected = op.call(fnn.functional, args, kwargs)
    for layout in LAYOUTS:
        others, options = laid_out(args, kwargs, layout)
        actual = op.call(fnn.functional, others, options)
        for a, b in zip(actual, expected, strict=True):
            assert (a is None) == (b is None)
            assert a is None or (a.shape == b.shape and a.tobytes() == b.tobytes()), layout.__name__
        for a, b in zip(args, others, strict=True):
            same = not isinstance(a, np.ndarray) or a.tobytes() == b.tobytes()
            assert same, f"an input was changed: {layout.__name__}"


@pytest.mark.parametrize("case", SMALL, ids=str)
def test_results_are_independent_arrays(case):
    """A later call never changes an earlier result, and no result is a view of an input."""
    op = case.operation
    args, kwargs = case.inputs(np.float32)
    first = op.call(fnn.functional, args, kwargs)
    kept = [None if r is None else r.tobytes() for r in first]
    op.call(fnn.functional, *case.inputs(np.float32, "distinct"))
    assert [None if r is None else r.tobytes() for r in first] == kept
    if case.op not in ("flatten", "unflatten"):
        for r in first:
            assert r is None or not any(isinstance(a, np.ndarray) and np.shares_memory(r, a) for a in args)


@pytest.mark.parametrize("layout", [strided, np.asfortranarray, reversed_axes, unaligned], ids=lambda f: f.__name__)
def test_in_place_layouts(layout):
    """What is updated in place may have any layout too."""
    rng = np.random.default_rng(5)
    p, g, v = (rng.standard_normal((5, 7)).astype(np.float32) for _ in range(3))
    others = [layout(a) for a in (p, g, v)]
    fnn.functional.sgd_step(p, g, v, lr=0.1, momentum=0.9, weight_decay=0.01)
    fnn.functional.sgd_step(*others, lr=0.1, momentum=0.9, weight_decay=0.01)
    for a, b in zip((p, g, v), others, strict=True):
        assert a.tobytes() == b.tobytes()
    others = [layout(a) for a in (p[0], v[0] ** 2)]
    mine = [p[0].copy(), v[0] ** 2]
    for running in (mine, others):
        fnn.functional.batch_norm(g, *running, training=True)
    for a, b in zip(mine, others, strict=True):
        assert a.tobytes() == b.tobytes()


def test_blocks_are_aligned_and_reused():
    shapes = ((3,), np.uint8), ((5, 7), np.float32), ((256,), np.float32), ((1000, 300), np.float64), ((), np.float32)
    for shape, dtype in shapes:
        block = _runtime.empty(shape, dtype)
        assert block.shape == shape
        assert block.dtype == dtype
        assert block.flags.writeable
        assert block.flags.c_contiguous
        assert block.ctypes.data % (64 if block.nbytes >= 1024 else block.itemsize) == 0  # NumPy has the smaller ones
    block = _runtime.empty((1 << 18,), np.float32)
    address = block.ctypes.data
    view = block[5:9]
    del block
    other = _runtime.empty((1 << 18,), np.float32)
    assert other.ctypes.data != address, "a view of the block is alive"
    del view
    third = _runtime.empty((1 << 18,), np.float32)
    assert third.ctypes.data == address, "a freed block of the same size is taken again"


def test_empty_block():
    assert _runtime.empty((0, 3), np.float32).shape == (0, 3)


@pytest.mark.parametrize("padding", [1 << 24, 1 << 30, 1 << 40, 1 << 70])
def test_sizes_beyond_reach(padding):
    """No size wraps around on its way to the allocator. (The least is more than there are addresses.)"""
    one = np.ones((1, 1, 1, 1), np.float32)
    for call in (
        lambda: fnn.functional.conv2d(one, one, padding=padding),
        lambda: fnn.functional.unfold(one, 1, padding=padding),
        lambda: fnn.functional.fold(one[0], padding * padding, 1, stride=padding * padding),
    ):
        with pytest.raises((MemoryError, ValueError), match=r"no memory|expected at most"):
            call()


def test_memory_does_not_grow():
    """A loop over the same shapes lives on the blocks of its first round."""
    resource = pytest.importorskip("resource")
    x = np.ones((8, 16, 32, 32), np.float32)
    w = np.ones((16, 16, 3, 3), np.float32)

    def work():
        for _ in range(20):
            y = fnn.functional.conv2d(x, w, padding=1, activation="relu")
            fnn.functional.conv2d_backward(y, x, w, padding=1)

    work()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(5):
        work()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 20_000, f"grew by {grown} kB"
