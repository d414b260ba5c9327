"""Dropout. Which elements are kept follows from the key and the index alone, so a backward can work it out again.

Making the random words takes longer than reading a bit, so a forward can also hand out the bits of what it kept.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from fastnn._kernels._table cimport parallel, threads, tiles
from fastnn._kernels.buffers cimport Buffers, borrow, give_back, is_double, reads, writes
from fastnn._kernels.fnn cimport ceil_div

cdef enum:
    GROUP = 64     # words that the generator makes together
    WORDS = 1024   # words made at a time: they stay in the first-level cache
    BYTES = 128    # of their bits
    CHUNK = 4096   # elements of a chunk: whole bytes of bits

cdef struct Dropping:
    const Drop *g
    uint8_t *kept  # bits of elements, or NULL


cdef void drop_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Dropping *d = <const Dropping *> job
    cdef const Drop *g = d.g
    cdef uint32_t words[WORDS + GROUP]
    cdef uint8_t bits[BYTES]
    cdef uint8_t *kept = bits
    cdef Py_ssize_t row = chunk * g.chunk, end = min(g.rows, row + g.chunk), rows, group, at
    while row < end:
        rows, group, at = min(<Py_ssize_t> WORDS, end - row), row // GROUP, row * g.n * g.t.itemsize
        g.t.random(words, group, ceil_div(row + rows - group * GROUP, GROUP), g.stream, g.step)
        if g.n == 1:  # row is a multiple of GROUP
            if d.kept != NULL:
                kept = d.kept + row // 8
            g.t.keep(words, <uint32_t> g.threshold, rows, kept)
            g.t.drop_kept(g.x + at, g.y + at, kept, rows, g.scale)
        else:
            g.t.drop(g.x + at, g.y + at, words + row - group * GROUP, <uint32_t> g.threshold, rows, g.n, g.scale)
        row += rows


cdef void drop_and_keep(Drop *g, uint8_t *kept, int workers) noexcept nogil:
    cdef Dropping d
    d.g, d.kept = g, kept
    g.chunk = max(<Py_ssize_t> 1, CHUNK // max(g.n, <Py_ssize_t> 1))
    if g.threshold >> 32:
        memset(g.y, 0, g.rows * g.n * g.t.itemsize)
        if kept != NULL:
            memset(kept, 0, ceil_div(g.rows, 8))
    else:
        parallel(drop_chunk, &d, ceil_div(g.rows, g.chunk), workers, <double> g.rows * g.n + 3.0 * g.rows)


cdef void drop_rows(Drop *g, int workers) noexcept nogil:
    drop_and_keep(g, NULL, workers)


def dropout(x, y, kept, Py_ssize_t rows, uint64_t stream, uint64_t step, uint64_t threshold, double scale):
    """y = x*scale in the rows that are kept, 0 in the others; x and y have so many rows. EXACT.

    Row r is kept if its random word (`random` in fnn.h: word r % 64 of group r // 64) is at least `threshold`, which is
    at most 2**32: nothing is kept then. If rows have one element, and unless it is None, kept (ceil(rows/8),) has bit
    r % 8 of kept[r // 8] set for the rows that are kept. Writes all of y and kept; no overlap.
    """
    cdef Buffers b
    cdef Py_buffer *out
    cdef Drop g
    cdef uint8_t *bits
    b.count = 0
    try:
        out = borrow(&b, y, True)
        g.t, g.rows, g.n = tiles(is_double(out)), rows, out.len // out.itemsize // max(rows, <Py_ssize_t> 1)
        g.x, g.y, bits = reads(&b, x), <char *> out.buf, <uint8_t *> writes(&b, kept)
        g.stream, g.step, g.threshold, g.scale = stream, step, threshold, scale
        with nogil:
            drop_and_keep(&g, bits, threads())
    finally:
        give_back(&b)


cdef void again_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Dropping *d = <const Dropping *> job
    cdef const Drop *g = d.g
    cdef Py_ssize_t row = chunk * g.chunk
    g.t.drop_kept(g.x + row * g.t.itemsize, g.y + row * g.t.itemsize, d.kept + row // 8, min(g.chunk, g.rows - row),
                  g.scale)


def dropout_kept(x, y, kept, double scale):
    """y = x*scale for the elements whose bits in `kept` are set, as `dropout` sets them, 0 for the others. EXACT."""
    cdef Buffers b
    cdef Py_buffer *out
    cdef Drop g
    cdef Dropping d
    b.count = 0
    try:
        out = borrow(&b, y, True)
        g.t, g.rows, g.chunk = tiles(is_double(out)), out.len // out.itemsize, 4 * CHUNK
        g.x, g.y, d.kept, g.scale = reads(&b, x), <char *> out.buf, <uint8_t *> reads(&b, kept), scale
        d.g = &g
        with nogil:
            parallel(again_chunk, &d, ceil_div(g.rows, g.chunk), threads(), <double> g.rows)
    finally:
        give_back(&b)
