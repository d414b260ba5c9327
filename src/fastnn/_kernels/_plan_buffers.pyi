from typing import Self

from typing_extensions import disjoint_base

@disjoint_base
class Memory:
    def __new__(cls, nbytes: int) -> Self: ...

@disjoint_base
class Buffers: ...
