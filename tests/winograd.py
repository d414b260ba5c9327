"""How far a convolution by Winograd's F(4 x 4, 3 x 3) or F(2 x 2, 5 x 5) may be from the truth.

The transforms are derived here once more, from the points at which the polynomials are evaluated (Toom and Cook).
Every element of a result is made of sums and products of a tile's elements; on absolute values the same sums and
products bound what rounding can do: with K products summed and at most 40 roundings in the transforms and their
constants, `|result - truth| <= (K + 40) eps S`, S the algorithm on absolute values and matrices.

Where a shape lets a kernel choose this algorithm, the cases allow a result the worse of the two bounds, this one and
that of the direct sum. Which way the kernel goes is not asked.
"""

from functools import cache

import numpy as np
from numpy.polynomial import Polynomial

VIEW = 6  # inputs of a tile
ROUNDINGS = 40
POINTS = (0.0, 2 / 3, -2 / 3, 1.5, -1.5)  # and infinity
ABSOLUTE = {"absolute": True}


@cache
def matrices(taps, absolute=False):
    """A^T (tile, 6), G (6, taps), B^T (6, 6), and the tile's size."""
    tile = VIEW + 1 - taps
    others = [Polynomial.fromroots([q for q in POINTS if q != p]) for p in POINTS]
    at = np.array([[p**i for p in POINTS] + [float(i == tile - 1)] for i in range(tile)])
    g = np.array([[p**j / m(p) for j in range(taps)] for p, m in zip(POINTS, others, strict=True)])
    g = np.vstack([g, np.eye(taps)[-1]])
    bt = np.array([[*m.coef, 0.0] for m in others] + [Polynomial.fromroots(POINTS).coef])
    return *((np.abs(m) for m in (at, g, bt)) if absolute else (at, g, bt)), tile


AT, G, BT, _ = matrices(3)


def _tiles(x, size, tile, rows, cols):
    """(N, C, rows, cols, size, size): squares of `size`, one each `tile` pixels; 0 beyond x."""
    padded = np.zeros((*x.shape[:2], rows * tile + size, cols * tile + size))
    h, w = min(x.shape[2], padded.shape[2]), min(x.shape[3], padded.shape[3])
    padded[..., :h, :w] = x[..., :h, :w]
    squares = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(2, 3))
    return squares[:, :, ::tile, ::tile][:, :, :rows, :cols]


def _both_ways(m, squares):
    return np.einsum("ia,...ab,jb->...ij", m, squares, m, optimize=True)


def _frame(x, padding):
    ph, pw = padding
    return np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))


def forward(x, w, padding, absolute=False):
    """The convolution of x with w; on absolute values, with `absolute` matrices, S."""
    taps = w.shape[2]
    at, g, bt, tile = matrices(taps, absolute)
    oh, ow = (x.shape[i + 2] + 2 * padding[i] + 1 - taps for i in (0, 1))
    rows, cols = -(-oh // tile), -(-ow // tile)
    v = _both_ways(bt, _tiles(_frame(x, padding), VIEW, tile, rows, cols))
    y = _both_ways(at, np.einsum("ncrsij,ocij->norsij", v, _both_ways(g, w), optimize=True))
    return y.transpose(0, 1, 2, 4, 3, 5).reshape(*y.shape[:2], rows * tile, cols * tile)[..., :oh, :ow]


def correlation(dy, w, padding, absolute=False):
    """The gradient of the input of 3 x 3 as the convolution of dy with the kernels turned round."""
    turned = w.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]
    return forward(dy, turned, (2 - padding[0], 2 - padding[1]), absolute)


def input_gradient(dy, w, padding, absolute=False):
    """The windows that tiles of dy add to."""
    taps = w.shape[2]
    at, g, bt, tile = matrices(taps, absolute)
    rows, cols = -(-dy.shape[2] // tile), -(-dy.shape[3] // tile)
    values = _both_ways(at.T, _tiles(dy, tile, tile, rows, cols))
    windows = _both_ways(bt.T, np.einsum("norsij,ocij->ncrsij", values, _both_ways(g, w), optimize=True))
    dx = np.zeros((len(dy), w.shape[1], rows * tile + taps - 1, cols * tile + taps - 1))
    for r in range(rows):
        for c in range(cols):
            dx[:, :, r * tile : r * tile + VIEW, c * tile : c * tile + VIEW] += windows[:, :, r, c]
    h, w = (dy.shape[i + 2] + taps - 1 - 2 * padding[i] for i in (0, 1))
    return dx[:, :, padding[0] :, padding[1] :][..., :h, :w]


def weight_gradient(dy, x, padding, absolute=False):
    taps = x.shape[2] + 2 * padding[0] + 1 - dy.shape[2]
    at, g, bt, tile = matrices(taps, absolute)
    rows, cols = -(-dy.shape[2] // tile), -(-dy.shape[3] // tile)
    v = _both_ways(bt, _tiles(_frame(x, padding), VIEW, tile, rows, cols))
    d = _both_ways(at.T, _tiles(dy, tile, tile, rows, cols))
    return _both_ways(g.T, np.einsum("norsij,ncrsij->ocij", d, v, optimize=True))


def may_serve(w, shape, *arguments, stride=1, padding=0, dilation=1, groups=1, **_):
    """Whether the convolution of these arguments by w may be made so, whose tiles are those of a map of this shape.

    It is plain, 3 x 3 or 5 x 5, has enough channels and tiles to gain by it, at most half of whose area is beyond the
    map; and no argument has NaN or infinities, which would spread over a tile.
    """
    outputs, channels, *kernel = w.shape
    if kernel not in ([3, 3], [5, 5]) or not all(n in (1, (1, 1)) for n in (stride, dilation, groups)):
        return False
    tile = VIEW + 1 - kernel[0]
    narrow = padding in ("same", "valid") or np.max(padding) < kernel[0]
    rows, cols = (-(-n // tile) for n in shape[2:])
    return (
        narrow
        and channels * outputs >= (5 if kernel[0] == 3 else 2) * (channels + outputs)
        and shape[0] * rows * cols >= 32
        and rows * cols * tile * tile <= 2 * shape[2] * shape[3]
        and all(np.isfinite(a).all() for a in arguments)
    )


def worse(direct, terms, scale, products):
    """S of the worse bound, for a result that counts as a sum of so many terms.

    direct : S of the direct sum
    scale, products : S and K of this algorithm
    """
    return np.maximum(direct, scale * ((products + ROUNDINGS + 2) / (terms + 2)))


def worse_of_input(direct, terms, shape, dy, w, border, **geometry):
    """S of the worst bound for the gradient of an input of this shape, by whichever tiles it is made of.

    direct : S of the direct sum, of so many terms
    border : pixels of padding above and on the left
    """
    worst = direct
    for made_by, tiles in ((input_gradient, dy.shape), (correlation, shape)):
        if (made_by is input_gradient or w.shape[2:] == (3, 3)) and may_serve(w, tiles, dy, w, **geometry):
            made = made_by(np.abs(dy), np.abs(w), border, **ABSOLUTE)
            worst = np.maximum(worst, worse(direct, terms, made, w.shape[0]))
    return worst
