"""A table of vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import _validate as check
from fastnn import functional, init
from fastnn._validate import Array
from fastnn.layers.module import Module
from fastnn.layers.parameter import Parameter
from fastnn.layers.summary import Row
from fastnn.plan.steps import Steps


class Embedding(Module):
    """The vectors of a table at the indices that come in: integers of any shape, to (*shape, embedding_dim).

    The table begins normal with mean 0 and standard deviation 1, as PyTorch's, and 0 at `padding_idx`.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
    padding_idx : int, optional
        A vector that is not learnt; counted from the end if it is negative.
    dtype : float32 or float64
    device, sparse, norm_type
        PyTorch's; no effect.
    max_norm, scale_grad_by_freq
        PyTorch's; with any other value than None and False the result would be another, so it is refused.

    Attributes
    ----------
    weight : Parameter, (num_embeddings, embedding_dim)

    Examples
    --------
    >>> layer = fnn.Embedding(1000, 16)
    >>> layer(np.array([[3, 7, 7], [0, 1, 2]])).shape
    (2, 3, 16)
    """

    _required = ("weight",)

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        dtype: Any = np.float32,
        device: Any = None,
        *,
        max_norm: None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> None:
        check.no_effect(device=device)
        check.only("max_norm", max_norm, (None,))
        check.only("scale_grad_by_freq", scale_grad_by_freq, (False,))
        self.num_embeddings = check.integer("num_embeddings", num_embeddings, 1)
        self.embedding_dim = check.integer("embedding_dim", embedding_dim, 1)
        row = check.padding_row(padding_idx, self.num_embeddings)
        self.padding_idx = None if row < 0 else row
        table = np.empty((self.num_embeddings, self.embedding_dim), check.float_dtype(dtype))
        self.weight = Parameter(table, "weight")
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the table anew."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            self.weight.data[self.padding_idx] = 0

    def forward(self, x: Array) -> Array:
        y = functional.embedding(x, self.weight.data, padding_idx=self.padding_idx)
        self._keep(x)
        return y

    def backward(self, dy: Array, accumulate: bool = False, needs_dx: bool = True) -> None:
        """As `Module.backward`; indices have no gradient, so None is returned."""
        x = check.kept(self, self._kept)
        if self.weight.requires_grad:
            dw = functional.embedding_backward(dy, x, self.num_embeddings, padding_idx=self.padding_idx)
            self.weight.receive(dw, accumulate)

    def plan(self, steps: Steps) -> None:
        steps.embedding(self.weight, padding_idx=self.padding_idx)

    def _trace(self, x: Array, name: str) -> tuple[Array, list[Row]]:
        """A summary goes through with no images, which are no indices yet."""
        return super()._trace(x.astype(np.int64), name)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
