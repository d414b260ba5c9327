"""Minibatches of somebody else's making, as those of a PyTorch DataLoader."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Set
from typing import Any

import numpy as np

from fastnn.data.batches import Augmentation, Batch, Examples, ahead, is_array, length_of

_EXPECTED = "(x, y) or (x, y, sample_weight), with tuples of arrays for several inputs, ((x1, x2), y)"


class Loader:
    """An iterable of minibatches, which is gone through once an epoch.

    Parameters
    ----------
    name : what errors call it
    batches : what gives tuples or lists ``(x, y)`` or ``(x, y, sample_weight)`` of arrays or tensors, each time it is
        iterated over: a DataLoader of PyTorch's, a list, an object with `__iter__`. x and y may be tuples of arrays, or
        lists of them with all examples in each, as a DataLoader gives them. Where it has no length, its batches
        are counted by going through it once.

    Raises
    ------
    TypeError
        It can be gone through only once, as a generator.
    """

    def __init__(self, name: str, batches: Iterable[Any]) -> None:
        self.name, self.batches = name, batches
        if iter(batches) is batches:
            raise TypeError(
                f"{name}: got {type(batches).__name__}, which can be gone through only once; expected batches that can "
                "be gone through again, as a list or a DataLoader"
            )
        try:
            self._count = len(batches)  # type: ignore[arg-type]
        except TypeError:  # has no length, as a DataLoader of a stream
            self._count = sum(1 for _ in batches)
        if self._count == 0:
            raise ValueError(f"{name}: got no batches, expected at least one")

    def __len__(self) -> int:
        """Minibatches of an epoch."""
        return self._count

    def examples(self) -> Generator[Examples, None, None]:
        """The minibatches of one epoch.

        Raises
        ------
        TypeError, ValueError
            One is not a pair or a triple of arrays of one length; or there are fewer than were promised.
        """
        number = -1
        for number, batch in zip(range(self._count), self.batches, strict=False):
            if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
                came = f"{len(batch)} things" if isinstance(batch, tuple | list) else type(batch).__name__
                raise TypeError(f"{self.name}: got {came} as batch {number}, expected {_EXPECTED}")
            x, y, *weights = batch
            yield Examples(_several(x, y), _several(y, x), *weights)
        if number + 1 < self._count:
            raise ValueError(f"{self.name}: got {number + 1} batches in an epoch, expected {self._count}, its length")

    def epochs(
        self,
        seed: int,
        place: tuple[int, int] = (0, 0),
        *,
        augment: Augmentation | None = None,
        transform: Callable[[np.ndarray], np.ndarray] | None = None,
        shard: tuple[int, int] = (0, 1),
        prefetch: bool | None = None,
    ) -> Generator[Batch, None, None]:
        """The minibatches of one epoch after the other, without end, see `epochs_of`.

        Those before the `place` of the first epoch are left out.
        """
        own, parts = shard

        def made() -> Generator[Batch, None, None]:
            epoch, first = place
            while True:
                for number, examples in enumerate(self.examples()):
                    if number < first:
                        continue
                    count = len(examples)
                    piece = slice(*(count * part // parts for part in (own, own + 1)))
                    x, y = examples.take(piece)
                    if augment is not None:
                        x = augment(x, np.random.default_rng([seed, epoch, number + 1, *([own] if own else [])]))
                    if transform is not None:
                        x = transform(x)
                    yield Batch(epoch, number, x, y, examples.take_weights(piece))
                epoch, first = epoch + 1, 0

        return ahead(made()) if prefetch or (prefetch is None and augment is not None) else made()


def _several(value: Any, other: Any) -> Any:
    """A list of arrays of as many examples each as `other` has, which a DataLoader makes of a tuple, as a tuple."""
    counts = _counts_of_parts(value) if isinstance(value, list) else set()
    return tuple(value) if len(counts) == 1 and counts <= {length_of(other)} | _counts_of_parts(other) else value


def _counts_of_parts(value: Any) -> set[int]:
    """The lengths of the arrays in a list or tuple of several."""
    if not isinstance(value, list | tuple) or len(value) < 2 or not all(map(is_array, value)):
        return set()
    return {(*getattr(each, "shape", ()), -1)[0] for each in value}


def is_loader(data: Any) -> bool:
    """Whether `data` is an iterable of minibatches, and not examples and targets themselves.

    A tuple never is; a list is, if all in it are tuples of arrays.
    """
    if isinstance(data, list):
        return bool(data) and all(isinstance(batch, tuple) and all(map(_are_arrays, batch)) for batch in data)
    others = isinstance(data, tuple | str | bytes | Mapping | Set | np.ndarray) or is_array(data)
    return not others and hasattr(data, "__iter__")


def _are_arrays(value: Any) -> bool:
    return all(map(is_array, value)) if isinstance(value, tuple) and value else is_array(value)
