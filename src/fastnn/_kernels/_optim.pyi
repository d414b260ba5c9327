from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray
from typing_extensions import disjoint_base

_Array = NDArray[Any]

SGD: int
ADAM: int
RMSPROP: int
SCALE: int
CLAMP: int

@disjoint_base
class Rows: ...

def update(rule: int, factors: tuple[float, ...], columns: tuple[Any, ...]) -> bool: ...
def plain(rule: int, columns: tuple[Any, ...]) -> bool: ...
def power_sum(order: float, x: _Array | Sequence[_Array]) -> float | None: ...
