from typing import Any

from numpy.typing import DTypeLike, NDArray
from typing_extensions import disjoint_base

_Array = NDArray[Any]

@disjoint_base
class Block: ...

def empty(shape: tuple[int, ...], dtype: DTypeLike) -> _Array: ...
