"""Estimators of scikit-learn's kind: its own numbers, its tools around them, and networks of one's own in them."""

import pickle
import warnings

import numpy as np
import pytest

import fastnn as fnn

pytest.importorskip("sklearn")

from sklearn import neural_network as theirs
from sklearn.base import clone
from sklearn.datasets import load_digits, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastnn.interop import sklearn as ours

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.default_rng(0)
X, Y = load_digits(return_X_y=True)
X, Y = X[:400] / 16, Y[:400]
WEIGHTS = RNG.random(400)
MANY = make_multilabel_classification(120, random_state=0)
NUMBERS = RNG.standard_normal((150, 6)), RNG.standard_normal((150, 3))


def assert_same_network(a, b, rtol=1e-9):
    for name in ("coefs_", "intercepts_"):
        for one, two in zip(getattr(a, name), getattr(b, name), strict=True):
            np.testing.assert_allclose(one, two, rtol=rtol, atol=1e-12)
    assert a.n_iter_ == b.n_iter_
    assert a.loss_ == pytest.approx(b.loss_, rel=1e-9)


CLASSIFIERS = {
    "adam": ({}, X, Y, None),
    "sgd": ({"solver": "sgd", "learning_rate_init": 0.1}, X, Y, None),
    "plain sgd": ({"solver": "sgd", "nesterovs_momentum": False, "momentum": 0.5}, X, Y, None),
    "invscaling": ({"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.5}, X, Y, None),
    "adaptive": ({"solver": "sgd", "learning_rate": "adaptive", "tol": 0.1, "n_iter_no_change": 1}, X, Y, None),
    "stops early": ({"early_stopping": True, "activation": "tanh", "n_iter_no_change": 2, "tol": 0.1}, X, Y, None),
    "weights": ({"activation": "logistic", "shuffle": False}, X, Y, WEIGHTS),
    "stops early, weights": ({"early_stopping": True}, X, Y, WEIGHTS),
    "two classes": ({"alpha": 1.0}, X, Y > 4, None),
    "several labels": ({"batch_size": 50}, *MANY, None),
    "lbfgs": ({"solver": "lbfgs", "max_iter": 5}, X, Y, WEIGHTS),
    "identity": ({"activation": "identity", "hidden_layer_sizes": (7, 5)}, X, Y, None),
}


@pytest.mark.parametrize(("settings", "x", "y", "weights"), CLASSIFIERS.values(), ids=CLASSIFIERS)
def test_a_classifier_is_scikit_learns(settings, x, y, weights):
    settings = {"hidden_layer_sizes": 20, "max_iter": 8, "random_state": 3, **settings}
    one, two = (module.MLPClassifier(**settings).fit(x, y, sample_weight=weights) for module in (ours, theirs))
    assert_same_network(one, two)
    np.testing.assert_array_equal(one.predict(x), two.predict(x))
    np.testing.assert_allclose(one.predict_proba(x), two.predict_proba(x), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(one.loss_curve_, getattr(two, "loss_curve_", []), rtol=1e-9)
    assert one.validation_scores_ == pytest.approx(getattr(two, "validation_scores_", None))
    assert one.out_activation_ == two.out_activation_
    assert set(vars(two)) - set(vars(one)) <= {
        "loss",
        "_coef_indptr",
        "_intercept_indptr",
        "_best_coefs",
        "_best_intercepts",
    }


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("columns", [1, 3])
def test_a_regressor_is_scikit_learns(solver, loss, columns):
    x, y = NUMBERS
    y = (np.abs(y) if loss == "poisson" else y)[:, :columns].squeeze()
    settings = {"loss": loss, "solver": solver, "hidden_layer_sizes": 9, "max_iter": 8, "random_state": 1}
    one, two = (module.MLPRegressor(**settings).fit(x, y, WEIGHTS[:150]) for module in (ours, theirs))
    assert_same_network(one, two)
    np.testing.assert_allclose(one.predict(x), two.predict(x), rtol=1e-8, atol=1e-10)


def test_partial_fit_and_warm_start_are_scikit_learns():
    one, two = (module.MLPClassifier(12, max_iter=4, random_state=1, warm_start=True) for module in (ours, theirs))
    for model in (one, two):
        model.fit(X, Y).fit(X, Y)
    assert_same_network(one, two)
    assert len(one.loss_curve_) == len(two.loss_curve_) == 8
    one, two = (module.MLPClassifier(12, random_state=1) for module in (ours, theirs))
    for part in range(0, 400, 100):
        for model in (one, two):
            model.partial_fit(X[part : part + 100], Y[part : part + 100], classes=np.arange(10))
    assert_same_network(one, two)
    assert not hasattr(ours.MLPClassifier(solver="lbfgs"), "partial_fit")
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        ours.MLPClassifier().partial_fit(X, Y)


def test_float32_stays_float32():
    model = ours.MLPClassifier(8, max_iter=3, random_state=0).fit(X.astype(np.float32), Y)
    assert {a.dtype for a in (*model.coefs_, *model.intercepts_)} == {np.dtype(np.float32)}
    assert model.predict_proba(X).dtype == np.float32


def test_weights_that_are_set_are_the_networks():
    model = ours.MLPClassifier(8, max_iter=3, random_state=0).fit(X, Y)
    before = model.predict_proba(X)
    model.coefs_[1][:] = 0
    model.intercepts_[1] = np.arange(10.0)
    np.testing.assert_allclose(
        model.predict_proba(X), np.tile(np.exp(np.arange(10)) / np.exp(np.arange(10)).sum(), (400, 1))
    )
    assert not np.allclose(before, model.predict_proba(X))
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict_proba(X), model.predict_proba(X))
    copy.partial_fit(X, Y)
    model.partial_fit(X, Y)
    assert_same_network(copy, model)


def test_dropout_follows_the_seed_and_leaves_predictions_alone():
    def fit(**options):
        return ours.MLPClassifier(30, max_iter=5, random_state=2, dropout=0.5, **options).fit(X, Y)

    state = fnn._runtime.generator().bit_generator.state
    one, two = fit(), fit()
    assert fnn._runtime.generator().bit_generator.state == state
    np.testing.assert_array_equal(one.predict_proba(X), two.predict_proba(X))
    np.testing.assert_array_equal(one.predict_proba(X), one.predict_proba(X))
    plain = ours.MLPClassifier(30, max_iter=5, random_state=2).fit(X, Y)
    assert not np.allclose(plain.coefs_[0], one.coefs_[0])
    with pytest.raises(ValueError, match="dropout: got it with the solver 'lbfgs'; expected 'adam' or 'sgd'"):
        fit(solver="lbfgs")


def test_weights_of_classes():
    few = np.concatenate([np.flatnonzero(Y == 0)[:5], np.flatnonzero(Y == 1)])
    for kind in (ours.MLPClassifier(8, max_iter=20, random_state=0), ours.NetworkClassifier(random_state=0)):
        weighed = clone(kind).set_params(class_weight="balanced").fit(X[few], Y[few])
        by_dict = clone(kind).set_params(class_weight={0: 4.2, 1: 0.5}).fit(X[few], Y[few])
        plain = clone(kind).fit(X[few], Y[few])
        for model in (weighed, by_dict):
            assert model.predict_proba(X[few])[:, 0].mean() > plain.predict_proba(X[few])[:, 0].mean()
        with pytest.raises(ValueError, match="class_weight: got 'balanced' for partial_fit"):
            weighed.partial_fit(X[few], Y[few])


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"activation": "swish"}, ValueError, "activation: got 'swish'; expected one of 'identity', 'logistic'"),
        ({"solver": 3}, TypeError, "solver: got 3; expected one of 'lbfgs', 'sgd', 'adam'"),
        ({"alpha": -1}, ValueError, "alpha: got -1; expected a finite number of at least 0"),
        ({"hidden_layer_sizes": (3, 0)}, ValueError, "hidden_layer_sizes: got 0; expected at least 1"),
        ({"dropout": 1}, ValueError, "dropout: got 1; expected a number below 1"),
        ({"momentum": 2}, ValueError, "momentum: got 2; expected at most 1"),
        ({"max_iter": 0}, ValueError, "max_iter: got 0; expected at least 1"),
        ({"shuffle": "yes"}, TypeError, "shuffle: got 'yes'; expected True or False"),
        ({"batch_size": "all"}, TypeError, "batch_size: got 'all'; expected an int"),
        ({"n_iter_no_change": 0}, ValueError, "n_iter_no_change: got 0; expected at least 1"),
    ],
)
def test_settings_that_are_none_are_refused(settings, error, words):
    with pytest.raises(error, match=words):
        ours.MLPClassifier(**settings).fit(X, Y)


