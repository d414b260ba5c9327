"""Padding of images."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from fastnn._validate._base import LARGEST, Array, Frame, choice, float_array, images, integer, number

__all__ = ["Pads", "Widths", "frame", "pad", "pad_backward", "pad_layer", "pad_value", "planned_pad"]

MODES = ("constant", "reflect", "replicate", "circular")
Widths = tuple[tuple[int, int], ...]  # (before, after) of each axis


class Pads(NamedTuple):
    """What `pad` does to each axis: what is cut off first, what is added, and what is cut off after that.

    Reflected and repeated pixels are those of the whole input, so these modes cut off last.
    """

    cut: Widths
    added: Widths
    cut_after: Widths
    inner: tuple[int, ...]  # shape between `cut` and `added`
    outer: tuple[int, ...]  # shape after `added`


def frame(name: str, widths: Frame) -> tuple[int, ...]:
    """`widths` as left, right, top, bottom, and so on: an int is the same on the four sides of images."""
    if not isinstance(widths, tuple | list):
        sides: tuple[int, ...] = (integer(name, widths),) * 4
    elif widths and len(widths) % 2 == 0:
        sides = tuple(integer(name, width) for width in widths)
    else:
        raise ValueError(
            f"{name}: got {widths!r}; expected an int or (left, right, top, bottom), two ints for each axis, the last "
            "axis first"
        )
    if max(sides) > LARGEST or min(sides) < -LARGEST:
        raise ValueError(f"{name}: got {widths!r}; expected at most {LARGEST}")
    return sides


def pad_layer(padding: Any, axes: int) -> tuple[int, ...]:
    """The widths of a layer that pads the last `axes` axes: two for each of them."""
    sides = (padding,) * (2 * axes) if not isinstance(padding, tuple | list) else tuple(padding)
    if len(sides) != 2 * axes:
        wanted = ("(left, right)", "(left, right, top, bottom)")[axes - 1]
        raise ValueError(f"padding: got {padding!r}; expected an int or {wanted}")
    return frame("padding", sides)


def pad_value(value: float | None, mode: str) -> float:
    """`value`, what constant padding is made of; None is 0, and other modes have none."""
    if value is None:
        return 0.0
    result = number("value", value)
    if mode != "constant" and result:
        raise ValueError(f"value: got {value!r}; expected none with {mode!r}")
    return result


def _fits(shape: tuple[int, ...], sides: tuple[int, ...], mode: str) -> None:
    """The padding fits the last axes of this shape."""
    for place, (first, last) in enumerate(zip(sides[::2], sides[1::2], strict=True)):
        size = shape[-1 - place]
        least = 0 if mode == "constant" else 1
        if -min(first, 0) - min(last, 0) > size or size + first + last < least:
            raise ValueError(f"pad: got {sides} for shape {shape}; expected to leave something of axis {-1 - place}")
        wrapped = size + min(first, 0) + min(last, 0) if mode == "circular" else size - 1
        if mode in ("reflect", "circular") and max(first, last) > wrapped:
            raise ValueError(
                f"pad: got {sides} for shape {shape}; with {mode!r}, expected at most {wrapped} at each end of axis "
                f"{-1 - place}"
            )


@lru_cache(maxsize=256)
def _pads(shape: tuple[int, ...], sides: tuple[int, ...], mode: str) -> Pads:
    """For an input of this shape. Working it out takes longer than padding small images, so it is remembered."""
    _fits(shape, sides, mode)
    before = (0,) * (len(shape) - len(sides) // 2) + sides[-2::-2]
    after = (0,) * (len(shape) - len(sides) // 2) + sides[::-2]
    cut = tuple((-min(a, 0), -min(b, 0)) for a, b in zip(before, after, strict=True))
    added = tuple((max(a, 0), max(b, 0)) for a, b in zip(before, after, strict=True))
    cut_first, cut_last = cut, ((0, 0),) * len(shape)
    if mode in ("reflect", "replicate"):
        cut_first, cut_last = cut_last, cut_first
    inner = tuple(size - sum(less) for size, less in zip(shape, cut_first, strict=True))
    outer = tuple(size + sum(more) for size, more in zip(inner, added, strict=True))
    return Pads(cut_first, added, cut_last, inner, outer)


def _axes(name: str, x: Array, sides: tuple[int, ...], mode: str) -> None:
    """`x` has the axes that are padded, and, but for a constant, those of channels and of a batch besides."""
    float_array(name, x)
    axes = len(sides) // 2
    if mode == "constant":
        if x.ndim < axes:
            raise ValueError(f"{name}: got shape {x.shape}; expected at least {axes} axes for {len(sides)} widths")
        return
    if axes > 2:
        raise ValueError(f"pad: got {sides}; with {mode!r}, expected 2 widths or 4: at most two axes are padded")
    if x.ndim not in (axes + 1, axes + 2) or 0 in x.shape[x.ndim - axes - 1 :]:
        wanted = ("(N, C, L) or (C, L)", "(N, C, H, W) or (C, H, W)")[axes - 1]
        raise ValueError(f"{name}: got shape {x.shape}; expected {wanted}, of which only the batch may be empty")


def pad(x: Array, pad: Frame, mode: str, value: float | None) -> tuple[Pads, float]:
    """Return what is done to each axis, and the value of a constant."""
    choice("mode", mode, MODES)
    sides, fill = frame("pad", pad), pad_value(value, mode)
    _axes("x", x, sides, mode)
    return _pads(x.shape, sides, mode), fill


def pad_backward(dy: Array, pad: Frame, mode: str) -> tuple[Pads, tuple[int, ...]]:
    """Return what was done to each axis, and the shape of the input."""
    choice("mode", mode, MODES)
    sides = frame("pad", pad)
    _axes("dy", dy, sides, mode)
    axes, least = len(sides) // 2, mode != "constant"
    padded = tuple(dy.shape[-1 - i] - sides[2 * i] - sides[2 * i + 1] for i in reversed(range(axes)))
    if any(size < least for size in padded):
        raise ValueError(
            f"dy: got shape {dy.shape}; expected the shape of the output of pad, more than its padding {sides}"
        )
    shape = dy.shape[: dy.ndim - axes] + padded
    return _pads(shape, sides, mode), shape


def planned_pad(x: Array, padding: Frame, mode: str) -> tuple[int, int, int]:
    """Return C, H and W: `x` is images, whose four sides are padded by no negative widths."""
    images("x", x)
    sides = frame("padding", padding)
    pad(x, sides, mode, None)
    if len(sides) != 4 or min(sides) < 0:
        raise ValueError(f"padding: got {padding!r}; expected 4 widths of at least 0")
    return x.shape[1], x.shape[2], x.shape[3]
