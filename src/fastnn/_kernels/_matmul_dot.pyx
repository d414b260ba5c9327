"""Linear layers by dot tiles, which multiply rows by rows: both are contiguous, and nothing is packed."""
from libc.string cimport memcpy, memset

from fastnn._kernels._table cimport allocate, parallel, release
from fastnn._kernels.fnn cimport FNN_ACCUMULATE, FNN_RELU, FNN_SHORT_DOT, ceil_div, fnn_fetch, fnn_tiles, share_sets
from fastnn._kernels.fnn cimport split_at

cdef enum:
    READ = 4           # input rows: with fewer, reading the weights takes longer than multiplying
    BLOCK = 262144     # bytes of the rows of x that stay in the second-level cache
    FAR = 1 << 23      # bytes of x: above, it comes from memory, and the rows of the next tile are fetched ahead
    SUMS = 32          # room for the sums of a dot tile of any tier
    DOT_LENGTH = 1024  # elements of a row at a time: the rows of a dot tile stay in the first-level cache
    WAYS = 8           # lines of a set of the first-level cache

cdef struct Job:
    const Linear *g
    const char *x          # g.x, or a copy with gaps between its rows
    Py_ssize_t x_step      # elements from row to row
    Py_ssize_t rows, cols  # of a tile
    Py_ssize_t blocks      # of rows: N // blocks rows each, and one more in the first ones
    Py_ssize_t width       # blocks, or columns, or with `turned` rows of x of a chunk
    bint by_rows           # chunks are blocks of rows


# ---- Which tiles ---------------------------------------------------------------------------------------------------

cdef inline Py_ssize_t columns_of(const Linear *g, Py_ssize_t rows) noexcept nogil:
    """The columns of a tile: no more than a set has lines, where rows share sets."""
    return min(g.t.dot_cols[rows], <Py_ssize_t> WAYS) if share_sets(g.K * g.t.itemsize) else g.t.dot_cols[rows]


cdef inline double cost_of(const Linear *g, Py_ssize_t rows, Py_ssize_t N, Py_ssize_t O) noexcept nogil:
    """The cost of an N x O product by tiles of so many rows, in multiply-adds of a vector."""
    cdef Py_ssize_t cols = columns_of(g, rows), whole = g.t.dot_cols[rows], lanes = g.t.lanes
    cdef double step = max(rows * whole, 2 * (rows + whole))  # loads may be slower than multiply-adds
    cdef double end = 25 + 3. * ceil_div(rows * whole, lanes) * lanes + 1.5 * rows
    cdef double vectors = ceil_div(g.K, lanes), bytes = <double> N * g.K * g.t.itemsize
    if O > cols and bytes > BLOCK:  # all rows come from beyond the second-level cache again for each tile of outputs
        step += rows
    return (<double> ceil_div(N, rows) * ceil_div(O, cols) *
            (vectors * step + max(1, ceil_div(g.K, <Py_ssize_t> DOT_LENGTH)) * end))


cdef DotTiles choose_dot_tiles(const Linear *g) noexcept nogil:
    cdef DotTiles best
    cdef Py_ssize_t rows
    cdef double cost
    best.turned, best.rows, best.cost = False, 1, cost_of(g, 1, g.N, g.O)
    for rows in range(2, 1 + min(g.t.dot_most, g.N)):
        cost = cost_of(g, rows, g.N, g.O)
        if cost < best.cost:
            best.rows, best.cost = rows, cost
    if 0 < g.K <= FNN_SHORT_DOT and g.O == 1:
        cost = <double> g.N * g.K
        if cost < best.cost:
            best.turned, best.rows, best.cost = True, 1, cost
    elif 0 < g.K and g.O <= g.t.dot_most:
        cost = cost_of(g, g.O, g.O, g.N) + (0 if g.O == 1 else 2 * g.O * g.N)
        if cost < best.cost:
            best.turned, best.rows, best.cost = True, g.O, cost
    return best


# ---- The product ---------------------------------------------------------------------------------------------------

