"""Products on matrix tiles (the tier amx): what goes there, how exact it is, and what stays on the plain kernels."""

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import fastnn as fnn
from checks import assert_within
from fastnn._kernels import _table

HERE = "amx" in fnn.isa_available()
on_tiles = pytest.mark.skipif(not HERE, reason="no matrix tiles here")


@pytest.fixture(autouse=True)
def same_tier_afterwards():
    tier = fnn.isa()
    yield
    _table.use_isa(tier)


def product(tier, a, b):
    _table.use_isa(tier)
    return fnn.functional.matmul(a, b)


def operands(m=150, k=260, n=170, dtype=np.float32):
    rng = np.random.default_rng(0)
    return rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)


def is_exact_enough(got, a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(invalid="ignore"):
        assert_within("product", got, a @ b, a.shape[1], np.abs(a) @ np.abs(b), np.float32)


def by_parts(a, b):
    """The product of two float32 arrays as tiles compute it: six products of parts in bfloat16, small ones first."""

    def parts(x):
        for _ in range(3):
            bits = x.view(np.uint32)
            part = ((bits + np.uint32(0x7FFF) + (bits >> 16 & 1)) & np.uint32(0xFFFF0000)).view(np.float32)
            yield part
            x = x - part
        assert not x.any()  # three are the whole number

    a0, a1, a2 = parts(a)
    b0, b1, b2 = parts(b)
    return (a2 @ b0 + a1 @ b0 + a1 @ b1 + a0 @ b1 + a0 @ b2) + a0 @ b0


@pytest.mark.parametrize("inner", [1, 7, 260])
def test_six_products_of_parts_are_as_exact_as_one_in_float32(inner):
    """On any machine: the method holds to the bound that products have without it."""
    a, b = operands(k=inner)
    is_exact_enough(by_parts(a, b), a, b)
    truth = a.astype(np.float64) @ b
    assert np.abs(by_parts(a, b) - truth).max() < 1.5 * np.abs(a @ b - truth).max()


@on_tiles
def test_large_products_go_to_the_tiles_and_small_ones_do_not():
    for shape in ((150, 260, 170), (128, 64, 128), (100, 784, 666)):
        a, b = operands(*shape)
        assert not np.array_equal(product("amx", a, b), product("v4", a, b)), shape
    for shape in ((100, 784, 100), (666, 4, 784)):
        a, b = operands(*shape)
        np.testing.assert_array_equal(product("amx", a, b), product("v4", a, b))
    a, b = operands(dtype=np.float64)
    np.testing.assert_array_equal(product("amx", a, b), product("v4", a, b))


@on_tiles
@pytest.mark.parametrize("shape", [(128, 64, 129), (129, 65, 160), (161, 95, 128), (190, 256, 333), (130, 513, 1030)])
def test_every_remainder(shape):
    a, b = operands(*shape)
    is_exact_enough(product("amx", a, b), a, b)


@on_tiles
@pytest.mark.parametrize(("a_scale", "b_scale"), [(-90, 0), (-45, -40), (58, 58), (110, -70), (-70, 40)])
def test_small_and_large_numbers(a_scale, b_scale):
    a, b = operands()
    a, b = np.ldexp(a, a_scale), np.ldexp(b, b_scale)
    is_exact_enough(product("amx", a, b), a, b)


@on_tiles
def test_zeros_are_not_small_numbers():
    a, b = operands()
    a[a < 0.5], b[:, :50] = 0, -0.0
    got = product("amx", a, b)
    assert not np.array_equal(got, product("v4", a, b))
    is_exact_enough(got, a, b)
    assert not product("amx", 0 * a, b).any()


@on_tiles
@pytest.mark.parametrize(
    ("value", "other"),
    [(np.nan, 1), (np.inf, 1), (-np.inf, 1), (3.4e38, 1), (-1e30, 1e10), (1e-45, 1), (-1e-38, 1), (1e-20, 1e-15)],
    ids=str,
)
@pytest.mark.parametrize("place", [0, -1, 12345])
@pytest.mark.parametrize("which", [0, 1])
def test_what_cannot_be_split_goes_the_plain_way(value, other, place, which):
    """The same bits as on v4, wherever the number is; with 1 instead they are others."""
    pair = operands()
    pair[which].flat[place], pair[1 - which].flat[5] = value, other
    np.testing.assert_array_equal(product("amx", *pair), product("v4", *pair))
    pair[which].flat[place] = 1
    assert not np.array_equal(product("amx", *pair), product("v4", *pair))


@on_tiles
def test_a_linear_layer_and_its_gradients():
    rng = np.random.default_rng(1)
    x, w, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((150, 260), (170, 260), (170,)))
    dy = rng.standard_normal((150, 170)).astype(np.float32)
    _table.use_isa("amx")
    y = fnn.functional.linear(x, w, b, activation="relu")
    dx, dw, _ = fnn.functional.linear_backward(dy, x, w)
    ones = np.ones((150, 1), np.float32)
    is_exact_enough(fnn.functional.linear(x, w, b), np.hstack((x, ones)), np.vstack((w.T, b)))
    np.testing.assert_array_equal(y, np.maximum(fnn.functional.linear(x, w, b), 0))
    is_exact_enough(dx, dy, w)
    is_exact_enough(dw, np.ascontiguousarray(dy.T), x)


