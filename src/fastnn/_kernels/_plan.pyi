from typing import Any, Self

from numpy.typing import NDArray
from typing_extensions import disjoint_base

_Array = NDArray[Any]

@disjoint_base
class Unchanged:
    def __new__(cls, modules: Any, but: Any) -> Self: ...
    def __bool__(self) -> bool: ...

@disjoint_base
class Memory:
    def __new__(cls, nbytes: int) -> Self: ...

@disjoint_base
class Weights:
    def __new__(cls, parameters: list[Any], sealed: list[Any], readable: list[Any]) -> Self: ...
    def __bool__(self) -> bool: ...

@disjoint_base
class Packed:
    @property
    def weights(self) -> Weights: ...
    def __new__(cls, weights: Weights, steps: int) -> Self: ...

@disjoint_base
class Buffers: ...

@disjoint_base
class Plan:
    def __new__(cls, N: int, is_double: bool) -> Self: ...
    def __len__(self) -> int: ...
    def stages(self) -> list[tuple[int, int, int]]: ...
    def mark(self) -> int: ...
    def go_back(self, value: int) -> None: ...
    def is_whole(self) -> bool: ...
    def add_up(self, other: int, size: int) -> None: ...
    def cat(self, before: int, rows: int, n: int, m: int) -> None: ...
    def conv2d(
        self,
        w: int,
        b: int,
        C: int,
        H: int,
        W: int,
        O: int,
        KH: int,
        KW: int,
        SH: int,
        SW: int,
        PH: int,
        PW: int,
        OH: int,
        OW: int,
        DH: int,
        DW: int,
        G: int,
    ) -> None: ...
    def max_pool2d(
        self,
        C: int,
        H: int,
        W: int,
        OH: int,
        OW: int,
        KH: int,
        KW: int,
        SH: int,
        SW: int,
        PH: int,
        PW: int,
        DH: int,
        DW: int,
    ) -> None: ...
    def avg_pool2d(
        self,
        C: int,
        H: int,
        W: int,
        OH: int,
        OW: int,
        KH: int,
        KW: int,
        SH: int,
        SW: int,
        PH: int,
        PW: int,
        DH: int,
        DW: int,
        count_padding: bool,
        divisor: int,
    ) -> None: ...
    def resample(
        self, kind: int, C: int, H: int, W: int, OH: int, OW: int, align_corners: bool, scale_h: float, scale_w: float
    ) -> None: ...
    def linear(self, w: int, b: int, rows: int, I: int, O: int) -> None: ...
    def batch_norm(self, mean: int, var: int, w: int, b: int, C: int, P: int, eps: float) -> None: ...
    def fuse_relu(self) -> bool: ...
    def map(self, function: int, size: int, a: float = 0.0, b: float = 0.0, row: int = 0) -> None: ...
    def prelu(self, w: int, C: int, P: int) -> None: ...
    def settle(self) -> None: ...
    def forget_weights(self) -> None: ...
    def holds(self) -> bool: ...
    def run(self, x: _Array, y: _Array, weights: Weights) -> None: ...
