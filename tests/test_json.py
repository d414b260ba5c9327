"""JSON that every reader takes, and back."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from fastnn._json import to_json, with_numbers
from fastnn.training import History


def refuse(constant):
    raise AssertionError(f"{constant} is not JSON")


def there_and_back(value):
    return with_numbers(json.loads(to_json(value), parse_constant=refuse))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.float16(0.5), 0.5),
        (np.longdouble(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.array(3), 3),
        (np.array([[1, 2]]), [[1, 2]]),
        ((1, 2), [1, 2]),
        (math.inf, math.inf),
        (np.float32(-np.inf), -math.inf),
        ({"a": {np.int64(1): [np.float64(2)]}}, {"a": {"1": [2.0]}}),
        (Path("a") / "b", str(Path("a") / "b")),
        (2**70, 2**70),
        ("→", "→"),
    ],
)
def test_there_and_back(value, expected):
    result = there_and_back(value)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize("nan", [math.nan, np.float32(np.nan), np.array(np.nan)])
def test_nan_is_null(nan):
    assert to_json([nan]) == "[null]"
    assert math.isnan(there_and_back([nan])[0])


def test_a_history_keeps_nan_and_infinity(tmp_path):
    history = History(loss=[0.5, 0.25], lr=[0.1, np.float32(0.5)], accuracy=[math.nan, math.inf])
    history.save(tmp_path / "history.json")
    text = (tmp_path / "history.json").read_text()
    assert json.loads(text, parse_constant=refuse)["accuracy"] == [None, "Infinity"]
    loaded = History.load(tmp_path / "history.json")
    assert math.isnan(loaded.accuracy[0])
    assert (loaded.accuracy[1], loaded.lr, loaded.loss) == (math.inf, [0.1, 0.5], [0.5, 0.25])
    (tmp_path / "history.json").write_text(text.replace("null", "NaN"))  # as it was written once
    assert math.isnan(History.load(tmp_path / "history.json").accuracy[0])
