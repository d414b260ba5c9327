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
    SH: int,
    SW: int,
    PH: int,
    PW: int,
    DH: int,
    DW: int,
    G: int,
) -> None: ...
def conv_transpose2d_forward(
    x: _Array,
    w: _Array,
    b: _Array | None,
    y: _Array,
    SH: int,
    SW: int,
    PH: int,
    PW: int,
    DH: int,
    DW: int,
    G: int,
    relu: bool,
) -> None: ...
def conv_transpose2d_backward(
    dy: _Array,
    x: _Array,
    w: _Array,
    dx: _Array | None,
    dw: _Array | None,
    db: _Array | None,
    SH: int,
    SW: int,
    PH: int,
    PW: int,
    DH: int,
    DW: int,
    G: int,
) -> None: ...
