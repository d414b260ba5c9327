"""How a perceptron learns: minibatches by SGD or Adam with scikit-learn's numbers, or all examples by L-BFGS."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastnn._extras import require
from fastnn.interop.sklearn._base import PURPOSE
from fastnn.layers import Linear, Module, Parameter
from fastnn.losses import BCEWithLogitsLoss, CrossEntropyLoss, MSELoss
from fastnn.optim import SGD, Adam
from fastnn.plan.training import TrainingStep


class HalfPoissonLoss:
    """Half of the deviance of counts from rates, whose logarithms are the outputs; a mean over the examples."""

    reduction = "mean"
    _kept: Any = None

    def __call__(self, x: np.ndarray, target: np.ndarray, sample_weight: Any = None) -> float:
        weights = np.ones(len(x), x.dtype) if sample_weight is None else sample_weight
        rates, share = np.exp(x), (weights / (weights.sum() or 1))[:, None]
        self._kept = rates, target, share
        logs = np.log(target, out=np.zeros_like(target), where=target > 0)
        return float(((target * (logs - x) - target + rates) * share).sum(dtype=np.float64))

    def backward(self) -> np.ndarray:
        """The gradient of the logarithms of the last call."""
        rates, target, share = self._kept
        gradient: np.ndarray = (rates - target) * share
        return gradient


class Objective:
    """A loss, and how scikit-learn's differs from it.

    Attributes
    ----------
    criterion : the loss
    slope : our gradient divided by scikit-learn's
    value : scikit-learn's loss divided by ours
    """

    def __init__(self, loss: str, activation: str, outputs: int) -> None:
        self.slope = self.value = 1.0
        if loss == "poisson":
            self.criterion: Any = HalfPoissonLoss()
        elif loss == "squared_error":
            # Its gradient is that of half the sum over the outputs, its value half the mean.
            self.criterion, self.slope, self.value = MSELoss(), 2.0 / outputs, 0.5
        elif activation == "softmax":
            self.criterion = CrossEntropyLoss()
        else:
            self.criterion, self.slope, self.value = BCEWithLogitsLoss(), 1.0 / outputs, float(outputs)


def weights_of(net: Module) -> list[Parameter]:
    """The weights of all linear layers, without intercepts."""
    return [layer.weight for layer in net.modules() if isinstance(layer, Linear)]


def penalty(weights: list[Parameter]) -> float:
    """The sum of the squares of all weights."""
    return float(sum(np.dot(w, w) for w in (p.data.ravel() for p in weights)))


class Stochastic:
    """Steps of SGD or Adam, whose numbers are scikit-learn's.

    The optimisers here follow PyTorch, so some settings are translated: gradients are `slope` times scikit-learn's;
    weights decay by `alpha` divided by the examples of the minibatch; Adam's epsilon is added before the correction of
    the bias; and the velocity of SGD has the rates of its time in it.
    """

    def __init__(self, settings: Any, net: Module, objective: Objective) -> None:
        self.kind, self.alpha, self.schedule = settings.solver, settings.alpha, settings.learning_rate
        self.first_rate, self.power_t = settings.learning_rate_init, settings.power_t
        self.epsilon, self.beta_2 = settings.epsilon, settings.beta_2
        self.net, self.objective, self.steps = net, objective, 0
        self._weights = weights_of(net)
        others = [layer.bias for layer in net.modules() if isinstance(layer, Linear)]
        groups: list[dict[str, Any]] = [{"params": self._weights}, {"params": others}]
        self._learning_rate = float(settings.learning_rate_init)
        self.optimizer: Any
        if self.kind == "sgd":
            nesterov = settings.nesterovs_momentum and settings.momentum > 0
            lr = self._learning_rate / objective.slope
            self.optimizer = SGD(groups, lr=lr, momentum=settings.momentum, nesterov=nesterov)
        else:
            betas = settings.beta_1, settings.beta_2
            self.optimizer = Adam(groups, lr=self._learning_rate, betas=betas, eps=settings.epsilon)
        self._step = TrainingStep(net, objective.criterion, self.optimizer)

    @property
    def learning_rate(self) -> float:
        """The present rate."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        before, self._learning_rate = self._learning_rate, rate
        if rate == before or not rate:
            return
        state = self.optimizer.state_dict()
        for each in state["state"].values():
            if "momentum_buffer" in each:
                each["momentum_buffer"] *= before / rate
        self.optimizer.load_state_dict(state)
        for group in self.optimizer.param_groups:
            group["lr"] = rate / self.objective.slope

    def step(self, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> float:
        """One minibatch: scikit-learn's loss before the step, with the penalty of the weights."""
        count = float(len(x) if weights is None else weights.sum()) or 1.0
        of_weights = 0.5 * self.alpha * penalty(self._weights) / count if self.alpha else 0.0
        heavy, light = self.optimizer.param_groups
        heavy["weight_decay"] = self.alpha * self.objective.slope / count
        self.steps += 1
        if self.kind == "adam":
            heavy["eps"] = light["eps"] = self.objective.slope * self.epsilon / math.sqrt(1 - self.beta_2**self.steps)
        return float(self._step(x, y, weights)) * self.objective.value + of_weights

    def iteration_ends(self, examples: int) -> None:
        """After an epoch: `examples` have been seen since the first one."""
        if self.kind == "sgd" and self.schedule == "invscaling":
            self.learning_rate = float(self.first_rate) / (examples + 1) ** self.power_t

    def ends(self, message: str, verbose: Any) -> bool:
        """Whether training is to end when it no longer helps; otherwise its rate is less from now on."""
        stops = self.kind != "sgd" or self.schedule != "adaptive" or self.learning_rate <= 1e-6
        if not stops:
            self.learning_rate = self.learning_rate / 5.0
        if verbose:
            print(message + (" Stopping." if stops else f" Setting learning rate to {self.learning_rate:f}"))
        return stops


def fit_lbfgs(settings: Any, net: Module, objective: Objective, x: np.ndarray, y: np.ndarray, weights: Any) -> Any:
    """SciPy's L-BFGS-B on all examples; returns its result, whose x the network has."""
    optimize = require("scipy.optimize", PURPOSE)
    held = list(net.parameters())
    shapes, slope = [p.shape for p in held], objective.slope
    ends = np.cumsum([p.size for p in held])[:-1]
    decays = [settings.alpha * (len(shape) == 2) for shape in shapes]
    count = float(len(x) if weights is None else weights.sum()) or 1.0
    step = TrainingStep(net, objective.criterion, SGD(held, lr=0.0))

    def load(packed: np.ndarray) -> None:
        for p, part, shape in zip(held, np.split(packed, ends), shapes, strict=True):
            p.data[...] = part.reshape(shape)

    def value_and_gradient(packed: np.ndarray) -> tuple[float, np.ndarray]:
        load(packed)
        loss, _scores = step.gradients(x, y, weights)
        grads = [
            (0.0 if p.grad is None else np.asarray(p.grad, np.float64) / slope) + decay * p.data / count
            for p, decay in zip(held, decays, strict=True)
        ]
        # That whose gradient it is, which the mean over several outputs is not.
        whole = float(loss) / slope + 0.5 * settings.alpha * penalty(weights_of(net)) / count
        return whole, np.concatenate([g.ravel() for g in grads])

    begin = np.concatenate([p.data.ravel() for p in held]).astype(np.float64)
    result = optimize.minimize(
        value_and_gradient,
        begin,
        method="L-BFGS-B",
        jac=True,
        options={"maxfun": settings.max_fun, "maxiter": settings.max_iter, "gtol": settings.tol},
    )
    load(result.x)
    return result
