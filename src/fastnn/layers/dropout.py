"""Dropout."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from fastnn import _runtime, functional
from fastnn import _validate as check
from fastnn._validate import Array
from fastnn.layers.module import Module
from fastnn.plan.contract import for_training
from fastnn.plan.steps import Steps

_COUNTING = threading.Lock()


class _Dropout(Module):
    """What both share: the key that decides what is dropped."""

    _whole_channels = False

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        check.no_effect(inplace)
        self.p = check.probability("p", p)
        self.stream: int | None = None
        self.step = 0

    def _drop(self, x: Array, key: tuple[int, int]) -> tuple[Array, Array | None]:
        """The output, and bits that say what was kept unless a backward works that out again."""
        raise NotImplementedError(f"{type(self).__name__} drops nothing")

    def _drop_gradient(self, dy: Array, key: tuple[int, int], kept: Array | None) -> Array:
        raise NotImplementedError(f"{type(self).__name__} drops nothing")

    def forward(self, x: Array) -> Array:
        if not self.training:
            return x
        key = self.next_key()
        y, kept = self._drop(x, key)
        self._keep((key, x.shape, kept))
        return y

    def next_key(self) -> tuple[int, int]:
        """The key of this call, which no other call has, in whichever thread."""
        with _COUNTING:
            if self.stream is None:
                self.stream = int(_runtime.generator().integers(2**63))
            key = self.stream, self.step
            self.step += 1
        return key

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> Array:
        key, shape, kept = check.kept(self, self._kept)
        check.dropout_backward(dy, shape)
        return self._drop_gradient(dy, key, kept)

    def get_extra_state(self) -> dict[str, Any]:
        return {"stream": self.stream, "step": self.step}

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        self.stream, self.step = state["stream"], state["step"]

    def plan(self, steps: Steps) -> None:
        """In eval mode there is nothing to do."""
        if for_training(steps):
            steps.dropout(self, self.p, whole_channels=self._whole_channels)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Dropout(_Dropout):
    """In train mode, elements become 0 with probability `p`, and the others are divided by ``1 - p``.

    In eval mode the output is the input. What is dropped depends on `stream`, `step` and the place of an element alone:
    not on the number of threads, nor on the instruction set.

    Parameters
    ----------
    p : float, from 0 to 1
    inplace : bool
        PyTorch's; no effect.

    Attributes
    ----------
    stream : int, or None
        Drawn from the generator that `manual_seed` sets, at the first call in train mode.
    step : int
        Calls in train mode so far. The two are all of the layer's state: save them to go on from there.

    Examples
    --------
    >>> layer, x = fnn.Dropout(0.5), np.ones((1, 1000), np.float32)
    >>> sorted(set(layer(x).ravel().tolist()))
    [0.0, 2.0]
    >>> bool((layer.eval()(x) == x).all())
    True
    """

    def _drop(self, x: Array, key: tuple[int, int]) -> tuple[Array, Array | None]:
        return functional.dropout(x, self.p, key=key, return_kept=True)

    def _drop_gradient(self, dy: Array, key: tuple[int, int], kept: Array | None) -> Array:
        return functional.dropout_backward(dy, self.p, key=key, kept=kept)


class Dropout2d(_Dropout):
    """As `Dropout`, for whole channels of images ``(N, C, H, W)``.

    Parameters
    ----------
    p : float, from 0 to 1
    inplace : bool
        PyTorch's; no effect.

    Attributes
    ----------
    stream : int, or None
        Drawn from the generator that `manual_seed` sets, at the first call in train mode.
    step : int
        Calls in train mode so far. The two are all of the layer's state: save them to go on from there.

    Examples
    --------
    >>> layer, x = fnn.Dropout2d(0.5), np.ones((1, 100, 2, 2), np.float32)
    >>> y = layer(x)[0]
    >>> all(channel.min() == channel.max() for channel in y)
    True
    """

    _whole_channels = True

    def _drop(self, x: Array, key: tuple[int, int]) -> tuple[Array, Array | None]:
        return functional.dropout2d(x, self.p, key=key), None

    def _drop_gradient(self, dy: Array, key: tuple[int, int], kept: Array | None) -> Array:
        return functional.dropout2d_backward(dy, self.p, key=key)
