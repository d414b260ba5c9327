"""What is asserted of a case. Each check raises AssertionError with the case's name and the first bad element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fastnn as fnn
from cases import EXACT, Array, Case
from fastnn import _runtime

GRADIENT_STEP = float(np.finfo(np.float64).eps ** (1 / 3))
GRADIENT_PLACES = 16


def check_parity(case: Case, dtype: Any, fill: str = "normal", layout: Callable[[Array], Array] | None = None) -> None:
    """`fastnn.functional` gives what `fastnn.reference` gives, within the operation's parity class.

    `layout` (of layouts.py) is how what fastnn is given lies in memory; the reference gets it in C order. What a
    kernel does not write shows as NaN.
    """
    op = case.operation
    args, kwargs = case.inputs(dtype, fill)
    given = (args, kwargs) if layout is None else laid_out(args, kwargs, layout)
    same_dtype = op.call(fnn.reference, args, kwargs)
    leave_nan_behind(same_dtype)
    actual = op.call(fnn.functional, *given)
    wide = as_float64(args)
    truth = op.call(fnn.reference, wide, as_float64(kwargs))
    terms = op.terms(*args, **kwargs)
    scales = None
    assert len(actual) == len(same_dtype), f"{case}: {len(actual)} results, the reference has {len(same_dtype)}"
    for i, (got, twin) in enumerate(zip(actual, same_dtype, strict=True)):
        name = f"{case} {np.dtype(dtype).name} {fill}, result {i}"
        assert (got is None) == (twin is None), f"{name}: {got!r}, the reference gives {twin!r}"
        if got is None:
            continue
        assert got.shape == twin.shape, f"{name}: shape {got.shape}, the reference gives {twin.shape}"
        assert got.dtype == twin.dtype, f"{name}: dtype {got.dtype}, the reference gives {twin.dtype}"
        assert got.flags.c_contiguous, f"{name}: not C-contiguous"
        if terms[i] is EXACT:
            _assert_equal(name, got, twin)
        else:
            if scales is None:
                scales = scales_of(case, wide, as_float64(kwargs))
            assert_within(name, got, truth[i], terms[i], scales[i], dtype)


def leave_nan_behind(results: tuple[Any, ...]) -> None:
    """The memory that results like these will get is full of NaN (-1 in integers)."""
    for _ in range(2):
        blocks = [_runtime.empty(r.shape, r.dtype) for r in results if r is not None and r.shape]
        for block in blocks:
            block.reshape(-1).view(np.uint8)[:] = 0xFF
        del blocks


def laid_out(args: tuple[Any, ...], kwargs: dict[str, Any], layout: Callable[[Array], Array]) -> tuple[Any, Any]:
    """The arguments with each array in this layout."""
    others = tuple(layout(a) if isinstance(a, np.ndarray) else a for a in args)
    return others, {name: layout(a) if isinstance(a, np.ndarray) else a for name, a in kwargs.items()}


def as_float64(values: Any) -> Any:
    """Every floating array in `values` (a tuple or dict of arguments) in float64."""
    if isinstance(values, dict):
        return dict(zip(values, as_float64(tuple(values.values())), strict=True))
    return tuple(v.astype(np.float64) if isinstance(v, np.ndarray) and v.dtype.kind == "f" else v for v in values)


def scales_of(case: Case, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """S of every result, from arguments in float64."""
    op = case.operation
    if op.scale is not None:
        with np.errstate(all="ignore"):  # of NaN and infinity where the result is one too
            return op.scale(*args, **kwargs)
    positive = tuple(np.abs(a) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in args)
    return op.call(fnn.reference, positive, kwargs)


def _assert_equal(name: str, got: Array, expected: Array) -> None:
    """Equal values; NaN equals NaN whatever its payload, and 0 equals -0."""
    same = (got == expected) | ((got != got) & (expected != expected))
    if not np.all(same):
        place = first_place(~same)
        raise AssertionError(
            f"{name}: {np.sum(~same)} of {same.size} differ; at {place}: "
            f"{got[place]!r}, the reference gives {expected[place]!r}"
        )


def assert_within(name: str, got: Array, truth: Array, terms: int, scale: Array, dtype: Any) -> None:
    """|got - truth| <= (terms + 2) eps scale. What flush-to-zero may drop of each term is below `tiny`."""
    info = np.finfo(dtype)
    got64 = got.astype(np.float64)
    bound = (terms + 2) * (float(info.eps) * scale + float(info.tiny))
    with np.errstate(invalid="ignore"):
        near = np.abs(got64 - truth) <= bound
    good = np.where(np.isfinite(truth), near, (got64 == truth) | (np.isnan(got64) & np.isnan(truth)))
    if not np.all(good):
        place = first_place(~good)
        allowed = np.broadcast_to(bound, good.shape)[place]
        raise AssertionError(
            f"{name}: {np.sum(~good)} of {good.size} outside the bound; at {place}: {got64[place]!r}, "
            f"the reference gives {truth[place]!r}, off by {got64[place] - truth[place]!r}, allowed {allowed!r}"
        )


def first_place(wrong: Array) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argwhere(wrong)[0]) if np.ndim(wrong) else ()


def check_gradient(case: Case) -> None:
    """The backward functions agree with central differences, in float64 on distinct inputs.

    The difference of two sums of K terms, over 2 h, is uncertain by (K + 2) eps S / h in rounding, S being what
    the changed outputs add up to, and by h^2 times a third derivative (of order 1 for every function here).
    """
    op = case.operation
    assert op.backward is not None, f"{case}: no backward to check"
    args, kwargs = case.inputs(np.float64, "distinct")
    rng = np.random.default_rng(len(case.label))
    y = op.call(fnn.functional, args, kwargs)[0]
    dy = rng.uniform(0.5, 1.5, y.shape) * rng.choice([-1.0, 1.0], y.shape)
    gradients = op.backward(fnn.functional, args, kwargs, y, dy)
    terms = max(t or 0 for t in op.terms(*args, **kwargs))
    h = GRADIENT_STEP
    for index, gradient in zip(op.wrt, gradients, strict=True):
        x = args[index]
        if x is None:
            continue
        assert gradient.shape == x.shape, f"{case}: gradient {index} is {gradient.shape}, its argument {x.shape}"
        for step in _steps(rng, x.shape):
            moved = [
                op.call(fnn.functional, (*args[:index], x + sign * h * step, *args[index + 1 :]), kwargs)[0]
                for sign in (1, -1)
            ]
            numeric = float(np.sum(dy * (moved[0] - moved[1])) / (2 * h))
            analytic = float(np.sum(gradient * step))
            changed = moved[0] != moved[1]
            rounding = (terms + 2) * np.finfo(np.float64).eps / h * np.sum(np.abs(dy * y) * changed)
            allowed = float(rounding + 10 * h * h * np.sum(np.abs(dy) * changed) * np.abs(step).max() ** 3)
            assert abs(numeric - analytic) <= allowed, (
                f"{case}: gradient of argument {index} along {_direction(step)}: {analytic!r}, "
                f"differences give {numeric!r}, allowed {allowed!r}"
            )


def directional_check(net, x, make_dy, h=GRADIENT_STEP, directions=4, tolerance=1e-6):
    """dx and every parameter's gradient along random directions, against central differences in float64."""
    rng = np.random.default_rng(2)
    y = net(x)
    dy = make_dy(y)
    dx = net.backward(dy)

    def loss(at):
        return float(np.sum(net(at) * dy))

    def agree(above, below, analytic, name):
        numeric, allowed = (above - below) / (2 * h), tolerance * abs(analytic) + tolerance / 10
        assert abs(numeric - analytic) <= allowed, f"gradient of {name}: {analytic!r}, differences give {numeric!r}"

    for _ in range(directions):
        step = rng.standard_normal(x.shape)
        agree(loss(x + h * step), loss(x - h * step), float(np.sum(dx * step)), "x")
        for name, p in net.named_parameters():
            step = rng.standard_normal(p.data.shape)
            before = p.data.copy()
            p.data[...] = before + h * step
            above = loss(x)
            p.data[...] = before - h * step
            below = loss(x)
            p.data[...] = before
            agree(above, below, float(np.sum(p.grad * step)), name)


