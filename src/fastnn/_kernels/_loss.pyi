from typing import Any

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[Any]

DISTANCE: int
BCE: int
BCE_LOGITS: int
KL: int
KL_LOG: int

def cross_entropy_forward(
    x: _Array,
    labels: NDArray[np.int64] | None,
    target: _Array | None,
    weight: _Array | None,
    ignored: int,
    smoothing: float,
    logged: bool,
    mean: bool,
    out: _Array | None,
) -> float: ...
def cross_entropy_backward(
    x: _Array,
    labels: NDArray[np.int64] | None,
    target: _Array | None,
    weight: _Array | None,
    ignored: int,
    smoothing: float,
    logged: bool,
    mean: bool,
    dloss: float,
    each: _Array | None,
    dx: _Array,
) -> bool: ...
def pairs(
    kind: int,
    slope: bool,
    x: _Array,
    target: _Array,
    q: _Array | None,
    factors: _Array | None,
    p: tuple[Any, ...],
    scale: float,
    out: _Array | None,
) -> float: ...
