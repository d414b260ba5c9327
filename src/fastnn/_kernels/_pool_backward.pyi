from typing import Any

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[Any]

def max_pool2d_backward(
    dy: _Array, positions: NDArray[np.uint8 | np.int32], dx: _Array, windows: tuple[int, ...]
) -> None: ...
def avg_pool2d_backward(
    dy: _Array, dx: _Array, windows: tuple[int, ...], count_padding: bool, divisor: int
) -> None: ...
