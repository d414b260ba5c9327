from typing import Any

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[Any]

def embedding_forward(indices: NDArray[np.int64], w: _Array, y: _Array) -> None: ...
def embedding_backward(dy: _Array, indices: NDArray[np.int64], dw: _Array, padding_idx: int) -> None: ...
def index_select(
    x: NDArray[np.uint8], indices: NDArray[np.int64], y: NDArray[np.uint8], outer: int, rows: int, nbytes: int
) -> None: ...
