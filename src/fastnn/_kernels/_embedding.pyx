"""Rows of a table picked by index, the gradient of the table, and parts of any array picked along an axis."""
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset

from fastnn._kernels._table cimport allocate, parallel, release, threads, tiles
from fastnn._kernels.fnn cimport add_to_doubles, begin, ceil_div, fits, put_doubles, split_at

ctypedef fused real:
    float
    double

cdef enum:
    OFTEN = 32  # picks of a row: its gradients are then added in blocks of 32, and the blocks in double precision

cdef void pick_rows(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Lookup *g = <const Lookup *> job
    cdef Py_ssize_t nbytes = g.D * g.t.itemsize, n
    for n in range(chunk * g.parts, min(g.count, (chunk + 1) * g.parts)):
        memcpy(g.target + n * nbytes, g.source + g.indices[n] * nbytes, nbytes)


cdef void look_up(Lookup *g, int workers) noexcept nogil:
    g.parts = max(<Py_ssize_t> 1, 16384 // g.D)
    parallel(pick_rows, g, ceil_div(g.count, g.parts), workers, 2. * g.count * g.D)


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
    """A chunk owns some rows of the table, and looks through all indices for them. So no sum is cut."""
    cdef const Lookup *g = <const Lookup *> job
    cdef Py_ssize_t nbytes = g.D * g.t.itemsize, n, row, often
    cdef Py_ssize_t from_ = split_at(g.rows, g.parts, chunk), to = split_at(g.rows, g.parts, chunk + 1)
    memset(g.target + from_ * nbytes, 0, (to - from_) * nbytes)
    for n in range(g.count):
        row = g.indices[n]
        if not from_ <= row < to or row == g.padding_idx:
            continue
        g.t.add(g.target + row * nbytes, 0, g.source + n * nbytes, 0, 1, g.D)
        if g.counts[row] < 0:
            often = -1 - g.counts[row]
            g.added[often] += 1
            if g.added[often] % OFTEN == 0:
                add_to_doubles(g.totals + often * g.D, g.target + row * nbytes, g.D, g.t.itemsize)
                memset(g.target + row * nbytes, 0, nbytes)
    for row in range(from_, to):
        if g.counts[row] < 0:
            often = -1 - g.counts[row]
            add_to_doubles(g.totals + often * g.D, g.target + row * nbytes, g.D, g.t.itemsize)
            put_doubles(g.target + row * nbytes, g.totals + often * g.D, g.D, g.t.itemsize)


cdef bint table_gradient(Lookup *g, int workers) noexcept nogil:
    """False when there is no memory."""
    cdef Py_ssize_t often = g.count // OFTEN, n, row, found = 0
    cdef char *workspace = NULL
    if fits(8.0 * (g.rows + <double> often * (g.D + 1))):
        workspace = <char *> allocate((g.rows + often * (g.D + 1)) * 8)
    if workspace == NULL:
        return False
    g.totals = <double *> workspace
    g.added = <int64_t *> (g.totals + often * g.D)
    g.counts = g.added + often
    memset(g.counts, 0, g.rows * sizeof(int64_t))
    for n in range(g.count):
        g.counts[g.indices[n]] += 1
    for row in range(g.rows if often else 0):
        if g.counts[row] >= OFTEN:
            g.counts[row] = -1 - found
            found += 1
    memset(g.totals, 0, found * g.D * sizeof(double))
    memset(g.added, 0, found * sizeof(int64_t))
    parallel(add_rows, g, g.parts, workers, <double> (g.count + g.rows) * g.D)
    release(workspace)
    return True


def embedding_forward(const int64_t[::1] indices, const real[:, ::1] w, real[:, ::1] y):
    """y (count, D) = the rows of w (rows, D) at the indices, which are all in it. Writes all of y. EXACT."""
    cdef Lookup g
    g.t, g.count, g.D = tiles(real is double), y.shape[0], y.shape[1]
    g.indices, g.source, g.target = <const int64_t *> begin(indices), begin(w), begin(y)
    with nogil:
        look_up(&g, threads())


def embedding_backward(const real[:, ::1] dy, const int64_t[::1] indices, real[:, ::1] dw, Py_ssize_t padding_idx):
    """dw (rows, D) = for each row the sum of dy (count, D) over the indices that picked the row; 0 at padding_idx.

    Writes all of dw; no overlap. The sum is in the order of the indices; blocks of 32 are added in double precision.
    REDUCTION(32) at most.
    """
    cdef Lookup g
    cdef int workers = threads()
    cdef bint enough
    g.t, g.count, g.D, g.rows = tiles(real is double), dy.shape[0], dw.shape[1], dw.shape[0]
    g.padding_idx, g.parts = padding_idx, 2 * workers if workers > 1 else 1
    g.indices = <const int64_t *> begin(indices)
    g.source = begin(dy)
    g.target = begin(dw)
    with nogil:
        enough = table_gradient(&g, workers)
    if not enough:
        raise MemoryError("no memory for the gradients of rows picked often")


def index_select(const unsigned char[::1] x, const int64_t[::1] indices, unsigned char[::1] y,
                 Py_ssize_t outer, Py_ssize_t rows, Py_ssize_t nbytes):
    """y (outer, count, nbytes) = the parts of x (outer, rows, nbytes) at the indices, which are in 0..rows-1.

    The parts are bytes of any type. No size is 0. Writes all of y; no overlap. EXACT.
    """
    cdef Selection g
    g.count, g.rows, g.nbytes, g.total = indices.shape[0], rows, nbytes, outer * indices.shape[0]
    g.parts = max(<Py_ssize_t> 1, 65536 // nbytes)
    g.indices, g.source, g.target = <const int64_t *> begin(indices), begin(x), begin(y)
    with nogil:
        parallel(select_parts, &g, ceil_div(g.total, g.parts), threads(), .5 * g.total * nbytes)
