"""Examples, targets and weights in tables, series, tensors, lists, buffers and files: by place, as from arrays."""

import array
import contextlib
from collections import deque

import numpy as np
import pytest

import fastnn as fnn
from fastnn import plots
from fastnn._validate import as_array, source
from fastnn.data import batches
from fastnn.data.batches import Examples, epochs_of
from test_training import blobs, make


class Series:
    """Values that are indexed by label, as in pandas, whose rows here are labelled backwards."""

    def __init__(self, values, dtype=None):
        self.values = np.asarray(values)
        self.dtype = self.values.dtype if dtype is None else dtype
        self.shape = self.values.shape

    def __len__(self):
        return len(self.values)

    def __getitem__(self, labels):
        return Series(self.values[::-1][labels])

    def to_numpy(self):
        return self.values


class ToArray(Series):
    """The same, which NumPy knows how to read."""

    iloc = None
    to_numpy = property()

    def __array__(self, dtype=None, copy=None):
        return self.values if dtype is None else self.values.astype(dtype)


class Stored:
    """A dataset in a file, which wants increasing places, each once, and gives arrays."""

    def __init__(self, values):
        self.values = np.asarray(values)
        self.shape, self.dtype = self.values.shape, self.values.dtype

    def __len__(self):
        return len(self.values)

    def __getitem__(self, places):
        if isinstance(places, np.ndarray) and np.any(np.diff(places) <= 0):
            raise TypeError("Indexing elements must be in increasing order")
        return self.values[places]

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("all of a file was read")


KEPT = {
    "series": Series,
    "to array": ToArray,
    "stored": Stored,
    "list": lambda a: a.tolist(),
    "tuple": tuple,
    "list of arrays": list,
    "deque": deque,
    "memoryview": memoryview,
    "objects": lambda a: a.astype(object),
}


def minibatches(x, y, **options):
    return [(a.tolist(), b.tolist()) for a, b in batches(x, y, 3, rng=np.random.default_rng(2), **options)]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("keep", KEPT.values(), ids=KEPT)
def test_minibatches_pair_examples_and_targets_by_place(keep, shuffle):
    x, y = np.arange(14.0).reshape(7, 2), np.arange(7)
    expected = minibatches(x, y, shuffle=shuffle)
    assert all(rows == [[2 * target, 2 * target + 1] for target in targets] for rows, targets in expected)
    assert minibatches(keep(x), keep(y), shuffle=shuffle) == expected
    assert minibatches(keep(x), y, shuffle=shuffle) == minibatches(x, keep(y), shuffle=shuffle) == expected
    assert all(isinstance(each, np.ndarray) for pair in batches(keep(x), keep(y), 3, shuffle=shuffle) for each in pair)


@pytest.mark.parametrize("keep", KEPT.values(), ids=KEPT)
def test_fit_evaluate_and_predict_take_the_same(keep):
    (x, y), (x_valid, y_valid) = blobs(), blobs(seed=1)
    keep_x = Series if keep in (KEPT["list"], KEPT["objects"]) else keep  # those have Python's numbers, float64

    def run(keep_x, keep_y):
        trainer = make()
        valid = keep_x(x_valid), keep_y(y_valid)
        trainer.fit((keep_x(x), keep_y(y)), valid, epochs=2, batch_size=13, progress=False)
        return trainer.history, trainer.evaluate(valid), trainer.predict(keep_x(x_valid)).tobytes()

    assert run(keep_x, keep) == run(np.asarray, np.asarray)


def test_other_buffers_and_ranges():
    assert as_array("x", array.array("d", [1, 2])).tolist() == [1, 2]
    assert as_array("x", bytearray(b"ab")).tolist() == as_array("x", b"ab").tolist() == [97, 98]
    assert as_array("x", range(3)).dtype == np.int64
    rows = np.empty(2, object)
    rows[:] = [np.zeros(3), np.ones(3)]
    assert as_array("x", Series(rows)).tolist() == [[0] * 3, [1] * 3]  # as a column of images
    assert as_array("x", Series(np.array(["a", "b"], object))).tolist() == ["a", "b"]
    x = np.arange(3)
    assert as_array("x", x) is source("x", x) is x


class Sparse:
    shape = (3, 3)

    def __len__(self):
        raise TypeError("sparse array length is ambiguous")

    def __getitem__(self, _places):
        raise AssertionError

    def toarray(self):
        raise AssertionError


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        (Series([1, np.nan], dtype="Int64"), ValueError, "got missing values in Int64; fill them"),
        (Series([True, np.nan], dtype="boolean"), ValueError, "got missing values in boolean"),
        (
            np.array([1, None]),
            TypeError,
            "got an array of objects, NoneType among them; expected numbers; fill missing",
        ),
        (np.array([1, "a"], object), TypeError, "got an array of objects, str among them; expected numbers"),
        ([[1], [1, 2]], TypeError, "got list, which cannot become an array"),
        ([{}], TypeError, "got an array of objects, dict among them"),
        ({"a": 1}, TypeError, "got dict; expected an array, a table"),
        ("abc", TypeError, "got str; expected an array"),
        ({1}, TypeError, "got set"),
        (None, TypeError, "got NoneType"),
        (iter([1]), TypeError, "got list_iterator; expected an array"),
        (3, TypeError, "got int; expected an array"),
        (np.array(3), TypeError, r"got ndarray of shape \(\); expected at least one axis"),
        (np.float32(3), TypeError, r"got float32 of shape \(\)"),
        (
            Sparse(),
            TypeError,
            r"got Sparse \(sparse array length is ambiguous\); expected an array, .*: [xy]\.toarray\(\)",
        ),
    ],
)
def test_what_is_no_array_is_named(values, error, message):
    with pytest.raises(error, match=f"^x: {message}"):
        next(batches(values, np.arange(2), 1))
    with pytest.raises(error, match=f"^x: {message}"):
        make().predict(values)
    with pytest.raises(error, match=f"^y: {message}"):
        make().fit((np.zeros((2, 2), np.float32), values), epochs=1)


