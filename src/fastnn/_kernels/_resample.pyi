from typing import Any

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[Any]

AVERAGE: int
BICUBIC: int
BILINEAR: int
MAXIMUM: int
NEAREST: int
NEAREST_EXACT: int

def resample_forward(
    kind: int,
    x: _Array,
    y: _Array,
    indices: NDArray[np.int64] | None,
    align_corners: bool,
    scale_h: float,
    scale_w: float,
) -> None: ...
def resample_backward(
    kind: int,
    dy: _Array,
    dx: _Array,
    indices: NDArray[np.int64] | None,
    align_corners: bool,
    scale_h: float,
    scale_w: float,
) -> None: ...
