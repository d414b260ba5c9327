"""Minibatches for training: the same bits from arrays, memory maps and files, prepared ahead or not."""

import contextlib
import threading

import numpy as np
import pytest

import fastnn as fnn
from fastnn.data.batches import Examples, ahead, epochs_of


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.int64, np.complex128, bool, "U3"])
def test_rows_of_any_type_are_picked(dtype):
    x = np.arange(60).reshape(10, 2, 3).astype(dtype)
    index = np.array([3, 3, 0, 9])
    for source in (x, x[:, ::-1], np.asfortranarray(x)):
        picked = fnn.functional.index_select(source, 0, index)
        assert picked.dtype == x.dtype
        np.testing.assert_array_equal(picked, source[index])


def memory_map(tmp_path, x):
    np.save(tmp_path / "x.npy", x)
    return np.load(tmp_path / "x.npy", mmap_mode="r")


class Decoded:
    """Examples that are made when they are asked for."""

    def __init__(self, x):
        self.x, self.threads = x, set()

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        self.threads.add(threading.current_thread())
        return self.x[index]


def shake(x, rng):
    return x + rng.random(x.shape)


@pytest.mark.parametrize("augment", [None, shake])
def test_epochs_have_the_same_bits_wherever_they_come_from(tmp_path, augment):
    x, y = np.random.default_rng(0).random((23, 2, 3)), np.arange(23)
    options = {"batch_size": 5, "per_epoch": 5, "seed": 4, "augment": augment}

    def minibatches(x, place=(0, 0), **more):
        stream = epochs_of(Examples(x, y), **options, place=place, **more)
        with contextlib.closing(stream):
            return [next(stream) for _ in range(12)]

    expected = minibatches(x, prefetch=False)
    assert [(batch.epoch, batch.number, len(batch.x)) for batch in expected[3:6]] == [(0, 3, 5), (0, 4, 3), (1, 0, 5)]
    orders = [np.concatenate([batch.y for batch in expected[start : start + 5]]) for start in (0, 5)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(23))
    assert list(orders[0]) != list(orders[1])
    for source in (x, memory_map(tmp_path, x), Decoded(x)):
        for prefetch in (True, None):
            for one, other in zip(expected, minibatches(source, prefetch=prefetch), strict=True):
                assert one[:2] == other[:2]
                np.testing.assert_array_equal(one.x, other.x)
                np.testing.assert_array_equal(one.y, other.y)
    later = minibatches(x, place=(0, 3))
    np.testing.assert_array_equal(later[2].x, expected[5].x)
    np.testing.assert_array_equal(minibatches(x, shuffle=False)[5].y, y[:5])


def test_what_takes_long_is_made_by_another_thread_and_its_errors_arrive():
    source = Decoded(np.zeros((8, 2)))
    with contextlib.closing(epochs_of(Examples(source, np.arange(8)), 4, 2, seed=0)) as stream:
        next(stream)
    assert threading.current_thread() not in source.threads
    assert all(not thread.is_alive() for thread in source.threads)

    def broken():
        yield 1
        raise OSError("no such image")

    items = ahead(broken())
    assert next(items) == 1
    with pytest.raises(OSError, match="no such image"):
        next(items)
    assert list(ahead(iter(range(5)))) == [0, 1, 2, 3, 4]