def test_numbers_that_are_missing_among_floats_are_the_users():
    assert np.isnan(as_array("x", Series([1.0, np.nan]))[1])
    assert np.isnan(as_array("x", Series([1.0, np.nan], dtype="Float64"))[1])


def test_texts_are_no_classes():
    x, y = blobs()
    with pytest.raises(TypeError, match=r"train: got texts as y \(dtype <U1\), expected numbers; number the classes"):
        make().fit((x, list("abc") * 20), epochs=1)
    with pytest.raises(TypeError, match="valid: got texts as x"):
        make().fit((x, y), (["a"] * 60, y), epochs=1)


def test_files_are_read_in_their_order_whatever_is_asked_for():
    x = np.arange(24.0).reshape(12, 2)
    stored = Examples(Stored(x), Stored(np.arange(12)))
    asked = np.array([7, 3, 3, 11, 0])
    rows, targets = stored.take(asked)
    np.testing.assert_array_equal(rows, x[asked])
    np.testing.assert_array_equal(targets, asked)
    with contextlib.closing(epochs_of(stored, 5, 3, seed=1)) as stream:
        for batch in (next(stream) for _ in range(7)):
            np.testing.assert_array_equal(batch.x, x[batch.y])


@pytest.mark.parametrize("loss", [fnn.CrossEntropyLoss, fnn.NLLLoss, fnn.BCELoss, fnn.BCEWithLogitsLoss])
def test_weights_may_be_a_series(loss):
    weight = loss(weight=ToArray(np.array([1, 2], np.float32))).weight
    assert type(weight) is np.ndarray
    assert weight.tolist() == [1, 2]


def test_pictures_take_a_series_by_place():
    pytest.importorskip("matplotlib")
    image, places = np.zeros((9, 9)), [[0, 0, 3, 3], [4, 4, 8, 8]]
    figure = plots.boxes(image, places, labels=Series(["cat", "dog"]), truth=Series(["cat", "eel"]))
    assert [text.get_text() for text in figure.axes[0].texts] == ["cat", "dog, not eel"]


def test_tables_of_pandas():
    pandas = pytest.importorskip("pandas")
    backwards = pandas.Series(range(6), index=[5, 4, 3, 2, 1, 0])
    for x, y in batches(np.arange(6), backwards, 3):
        np.testing.assert_array_equal(x, y)
    x, y = blobs()
    index = np.random.default_rng(0).permutation(len(x))
    table = pandas.DataFrame(x, index=index, columns=["a", "b"])
    expected = make().fit((x, y), (x, y), epochs=2, progress=False)
    for dtype in (None, "Int64", "category", "object"):
        series = pandas.Series(y, index=index, dtype=dtype)
        trainer = make()
        assert trainer.fit((table, series), (table, series), epochs=2, progress=False) == expected
        assert trainer.predict(table).tobytes() == trainer.predict(x).tobytes()
    with pytest.raises(ValueError, match="y: got missing values in Int64"):
        make().fit((table, pandas.Series([1, None] * 30, dtype="Int64")), epochs=1)
    with pytest.raises(TypeError, match="x: got an array of objects, str among them"):
        make().predict(table.assign(c="text"))
    with pytest.raises(TypeError, match="train: got texts as y"):
        make().fit((table, pandas.Series(list("abc") * 20, dtype="category")), epochs=1)


def test_datasets_of_h5py(tmp_path):
    h5py = pytest.importorskip("h5py")
    x, y = blobs()
    with h5py.File(tmp_path / "blobs.h5", "w") as file:
        stored = file.create_dataset("x", data=x), file.create_dataset("y", data=y)
        trainer = make()
        assert trainer.fit(stored, stored, epochs=2, progress=False) == make().fit((x, y), (x, y), epochs=2)
        assert trainer.predict(stored[0]).tobytes() == trainer.predict(x).tobytes()
        for rows, targets in batches(*stored, 7):
            assert all(row.tolist() in x[y == target].tolist() for row, target in zip(rows, targets, strict=True))


def test_tensors():
    torch = pytest.importorskip("torch")
    x, y = blobs()
    tensors = torch.from_numpy(x), torch.from_numpy(y)
    assert make().fit(tensors, tensors, epochs=2, progress=False) == make().fit((x, y), (x, y), epochs=2)
    with pytest.raises(TypeError, match=r"x: got Tensor, which cannot become an array \(.*requires grad.*detach"):
        make().predict(tensors[0].requires_grad_())
