"""Multi-layer perceptrons with scikit-learn's arguments, attributes and numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from fastnn.interop.sklearn._base import Classifier, Regressor, sk
from fastnn.interop.sklearn._perceptron import Perceptron

_Method = TypeVar("_Method")
_with_partial_fit: Callable[[_Method], _Method] = sk("utils.metaestimators").available_if(Perceptron._stochastic)


class MLPClassifier(Classifier, Perceptron):
    """A perceptron that classifies, as ``sklearn.neural_network.MLPClassifier``, trained by fastnn.

    Arguments, attributes and defaults are scikit-learn's. For one `random_state` so are the initial weights, the orders
    and the steps: the results are the same but for rounding. Training is in the dtype of X, float32 or float64.

    Parameters
    ----------
    hidden_layer_sizes : one width, or several
    activation : "identity", "logistic", "tanh" or "relu", of the hidden layers
    solver : "adam", "sgd", or "lbfgs", which takes all examples at once
    alpha : strength of the penalty of large weights, divided by the examples of a minibatch
    batch_size : examples of a minibatch; "auto" is 200, or all if there are fewer
    learning_rate : "constant", "invscaling" or "adaptive"; for "sgd"
    learning_rate_init, power_t : the first rate, and the exponent of "invscaling"
    max_iter : epochs at most; of "lbfgs" iterations
    shuffle : every epoch in an order of its own
    random_state : seed of weights, orders, split and dropout
    tol, n_iter_no_change : training ends when so many epochs in a row have not gained so much
    verbose : print each epoch's loss
    warm_start : another `fit` goes on from the last one
    momentum, nesterovs_momentum : of "sgd"
    early_stopping, validation_fraction : look at so much of the data after each epoch, and keep the best weights
    beta_1, beta_2, epsilon : of "adam"
    max_fun : calls of the loss at most; of "lbfgs"
    dropout : share of the outputs of hidden layers that are left out in training; scikit-learn has none
    class_weight : a dict of weights by class, or "balanced"; scikit-learn's has none

    Attributes
    ----------
    classes_ : the classes
    coefs_, intercepts_ : lists of the layers' weights (inputs, outputs) and intercepts, views of the network's
    loss_, best_loss_, loss_curve_ : the last loss, the least, and that of every epoch
    validation_scores_, best_validation_score_ : with `early_stopping`
    n_iter_, t_ : epochs of the last `fit`, and examples seen in all
    n_features_in_, feature_names_in_, n_outputs_, n_layers_, out_activation_ : as scikit-learn's

    Examples
    --------
    >>> from fastnn.interop.sklearn import MLPClassifier
    >>> X, y = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), ["no", "yes", "yes", "no"]
    >>> MLPClassifier(8, solver="lbfgs", random_state=1).fit(X, y).predict(X).tolist()
    ['no', 'yes', 'yes', 'no']
    """

    loss = "log_loss"

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: float = 0.0,
        class_weight: Any = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dropout = dropout
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPClassifier:
        """Fit to X (N, features), an array, table or sparse matrix, and y (N,) labels or (N, K) of 0 and 1.

        Raises
        ------
        TypeError, ValueError
            A setting, X, y or a weight is none that can be trained with; names it.
        """
        return self._fit(X, y, sample_weight, False)

    @_with_partial_fit
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> MLPClassifier:
        """One epoch over X and y; the first call wants all `classes` that there will be."""
        self._first_partial_fit(y, classes)
        return self._fit(X, y, sample_weight, True)

    def _examples(self, X: Any, y: Any, sample_weight: Any, incremental: bool, first: bool) -> Any:
        x, y = self._pair(X, y, reset=first)
        self._begin_classes(y, incremental, self.warm_start)
        return x, y, self._class_weights(y, self._weights(sample_weight, x), x, incremental)

    def _targets(self, y: Any) -> np.ndarray:
        return self._label_binarizer.transform(y).astype(bool)

    def _out_activation(self) -> str:
        return "softmax" if self._label_binarizer.y_type_ == "multiclass" else "logistic"

    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        return y if self.n_outputs_ == 1 else None


class MLPRegressor(Regressor, Perceptron):
    """A perceptron for numbers, as ``sklearn.neural_network.MLPRegressor``, trained by fastnn.

    Arguments, attributes and defaults are scikit-learn's. For one `random_state` so are the initial weights, the orders
    and the steps: the results are the same but for rounding. Training is in the dtype of X, float32 or float64.

    Parameters
    ----------
    loss : "squared_error", or "poisson" for counts: the network says the logarithm of their mean then
    hidden_layer_sizes : one width, or several
    activation : "identity", "logistic", "tanh" or "relu", of the hidden layers
    solver : "adam", "sgd", or "lbfgs", which takes all examples at once
    alpha : strength of the penalty of large weights, divided by the examples of a minibatch
    batch_size : examples of a minibatch; "auto" is 200, or all if there are fewer
    learning_rate : "constant", "invscaling" or "adaptive"; for "sgd"
    learning_rate_init, power_t : the first rate, and the exponent of "invscaling"
    max_iter : epochs at most; of "lbfgs" iterations
    shuffle : every epoch in an order of its own
    random_state : seed of weights, orders, split and dropout
    tol, n_iter_no_change : training ends when so many epochs in a row have not gained so much
    verbose : print each epoch's loss
    warm_start : another `fit` goes on from the last one
    momentum, nesterovs_momentum : of "sgd"
    early_stopping, validation_fraction : look at so much of the data after each epoch, and keep the best weights
    beta_1, beta_2, epsilon : of "adam"
    max_fun : calls of the loss at most; of "lbfgs"
    dropout : share of the outputs of hidden layers that are left out in training; scikit-learn has none

    Attributes
    ----------
    coefs_, intercepts_ : lists of the layers' weights (inputs, outputs) and intercepts, views of the network's
    loss_, best_loss_, loss_curve_ : the last loss, the least, and that of every epoch
    validation_scores_, best_validation_score_ : with `early_stopping`
    n_iter_, t_ : epochs of the last `fit`, and examples seen in all
    n_features_in_, feature_names_in_, n_outputs_, n_layers_, out_activation_ : as scikit-learn's

    Examples
    --------
    >>> from fastnn.interop.sklearn import MLPRegressor
    >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
    >>> model = MLPRegressor(hidden_layer_sizes=20, activation="tanh", solver="lbfgs", random_state=0)
    >>> bool(model.fit(X, X[:, 0] ** 2).score(X, X[:, 0] ** 2) > 0.99)
    True
    """

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: float = 0.0,
    ) -> None:
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dropout = dropout

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Fit to X (N, features), an array, table or sparse matrix, and y (N,) or (N, D) numbers.

        Raises
        ------
        TypeError, ValueError
            A setting, X, y or a weight is none that can be trained with; names it.
        """
        return self._fit(X, y, sample_weight, False)

    @_with_partial_fit
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """One epoch over X and y."""
        return self._fit(X, y, sample_weight, True)

    def _examples(self, X: Any, y: Any, sample_weight: Any, incremental: bool, first: bool) -> Any:
        x, y = self._pair(X, y, reset=first, y_numeric=True)
        if self.loss == "poisson" and (y < 0).any():
            raise ValueError(f"y: got {y.min()}, expected at least 0 for the loss 'poisson'")
        return x, y, self._weights(sample_weight, x)

    def _targets(self, y: Any) -> np.ndarray:
        return y.reshape(-1, 1) if y.ndim == 1 else y

    def _out_activation(self) -> str:
        return "exp" if self.loss == "poisson" else "identity"