def check_without_dx(net, x, dy):
    """A backward that is asked for no dx gives the parameters the same gradients."""
    net(x)
    assert net.backward(dy).shape == x.shape
    expected = [p.grad for p in net.parameters()]
    net(x)
    assert net.backward(dy, needs_dx=False) is None
    for p, grad in zip(net.parameters(), expected, strict=True):
        np.testing.assert_array_equal(p.grad, grad)


def _steps(rng: np.random.Generator, shape: tuple[int, ...]) -> list[Array]:
    """Single elements, and one direction in which all of them move."""
    size = int(np.prod(shape))
    places = rng.permutation(size)[:GRADIENT_PLACES]
    single = np.zeros((len(places), size))
    single[np.arange(len(places)), places] = 1.0
    every = rng.choice([-1.0, 1.0], (1, size)) * rng.uniform(0.5, 1.0, (1, size))
    return [step.reshape(shape) for step in np.concatenate([single, every])] if size else []


def _direction(step: Array) -> str:
    places = np.argwhere(step)
    return f"element {tuple(int(i) for i in places[0])}" if len(places) == 1 else "all elements"


def check_max_pool_ties(case: Case, dtype: Any) -> None:
    """Forward, then backward, on whole numbers full of ties: the first maximum in row-major order gets it all."""
    args, kwargs = case.inputs(dtype, "ties")
    x, kernel_size = args
    options = {k: v for k, v in kwargs.items() if not k.startswith("return_")}
    y, positions = fnn.functional.max_pool2d(x, kernel_size, return_positions=True, **options)
    dy = np.arange(1, y.size + 1).reshape(y.shape).astype(dtype)
    dx = fnn.functional.max_pool2d_backward(dy, positions, x.shape[2:], kernel_size, **options)
    _assert_equal(f"{case} {np.dtype(dtype).name} ties", dx, _first_maximum_gradient(dy, x, kernel_size, **options))


def _first_maximum_gradient(dy, x, kernel_size, *, stride=None, padding=0, dilation=1, ceil_mode=False):
    """Loops over every window, for the eye to check; sums of whole numbers are exact in any order."""
    pairs = (kernel_size, kernel_size if stride is None else stride, padding, dilation)
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = (v if isinstance(v, tuple) else (v, v) for v in pairs)
    height, width = x.shape[2:]
    dx = np.zeros_like(x)
    for n, c, i, j in np.ndindex(dy.shape):
        best = None
        for h, w in np.ndindex(kh, kw):
            h, w = i * sh - ph + h * dh, j * sw - pw + w * dw
            inside = 0 <= h < height and 0 <= w < width
            if inside and (best is None or x[n, c, h, w] > x[n, c, best[0], best[1]]):
                best = h, w
        dx[n, c, best[0], best[1]] += dy[n, c, i, j]
    return dx
