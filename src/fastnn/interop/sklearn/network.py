"""Any network of fastnn's as an estimator of scikit-learn's."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn import _validate as check
from fastnn import networks, optim
from fastnn.functional import softmax
from fastnn.interop.sklearn._base import (
    Classifier,
    Estimator,
    Regressor,
    activate,
    outputs_of,
    package_seed,
    set_streams,
    sk,
    unhinted,
)
from fastnn.layers import Module
from fastnn.losses import BCEWithLogitsLoss, CrossEntropyLoss, MSELoss
from fastnn.training import BestWeights, EarlyStopping, Trainer

_OPTIMIZERS: dict[str, Callable[..., Any]] = {"adam": optim.Adam, "adamw": optim.AdamW, "sgd": optim.SGD}


class _Network(Estimator):
    """What `NetworkClassifier` and `NetworkRegressor` share: a `Trainer` of a network of one's own."""

    def _criterion(self) -> Any:
        raise NotImplementedError(type(self).__name__)

    def _fit(self, X: Any, y: Any, sample_weight: Any, incremental: bool) -> Any:
        self._check_settings()
        first = not hasattr(self, "net_") or not (self.warm_start or incremental)
        x, labels, weights = self._examples(X, y, sample_weight, incremental, first)
        y = self._targets(labels)
        if first:
            self._begin(x)
        trainer = self._trainer
        dtype = next(self.net_.parameters()).dtype
        x, y = x.astype(dtype, copy=False), y.astype(dtype) if y.dtype.kind == "f" else y
        train = (x, y) if weights is None else (x, y, weights)
        valid = None
        if self.validation_fraction and not incremental:
            train, valid = self._split(train, labels)
        trainer.callbacks = self._callbacks(valid is not None)
        begun = trainer.epochs
        trainer.fit(
            train,
            valid,
            epochs=1 if incremental else self.max_epochs,
            batch_size=min(self.batch_size, len(train[0])),
            shuffle=self.shuffle,
            progress=bool(self.verbose),
        )
        self.n_iter_ = trainer.epochs - begun
        self.history_ = trainer.history
        return self

    def _check_settings(self) -> None:
        check.integer("max_epochs", self.max_epochs, 1)
        check.integer("batch_size", self.batch_size, 1)
        check.positive("learning_rate", self.learning_rate)
        for name in ("shuffle", "warm_start", "early_stopping"):
            check.true_or_false(name, getattr(self, name))
        if check.number("validation_fraction", self.validation_fraction, 0.0) >= 1:
            raise ValueError(f"validation_fraction: got {self.validation_fraction!r}; expected a number below 1")
        if self.early_stopping and not self.validation_fraction:
            raise ValueError("validation_fraction: got 0 with early_stopping; expected data to look at, as 0.1")

    def _examples(self, X: Any, y: Any, sample_weight: Any, incremental: bool, first: bool) -> Any:
        raise NotImplementedError(type(self).__name__)

    def _targets(self, y: Any) -> np.ndarray:
        raise NotImplementedError(type(self).__name__)

    def _begin(self, x: np.ndarray) -> None:
        random = sk("utils").check_random_state(self.random_state)
        with package_seed(int(random.randint(2**31 - 1))):
            self.net_ = unhinted(self._made(x))
        set_streams(self.net_, lambda: int(random.randint(2**31 - 1)))
        self._trainer = Trainer(
            self.net_, self._criterion(), self._optimizer(), rng=int(random.randint(2**31 - 1)), metrics=self.metrics
        )

    def _made(self, x: np.ndarray) -> Module:
        """The network: what was given, copied, or what the function that was given makes."""
        given = self.network
        if given is None:
            return networks.mlp(math.prod(x.shape[1:]), (100,), self.n_outputs_, dtype=x.dtype)
        if isinstance(given, Module):
            return copy.deepcopy(given)
        if not callable(given):
            came = type(given).__name__
            raise TypeError(f"network: got {came}; expected a Module, a function of inputs and outputs, or None")
        made = given(x.shape[1] if x.ndim == 2 else x.shape[1:], self.n_outputs_)
        if not isinstance(made, Module):
            raise TypeError(f"network: got {type(made).__name__} from the function; expected a Module")
        return made

    def _optimizer(self) -> Any:
        given = self.optimizer
        if isinstance(given, str):
            check.choice("optimizer", given, _OPTIMIZERS)
            return _OPTIMIZERS[given](self.net_.parameters(), lr=self.learning_rate)
        if not callable(given):
            raise TypeError(f"optimizer: got {type(given).__name__}; expected a name, or a function of parameters")
        return given(self.net_.parameters())

    def _callbacks(self, looks: bool) -> list[Any]:
        if not (looks and self.early_stopping):
            return []
        return [EarlyStopping("eval_loss", self.patience), BestWeights("eval_loss")]

    def _split(self, train: Any, labels: Any) -> Any:
        found = sk("model_selection").train_test_split(
            *train,
            test_size=self.validation_fraction,
            random_state=sk("utils").check_random_state(self.random_state),
            stratify=self._strata(labels),
        )
        return tuple(found[::2]), tuple(found[1::2])

    def _strata(self, labels: Any) -> Any:
        return None

    def _raw(self, X: Any) -> np.ndarray:
        """Outputs of the network."""
        sk("utils.validation").check_is_fitted(self)
        x = self._data(X, allow_nd=True, reset=False)
        return self._checked(outputs_of(self.net_, x.astype(next(self.net_.parameters()).dtype, copy=False)))

    def _checked(self, outputs: np.ndarray) -> np.ndarray:
        if outputs.ndim != 2 or outputs.shape[1] != self.n_outputs_:
            wanted = f"({len(outputs)}, {self.n_outputs_})"
            raise ValueError(f"network: got outputs of shape {outputs.shape}; expected {wanted}")
        return outputs


