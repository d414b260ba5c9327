"""Dropout. Which elements are kept follows from the key and the index alone, so the backward computes it again."""
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

from fastnn._kernels._table cimport parallel, threads, tiles
from fastnn._kernels.fnn cimport begin, ceil_div

ctypedef fused real:
    float
    double

cdef enum:
    GROUP = 64     # words that the generator makes together
    WORDS = 1024   # words made at a time: they stay in the first-level cache
    CHUNK = 4096   # elements of a chunk


cdef void drop_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Drop *g = <const Drop *> job
    cdef uint32_t words[WORDS + GROUP]
    cdef Py_ssize_t row = chunk * g.chunk, end = min(g.rows, row + g.chunk), rows, group, at
    while row < end:
        rows, group, at = min(<Py_ssize_t> WORDS, end - row), row // GROUP, row * g.n * g.t.itemsize
        g.t.random(words, group, ceil_div(row + rows - group * GROUP, GROUP), g.stream, g.step)
        g.t.drop(g.x + at, g.y + at, words + row - group * GROUP, <uint32_t> g.threshold, rows, g.n, g.scale)
        row += rows


cdef void drop_rows(Drop *g, int workers) noexcept nogil:
    g.chunk = max(<Py_ssize_t> 1, CHUNK // max(g.n, <Py_ssize_t> 1))
    if g.threshold >> 32:
        memset(g.y, 0, g.rows * g.n * g.t.itemsize)
    else:
        parallel(drop_chunk, g, ceil_div(g.rows, g.chunk), workers, <double> g.rows * g.n + 3.0 * g.rows)


def dropout(const real[:, ::1] x, real[:, ::1] y, uint64_t stream, uint64_t step, uint64_t threshold, double scale):
    """y = x*scale in the rows that are kept, 0 in the others; both (rows, n). EXACT.

    Row r is kept if its random word (`random` in fnn.h: word r % 64 of group r // 64) is at least `threshold`, which is
    at most 2**32: nothing is kept then. Writes all of y; no overlap.
    """
    cdef Drop g
    g.t, g.rows, g.n = tiles(real is double), x.shape[0], x.shape[1]
    g.x, g.y = begin(x), begin(y)
    g.stream, g.step, g.threshold, g.scale = stream, step, threshold, scale
    with nogil:
        drop_rows(&g, threads())