cdef void multiply_rows(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """Some rows, or some outputs, of a layer."""
    cdef const Job *p = <const Job *> job
    cdef const Linear *g = p.g
    cdef fnn_tiles *t = g.t
    cdef Py_ssize_t size = t.itemsize, first = 0, last = p.blocks, o0 = 0, o1 = g.O, block, o, n, k0, length
    if p.by_rows:
        first, last = chunk * p.width, min(p.blocks, (chunk + 1) * p.width)
    else:
        o0, o1 = chunk * p.width, min(g.O, (chunk + 1) * p.width)
    for o from o0 <= o < o1 by p.cols:
        k0 = 0
        while True:  # K = 0 needs one round too, which writes the bias
            length = min(<Py_ssize_t> DOT_LENGTH, g.K - k0)
            for block in range(first, last):
                n = split_at(g.N, p.blocks, block)
                t.dot(split_at(g.N, p.blocks, block + 1) - n, min(p.cols, o1 - o), length,
                      p.x + (n * p.x_step + k0) * size, p.x_step, g.w + (o * g.K + k0) * size, g.koff,
                      g.y + (n * g.O + o) * size, g.O, g.b + o * size if g.b != NULL and k0 == 0 else NULL,
                      (FNN_ACCUMULATE if k0 else 0) | (FNN_RELU if g.relu and k0 + length >= g.K else 0), NULL)
            k0 += length
            if k0 >= g.K:
                break


cdef void multiply_turned(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """Some rows of a layer of few outputs. The rows of the tile are the outputs, and its columns the rows of x."""
    cdef const Job *p = <const Job *> job
    cdef const Linear *g = p.g
    cdef fnn_tiles *t = g.t
    cdef double sums_memory[SUMS]                   # (O, cols), of either precision
    cdef double biases_memory[SUMS]
    cdef char *sums = <char *> sums_memory
    cdef char *biases = <char *> biases_memory
    cdef Py_ssize_t offsets[16]
    cdef Py_ssize_t size = t.itemsize, cols = p.cols, n, m, k0, live, last = min(g.N, (chunk + 1) * p.width)
    cdef char *to
    cdef int flags
    cdef bint is_far = g.N * g.K * size > FAR
    memset(biases, 0, sizeof(biases_memory))
    for n in range(cols):
        offsets[n] = n * g.O
        if g.b != NULL:
            for m in range(g.O):
                memcpy(biases + (m * cols + n) * size, g.b + m * size, size)
    if g.O == 1 and g.K <= FNN_SHORT_DOT:
        n = chunk * p.width
        t.short_dots(last - n, g.K, g.x + n * g.K * size, g.w, g.y + n * size, g.b, FNN_RELU if g.relu else 0)
        return
    for n from chunk * p.width <= n < last by cols:
        live = min(cols, last - n)
        if is_far and n + cols < last:
            fnn_fetch(g.x + (n + cols) * g.K * size, min(cols, last - n - cols) * g.K * size)
        to = sums if g.O > 1 else g.y + n * size
        memcpy(to, biases, (g.O * cols if g.O > 1 else live) * size)
        for k0 from 0 <= k0 < g.K by DOT_LENGTH:
            flags = FNN_ACCUMULATE | (FNN_RELU if g.relu and k0 + DOT_LENGTH >= g.K else 0)
            t.dot(g.O, live, min(<Py_ssize_t> DOT_LENGTH, g.K - k0), g.w + k0 * size, g.K,
                  g.x + (n * g.K + k0) * size, g.koff, to, cols, NULL, flags, NULL)
        if g.O > 1:
            t.transpose(g.y + n * g.O * size, offsets, sums, cols, g.O, live)


cdef void linear_on_dot_tiles(const Linear *g, const DotTiles *way, int workers) noexcept nogil:
    cdef Job p
    cdef Py_ssize_t chunks
    cdef char *apart = NULL
    p.g, p.x, p.x_step, p.rows, p.cols = g, g.x, g.K, way.rows, columns_of(g, way.rows)
    if way.turned:
        p.width = p.cols * ceil_div(g.N, p.cols * 2 * workers)
        parallel(multiply_turned, &p, ceil_div(g.N, p.width), workers, <double> g.N * g.O * g.K / 16)
        return
    if g.N > 1 and g.O > p.cols and share_sets(g.K * g.t.itemsize):  # without memory it goes on, more slowly
        p.x_step = g.K + g.t.lanes
        apart = <char *> allocate(g.N * p.x_step * g.t.itemsize)
        if apart == NULL:
            p.x_step = g.K
        else:
            g.t.copy(apart, p.x_step, g.x, g.K, g.N, g.K)
            p.x = apart
    p.blocks = ceil_div(g.N, p.rows)
    p.by_rows = ceil_div(g.O, p.cols) < 2 * workers <= p.blocks
    if p.by_rows:
        p.width = ceil_div(p.blocks, 2 * workers)
        if g.O > p.cols:  # the rows are read again for each tile
            p.width = max(1, min(p.width, BLOCK // max(1, p.rows * g.K * g.t.itemsize)))
        chunks = ceil_div(p.blocks, p.width)
    else:  # few chunks: where two meet, two threads write to one cache line in every row
        p.width = p.cols * ceil_div(g.O, p.cols * 2 * workers)
        chunks = ceil_div(g.O, p.width)
    parallel(multiply_rows, &p, chunks, workers, <double> max(g.N, READ) * g.O * g.K / 16)
    release(apart)