class NetworkClassifier(Classifier, _Network):
    """A network that classifies, trained by a `Trainer`.

    Parameters
    ----------
    network : a Module, which is copied; or a function of inputs and outputs that makes one, as
        ``lambda inputs, outputs: fnn.networks.mlp(inputs, (50,), outputs)``: the inputs are a number, for images a
        tuple (C, H, W), the outputs the number of classes. None is a perceptron with 100 hidden units
    criterion : a loss; by default the cross-entropy of classes, or of each label where an example has several
    optimizer : "adam", "adamw" or "sgd", or a function of parameters, as ``lambda p: fnn.SGD(p, lr=0.1, momentum=0.9)``
    learning_rate : of an optimiser that is given by its name
    max_epochs, batch_size, shuffle : as of `Trainer.fit`
    validation_fraction : how much of the data is kept apart, for curves in `history_`
    early_stopping, patience : end after more epochs than `patience` without a lower loss on the data kept apart, and
        keep the best weights
    metrics : as of `Trainer`
    class_weight : a dict of weights by class, or "balanced"
    random_state : seed of weights, orders, split and dropout
    warm_start : another `fit` goes on from the last one
    verbose : show progress

    Attributes
    ----------
    net_ : the trained network
    history_ : a `History`: loss and metrics of every step, and of every look at the data kept apart
    classes_, n_outputs_, n_iter_, n_features_in_, feature_names_in_ : as scikit-learn's

    Examples
    --------
    >>> import fastnn as fnn
    >>> from fastnn.interop.sklearn import NetworkClassifier
    >>> X, y = np.repeat(np.eye(3, dtype=np.float32), 20, axis=0), np.repeat(["a", "b", "c"], 20)
    >>> net = fnn.Sequential(fnn.Linear(3, 16), fnn.ReLU(), fnn.Dropout(0.1), fnn.Linear(16, 3))
    >>> model = NetworkClassifier(net, learning_rate=0.05, random_state=0).fit(X, y)
    >>> model.predict(X[::20]).tolist()
    ['a', 'b', 'c']
    """

    def __init__(
        self,
        network: Any = None,
        *,
        criterion: Any = None,
        optimizer: Any = "adam",
        learning_rate: float = 0.001,
        max_epochs: int = 20,
        batch_size: int = 64,
        shuffle: bool = True,
        validation_fraction: float = 0.0,
        early_stopping: bool = False,
        patience: int = 5,
        metrics: Any = None,
        class_weight: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: Any = False,
    ) -> None:
        self.network = network
        self.criterion = criterion
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.patience = patience
        self.metrics = metrics
        self.class_weight = class_weight
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NetworkClassifier:
        """Fit to X (N, ...) and y (N,) labels or (N, K) of 0 and 1."""
        return self._fit(X, y, sample_weight, False)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> NetworkClassifier:
        """One epoch over X and y; the first call wants all `classes` that there will be."""
        self._first_partial_fit(y, classes)
        return self._fit(X, y, sample_weight, True)

    def _examples(self, X: Any, y: Any, sample_weight: Any, incremental: bool, first: bool) -> Any:
        x, y = self._pair(X, y, allow_nd=True, reset=first)
        self._begin_classes(y, incremental, self.warm_start)
        self.n_outputs_ = len(self.classes_) if self._several() or len(self.classes_) > 1 else 2
        return x, y, self._class_weights(y, self._weights(sample_weight, x), x, incremental)

    def _several(self) -> bool:
        return bool(self._label_binarizer.y_type_.startswith("multilabel"))

    def _targets(self, y: Any) -> np.ndarray:
        encoded = self._label_binarizer.transform(y)
        if self._several():
            return encoded.astype(np.float32)
        return encoded.argmax(axis=1) if encoded.shape[1] > 1 else encoded.ravel().astype(np.int64)

    def _criterion(self) -> Any:
        if self.criterion is not None:
            return copy.deepcopy(self.criterion)
        return BCEWithLogitsLoss() if self._several() else CrossEntropyLoss()

    def _strata(self, labels: Any) -> Any:
        return None if self._several() else labels

    def _activated(self, X: Any) -> np.ndarray:
        outputs = self._raw(X)
        if self._several():
            return activate(outputs, "logistic")
        probabilities = softmax(outputs, 1)
        return probabilities if len(self.classes_) > 2 else probabilities[:, 1:]


