"""The same values as they may lie in memory: what kernels cannot read must be copied before them."""

import numpy as np

from cases import Array


def read_only(a: Array) -> Array:
    a = a.copy()
    a.flags.writeable = False
    return a


def strided(a: Array) -> Array:
    """Every second element along every axis of a larger array full of NaN."""
    wide = np.full([2 * n for n in a.shape], np.nan if a.dtype.kind == "f" else 0).astype(a.dtype)
    view = wide[tuple(slice(None, None, 2) for _ in a.shape)]
    view[...] = a
    return view


def reversed_axes(a: Array) -> Array:
    """Negative strides."""
    backwards = tuple(slice(None, None, -1) for _ in a.shape)
    return a[backwards].copy()[backwards]


def offset(a: Array) -> Array:
    """Contiguous, but not on a multiple of 64 bytes."""
    buffer = np.empty(a.size + 1, a.dtype)
    view = buffer[1:].reshape(a.shape)
    view[...] = a
    return view


def unaligned(a: Array) -> Array:
    """Contiguous, but not even on a multiple of the element's size."""
    buffer = np.zeros(a.nbytes + 1, np.uint8)
    view = buffer[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


LAYOUTS = (read_only, strided, np.asfortranarray, reversed_axes, offset, unaligned)
