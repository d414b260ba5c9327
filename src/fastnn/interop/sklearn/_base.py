"""What the estimators share: checked data, encoded targets, and predictions from the outputs of a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import _runtime, functional
from fastnn import _validate as check
from fastnn._extras import require
from fastnn.layers import Module

PURPOSE = "estimators of its kind"
_PIECE = 1000  # examples of one forward of a prediction

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
else:
    _base = require("sklearn.base", PURPOSE)
    BaseEstimator, ClassifierMixin, RegressorMixin = _base.BaseEstimator, _base.ClassifierMixin, _base.RegressorMixin


def sk(module: str) -> Any:
    """A module of scikit-learn's, by the rest of its name."""
    return require(f"sklearn.{module}", PURPOSE)


@contextmanager
def package_seed(seed: int) -> Iterator[None]:
    """The package's generator begins from `seed`, and goes on afterwards as if it had not been used."""
    generator = _runtime.generator()
    before = generator.bit_generator.state
    generator.bit_generator.state = type(generator.bit_generator)(seed).state
    try:
        yield
    finally:
        generator.bit_generator.state = before


def set_streams(net: Module, draw: Callable[[], int]) -> None:
    """Give every dropout that has none yet a stream of its own, so that the package's generator is not asked."""
    for layer in net.modules():
        if getattr(layer, "stream", 0) is None:
            layer.stream = draw()


def unhinted(net: Module) -> Module:
    """`net`, which will not say of inputs that they look like bytes: a pipeline scales, and counts are not bytes."""
    if "_looked_at_input" in vars(net):
        net._looked_at_input = True
    return net


def outputs_of(net: Module, x: np.ndarray) -> np.ndarray:
    """The network's outputs, piece by piece, in eval mode, which stays."""
    net.eval()
    pieces = [net(x[i : i + _PIECE]) for i in range(0, max(len(x), 1), _PIECE)]
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


