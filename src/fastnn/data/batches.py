"""Minibatches."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np

from fastnn import _validate as check
from fastnn._runtime import generator
from fastnn.functional import index_select

T = TypeVar("T")

Augmentation = Callable[[np.ndarray, np.random.Generator], np.ndarray]

_LARGE = 2**20  # bytes of a minibatch from which it pays to prepare it in another thread


class Examples:
    """Examples and targets, the same length along axis 0.

    Parameters
    ----------
    x, y : arrays; memory maps, which may be larger than memory; lists, tables, series and tensors, which become arrays;
        or what is indexed like an array and reads what it is asked for, as `ImageFiles` and the datasets of h5py. Each
        may be a tuple of arrays, for a network of several inputs or outputs
    sample_weight : how much each example counts, a number; None: all alike
    """

    def __init__(self, x: Any, y: Any, sample_weight: Any = None) -> None:
        self.x, self.y = source_of("x", x, y), source_of("y", y, x)
        if len(self) != count_of(self.y):
            raise ValueError(f"y: got {count_of(self.y)} targets, expected {len(self)}: one for each example of x")
        self.sample_weight: np.ndarray | None = None
        if sample_weight is not None:
            self.sample_weight = check.as_array("sample_weight", sample_weight)
            if self.sample_weight.shape != (len(self),):
                raise ValueError(
                    f"sample_weight: got shape {self.sample_weight.shape}, expected ({len(self)},): one number for "
                    "each example of x"
                )

    def __len__(self) -> int:
        return count_of(self.x)

    def take(self, indices: np.ndarray | slice) -> tuple[Any, Any]:
        """Those at these places, an int64 array (then copies) or a slice (then views, of arrays)."""
        return take("x", self.x, indices), take("y", self.y, indices)

    def take_weights(self, indices: np.ndarray | slice) -> np.ndarray | None:
        """The weights of those at these places, or None."""
        return None if self.sample_weight is None else self.sample_weight[indices]

    def takes_long(self, count: int) -> bool:
        """Whether taking so many is more than copying what is in memory, or much to copy."""
        return _takes_long(self.x, count) or _takes_long(self.y, count)


def is_array(value: Any) -> bool:
    return hasattr(value, "shape") or hasattr(value, "__array__")


def source_of(name: str, values: Any, other: Any = None) -> Any:
    """`values` as rows are taken from them; of a tuple of arrays, each of them.

    A tuple that has an array for each example of `other`, as ``zip(*examples)`` gives, is one array.
    """
    if not _is_of_several(values) or (not _is_of_several(other) and _has_one_for_each(values, other)):
        return check.source(name, values)
    found = tuple(check.source(f"{name}[{place}]", each) for place, each in enumerate(values))
    if len({len(each) for each in found}) > 1:
        counts = ", ".join(str(len(each)) for each in found)
        raise ValueError(f"{name}: got arrays of {counts} examples; expected as many in each")
    return found


def _is_of_several(values: Any) -> bool:
    """Whether `values` is a tuple of arrays, which have axes."""
    are_arrays = isinstance(values, tuple) and all(map(is_array, values))
    return are_arrays and bool(values) and all(getattr(each, "shape", None) != () for each in values)


def _has_one_for_each(values: tuple[Any, ...], other: Any) -> bool:
    """Whether as many arrays are in a tuple as there are examples of `other`, and not as many as in each array."""
    return length_of(values[0]) != len(values) == length_of(other)


def length_of(value: Any) -> int:
    """Its length; -1 of what has none."""
    try:
        return len(value)
    except TypeError:
        return -1


def count_of(source: Any) -> int:
    """The examples in what `source_of` returned."""
    return len(source[0]) if isinstance(source, tuple) else len(source)


def take(name: str, source: Any, indices: np.ndarray | slice) -> Any:
    """Rows of what `source_of` returned, `name` being what errors call it.

    Rows of an array are picked by a kernel, in several threads. Files are read in the order in which they lie, each row
    once: h5py wants it so.
    """
    if isinstance(source, tuple):
        return tuple(take(name, each, indices) for each in source)
    if isinstance(source, np.ndarray):
        return index_select(source, 0, indices) if isinstance(indices, np.ndarray) else source[indices]
    if isinstance(indices, slice):
        return _read(name, source, indices)
    places, back = np.unique(indices, return_inverse=True)
    return index_select(_read(name, source, places), 0, back)


def _read(name: str, source: Any, places: np.ndarray | slice) -> np.ndarray:
    rows = source[places]
    return rows if isinstance(rows, np.ndarray) else check.as_array(name, rows)


def joined(pieces: list[Any]) -> Any:
    """Arrays one behind the other, or tuples of arrays; a single one stays the same object."""
    if isinstance(pieces[0], tuple):
        return tuple(joined(list(each)) for each in zip(*pieces, strict=True))
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def _takes_long(a: Any, count: int) -> bool:
    if isinstance(a, tuple):
        return any(_takes_long(each, count) for each in a)
    if not isinstance(a, np.ndarray) or isinstance(a, np.memmap) or isinstance(a.base, np.memmap):
        return True
    return a[:1].nbytes * count >= _LARGE


class Batch(NamedTuple):
    """A minibatch: its epoch, its number in it, examples, targets, and the weights of the examples if they have any."""

    epoch: int
    number: int
    x: np.ndarray
    y: np.ndarray
    sample_weight: np.ndarray | None = None


def epochs_of(
    examples: Examples,
    batch_size: int,
    per_epoch: int,
    seed: int,
    place: tuple[int, int] = (0, 0),
    *,
    shuffle: bool = True,
    augment: Augmentation | None = None,
    transform: Callable[[np.ndarray], np.ndarray] | None = None,
    shard: tuple[int, int] = (0, 1),
    prefetch: bool | None = None,
) -> Generator[Batch, None, None]:
    """The minibatches of one epoch after the other, without end.

    What is random in them follows from the seed and their place alone, wherever one begins.

    Parameters
    ----------
    examples, batch_size, augment, transform : as in `Trainer.fit`
    per_epoch : minibatches of an epoch
    seed : of the orders and the augmentations
    place : epoch and minibatch to begin with
    shuffle : each epoch in an order of its own
    shard : (i, n): of every minibatch the i-th of n parts, as even as they can be
    prefetch : prepare the next minibatch in another thread while one is in use; None: if they are large, are augmented,
        or do not come from arrays in memory
    """

    own, parts = shard

    def made() -> Generator[Batch, None, None]:
        epoch, first = place
        while True:
            order = np.random.default_rng([seed, epoch]).permutation(len(examples)) if shuffle else None
            for number in range(first, per_epoch):
                begin, end = number * batch_size, min((number + 1) * batch_size, len(examples))
                piece = slice(*(begin + (end - begin) * part // parts for part in (own, own + 1)))
                places = piece if order is None else order[piece]
                x, y = examples.take(places)
                if augment is not None:
                    x = augment(x, np.random.default_rng([seed, epoch, number + 1, *([own] if own else [])]))
                if transform is not None:
                    x = transform(x)
                yield Batch(epoch, number, x, y, examples.take_weights(places))
            epoch, first = epoch + 1, 0

    if prefetch is None:
        prefetch = augment is not None or transform is not None or examples.takes_long(batch_size)
    return ahead(made()) if prefetch else made()


def ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """The same items; each is made by another thread while the one before it is in use."""
    from concurrent.futures import ThreadPoolExecutor

    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="fastnn-batches") as worker:
        item = worker.submit(next, items, end)
        while (made := item.result()) is not end:
            item = worker.submit(next, items, end)
            yield cast(T, made)


def batches(
    x: Any,
    y: Any,
    batch_size: int,
    *,
    shuffle: bool = True,
    drop_last: bool = False,
    rng: np.random.Generator | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """One epoch of minibatches, for loops of your own.

    Parameters
    ----------
    x, y : examples and targets, the same length along axis 0: arrays, memory maps, tables and series of pandas, lists,
        tensors; or what is indexed like an array and reads its rows then, as `ImageFiles` or a dataset of h5py
    batch_size : examples per minibatch
    shuffle : a new order, drawn from `rng`; otherwise the given order
    drop_last : leave out a last minibatch that would be smaller than `batch_size`
    rng : source of the order; by default the package's generator, which `fastnn.manual_seed` seeds

    Yields
    ------
    x, y : arrays: copies when shuffled, views of arrays otherwise

    Raises
    ------
    TypeError, ValueError
        Texts and numbers are mixed, or values are missing, as in a series of the dtype Int64; names the argument.
    """
    examples = Examples(x, y)
    batch_size = check.integer("batch_size", batch_size, 1)
    check.true_or_false("shuffle", shuffle)
    check.true_or_false("drop_last", drop_last)
    end = len(examples) - len(examples) % batch_size if drop_last else len(examples)
    order = (generator() if rng is None else rng).permutation(len(examples)) if shuffle else None
    for start in range(0, end, batch_size):
        piece = slice(start, min(start + batch_size, end))
        yield examples.take(piece if order is None else order[piece])
