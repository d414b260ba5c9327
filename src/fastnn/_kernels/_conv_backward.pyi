from typing import Any

from numpy.typing import NDArray

_Array = NDArray[Any]

def conv2d_backward(
    dy: _Array,
    x: _Array,
    w: _Array,
    dx: _Array | None,
    dw: _Array | None,
    db: _Array | None,
    geometry: tuple[int, ...],
) -> None: ...
def conv_transpose2d_forward(
    x: _Array, w: _Array, b: _Array | None, y: _Array, geometry: tuple[int, ...], relu: bool
) -> None: ...
def conv_transpose2d_backward(
    dy: _Array,
    x: _Array,
    w: _Array,
    dx: _Array | None,
    dw: _Array | None,
    db: _Array | None,
    geometry: tuple[int, ...],
) -> None: ...
