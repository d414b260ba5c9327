"""Backward against central differences in float64: on distinct inputs, and apart, on ties."""

import numpy as np
import pytest

import fastnn as fnn
from cases import CASES, DTYPES, OPERATIONS, cases_of
from checks import check_gradient, check_max_pool_ties

SMOOTH = [case for case in CASES if case.gradient]
POOLS = [case for case in cases_of("max_pool2d") if "ties" in case.fills and not case.large]


@pytest.mark.parametrize("case", SMOOTH, ids=str)
def test_gradient(case):
    check_gradient(case)


@pytest.mark.parametrize("case", POOLS, ids=str)
def test_max_pool_gradient_on_ties(case):
    for dtype in DTYPES:
        check_max_pool_ties(case, dtype)


def test_every_backward_is_checked():
    with_backward = {name for name, op in OPERATIONS.items() if op.backward is not None}
    assert {case.op for case in SMOOTH} == with_backward
    checked = {f"{name}_backward" for name in with_backward}
    each_others = {"unfold_backward", "fold_backward"}
    assert {name for name in OPERATIONS if name.endswith("_backward")} == checked - each_others


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
def test_relu_gradient_at_zero_is_zero(dtype):
    x = np.array([-1, -0.0, 0.0, 1], dtype)
    dx = fnn.functional.relu_backward(np.full(4, 3, dtype), fnn.functional.relu(x))
    assert dx.tolist() == [0, 0, 0, 3]


def test_relu_then_max_pool_on_ties():
    """After a ReLU most windows hold equal zeros; their gradient dies in the ReLU, whichever zero gets it."""
    rng = np.random.default_rng(3)
    x = rng.integers(-3, 1, (2, 3, 6, 6)).astype(np.float64)
    y = fnn.functional.relu(x)
    pooled, positions = fnn.functional.max_pool2d(y, 2, return_positions=True)
    dy = fnn.functional.max_pool2d_backward(np.ones_like(pooled), positions, (6, 6), 2)
    assert dy.sum() == pooled.size
    assert not fnn.functional.relu_backward(dy, y).any()
