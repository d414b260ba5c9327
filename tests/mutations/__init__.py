"""Known bugs, family by family: each stands in for a function of `functional` or `reference`."""

from mutations import (
    activation,
    clip,
    conv,
    conv_transpose,
    drop,
    loss,
    matmul,
    norm,
    optim,
    pad,
    pair_loss,
    pool,
    softmax,
)
from mutations._base import MUTANTS, Mutant

__all__ = [
    "MUTANTS",
    "Mutant",
    "activation",
    "clip",
    "conv",
    "conv_transpose",
    "drop",
    "loss",
    "matmul",
    "norm",
    "optim",
    "pad",
    "pair_loss",
    "pool",
    "softmax",
]