class Estimator(BaseEstimator):
    """Data that are checked as scikit-learn's estimators check them."""

    def _data(self, X: Any, *, reset: bool, **options: Any) -> np.ndarray:
        """X as an array of float32 or float64; a sparse matrix becomes one."""
        x = sk("utils.validation").validate_data(
            self, X, accept_sparse=["csr", "csc"], dtype=(np.float64, np.float32), reset=reset, **options
        )
        return np.ascontiguousarray(x.toarray() if hasattr(x, "toarray") else x)

    def _pair(self, X: Any, y: Any, *, reset: bool, **options: Any) -> tuple[np.ndarray, Any]:
        """X as `_data` returns it, and y, of as many examples."""
        x, y = sk("utils.validation").validate_data(
            self,
            X,
            y,
            multi_output=True,
            accept_sparse=["csr", "csc"],
            dtype=(np.float64, np.float32),
            reset=reset,
            **options,
        )
        x = np.ascontiguousarray(x.toarray() if hasattr(x, "toarray") else x)
        return x, sk("utils").column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _weights(self, sample_weight: Any, x: np.ndarray) -> np.ndarray | None:
        """Weights of the examples, of the dtype of x; a number stands for all.

        Raises
        ------
        ValueError
            All are 0: there is nothing to learn from.
        """
        if sample_weight is None:
            return None
        if isinstance(sample_weight, int | float):
            sample_weight = np.full(len(x), check.number("sample_weight", sample_weight))
        weights: np.ndarray = check.sample_weight(sample_weight, x)
        if not weights.any():
            raise ValueError("sample_weight: got zeros alone; expected at least one weight that is not 0")
        return weights

    def _activated(self, X: Any) -> np.ndarray:
        """What the network says of X, as probabilities of classes, or as numbers."""
        sk("utils.validation").check_is_fitted(self)
        return self._activated_of(self._data(X, reset=False))

    def _activated_of(self, x: np.ndarray) -> np.ndarray:
        raise NotImplementedError(type(self).__name__)

    def _score_of(self, x: np.ndarray, y: Any, weights: Any) -> float:
        """Accuracy, or R², of checked data; NaN where outputs are."""
        activated = self._activated_of(x)
        if not np.isfinite(activated).all():
            return float("nan")
        return float(self._measure(y, self._predicted(activated), weights))

    def _predicted(self, activated: np.ndarray) -> Any:
        raise NotImplementedError(type(self).__name__)

    def _measure(self, y: Any, predicted: Any, weights: Any) -> float:
        raise NotImplementedError(type(self).__name__)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class Classifier(ClassifierMixin, Estimator):
    """Labels as targets of a network, and back."""

    class_weight: Any

    def _begin_classes(self, y: Any, incremental: bool, warm: bool) -> None:
        """Look at the classes: of a first fit they are learnt, later ones must be known.

        Raises
        ------
        ValueError
            There are classes that the first fit did not have.
        """
        if not hasattr(self, "classes_") or not (warm or incremental):
            self._label_binarizer = sk("preprocessing").LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
            return
        classes = sk("utils.multiclass").unique_labels(y)
        if warm and set(classes) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                f"Previously got {self.classes_}, `y` has {classes}"
            )
        if len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {classes}."
            )

    def _first_partial_fit(self, y: Any, classes: Any) -> None:
        """The classes of all calls, which the first call of `partial_fit` gets."""
        multiclass = sk("utils.multiclass")
        if getattr(self, "classes_", None) is None:
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            many = multiclass.type_of_target(y).startswith("multilabel")
            self.classes_ = multiclass.unique_labels(classes)
            self._label_binarizer = sk("preprocessing").LabelBinarizer().fit(y if many else classes)
        elif classes is not None and not np.array_equal(self.classes_, multiclass.unique_labels(classes)):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {self.classes_!r}"
            )

    def _class_weights(self, y: Any, weights: Any, x: np.ndarray, incremental: bool) -> Any:
        """Weights of the examples times those of their classes."""
        if self.class_weight is None:
            return weights
        if incremental and self.class_weight == "balanced":
            raise ValueError(
                "class_weight: got 'balanced' for partial_fit, which does not see all examples; expected a dict"
            )
        by_class = sk("utils.class_weight").compute_sample_weight(self.class_weight, y).astype(x.dtype)
        return by_class if weights is None else by_class * weights

    def _predicted(self, activated: np.ndarray) -> Any:
        return self._label_binarizer.inverse_transform(activated.ravel() if activated.shape[1] == 1 else activated)

    def _measure(self, y: Any, predicted: Any, weights: Any) -> float:
        return float(sk("metrics").accuracy_score(y, predicted, sample_weight=weights))

    def predict(self, X: Any) -> np.ndarray:
        """The class of each example; for several labels an example, a matrix of 0 and 1."""
        labels: np.ndarray = self._predicted(self._activated(X))
        return labels

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities (N, K) of the classes, in the order of `classes_`."""
        activated = self._activated(X)
        return np.hstack([1 - activated, activated]) if activated.shape[1] == 1 else activated

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class Regressor(RegressorMixin, Estimator):
    """Numbers as targets of a network."""

    def _predicted(self, activated: np.ndarray) -> Any:
        return activated.ravel() if activated.shape[1] == 1 else activated

    def _measure(self, y: Any, predicted: Any, weights: Any) -> float:
        return float(sk("metrics").r2_score(y, predicted, sample_weight=weights))

    def predict(self, X: Any) -> np.ndarray:
        """The numbers (N,) or (N, D) of each example."""
        numbers: np.ndarray = self._predicted(self._activated(X))
        return numbers


def activate(outputs: np.ndarray, activation: str) -> np.ndarray:
    """Outputs of a network through the last function of a perceptron, by scikit-learn's name."""
    if activation == "softmax":
        return functional.softmax(outputs, 1)
    if activation == "logistic":
        return functional.sigmoid(outputs)
    return np.exp(outputs) if activation == "exp" else outputs
