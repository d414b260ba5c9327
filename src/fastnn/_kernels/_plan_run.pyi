from typing import Self

from typing_extensions import disjoint_base

from fastnn._kernels._plan_watch import Weights

@disjoint_base
class Packed:
    @property
    def weights(self) -> Weights: ...
    def __new__(cls, weights: Weights, steps: int) -> Self: ...