class NetworkRegressor(Regressor, _Network):
    """A network for numbers, trained by a `Trainer`.

    Parameters
    ----------
    network : a Module, which is copied; or a function of inputs and outputs that makes one, see `NetworkClassifier`
    criterion : a loss; by default the mean squared error
    optimizer, learning_rate, max_epochs, batch_size, shuffle, validation_fraction, early_stopping, patience, metrics
        As of `NetworkClassifier`, and so are those below.
    random_state, warm_start, verbose

    Attributes
    ----------
    net_, history_, n_outputs_, n_iter_, n_features_in_, feature_names_in_ : as of `NetworkClassifier`

    Examples
    --------
    >>> from fastnn.interop.sklearn import NetworkRegressor
    >>> X = np.linspace(-1, 1, 200, dtype=np.float32).reshape(-1, 1)
    >>> model = NetworkRegressor(learning_rate=0.01, max_epochs=100, random_state=0).fit(X, X[:, 0] ** 2)
    >>> bool(model.score(X, X[:, 0] ** 2) > 0.98)
    True
    """

    def __init__(
        self,
        network: Any = None,
        *,
        criterion: Any = None,
        optimizer: Any = "adam",
        learning_rate: float = 0.001,
        max_epochs: int = 20,
        batch_size: int = 64,
        shuffle: bool = True,
        validation_fraction: float = 0.0,
        early_stopping: bool = False,
        patience: int = 5,
        metrics: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: Any = False,
    ) -> None:
        self.network = network
        self.criterion = criterion
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.patience = patience
        self.metrics = metrics
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NetworkRegressor:
        """Fit to X (N, ...) and y (N,) or (N, D) numbers."""
        return self._fit(X, y, sample_weight, False)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> NetworkRegressor:
        """One epoch over X and y."""
        return self._fit(X, y, sample_weight, True)

    def _examples(self, X: Any, y: Any, sample_weight: Any, incremental: bool, first: bool) -> Any:
        x, y = self._pair(X, y, allow_nd=True, reset=first, y_numeric=True)
        self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]
        return x, y, self._weights(sample_weight, x)

    def _targets(self, y: Any) -> np.ndarray:
        return (y.reshape(-1, 1) if y.ndim == 1 else y).astype(np.float64)

    def _criterion(self) -> Any:
        return MSELoss() if self.criterion is None else copy.deepcopy(self.criterion)

    def _activated(self, X: Any) -> np.ndarray:
        return self._raw(X)
