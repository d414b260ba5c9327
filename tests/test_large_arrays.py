"""Arrays of more than 2^31 elements, read and picked at places that 32 bits cannot count.

Zeros that nobody has written to take no memory; only the last elements are anything else.
"""

import os

import numpy as np
import pytest

import fastnn as fnn

F = fnn.functional
BEYOND = 2**31


def memory():
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(memory() < 12 * BEYOND // 2, reason="the system may not promise that much memory"),
]


def zeros(*shape):
    """Zeros, but for the last two: 3 and 5."""
    x = np.zeros(shape, np.float32)
    x.reshape(-1)[-2:] = 3, 5
    return x


def test_losses():
    x = zeros(BEYOND + 37)
    other = np.zeros(x.shape, np.float32)
    assert F.mse_loss(x, other, reduction="sum") == 34
    assert F.l1_loss(x, other, reduction="sum") == 8


def test_matrix_products():
    x = zeros(1, BEYOND + 37)
    assert F.matmul(x, x.reshape(-1, 1)).tolist() == [[34]]
    assert F.linear(x, x).tolist() == [[34]]


def test_pooling():
    x = zeros(1, 1, 46_400, 46_400)
    y, indices = F.max_pool2d(x, 100, return_indices=True)
    assert (y[0, 0, -1, -1], np.count_nonzero(y), indices[0, 0, -1, -1]) == (5, 1, x.size - 1)
    assert F.avg_pool2d(x, 100)[0, 0, -1, -1] == np.float32(8 / 100**2)


def test_convolution():
    x = zeros(1, 1, 46_400, 46_400)
    w = np.zeros((1, 1, 1, 2), np.float32)
    w[...] = 2, 7
    y = F.conv2d(x, w, stride=(46_399, 46_398))
    assert y[0, 0, -1].tolist() == [0, 2 * 3 + 7 * 5]


def test_rows():
    table = zeros(BEYOND // 64 + 3, 64)
    last = np.array([0, len(table) - 1])
    np.testing.assert_array_equal(F.embedding(last, table), table[last])
    np.testing.assert_array_equal(F.index_select(table, 0, last), table[last])


def test_bytes():
    x = np.zeros((BEYOND // 1024 + 3, 1024), np.uint8)
    x[-1] = np.arange(1024) % 251
    last = np.array([len(x) - 1, 0, len(x) - 1])
    np.testing.assert_array_equal(F.index_select(x, 0, last), x[last])