def test_a_poisson_regressor_wants_counts():
    with pytest.raises(ValueError, match=r"y: got -1\.0, expected at least 0 for the loss 'poisson'"):
        ours.MLPRegressor(loss="poisson").fit(X[:2], [-1.0, 2.0])


# -- networks of one's own


def convolutions(inputs, outputs):
    assert inputs == (1, 8, 8)
    return fnn.Sequential(
        fnn.Conv2d(1, 8, 3), fnn.ReLU(), fnn.MaxPool2d(2), fnn.Flatten(), fnn.Dropout(0.2), fnn.Linear(72, outputs)
    )


def test_a_network_of_ones_own_classifies_images():
    images = X.reshape(-1, 1, 8, 8).astype(np.float32)
    names = np.array(list("abcdefghij"))[Y]
    model = ours.NetworkClassifier(convolutions, learning_rate=0.01, max_epochs=15, random_state=0)
    model.fit(images, names)
    assert model.score(images, names) > 0.9
    assert set(model.predict(images)) <= set(names)
    assert model.predict_proba(images).shape == (400, 10)
    again = clone(model).fit(images, names)
    np.testing.assert_array_equal(again.predict_proba(images), model.predict_proba(images))
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict(images), model.predict(images))
    copy.partial_fit(images, names)
    assert copy.history_.iterations == model.history_.iterations + 7


