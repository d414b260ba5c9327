from typing import Any

from numpy.typing import NDArray

_Array = NDArray[Any]

def local_response_norm(x: _Array, y: _Array, size: int, alpha: float, beta: float, k: float) -> None: ...
def local_response_norm_backward(
    dy: _Array, x: _Array, dx: _Array, size: int, alpha: float, beta: float, k: float
) -> None: ...
