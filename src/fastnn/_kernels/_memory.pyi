from typing import Any, Self

from numpy.typing import DTypeLike, NDArray
from typing_extensions import disjoint_base

_Array = NDArray[Any]

@disjoint_base
class Block:
    def __new__(cls, nbytes: int) -> Self: ...

def empty(shape: tuple[int, ...], dtype: DTypeLike) -> _Array: ...
