"""Functions element by element. Each keeps what its gradient needs: its output or, the later ones, its input."""

from __future__ import annotations

from fastnn import _validate as check
from fastnn import functional
from fastnn._validate import Array
from fastnn.layers.module import Module
from fastnn.plan.fusion import Fusion
from fastnn.plan.steps import Steps


class ReLU(Module):
    """``max(x, 0)`` of every element.

    Parameters
    ----------
    inplace : bool, which has no effect

    Examples
    --------
    >>> fnn.ReLU()(np.array([-2, 3], np.float32)).tolist()
    [0.0, 3.0]
    """

    fusion = Fusion(is_relu=True)

    def __init__(self, inplace: bool = False) -> None:
        check.no_effect(inplace)

    def forward(self, x: Array) -> Array:
        y = functional.relu(x)
        self._keep(y)
        return y

    def output(self) -> Array:
        """The output of the last forward."""
        return check.kept(self, self._kept)

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        return functional.relu_backward(dy, self.output())

    def plan(self, steps: Steps) -> None:
        steps.relu()


class Sigmoid(Module):
    """``1 / (1 + exp(-x))`` of every element.

    Examples
    --------
    >>> print(fnn.Sigmoid()(np.array([-2, 1, 2], np.float32)).round(3))
    [0.119 0.731 0.881]
    """

    def __init__(self) -> None:
        """Nothing is set."""

    def forward(self, x: Array) -> Array:
        y = functional.sigmoid(x)
        self._keep(y)
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        return functional.sigmoid_backward(dy, check.kept(self, self._kept))

    def plan(self, steps: Steps) -> None:
        steps.sigmoid()


class Tanh(Module):
    """Hyperbolic tangent of every element.

    Examples
    --------
    >>> print(fnn.Tanh()(np.array([-2, 1, 2], np.float32)).round(3))
    [-0.964  0.762  0.964]
    """

    def __init__(self) -> None:
        """Nothing is set."""

    def forward(self, x: Array) -> Array:
        y = functional.tanh(x)
        self._keep(y)
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        return functional.tanh_backward(dy, check.kept(self, self._kept))

    def plan(self, steps: Steps) -> None:
        steps.tanh()


class LeakyReLU(Module):
    """`x` where it is above 0, elsewhere ``negative_slope * x``.

    Parameters
    ----------
    negative_slope : float
    inplace : bool, which has no effect

    Examples
    --------
    >>> print(fnn.LeakyReLU(0.1)(np.array([-2, 3], np.float32)))
    [-0.2  3. ]
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        check.no_effect(inplace)
        self.negative_slope = check.number("negative_slope", negative_slope)

    def forward(self, x: Array) -> Array:
        y = functional.leaky_relu(x, self.negative_slope)
        self._keep(x)
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        return functional.leaky_relu_backward(dy, check.kept(self, self._kept), self.negative_slope)

    def plan(self, steps: Steps) -> None:
        steps.leaky_relu(self.negative_slope)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}"


class ELU(Module):
    """`x` where it is above 0, elsewhere ``alpha * (exp(x) - 1)``.

    Parameters
    ----------
    alpha : float
    inplace : bool, which has no effect

    Examples
    --------
    >>> print(fnn.ELU()(np.array([-1, 1, 2], np.float32)).round(3))
    [-0.632  1.     2.   ]
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        check.no_effect(inplace)
        self.alpha = check.number("alpha", alpha)

    def forward(self, x: Array) -> Array:
        y = functional.elu(x, self.alpha)
        self._keep(x)
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        return functional.elu_backward(dy, check.kept(self, self._kept), self.alpha)

    def plan(self, steps: Steps) -> None:
        steps.elu(self.alpha)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}"


class SELU(Module):
    """1.0507 times an `ELU` with an alpha of 1.6733, which keep mean and variance.

    Parameters
    ----------
    inplace : bool, which has no effect

    Examples
    --------
    >>> print(fnn.SELU()(np.array([-1, 1, 2], np.float32)).round(3))
    [-1.111  1.051  2.101]
    """

    def __init__(self, inplace: bool = False) -> None:
        check.no_effect(inplace)

    def forward(self, x: Array) -> Array:
        y = functional.selu(x)
        self._keep(x)
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        return functional.selu_backward(dy, check.kept(self, self._kept))

    def plan(self, steps: Steps) -> None:
        steps.selu()


