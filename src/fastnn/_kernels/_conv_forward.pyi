from typing import Any

from numpy.typing import NDArray

_Array = NDArray[Any]

def conv2d_forward(
    x: _Array, w: _Array, b: _Array | None, y: _Array, geometry: tuple[int, ...], relu: bool
) -> None: ...
