from typing import Any

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[Any]

def max_pool2d_forward(
    x: _Array,
    y: _Array,
    positions: NDArray[np.uint8],
    KH: int,
    KW: int,
    SH: int,
    SW: int,
    PH: int,
    PW: int,
    DH: int,
    DW: int,
) -> None: ...
def max_pool2d_forward_wide(
    x: _Array,
    y: _Array,
    positions: NDArray[np.int32],
    KH: int,
    KW: int,
    SH: int,
    SW: int,
    PH: int,
    PW: int,
    DH: int,
    DW: int,
) -> None: ...
def max_pool2d_indices(
    positions: NDArray[np.uint8 | np.int32],
    indices: NDArray[np.int64],
    W: int,
    KW: int,
    SH: int,
    SW: int,
    PH: int,
    PW: int,
    DH: int,
    DW: int,
) -> None: ...
def avg_pool2d_forward(
    x: _Array, y: _Array, KH: int, KW: int, SH: int, SW: int, PH: int, PW: int, count_padding: bool, divisor: int
) -> None: ...
def max_pool2d_backward(
    dy: _Array,
    positions: NDArray[np.uint8],
    dx: _Array,
    KH: int,
    KW: int,
    SH: int,
    SW: int,
    PH: int,
    PW: int,
    DH: int,
    DW: int,
) -> None: ...
def max_pool2d_backward_wide(
    dy: _Array,
    positions: NDArray[np.int32],
    dx: _Array,
    KH: int,
    KW: int,
    SH: int,
    SW: int,
    PH: int,
    PW: int,
    DH: int,
    DW: int,
) -> None: ...
def avg_pool2d_backward(
    dy: _Array, dx: _Array, KH: int, KW: int, SH: int, SW: int, PH: int, PW: int, count_padding: bool, divisor: int
) -> None: ...
