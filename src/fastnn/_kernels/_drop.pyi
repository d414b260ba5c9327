from typing import Any

from numpy.typing import NDArray

_Array = NDArray[Any]

def dropout(x: _Array, y: _Array, stream: int, step: int, threshold: int, scale: float) -> None: ...
