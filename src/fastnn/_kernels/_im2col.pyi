from typing import Any

from numpy.typing import NDArray

_Array = NDArray[Any]

BORDERS: dict[str, int]

def im2col(x: _Array, cols: _Array, KH: int, KW: int, SH: int, SW: int, PH: int, PW: int, DH: int, DW: int) -> None: ...
def col2im(
    cols: _Array, dx: _Array, KH: int, KW: int, SH: int, SW: int, PH: int, PW: int, DH: int, DW: int
) -> None: ...
def pad2d(x: _Array, y: _Array, top: int, left: int, mode: str) -> None: ...
def pad2d_backward(dy: _Array, dx: _Array, top: int, left: int, mode: str) -> None: ...
