from typing import Any

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[Any]

def dropout(
    x: _Array,
    y: _Array,
    kept: NDArray[np.uint8] | None,
    rows: int,
    stream: int,
    step: int,
    threshold: int,
    scale: float,
) -> None: ...
def dropout_kept(x: _Array, y: _Array, kept: NDArray[np.uint8], scale: float) -> None: ...
