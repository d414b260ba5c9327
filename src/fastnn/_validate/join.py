"""Arrays that are added or joined."""

from __future__ import annotations

from collections.abc import Sequence

from fastnn._validate._base import Array, axis_index, float_array, fused_activation, has_shape, same_dtype

__all__ = ["add", "cat", "concat_backward"]


def add(a: Array, b: Array, activation: str | None) -> None:
    float_array("a", a)
    same_dtype("a", a, "b", b)
    has_shape("b", b, a.shape, "the shape of a")
    fused_activation(activation)


def cat(arrays: Sequence[Array], dim: int) -> tuple[int, tuple[int, ...]]:
    """Return `dim` counted from the front, and the shape of the result."""
    if not isinstance(arrays, list | tuple):
        raise TypeError(f"arrays: got {type(arrays).__name__}; expected a list of arrays")
    if not arrays:
        raise ValueError("arrays: got none; expected at least one")
    first = arrays[0]
    float_array("arrays[0]", first)
    if first.ndim == 0:
        raise ValueError("arrays[0]: got shape (); expected at least one axis")
    axis, length = axis_index("dim", dim, first.ndim), 0
    for place, a in enumerate(arrays):
        same_dtype("arrays[0]", first, f"arrays[{place}]", a)
        if a.ndim != first.ndim or a.shape[:axis] + a.shape[axis + 1 :] != first.shape[:axis] + first.shape[axis + 1 :]:
            raise ValueError(
                f"arrays[{place}]: got shape {a.shape}; expected that of arrays[0], {first.shape}, but for axis {axis}"
            )
        length += a.shape[axis]
    return axis, (*first.shape[:axis], length, *first.shape[axis + 1 :])


def concat_backward(dy: Array, shape: tuple[int, ...]) -> None:
    float_array("dy", dy)
    has_shape("dy", dy, shape, "the shape of the output of Concat")
