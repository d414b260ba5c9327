"""How far a convolution by Winograd's F(4 x 4, 3 x 3) may be from the truth.

The transforms are derived here once more, from the points at which the polynomials are evaluated (Toom and Cook).
Every element of a result is made of sums and products of a tile's elements; on absolute values the same sums and
products bound what rounding can do: with K products summed and at most 40 roundings in the transforms and their
constants, `|result - truth| <= (K + 40) eps S`, S the algorithm on absolute values and matrices.

Where a shape lets a kernel choose this algorithm, the cases allow a result the worse of the two bounds, this one and
that of the direct sum. Which way the kernel goes is not asked.
"""

import numpy as np
from numpy.polynomial import Polynomial

TILE = 4
ROUNDINGS = 40
POINTS = (0.0, 2 / 3, -2 / 3, 1.5, -1.5)  # and infinity


def _matrices():
    """A^T (4, 6), G (6, 3), B^T (6, 6)."""
    others = [Polynomial.fromroots([q for q in POINTS if q != p]) for p in POINTS]
    at = np.array([[p**i for p in POINTS] + [float(i == TILE - 1)] for i in range(TILE)])
    g = np.array([[p**j / m(p) for j in range(3)] for p, m in zip(POINTS, others, strict=True)] + [[0, 0, 1]])
    bt = np.array([[*m.coef, 0.0] for m in others] + [Polynomial.fromroots(POINTS).coef])
    return at, g, bt


AT, G, BT = _matrices()


def _tiles(x, size, rows, cols):
    """(N, C, rows, cols, size, size): squares of `size`, one each 4 pixels; 0 beyond x."""
    padded = np.zeros((*x.shape[:2], rows * TILE + size, cols * TILE + size))
    h, w = min(x.shape[2], padded.shape[2]), min(x.shape[3], padded.shape[3])
    padded[..., :h, :w] = x[..., :h, :w]
    squares = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(2, 3))
    return squares[:, :, ::TILE, ::TILE][:, :, :rows, :cols]


def _both_ways(m, squares):
    return np.einsum("ia,...ab,jb->...ij", m, squares, m, optimize=True)


def _frame(x, padding):
    ph, pw = padding
    return np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))


def forward(x, w, padding, at=AT, g=G, bt=BT):
    """The convolution of x with w; on absolute values and `absolute` matrices, S."""
    oh, ow = (x.shape[i + 2] + 2 * padding[i] - 2 for i in (0, 1))
    rows, cols = -(-oh // TILE), -(-ow // TILE)
    v = _both_ways(bt, _tiles(_frame(x, padding), TILE + 2, rows, cols))
    y = _both_ways(at, np.einsum("ncrsij,ocij->norsij", v, _both_ways(g, w), optimize=True))
    return y.transpose(0, 1, 2, 4, 3, 5).reshape(*y.shape[:2], rows * TILE, cols * TILE)[..., :oh, :ow]


def input_gradient(dy, w, padding, **matrices):
    turned = w.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]
    return forward(dy, turned, (2 - padding[0], 2 - padding[1]), **matrices)


def weight_gradient(dy, x, padding, at=AT, g=G, bt=BT):
    rows, cols = -(-dy.shape[2] // TILE), -(-dy.shape[3] // TILE)
    v = _both_ways(bt, _tiles(_frame(x, padding), TILE + 2, rows, cols))
    d = _both_ways(at.T, _tiles(dy, TILE, rows, cols))
    return _both_ways(g.T, np.einsum("norsij,ncrsij->ocij", d, v, optimize=True))


ABSOLUTE = {"at": np.abs(AT), "g": np.abs(G), "bt": np.abs(BT)}


def may_serve(w, shape, *arguments, stride=1, padding=0, dilation=1, groups=1, **_):
    """Whether the convolution of these arguments by w may be made so, whose tiles are those of a map of this shape.

    It is plain and 3 x 3, has enough channels and tiles to gain by it, at most half of whose area is beyond the map;
    and no argument has NaN or infinities, which would spread over a tile.
    """
    outputs, channels, *kernel = w.shape
    plain = kernel == [3, 3] and all(n in (1, (1, 1)) for n in (stride, dilation, groups))
    narrow = padding in ("same", "valid") or np.max(padding) <= 2
    rows, cols = (-(-n // TILE) for n in shape[2:])
    return (
        plain
        and narrow
        and channels * outputs >= 5 * (channels + outputs)
        and shape[0] * rows * cols >= 32
        and rows * cols * TILE * TILE <= 2 * shape[2] * shape[3]
        and all(np.isfinite(a).all() for a in arguments)
    )


def worse(direct, terms, scale, products):
    """S of the worse bound, for a result that counts as a sum of so many terms.

    direct : S of the direct sum
    scale, products : S and K of this algorithm
    """
    return np.maximum(direct, scale * ((products + ROUNDINGS + 2) / (terms + 2)))
