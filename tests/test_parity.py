"""Every kernel against its NumPy twin, over the whole case list."""

import ctypes
import ctypes.util
import platform

import numpy as np
import pytest

import fastnn as fnn
from cases import CASES, DTYPES, OPERATIONS, cases_of
from checks import check_parity

ROUND_UP = {"x86_64": 0x800, "aarch64": 0x400000}  # FE_UPWARD of fenv.h


@pytest.mark.parametrize("case", CASES, ids=str)
def test_parity(case):
    for fill in case.fills:
        for dtype in DTYPES:
            check_parity(case, dtype, fill)


def test_every_public_function_has_cases():
    public = {name for name in fnn.functional.__all__ if not name.startswith("_")}
    assert public == set(OPERATIONS)
    assert all(cases_of(name) for name in OPERATIONS)


def test_reference_has_the_same_functions():
    assert set(fnn.reference.__all__) == set(fnn.functional.__all__)


def test_case_names_are_unique():
    names = [str(case) for case in CASES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("dtype", DTYPES)
def test_denormals_are_kept_or_zero_and_the_mode_is_restored(dtype):
    """Kernels flush denormals to zero; NumPy's own arithmetic afterwards must not."""
    tiny = np.finfo(dtype).tiny
    x = np.full(1000, tiny / 8, dtype)
    y = fnn.functional.relu(x)
    assert np.all((y == x) | (y == 0))
    fnn.functional.matmul(x.reshape(10, 100), x.reshape(100, 10))
    assert np.all(x * dtype(2) == tiny / 4)
    assert x[0] != 0


@pytest.mark.skipif(platform.machine() not in ROUND_UP, reason="the number of that mode is not known")
@pytest.mark.parametrize("threads", [1, 2])
def test_the_rounding_mode_is_as_it_was(threads):
    """It is the caller's alone: kernels neither change it nor forget it."""
    libm, mode = ctypes.CDLL(ctypes.util.find_library("m")), ROUND_UP[platform.machine()]
    x = np.ones((300, 300), np.float32)
    assert libm.fegetround() == 0
    with fnn.num_threads(threads):
        assert libm.fesetround(mode) == 0
        try:
            fnn.functional.matmul(x, x)
            after = libm.fegetround()
        finally:
            libm.fesetround(0)
    assert after == mode
    fnn.functional.matmul(x, x)
    assert libm.fegetround() == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_relu_keeps_nan(dtype):
    y = fnn.functional.relu(np.array([np.nan, -1, 2], dtype))
    assert np.isnan(y[0])
    assert y[1] == 0
    assert y[2] == 2


def test_max_pool_first_nan_wins():
    x = np.zeros((1, 1, 3, 3), np.float32)
    x[0, 0, 1] = np.nan, np.inf, np.nan
    y, positions = fnn.functional.max_pool2d(x, 3, return_positions=True)
    assert np.isnan(y[0, 0, 0, 0])
    assert positions[0, 0, 0, 0] == 3


@pytest.mark.parametrize(("kernel", "dtype"), [((16, 16), np.uint8), ((16, 17), np.int32)])
def test_position_dtype_follows_the_window(kernel, dtype):
    positions = fnn.functional.max_pool2d(np.zeros((1, 1, 17, 17), np.float32), kernel, return_positions=True)[1]
    assert positions.dtype == dtype
