"""How arrays are updated in place by a rule of the kernels where they are not plain."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastnn._kernels._optim as _optim
from fastnn import _validate as check
from fastnn._validate import MaybeArrays


def one_by_one(rule: int, factors: tuple[float, ...], **columns: MaybeArrays) -> None:
    """Apply `rule` to columns that ``_optim.update`` does not take: arrays, or lists of as many.

    Array by array they are either refused, or updated by way of copies. So parameters that share memory are updated
    one after the other.
    """
    for row in check.updated(**columns):
        copies: tuple[Any, ...] = tuple(None if a is None else np.array(a, order="C") for a in row)
        _optim.update(rule, factors, copies)
        for name, a, copy in zip(columns, row, copies, strict=True):
            if a is not None and name != "g":
                a[...] = copy
