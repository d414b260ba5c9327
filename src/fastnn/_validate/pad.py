"""Padding of images."""

from __future__ import annotations

from fastnn._validate._base import LARGEST, Array, Frame, choice, images, integer

__all__ = ["frame", "pad", "pad_backward"]

MODES = ("constant", "reflect", "replicate", "circular")


def frame(name: str, widths: Frame) -> tuple[int, int, int, int]:
    """`widths` as left, right, top, bottom."""
    if not isinstance(widths, tuple | list):
        sides = (integer(name, widths, 0),) * 4
    elif len(widths) == 4:
        sides = tuple(integer(name, width, 0) for width in widths)  # type: ignore[assignment]
    else:
        raise ValueError(f"{name}: got {widths!r}; expected an int or (left, right, top, bottom)")
    if max(sides) > LARGEST:
        raise ValueError(f"{name}: got {widths!r}; expected at most {LARGEST}")
    return sides


def _fits(H: int, W: int, sides: tuple[int, int, int, int], mode: str) -> None:
    left, right, top, bottom = sides
    if mode in ("reflect", "circular"):
        most_h, most_w = (H - 1, W - 1) if mode == "reflect" else (H, W)
        if max(top, bottom) > most_h or max(left, right) > most_w:
            raise ValueError(
                f"pad: got (left, right, top, bottom) = {sides} for images {(H, W)};"
                f" with {mode!r}, expected at most {most_w} on the left and right and {most_h} above and below"
            )


def pad(x: Array, pad: Frame, mode: str) -> tuple[int, int, int, int]:
    """Return left, right, top, bottom."""
    images("x", x)
    choice("mode", mode, MODES)
    sides = frame("pad", pad)
    _fits(x.shape[2], x.shape[3], sides, mode)
    return sides


def pad_backward(dy: Array, pad: Frame, mode: str) -> tuple[int, int, int, int]:
    """Return left, right, top, bottom."""
    images("dy", dy)
    choice("mode", mode, MODES)
    left, right, top, bottom = frame("pad", pad)
    H, W = dy.shape[2] - top - bottom, dy.shape[3] - left - right
    if H < 1 or W < 1:
        raise ValueError(
            f"dy: got shape {dy.shape}; expected the shape of the output of pad, more than its padding "
            f"(left, right, top, bottom) = {(left, right, top, bottom)}"
        )
    _fits(H, W, (left, right, top, bottom), mode)
    return left, right, top, bottom
