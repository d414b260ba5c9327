"""The patches of images as columns: the course's im2col.py. Columns are ordered by place first, then by image."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import functional as F
from fastnn._validate import Array
from fastnn.interop.cs231n._arrays import float64


def get_im2col_indices(
    x_shape: tuple[int, int, int, int], field_height: int, field_width: int, padding: int = 1, stride: int = 1
) -> tuple[Array, Array, Array]:
    """Channel, row and column, in the padded image, of each element of the patches (C*FH*FW, OH*OW)."""
    _, C, H, W = x_shape
    k, i, j = (a.reshape(-1, 1) for a in np.indices((C, field_height, field_width)))
    rows = (H + 2 * padding - field_height) // stride + 1
    columns = (W + 2 * padding - field_width) // stride + 1
    down, across = (stride * a.reshape(1, -1) for a in np.indices((rows, columns)))
    return k, i + down, j + across


def im2col_indices(x: Any, field_height: int, field_width: int, padding: int = 1, stride: int = 1) -> Array:
    """The patches of x (N, C, H, W), as (C*FH*FW, OH*OW*N)."""
    cols = F.unfold(float64(x), (field_height, field_width), stride=stride, padding=padding)
    return cols.transpose(1, 2, 0).reshape(cols.shape[1], -1)


def col2im_indices(
    cols: Any,
    x_shape: tuple[int, int, int, int],
    field_height: int = 3,
    field_width: int = 3,
    padding: int = 1,
    stride: int = 1,
) -> Array:
    """Add up columns (C*FH*FW, OH*OW*N) where `im2col_indices` took them from."""
    N, C, H, W = x_shape
    patches = float64(cols).reshape(C * field_height * field_width, -1, N).transpose(2, 0, 1)
    return F.fold(patches, (H, W), (field_height, field_width), stride=stride, padding=padding)
