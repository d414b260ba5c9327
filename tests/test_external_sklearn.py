"""scikit-learn's own tests on our estimators: its checks of all estimators, and those of its perceptrons.

    pytest -m external tests/test_external_sklearn.py

docs/reliability.md has the counts.
"""

import warnings
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("sklearn")

import sklearn.neural_network
from sklearn.utils.estimator_checks import check_estimator

from fastnn.interop.sklearn import MLPClassifier, MLPRegressor, NetworkClassifier, NetworkRegressor

pytestmark = pytest.mark.external

# The tests of scikit-learn's test_mlp.py that our classes do not pass, and why.
FAILING = {"test_gradient": "it calls the private method _loss_grad_lbfgs with the arrays that scikit-learn keeps"}

PAIRS = [
    (MLPClassifier(max_iter=100), sklearn.neural_network.MLPClassifier(max_iter=100)),
    (MLPRegressor(max_iter=100), sklearn.neural_network.MLPRegressor(max_iter=100)),
    (NetworkClassifier(max_epochs=100, learning_rate=0.01), sklearn.neural_network.MLPClassifier(max_iter=100)),
    (NetworkRegressor(max_epochs=100, learning_rate=0.01), sklearn.neural_network.MLPRegressor(max_iter=100)),
]


def checked(estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return check_estimator(estimator, on_fail=None, on_skip=None)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=lambda each: type(each).__name__)
def test_checks_of_estimators(ours, theirs):
    found = checked(ours)
    failed = {
        each["check_name"]: repr(each["exception"]) for each in found if each["status"] not in ("passed", "skipped")
    }
    assert not failed
    skipped, known = (
        {each["check_name"] for each in checks if each["status"] == "skipped"} for checks in (found, checked(theirs))
    )
    assert skipped <= known
    assert Counter(each["status"] for each in found)["passed"] > 50


def test_scikit_learns_tests_of_its_perceptrons(tmp_path, run_python):
    """Its test_mlp.py, with our classes in place of its own."""
    source = Path(sklearn.neural_network.__file__).with_name("tests") / "test_mlp.py"
    line = "from sklearn.neural_network import MLPClassifier, MLPRegressor\n"
    text = source.read_text()
    assert line in text
    (tmp_path / "test_ours.py").write_text(
        text.replace(line, line.replace("sklearn.neural_network", "fastnn.interop.sklearn"))
    )
    (tmp_path / "conftest.py").write_text(
        "import pytest\n\n@pytest.fixture\ndef global_random_seed():\n    return 42\n"
    )
    report = tmp_path / "report.xml"
    run_python(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", f"--rootdir={tmp_path}", str(tmp_path)
    )
    cases = list(ElementTree.parse(report).iter("testcase"))
    assert len(cases) > 50
    failed = {case.get("name") for case in cases if case.find("failure") is not None or case.find("error") is not None}
    assert failed == set(FAILING)
