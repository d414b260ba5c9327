from typing import Any

from numpy.typing import NDArray

_Array = NDArray[Any]

def matmul(a: _Array, b: _Array, c: _Array) -> None: ...
def linear_forward(x: _Array, w: _Array, b: _Array | None, y: _Array, relu: bool) -> None: ...
def linear_backward(
    dy: _Array, x: _Array, w: _Array, dx: _Array | None, dw: _Array | None, db: _Array | None
) -> None: ...
