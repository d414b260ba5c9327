"""What a checkpoint keeps of callbacks: numbers, texts and arrays with their types, and no objects."""

import datetime
import math
import zipfile
from collections import OrderedDict, namedtuple
from pathlib import Path

import numpy as np
import pytest

import fastnn as fnn
from fastnn.training import Callback, Checkpoint, load_checkpoint, save_checkpoint
from fastnn.training._archive import read_archive, write_archive
from test_training import blobs, make


class Keeper(Callback):
    """A callback whose state is what it was given."""

    def __init__(self, **state):
        self.state = state

    def state_dict(self):
        return self.state

    def load_state_dict(self, state):
        self.state = dict(state)


KEPT = {
    "int": 3,
    "large": 2**100,
    "bool": True,
    "none": None,
    "text": "µ → \ud800",
    "float": 0.1,
    "minus zero": -0.0,
    "inf": math.inf,
    "minus inf": -math.inf,
    "float32": np.float32(0.1),
    "float64": np.float64(0.1),
    "bool_": np.bool_(True),
    "int8": np.int8(-3),
    "complex": np.complex64(1j),
    "str_": np.str_("a"),
    "time": np.datetime64("2024-01-01"),
    "array": np.arange(6, dtype=np.int16).reshape(2, 3),
    "number in an array": np.array(2.5, np.float32),
    "empty": np.empty((0, 3)),
    "texts": np.array(["a", "bc"]),
    "records": np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]),
    "list": [1, [2.5, "a"], (None, False)],
    "tuple": (),
    "dict": {"a": {1: "int key", (1, "b"): np.arange(2)}, None: []},
}


def same(one, other):
    if isinstance(one, dict):
        return type(other) is dict and list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray | np.generic):
        return type(one) is type(other) and one.dtype == other.dtype and np.array_equal(one, other)
    return type(one) is type(other) and repr(one) == repr(other)


@pytest.mark.parametrize("name", KEPT)
def test_types_come_back(tmp_path, name):
    path = tmp_path / "c.npz"
    save_checkpoint(path, make(callbacks=[Keeper(value=KEPT[name])]))
    trainer = make(callbacks=[Keeper()])
    load_checkpoint(path, trainer)
    assert same(KEPT[name], trainer.callbacks[0].state["value"])


def test_nan_comes_back(tmp_path):
    write_archive(tmp_path / "c.npz", [math.nan, np.float32(np.nan)])
    with zipfile.ZipFile(tmp_path / "c.npz") as file:
        assert b"NaN" not in file.read("tree.npy")
    one, other = read_archive(tmp_path / "c.npz")
    assert type(one) is float
    assert type(other) is np.float32
    assert math.isnan(one)
    assert math.isnan(other)
    write_archive(tmp_path / "c.npz", OrderedDict(a=1))
    assert read_archive(tmp_path / "c.npz") == {"a": 1}


Pair = namedtuple("Pair", "a b")
REFUSED = {
    "array of objects": (np.array([1, None]), "an array of object"),
    "one object": (np.array(datetime.date(2024, 1, 1)), "an array of object"),
    "records of objects": (np.array([(1, None)], dtype=[("a", "i4"), ("b", "O")]), "an array of "),
    "masked": (np.ma.array([1, 2], mask=[True, False]), "an array of int64"),
    "set": ({1}, "a set"),
    "bytes": (b"a", "a bytes"),
    "path": (Path("a"), "a "),
    "function": (len, "a builtin_function_or_method"),
    "generator": (np.random.default_rng(0), "a Generator"),
    "named tuple": (Pair(1, 2), "a Pair"),
    "parameter": (fnn.Linear(1, 1).weight, "a Parameter"),
}


@pytest.mark.parametrize("value", REFUSED)
def test_objects_are_refused_before_the_file_is_touched(tmp_path, value):
    path, (value, came) = tmp_path / "c.npz", REFUSED[value]
    keeper = Keeper(good=1, log=["a", {"when": value}])
    message = rf"^Keeper\.state_dict\(\)\['log'\]\[1\]\['when'\]: got {came}.*expected numbers, texts, arrays"
    save_checkpoint(path, make(callbacks=[Keeper()]))
    before = path.read_bytes()
    with pytest.raises(TypeError, match=message):
        save_checkpoint(path, make(callbacks=[keeper]))
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["c.npz"]

    trainer = make(callbacks=[keeper, Checkpoint(tmp_path / "new.npz")])
    with pytest.raises(TypeError, match=message):
        trainer.fit(blobs(), iterations=1)
    assert trainer.history.iterations == 0, "it is known before the first step"
    assert not (tmp_path / "new.npz").exists()


def test_objects_in_the_state_of_a_layer_are_refused(tmp_path):
    trainer = make()
    trainer.net[0].get_extra_state = lambda: {"lock": object()}
    with pytest.raises(TypeError, match=r"^state\['layers'\]\['0'\]\['lock'\]: got a object"):
        save_checkpoint(tmp_path / "c.npz", trainer)
    assert not list(tmp_path.iterdir())
