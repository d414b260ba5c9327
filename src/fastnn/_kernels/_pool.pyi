from typing import Any

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[Any]

def max_pool2d_forward(
    x: _Array, y: _Array, positions: NDArray[np.uint8 | np.int32] | None, windows: tuple[int, ...]
) -> None: ...
def max_pool2d_indices(
    positions: NDArray[np.uint8 | np.int32], indices: NDArray[np.int64], W: int, windows: tuple[int, ...]
) -> None: ...
def avg_pool2d_forward(x: _Array, y: _Array, windows: tuple[int, ...], count_padding: bool, divisor: int) -> None: ...
def max_pool2d_positions_fit(
    positions: NDArray[np.uint8 | np.int32], H: int, W: int, windows: tuple[int, ...]
) -> bool: ...
