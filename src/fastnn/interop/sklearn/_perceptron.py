"""A perceptron that is fitted as scikit-learn's: its initial weights, order of examples, steps and end."""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import Any

import numpy as np

from fastnn import layers as nn
from fastnn.functional import index_select
from fastnn.interop.sklearn._base import Estimator, activate, outputs_of, package_seed, set_streams, sk, unhinted
from fastnn.interop.sklearn._settings import check_settings, widths_of
from fastnn.interop.sklearn._solvers import Objective, Stochastic, fit_lbfgs

_BLOCK = 2**20  # bytes of the rows that are gathered at once
_HIDDEN: dict[str, Any] = {"identity": None, "logistic": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}


class Perceptron(Estimator):
    """What `MLPClassifier` and `MLPRegressor` share: everything but targets and scores."""

    def _targets(self, y: Any) -> np.ndarray:
        """y as a matrix (N, outputs), as the loss has it but for labels."""
        raise NotImplementedError(type(self).__name__)

    def _fit(self, X: Any, y: Any, sample_weight: Any, incremental: bool) -> Any:
        check_settings(self)
        widths = widths_of(self.hidden_layer_sizes)
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        x, labels, weights = self._examples(X, y, sample_weight, incremental, first)
        y = self._targets(labels)
        self.n_outputs_ = y.shape[1]
        self._random_state = sk("utils").check_random_state(self.random_state)
        if first:
            self._initialize((x.shape[1], *widths, self.n_outputs_), x.dtype)
        net = self._network()
        if x.dtype != self.coefs_[0].dtype:  # a fit that goes on stays in the dtype that it began in
            x = x.astype(self.coefs_[0].dtype)
            weights = None if weights is None else weights.astype(x.dtype)
        net.train()
        if self.solver == "lbfgs":
            self._fit_lbfgs(net, x, y, weights)
        else:
            self._fit_stochastic(net, x, y, labels, weights, incremental)
        net.eval()
        if not all(np.isfinite(w).all() for w in (*self.coefs_, *self.intercepts_)):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
                "preprocessed."
            )
        return self

    def _examples(self, X: Any, y: Any, sample_weight: Any, incremental: bool, first: bool) -> Any:
        """Checked X, y and weights."""
        raise NotImplementedError(type(self).__name__)

    def _initialize(self, widths: tuple[int, ...], dtype: Any) -> None:
        """Weights and intercepts of scikit-learn's: the same numbers for the same `random_state`."""
        self.n_iter_ = self.t_ = 0
        self.n_layers_ = len(widths)
        self.out_activation_ = self._out_activation()
        self.coefs_, self.intercepts_ = [], []
        for inputs, outputs in pairwise(widths):
            bound = np.sqrt((2.0 if self.activation == "logistic" else 6.0) / (inputs + outputs))
            self.coefs_.append(self._random_state.uniform(-bound, bound, (inputs, outputs)).astype(dtype))
            self.intercepts_.append(self._random_state.uniform(-bound, bound, outputs).astype(dtype))
        self._net: Any = None
        self._best: Any = None
        self.loss_curve_: list[float] = []
        self._no_improvement_count = 0
        self.validation_scores_: Any = [] if self.early_stopping else None
        self.best_validation_score_: Any = -np.inf if self.early_stopping else None
        self.best_loss_: Any = None if self.early_stopping else np.inf

    def _out_activation(self) -> str:
        raise NotImplementedError(type(self).__name__)

    def _network(self) -> nn.Sequential:
        """The network of `coefs_` and `intercepts_`, which are views of its parameters from now on.

        So whoever writes to them, or puts others into their lists, changes the network.
        """
        held = [*self.coefs_, *self.intercepts_]
        net, views = getattr(self, "_net", None), getattr(self, "_views", [])
        if net is not None and len(views) == len(held) and all(a is b for a, b in zip(held, views, strict=True)):
            return net
        if net is None:
            net = self._built()
        linear: list[Any] = [layer for layer in net if isinstance(layer, nn.Linear)]
        for layer, coef, intercept in zip(linear, self.coefs_, self.intercepts_, strict=True):
            layer.weight.data[...] = coef.T
            layer.bias.data[...] = intercept
        self.coefs_ = [layer.weight.data.T for layer in linear]
        self.intercepts_ = [layer.bias.data for layer in linear]
        self._net, self._views = net, [*self.coefs_, *self.intercepts_]
        return net

    def _built(self) -> Any:
        parts: list[nn.Module] = []
        with package_seed(0):
            for i, coef in enumerate(self.coefs_):
                parts.append(nn.Linear(coef.shape[0], coef.shape[1], dtype=coef.dtype))
                if i < len(self.coefs_) - 1:
                    parts += [] if self.activation == "identity" else [_HIDDEN[self.activation]()]
                    parts += [nn.Dropout(self.dropout)] if self.dropout else []
        net = nn.Sequential(*parts)
        if self.dropout:
            set_streams(net, lambda: int(self._random_state.randint(2**31 - 1)))
        return unhinted(net)

    def _objective(self) -> Objective:
        return Objective(self.loss, self.out_activation_, self.n_outputs_)

    def _activated_of(self, x: np.ndarray) -> np.ndarray:
        dtype = self.coefs_[0].dtype
        outputs = outputs_of(self._network(), x.astype(dtype, copy=False))
        return activate(outputs, self.out_activation_)

    def _for_loss(self, y: np.ndarray, dtype: Any) -> np.ndarray:
        """Targets as the loss takes them."""
        if self.out_activation_ == "softmax":
            return y.argmax(axis=1).astype(np.int64)
        return np.ascontiguousarray(y, dtype)

    def _fit_lbfgs(self, net: Any, x: np.ndarray, y: np.ndarray, weights: Any) -> None:
        result = fit_lbfgs(self, net, self._objective(), x, self._for_loss(y, x.dtype), weights)
        self.n_iter_, self.loss_ = min(int(result.nit), self.max_iter), float(result.fun)
        if result.status:
            reason = result.message if isinstance(result.message, str) else result.message.decode("latin1")
            warnings.warn(
                f"lbfgs failed to converge after {self.n_iter_} iteration(s) (status={result.status}): {reason}. "
                "Increase max_iter, or scale the data.",
                sk("exceptions").ConvergenceWarning,
                stacklevel=4,
            )

    def _fit_stochastic(
        self, net: Any, x: np.ndarray, y: np.ndarray, labels: Any, weights: Any, incremental: bool
    ) -> None:
        known = getattr(self, "_optimizer", None)
        if not incremental or known is None or known.net is not net:
            self._optimizer = Stochastic(self, net, self._objective())
        held_out = None
        if self.early_stopping:
            x, y, weights, held_out = self._split(x, y, labels, weights)
        size = self._batch_size(len(x))
        y = self._for_loss(y, x.dtype)
        self.n_iter_ = 0
        order = np.arange(len(x))
        best: Any = None
        try:
            while self.n_iter_ < self.max_iter:
                if self.shuffle:  # the order before, shuffled, as scikit-learn has it
                    order = np.asarray(sk("utils").shuffle(order, random_state=self._random_state), np.int64)
                self._epoch(x, y, weights, size, order)
                if self._look(held_out):
                    best = [w.copy() for w in (*self.coefs_, *self.intercepts_)]
                self._optimizer.iteration_ends(self.t_)
                if self._no_improvement_count > self.n_iter_no_change and self._ends():
                    break
                if incremental:
                    return
            else:
                warnings.warn(
                    f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization hasn't "
                    "converged yet.",
                    sk("exceptions").ConvergenceWarning,
                    stacklevel=4,
                )
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=4)
        if best is not None:
            self._best = best
        if self.early_stopping and self._best is not None:
            for w, kept in zip((*self.coefs_, *self.intercepts_), self._best, strict=True):
                w[...] = kept

    def _batch_size(self, count: int) -> int:
        if self.batch_size == "auto":
            return min(200, count)
        if self.batch_size > count:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=5
            )
        return min(int(self.batch_size), count)

    def _split(self, x: np.ndarray, y: np.ndarray, labels: Any, weights: Any) -> Any:
        """Examples to train on, and examples to look at after each epoch."""
        parts = [x, y, labels] if weights is None else [x, y, labels, weights]
        found = sk("model_selection").train_test_split(
            *parts, random_state=self._random_state, test_size=self.validation_fraction, stratify=self._strata(y)
        )
        (x, x_val), (y, _), (_, labels_val), *rest = (found[i : i + 2] for i in range(0, len(found), 2))
        if len(x_val) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        weights, weights_val = rest[0] if rest else (None, None)
        return x, y, weights, (x_val, labels_val, weights_val)

    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        return None

    def _epoch(self, x: np.ndarray, y: np.ndarray, weights: Any, size: int, order: np.ndarray) -> None:
        """All minibatches once."""
        count, total = len(x), 0.0
        self._net.train()
        # Rows are gathered for several minibatches at once: a call for each costs as much as a step.
        block = size * max(1, _BLOCK // max(x[:size].nbytes, 1)) if self.shuffle else count
        for first in range(0, count, block):
            places: Any = order[first : first + block] if self.shuffle else slice(None)
            rows, targets = (index_select(x, 0, places), index_select(y, 0, places)) if self.shuffle else (x, y)
            own = None if weights is None else weights[places]
            for begin in range(0, len(rows), size):
                piece = slice(begin, begin + size)
                loss = self._optimizer.step(rows[piece], targets[piece], None if own is None else own[piece])
                total += loss * len(rows[piece])
        self.n_iter_ += 1
        self.t_ += count
        self.loss_ = total / count
        self.loss_curve_.append(self.loss_)
        if self.verbose:
            print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")

    def _look(self, held_out: Any) -> bool:
        """Count the epochs without a gain; whether this one has the best score on held-out data so far."""
        if held_out is None:
            gained = self.loss_ <= self.best_loss_ - self.tol or self.loss_ != self.loss_
            self._no_improvement_count = 0 if gained else self._no_improvement_count + 1
            self.best_loss_ = min(self.best_loss_, self.loss_)
            return False
        score = self._score_of(*held_out)
        self.validation_scores_.append(score)
        if self.verbose:
            print(f"Validation score: {score:f}")
        gained = not score < self.best_validation_score_ + self.tol
        self._no_improvement_count = 0 if gained else self._no_improvement_count + 1
        if not score > self.best_validation_score_:
            return False
        self.best_validation_score_ = score
        return True

    def _ends(self) -> bool:
        what = "Validation score" if self.early_stopping else "Training loss"
        message = f"{what} did not improve more than tol={self.tol:f} for {self.n_iter_no_change} consecutive epochs."
        if self._optimizer.ends(message, self.verbose):
            return True
        self._no_improvement_count = 0
        return False

    def _stochastic(self) -> bool:
        """Whether `partial_fit` is there: L-BFGS has none."""
        if self.solver == "lbfgs":
            raise AttributeError("partial_fit is only available for stochastic optimizers. lbfgs is not stochastic.")
        return True

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        state.pop("_views", None)  # of a copy the parameters are others
        return state
