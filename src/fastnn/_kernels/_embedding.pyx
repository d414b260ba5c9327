"""Rows of a table picked by index, and the gradient of the table; parts of any array picked along an axis."""
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset

from fastnn._kernels._table cimport parallel, threads, tiles
from fastnn._kernels.fnn cimport begin, ceil_div, fnn_tiles, split_at

ctypedef fused real:
    float
    double

cdef struct Lookup:
    fnn_tiles *t
    Py_ssize_t count, D, rows
    Py_ssize_t parts        # forward: indices of a chunk; backward: chunks
    Py_ssize_t padding_idx  # a row without a gradient, or -1
    const int64_t *indices
    const char *source
    char *target


cdef void pick_rows(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Lookup *g = <const Lookup *> job
    cdef Py_ssize_t nbytes = g.D * g.t.itemsize, n
    for n in range(chunk * g.parts, min(g.count, (chunk + 1) * g.parts)):
        memcpy(g.target + n * nbytes, g.source + g.indices[n] * nbytes, nbytes)


cdef struct Selection:
    Py_ssize_t count, rows, nbytes  # indices; parts along the axis, and their bytes
    Py_ssize_t total                # parts to copy: indices, for each outer place
    Py_ssize_t parts                # of those in a chunk
    const int64_t *indices
    const char *source
    char *target


cdef void select_parts(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Selection *g = <const Selection *> job
    cdef Py_ssize_t first = chunk * g.parts, n
    cdef Py_ssize_t outer = first // g.count, i = first % g.count
    for n in range(first, min(g.total, first + g.parts)):
        memcpy(g.target + n * g.nbytes, g.source + (outer * g.rows + g.indices[i]) * g.nbytes, g.nbytes)
        i += 1
        if i == g.count:
            outer, i = outer + 1, 0


cdef void add_rows(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """A chunk has some rows of the table, and looks through all indices for them: no sum is cut."""
    cdef const Lookup *g = <const Lookup *> job
    cdef Py_ssize_t nbytes = g.D * g.t.itemsize, n, row
    cdef Py_ssize_t from_ = split_at(g.rows, g.parts, chunk), to = split_at(g.rows, g.parts, chunk + 1)
    memset(g.target + from_ * nbytes, 0, (to - from_) * nbytes)
    for n in range(g.count):
        row = g.indices[n]
        if from_ <= row < to and row != g.padding_idx:
            g.t.add(g.target + row * nbytes, 0, g.source + n * nbytes, 0, 1, g.D)


def embedding_forward(const int64_t[::1] indices, const real[:, ::1] w, real[:, ::1] y):
    """y (count, D) = the rows of w (rows, D) at the indices, which are all in it. Writes all of y. EXACT."""
    cdef Lookup g
    g.t, g.count, g.D, g.rows, g.padding_idx = tiles(real is double), y.shape[0], y.shape[1], w.shape[0], -1
    g.parts = max(<Py_ssize_t> 1, 16384 // g.D)
    g.indices, g.source, g.target = <const int64_t *> begin(indices), begin(w), begin(y)
    with nogil:
        parallel(pick_rows, &g, ceil_div(g.count, g.parts), threads(), 2. * g.count * g.D)


def embedding_backward(const real[:, ::1] dy, const int64_t[::1] indices, real[:, ::1] dw, Py_ssize_t padding_idx):
    """dw (rows, D) = of each row the sum of the dy (count, D) that it was picked for, in order; 0 at padding_idx.

    Writes all of dw; no overlap. EXACT: an ordered sum.
    """
    cdef Lookup g
    cdef int workers = threads()
    g.t, g.count, g.D, g.rows = tiles(real is double), dy.shape[0], dw.shape[1], dw.shape[0]
    g.padding_idx, g.parts = padding_idx, 2 * workers if workers > 1 else 1
    g.indices = <const int64_t *> begin(indices)
    g.source = begin(dy)
    g.target = begin(dw)
    with nogil:
        parallel(add_rows, &g, g.parts, workers, <double> (g.count + g.rows) * g.D)


def index_select(const unsigned char[::1] x, const int64_t[::1] indices, unsigned char[::1] y,
                 Py_ssize_t outer, Py_ssize_t rows, Py_ssize_t nbytes):
    """y (outer, count, nbytes) = the parts of x (outer, rows, nbytes) at the indices, which are 0 to rows - 1.

    Bytes of any type. None of the sizes is 0. Writes all of y; no overlap. EXACT.
    """
    cdef Selection g
    g.count, g.rows, g.nbytes, g.total = indices.shape[0], rows, nbytes, outer * indices.shape[0]
    g.parts = max(<Py_ssize_t> 1, 65536 // nbytes)
    g.indices, g.source, g.target = <const int64_t *> begin(indices), begin(x), begin(y)
    with nogil:
        parallel(select_parts, &g, ceil_div(g.total, g.parts), threads(), .5 * g.total * nbytes)
