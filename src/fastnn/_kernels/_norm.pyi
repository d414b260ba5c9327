from typing import Any

from numpy.typing import NDArray

_Array = NDArray[Any]

def batch_norm_forward(
    x: _Array,
    weight: _Array | None,
    bias: _Array | None,
    running_mean: _Array | None,
    running_var: _Array | None,
    momentum: float,
    mean: _Array | None,
    invstd: _Array | None,
    y: _Array,
    eps: float,
    relu: bool,
    training: bool,
) -> None: ...
def batch_norm_backward(
    dy: _Array,
    x: _Array,
    y: _Array | None,
    weight: _Array | None,
    mean: _Array,
    invstd: _Array,
    dx: _Array | None,
    dw: _Array | None,
    db: _Array | None,
    training: bool,
) -> None: ...
