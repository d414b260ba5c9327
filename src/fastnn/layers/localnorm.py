"""Local response normalisation."""

from __future__ import annotations

from fastnn import _validate as check
from fastnn import functional
from fastnn._validate import Array
from fastnn.layers.module import Module
from fastnn.plan.steps import Steps


class LocalResponseNorm(Module):
    """Divide every pixel of ``(N, C, ...)`` by ``(k + alpha/size * sum(x^2))^beta``, the sum over neighbour channels.

    Names, rules and defaults are PyTorch's.

    Parameters
    ----------
    size : int
        Channels of a window: size//2 before the pixel's own, and (size - 1)//2 after it.
    alpha, beta, k : float

    Examples
    --------
    >>> layer = fnn.LocalResponseNorm(size=5)
    >>> layer(np.ones((1, 8, 4, 4), np.float32)).shape
    (1, 8, 4, 4)
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        self.size, self.alpha, self.beta, self.k = check.local_response_norm_settings(size, alpha, beta, k)

    def forward(self, x: Array) -> Array:
        y = functional.local_response_norm(x, self.size, alpha=self.alpha, beta=self.beta, k=self.k)
        self._keep(x)
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        x = check.kept(self, self._kept)
        return functional.local_response_norm_backward(dy, x, self.size, alpha=self.alpha, beta=self.beta, k=self.k)

    def plan(self, steps: Steps) -> None:
        steps.local_response_norm(self.size, alpha=self.alpha, beta=self.beta, k=self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
