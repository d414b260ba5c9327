"""The one list of cases: every operation, every shape it is tried on, and how exact its result has to be.

Parity, gradient, memory, thread and outside-oracle tests all run over `CASES`. A new operation needs an
`Operation` (its parity class) and its cases in the file of its family, and nothing else in the tests.

Parity classes
    EXACT         comparisons, copies, ordered sums: equal to the reference in the same dtype.
    a number K    sums of K terms: |kernel - reference in float64| <= (K + 2) eps S, where S is the reference
                  evaluated on absolute values in float64. Where an operation is no sum of products, its own
                  `scale` says what S is, and a comment says where K comes from.
"""

from cases import (
    activation,
    clip,
    conv,
    conv_transpose,
    drop,
    embedding,
    join,
    localnorm,
    loss,
    matmul,
    norm,
    optim,
    pad,
    pair_loss,
    pool,
    resample,
    rownorm,
    sample_weight,
    shape,
    softmax,
)
from cases._base import DTYPES, EXACT, OPERATIONS, Array, Case

__all__ = ["CASES", "DTYPES", "EXACT", "OPERATIONS", "Array", "Case", "cases_of"]

CASES: tuple[Case, ...] = (
    *conv.CASES,
    *conv_transpose.CASES,
    *pad.CASES,
    *pool.CASES,
    *resample.CASES,
    *embedding.CASES,
    *matmul.CASES,
    *activation.CASES,
    *softmax.CASES,
    *shape.CASES,
    *norm.CASES,
    *rownorm.CASES,
    *localnorm.CASES,
    *drop.CASES,
    *join.CASES,
    *loss.CASES,
    *pair_loss.CASES,
    *sample_weight.CASES,
    *optim.CASES,
    *clip.CASES,
)


def cases_of(*ops: str) -> tuple[Case, ...]:
    """The cases of these operations."""
    return tuple(case for case in CASES if case.op in ops)
