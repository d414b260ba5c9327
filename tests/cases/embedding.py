"""Rows of a table, and parts of any array, picked by index."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from cases._base import EXACT, Case, Draw, Operation, register


def _times_picked(dy, x, num_embeddings, **_):
    most = int(np.bincount(x.reshape(-1).astype(np.int64)).max()) if x.size else 0
    return (EXACT if most <= 1 else most,)


register(
    Operation(
        "embedding",
        terms=lambda *_, **__: (EXACT,),
        backward=lambda F, args, kwargs, y, dy: (F.embedding_backward(dy, args[0], len(args[1]), **kwargs),),
        wrt=(1,),
    ),
    Operation("embedding_backward", terms=_times_picked),
    Operation("index_select", terms=lambda *_: (EXACT,)),
)

# Label, indices, rows, columns, their dtype.
TABLES = (
    ("one", (1,), 1, 1, np.int64),
    ("sentence", (5,), 7, 3, np.int64),
    ("batch", (4, 6), 9, 17, np.int32),
    ("three-axes", (2, 3, 2), 5, 33, np.int64),
    ("nothing", (0, 4), 3, 2, np.int64),
    ("large", (64, 32), 300, 64, np.int64),
)


def table_cases(label: str, shape: tuple[int, ...], rows: int, columns: int, dtype: Any) -> Iterator[Case]:
    large = label == "large"

    def indices(draw: Draw) -> Any:
        return draw.rng.integers(0, rows, shape).astype(dtype)

    yield Case(
        "embedding",
        label,
        lambda draw: ((indices(draw), draw((rows, columns), "w")), {}),
        ("normal", "special"),
        ("w",),
        large=large,
        gradient=not large,
    )
    for padding in ({}, {"padding_idx": 0}):
        yield Case(
            "embedding_backward",
            label + ("-padding" if padding else ""),
            lambda draw, padding=padding: ((draw((*shape, columns), "dy"), indices(draw), rows), padding),
            ("normal", "special"),
            ("dy",),
            large=large,
        )


# Label, shape, axis, indices, their dtype.
SELECTIONS = (
    ("rows", (7, 3), 0, 5, np.int64),
    ("one", (1,), 0, 1, np.int64),
    ("middle", (4, 6, 3), 1, 9, np.int32),
    ("last", (3, 5), -1, 4, np.uint8),
    ("none", (3, 5), 0, 0, np.int64),
    ("empty-parts", (3, 0), 0, 2, np.int64),
    ("images", (50, 1, 28, 28), 0, 300, np.int64),
    ("chunks-across", (9, 40, 1000), 1, 33, np.int64),
)


def selection_case(label: str, shape: tuple[int, ...], dim: int, count: int, dtype: Any) -> Case:
    def build(draw: Draw) -> Any:
        return (draw(shape), dim, draw.rng.integers(0, shape[dim], count).astype(dtype)), {}

    return Case("index_select", label, build, ("normal", "special"), ("x",), large=label in ("images", "chunks-across"))


CASES = (
    *(case for table in TABLES for case in table_cases(*table)),
    *(selection_case(*selection) for selection in SELECTIONS),
)