class GELU(Module):
    """`x` times the probability that a standard normal variable is below it.

    Parameters
    ----------
    approximate : {"none", "tanh"}

    Examples
    --------
    >>> print(fnn.GELU()(np.array([-1, 1, 2], np.float32)).round(3))
    [-0.159  0.841  1.954]
    """

    def __init__(self, approximate: str = "none") -> None:
        check.approximation(approximate)
        self.approximate = approximate

    def forward(self, x: Array) -> Array:
        y = functional.gelu(x, approximate=self.approximate)
        self._keep(x)
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        return functional.gelu_backward(dy, check.kept(self, self._kept), approximate=self.approximate)

    def plan(self, steps: Steps) -> None:
        steps.gelu(approximate=self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class SiLU(Module):
    """``x * sigmoid(x)``, also called swish.

    Parameters
    ----------
    inplace : bool, which has no effect

    Examples
    --------
    >>> print(fnn.SiLU()(np.array([-1, 1, 2], np.float32)).round(3))
    [-0.269  0.731  1.762]
    """

    def __init__(self, inplace: bool = False) -> None:
        check.no_effect(inplace)

    def forward(self, x: Array) -> Array:
        y = functional.silu(x)
        self._keep(x)
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        return functional.silu_backward(dy, check.kept(self, self._kept))

    def plan(self, steps: Steps) -> None:
        steps.silu()


class Softplus(Module):
    """``log(1 + exp(beta * x)) / beta``, a smooth ReLU.

    Parameters
    ----------
    beta : float other than 0
    threshold : float
        `x` itself where ``beta * x`` is above it.

    Examples
    --------
    >>> print(fnn.Softplus()(np.array([-2, 1, 2], np.float32)).round(3))
    [0.127 1.313 2.127]
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta, self.threshold = check.softplus_settings(beta, threshold)

    def forward(self, x: Array) -> Array:
        y = functional.softplus(x, self.beta, self.threshold)
        self._keep(x)
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        return functional.softplus_backward(dy, check.kept(self, self._kept), self.beta, self.threshold)

    def plan(self, steps: Steps) -> None:
        steps.softplus(self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


class Hardtanh(Module):
    """`x`, but at least `min_val` and at most `max_val`.

    Parameters
    ----------
    min_val, max_val : float
    inplace : bool, which has no effect

    Examples
    --------
    >>> fnn.Hardtanh()(np.array([-2, 0.5, 3], np.float32)).tolist()
    [-1.0, 0.5, 1.0]
    """

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        check.no_effect(inplace)
        self.min_val, self.max_val = check.hardtanh_bounds(min_val, max_val)

    def forward(self, x: Array) -> Array:
        y = functional.hardtanh(x, self.min_val, self.max_val)
        self._keep(x)
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        return functional.hardtanh_backward(dy, check.kept(self, self._kept), self.min_val, self.max_val)

    def plan(self, steps: Steps) -> None:
        steps.hardtanh(self.min_val, self.max_val)

    def extra_repr(self) -> str:
        return f"min_val={self.min_val}, max_val={self.max_val}"


class Hardswish(Module):
    """``x * clip(x + 3, 0, 6) / 6``, a SiLU of straight lines.

    Parameters
    ----------
    inplace : bool, which has no effect

    Examples
    --------
    >>> print(fnn.Hardswish()(np.array([-1, 1, 4], np.float32)).round(3))
    [-0.333  0.667  4.   ]
    """

    def __init__(self, inplace: bool = False) -> None:
        check.no_effect(inplace)

    def forward(self, x: Array) -> Array:
        y = functional.hardswish(x)
        self._keep(x)
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        return functional.hardswish_backward(dy, check.kept(self, self._kept))

    def plan(self, steps: Steps) -> None:
        steps.hardswish()


class ReLU6(Module):
    """``clip(x, 0, 6)``, a ReLU that stops at 6.

    Parameters
    ----------
    inplace : bool
        PyTorch's; no effect.

    Examples
    --------
    >>> fnn.ReLU6()(np.array([-1.0, 2.0, 7.0]))
    array([0., 2., 6.])
    """

    def __init__(self, inplace: bool = False) -> None:
        check.no_effect(inplace)

    def forward(self, x: Array) -> Array:
        y = functional.relu6(x)
        self._keep(x)
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        return functional.relu6_backward(dy, check.kept(self, self._kept))

    def plan(self, steps: Steps) -> None:
        steps.relu6()
