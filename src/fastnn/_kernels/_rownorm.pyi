from typing import Any

from numpy.typing import NDArray

_Array = NDArray[Any]

def row_norm(
    x: _Array,
    weight: _Array | None,
    bias: _Array | None,
    mean: _Array | None,
    invstd: _Array | None,
    var: _Array | None,
    y: _Array,
    sizes: tuple[int, int, int, int],
    eps: float,
) -> None: ...
def row_norm_backward(
    dy: _Array,
    x: _Array,
    weight: _Array | None,
    mean: _Array,
    invstd: _Array,
    dx: _Array | None,
    dw: _Array | None,
    db: _Array | None,
    sizes: tuple[int, int, int, int],
) -> None: ...