@on_tiles
@pytest.mark.parametrize("inner", [32, 64])
def test_a_product_is_as_exact_as_the_plain_one(inner):
    """The bound grows with the terms and would allow for a product of parts that is missing; this does not."""
    a, b = operands(m=300, k=inner, n=300)
    truth = a.astype(np.float64) @ b
    tiles, plain = (np.abs(product(tier, a, b) - truth).max() for tier in ("amx", "v4"))
    assert tiles < 1.5 * plain


@on_tiles
def test_a_bias_of_nan_stays_under_relu():
    rng = np.random.default_rng(1)
    x, w, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((150, 260), (170, 260), (170,)))
    b[[3, 169]] = np.nan
    _table.use_isa("amx")
    y = fnn.functional.linear(x, w, b, activation="relu")
    np.testing.assert_array_equal(np.isnan(y), np.broadcast_to(np.isnan(b), y.shape))


@on_tiles
def test_signals_in_the_middle():
    """Each interrupts whatever runs: the system keeps the tiles and gives them back."""
    a, b = operands(400, 400, 400)
    expected, seen = product("amx", a, b), []

    def interrupt(*_):
        seen.append(fnn.functional.matmul(a[:130], b))
        signal.setitimer(signal.ITIMER_REAL, 0.001)

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    try:
        for _ in range(30):
            np.testing.assert_array_equal(fnn.functional.matmul(a, b), expected)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(seen) > 3
    for one in seen:
        np.testing.assert_array_equal(one, expected[:130])


@on_tiles
def test_threads_that_take_turns():
    """Four of them, more than there are cores: each has its own tiles."""
    pairs = [operands(150 + 16 * i, 260, 170) for i in range(4)]
    expected = [product("amx", a, b) for a, b in pairs]
    with ThreadPoolExecutor(4) as pool:
        results = pool.map(lambda i: (i % 4, fnn.functional.matmul(*pairs[i % 4])), range(200))
        for i, result in results:
            np.testing.assert_array_equal(result, expected[i])


FORKS = """
import os, sys, numpy as np, fastnn as fnn
rng = np.random.default_rng(0)
a, b = rng.standard_normal((300, 300)).astype("f4"), rng.standard_normal((300, 300)).astype("f4")
expected = fnn.functional.matmul(a, b)
for _ in range(10):
    child = os.fork()
    if not child:
        os._exit(0 if np.array_equal(fnn.functional.matmul(a, b), expected) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert np.array_equal(fnn.functional.matmul(a, b), expected)
print(fnn.isa())
"""


@on_tiles
def test_forks(run_python):
    """A child has its parent's leave."""
    process = run_python("-c", FORKS, FASTNN_ISA="amx")
    assert process.stdout == "amx\n", process.stderr


CROWDED = """
import ctypes
stack = ctypes.create_string_buffer(8192)
class Stack(ctypes.Structure):
    _fields_ = [("sp", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]
assert ctypes.CDLL(None).sigaltstack(ctypes.byref(Stack(ctypes.addressof(stack), 0, 8192)), None) == 0
import fastnn
print(*fastnn.isa_available())
"""


@pytest.mark.skipif("FASTNN_EMULATE_TILES" in os.environ, reason="the instructions are in C, which needs no leave")
@pytest.mark.skipif(
    sys.platform != "linux" or "amx_bf16" not in Path("/proc/cpuinfo").read_text(), reason="a CPU without AMX"
)
def test_where_the_system_refuses_there_is_no_such_tier(run_python):
    """Linux gives no leave to a process with a stack for signals that the tiles would not fit on."""
    process = run_python("-c", CROWDED)
    assert process.stdout.split() == ["baseline", "v3", "v4"], process.stderr
    process = run_python("-c", CROWDED, FASTNN_ISA="amx")
    assert "ImportError: FASTNN_ISA: got 'amx'" in process.stderr