def test_curves_of_validation_and_an_early_end():
    net = fnn.Sequential(fnn.Linear(64, 30), fnn.ReLU(), fnn.Linear(30, 10))
    before = net.state_dict()
    model = ours.NetworkClassifier(
        net, learning_rate=0.05, max_epochs=60, validation_fraction=0.2, early_stopping=True, patience=2, random_state=0
    ).fit(X, Y)
    assert 0 < model.n_iter_ < 60
    assert len(model.history_.eval_accuracy) == model.n_iter_ + 1
    assert all(np.array_equal(net.state_dict()[name], before[name]) for name in before)  # a copy was trained
    with pytest.raises(ValueError, match="validation_fraction: got 0 with early_stopping"):
        ours.NetworkClassifier(early_stopping=True).fit(X, Y)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"network": 3}, TypeError, "network: got int; expected a Module, a function"),
        ({"network": lambda i, o: 3}, TypeError, "network: got int from the function; expected a Module"),
        ({"optimizer": "lion"}, ValueError, "optimizer: got 'lion'; expected one of 'adam', 'adamw', 'sgd'"),
        ({"optimizer": 3}, TypeError, "optimizer: got int; expected a name, or a function of parameters"),
        ({"max_epochs": 0}, ValueError, "max_epochs: got 0; expected at least 1"),
    ],
)
def test_networks_that_are_none_are_refused(settings, error, words):
    with pytest.raises(error, match=words):
        ours.NetworkClassifier(**settings).fit(X, Y)


def test_outputs_of_another_number_are_named():
    model = ours.NetworkRegressor(fnn.Linear(6, 2), max_epochs=1)
    with pytest.raises(ValueError, match=r"target: got shape|network: got outputs"):
        model.fit(*NUMBERS).predict(NUMBERS[0])


def test_several_labels_numbers_and_optimisers():
    x, y = MANY
    model = ours.NetworkClassifier(optimizer=lambda p: fnn.SGD(p, lr=0.05), max_epochs=30, random_state=0).fit(x, y)
    assert model.predict(x).shape == y.shape
    assert model.score(x, y) > 0.2
    x, y = NUMBERS
    target = x[:, 0] * x[:, 1]
    model = ours.NetworkRegressor(learning_rate=0.01, max_epochs=150, random_state=0).fit(x, target)
    assert model.score(x, target) > 0.9
    assert ours.NetworkRegressor(max_epochs=1).fit(x, y).predict(x).shape == y.shape


# -- scikit-learn's tools


PERCEPTRON = ours.MLPClassifier(20, max_iter=30, learning_rate_init=0.01, random_state=0)
NETWORK = ours.NetworkClassifier(learning_rate=0.01, random_state=0)


@pytest.mark.parametrize("model", [PERCEPTRON, NETWORK])
def test_pipelines_and_searches(model):
    name = type(model).__name__.lower()
    pipeline = make_pipeline(StandardScaler(), model)
    assert cross_val_score(pipeline, X, Y, cv=3).mean() > 0.8
    rate = "learning_rate_init" if "mlp" in name else "learning_rate"
    search = GridSearchCV(pipeline, {f"{name}__{rate}": [1e-5, 1e-2]}, cv=2).fit(X, Y)
    assert search.best_params_ == {f"{name}__{rate}": 1e-2}
    assert pickle.loads(pickle.dumps(search)).score(X, Y) == search.score(X, Y)


def test_tables_of_pandas():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X, columns=[f"pixel {i}" for i in range(64)])
    for model in (clone(PERCEPTRON), clone(NETWORK)):
        model.fit(table, pandas.Series(Y, index=range(400, 0, -1)))
        assert model.feature_names_in_.tolist() == list(table.columns)
        np.testing.assert_array_equal(model.predict(table), clone(model).fit(X, Y).predict(X))
        with pytest.raises(ValueError, match="feature names should match"):
            model.predict(table.rename(columns={"pixel 0": "other"}))


def test_missing_scikit_learn_names_the_extra(run_python):
    process = run_python("-c", "import sys; sys.modules['sklearn.base'] = None\nimport fastnn.interop.sklearn")
    assert process.returncode
    assert 'sklearn is needed for estimators of its kind: pip install "fastnn-kernels[train]"' in process.stderr


def test_an_end_before_its_time_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        with pytest.raises(ConvergenceWarning, match=r"Maximum iterations \(2\) reached"):
            ours.MLPClassifier(4, max_iter=2).fit(X, Y)
