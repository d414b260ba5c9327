"""Matrix products: packed panels around the panel tile (`gemm`), and products of rows with rows (linear forward)."""
from libc.string cimport memset

from fastnn._kernels._table cimport allocate, parallel, release, threads, tiles
from fastnn._kernels.fnn cimport FNN_ACCUMULATE, FNN_RELU, ceil_div, fnn_tiles, split_at

ctypedef fused real:
    float
    double

cdef enum:
    DEPTH = 384        # of a packed block: with PANELS panels it stays in the second-level cache
    PANELS = 8
    THIN_DEPTH = 64    # of a block read in place: so many rows of b are followed at a time
    DOT_LENGTH = 1024  # of a row, at a time: the tile's rows stay in the first-level cache


# ---- The packed product --------------------------------------------------------------------------------------------

cdef struct Gemm:
    fnn_tiles *t
    Py_ssize_t M, N, K
    const char *a
    Py_ssize_t a_row, a_col
    const char *b
    Py_ssize_t b_row, b_col
    char *c
    Py_ssize_t blocks                # of rows, as even as they can be: M // blocks, and one more in the first ones
    Py_ssize_t width                 # columns of a chunk
    Py_ssize_t depth                 # of a packed block
    bint in_place                    # b is used by one block of rows only: whole panels of it are read where they lie
    char *packed_a                   # (K, rows) for each block
    char *packed_b                   # (DEPTH, nr) for each panel of a chunk, for each thread
    Py_ssize_t *koff                 # k * nr, k < DEPTH
    Py_ssize_t *b_offsets            # k * b_row, k < DEPTH
    Py_ssize_t *a_offsets            # k * (M // blocks), then k * (M // blocks + 1), k < DEPTH


cdef void pack(fnn_tiles *t, char *dst, const Py_ssize_t *offsets, const char *src, Py_ssize_t k_step,
               Py_ssize_t m_step, Py_ssize_t depth, Py_ssize_t width) noexcept nogil:
    """dst[offsets[k] + m] = src[k*k_step + m*m_step], k < depth, m < width; offsets grow evenly; one step is 1."""
    if m_step == 1:
        t.copy(dst, offsets[1], src, k_step, depth, width)
    else:
        t.transpose(dst, offsets, src, m_step, width, depth)


cdef void pack_rows(void *job, Py_ssize_t block, int slot) noexcept nogil:
    cdef const Gemm *g = <const Gemm *> job
    cdef Py_ssize_t m0 = split_at(g.M, g.blocks, block), rows = split_at(g.M, g.blocks, block + 1) - m0
    cdef Py_ssize_t size = g.t.itemsize, k
    cdef char *packed = g.packed_a + m0 * g.K * size
    for k from 0 <= k < g.K by DEPTH:
        pack(g.t, packed + k * rows * size, g.a_offsets + (rows - g.M // g.blocks) * DEPTH,
             g.a + (m0 * g.a_row + k * g.a_col) * size, g.a_col, g.a_row, min(<Py_ssize_t> DEPTH, g.K - k), rows)


cdef void multiply_columns(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Gemm *g = <const Gemm *> job
    cdef fnn_tiles *t = g.t
    cdef Py_ssize_t size = t.itemsize, nr = t.nr, n0 = chunk * g.width, n1 = min(g.N, n0 + g.width)
    cdef Py_ssize_t k0, depth, n, block, m0, rows, whole = n0 + (n1 - n0) // nr * nr if g.in_place else n0
    cdef char *panels = g.packed_b + slot * g.width * DEPTH * size
    for k0 from 0 <= k0 < g.K by g.depth:
        depth = min(g.depth, g.K - k0)
        for n from whole <= n < n1 by nr:
            pack(t, panels + (n - n0) * DEPTH * size, g.koff, g.b + (k0 * g.b_row + n * g.b_col) * size, g.b_row,
                 g.b_col, depth, min(nr, n1 - n))
        for block in range(g.blocks):
            m0 = split_at(g.M, g.blocks, block)
            rows = split_at(g.M, g.blocks, block + 1) - m0
            for n from n0 <= n < n1 by nr:
                t.panel(rows, min(nr, n1 - n), 1, depth, g.packed_a + (m0 * g.K + k0 * rows) * size, NULL, 1, rows,
                        g.b + (k0 * g.b_row + n) * size if n < whole else panels + (n - n0) * DEPTH * size,
                        g.b_offsets if n < whole else g.koff, g.c + (m0 * g.N + n) * size, g.N, NULL,
                        FNN_ACCUMULATE if k0 else 0, NULL)


cdef int gemm(fnn_tiles *t, Py_ssize_t M, Py_ssize_t N, Py_ssize_t K, const void *a, Py_ssize_t a_row,
              Py_ssize_t a_col, const void *b, Py_ssize_t b_row, Py_ssize_t b_col, void *c) noexcept nogil:
    """c (M, N) = a (M, K) b (K, N), c in C order; element (m, k) of a is at m*a_row + k*a_col, b likewise.

    One of each pair of steps is 1. Returns -1 when there is no memory for the packed panels; nothing is written then.
    """
    cdef Gemm g
    cdef Py_ssize_t k, panels = ceil_div(N, t.nr), chunks
    cdef int workers = threads()
    cdef bint enough
    if M == 0 or N == 0 or K == 0:
        memset(c, 0, M * N * t.itemsize)
        return 0
    g.t, g.M, g.N, g.K, g.c = t, M, N, K, <char *> c
    g.a, g.a_row, g.a_col = <const char *> a, a_row, a_col
    g.b, g.b_row, g.b_col = <const char *> b, b_row, b_col
    g.blocks = ceil_div(M, t.mr)
    g.width = t.nr * max(1, min(<Py_ssize_t> PANELS, panels // (4 * workers)))
    chunks = ceil_div(N, g.width)
    g.in_place = g.blocks == 1 and b_col == 1
    g.depth = THIN_DEPTH if g.in_place else DEPTH
    g.packed_a = <char *> allocate(M * K * t.itemsize)
    g.packed_b = <char *> allocate(workers * g.width * DEPTH * t.itemsize)
    g.koff = <Py_ssize_t *> allocate(4 * DEPTH * sizeof(Py_ssize_t))
    enough = g.packed_a != NULL and g.packed_b != NULL and g.koff != NULL
    if enough:
        g.b_offsets = g.koff + DEPTH
        g.a_offsets = g.koff + 2 * DEPTH
        for k in range(DEPTH):
            g.koff[k] = k * t.nr
            g.b_offsets[k] = k * b_row
            g.a_offsets[k] = k * (M // g.blocks)
            g.a_offsets[DEPTH + k] = k * (M // g.blocks + 1)
        parallel(pack_rows, &g, g.blocks, workers, <double> M * K)
        parallel(multiply_columns, &g, chunks, workers, <double> M * N * K / 16)
    release(g.packed_a)
    release(g.packed_b)
    release(g.koff)
    return 0 if enough else -1


cdef int check(int status) except -1:
    if status < 0:
        raise MemoryError("no memory for the packed panels of a matrix product")
    return 0


def matmul(const real[:, ::1] a, const real[:, ::1] b, real[:, ::1] c):
    """c (M, N) = a (M, K) b (K, N). Writes all of c; c overlaps neither a nor b. REDUCTION(K)."""
    cdef int status
    with nogil:
        status = gemm(tiles(real is double), a.shape[0], b.shape[1], a.shape[1], &a[0, 0], a.shape[1], 1, &b[0, 0],
                      b.shape[1], 1, &c[0, 0])
    check(status)


# ---- Linear --------------------------------------------------------------------------------------------------------

cdef void linear_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Linear *g = <const Linear *> job
    cdef fnn_tiles *t = g.t
    cdef Py_ssize_t size = t.itemsize, o0 = chunk * g.width, o1 = min(g.O, o0 + g.width), o, n, k0, length
    for o from o0 <= o < o1 by t.dot_n:
        k0 = 0
        while True:  # once also for K = 0, which leaves the bias
            length = min(DOT_LENGTH, g.K - k0)
            for n from 0 <= n < g.N by t.dot_m:
                t.dot(min(t.dot_m, g.N - n), min(t.dot_n, o1 - o), length, g.x + (n * g.K + k0) * size, g.K,
                      g.w + (o * g.K + k0) * size, g.koff, g.y + (n * g.O + o) * size, g.O,
                      g.b + o * size if g.b != NULL and k0 == 0 else NULL,
                      (FNN_ACCUMULATE if k0 else 0) | (FNN_RELU if g.relu and k0 + length >= g.K else 0),
                      NULL)
            k0 += length
            if k0 >= g.K:
                break


cdef Linear describe_linear(fnn_tiles *t, Py_ssize_t N, Py_ssize_t O, Py_ssize_t K, bint relu) noexcept nogil:
    cdef Linear g
    cdef Py_ssize_t j
    g.t, g.N, g.O, g.K, g.relu, g.b = t, N, O, K, relu, NULL
    for j in range(t.dot_n):
        g.koff[j] = j * K
    return g


cdef void linear(Linear *g, int workers) noexcept nogil:
    # few chunks: where two meet, two threads write to one cache line, in every row
    g.width = g.t.dot_n * ceil_div(g.O, g.t.dot_n * 2 * workers)
    parallel(linear_chunk, g, ceil_div(g.O, g.width), workers, <double> g.N * g.O * g.K / 16)


def linear_forward(const real[:, ::1] x, const real[:, ::1] w, const real[::1] b, real[:, ::1] y, bint relu):
    """y (N, O) = act(x (N, I) w (O, I)^T + b (O,) or None). Writes all of y; y overlaps no input. REDUCTION(I + 1)."""
    cdef Linear g = describe_linear(tiles(real is double), x.shape[0], w.shape[0], x.shape[1], relu)
    g.x, g.w, g.y = <const char *> &x[0, 0], <const char *> &w[0, 0], <char *> &y[0, 0]
    if b is not None:
        g.b = <const char *> &b[0]
    with nogil:
        linear(&g, threads())


def linear_backward_input(const real[:, ::1] dy, const real[:, ::1] w, real[:, ::1] dx):
    """dx (N, I) = dy (N, O) w (O, I). Writes all of dx; dx overlaps no input. REDUCTION(O)."""
    cdef int status
    with nogil:
        status = gemm(tiles(real is double), dy.shape[0], w.shape[1], w.shape[0], &dy[0, 0], dy.shape[1], 1, &w[0, 0],
                      w.shape[1], 1, &dx[0, 0])
    check(status)


def linear_backward_weight(const real[:, ::1] dy, const real[:, ::1] x, real[:, ::1] dw):
    """dw (O, I) = dy (N, O)^T x (N, I). Writes all of dw; dw overlaps no input. REDUCTION(N)."""
    cdef int status
    with nogil:
        status = gemm(tiles(real is double), dy.shape[1], x.shape[1], x.shape[0], &dy[0, 0], 1, dy.shape[1], &x[0, 0],
                      x.shape[1], 1, &dw[0, 0])
    check(status)


cdef struct Columns:
    fnn_tiles *t
    Py_ssize_t N, O
    const char *dy
    char *db


cdef void sum_columns(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Columns *g = <const Columns *> job
    memset(g.db, 0, g.O * g.t.itemsize)
    g.t.sum_rows(g.db, g.dy, g.O, g.N, g.O)


def linear_backward_bias(const real[:, ::1] dy, real[::1] db):
    """db (O,) = the sum of dy (N, O) over N, in order. Writes all of db. REDUCTION(N)."""
    cdef Columns g
    g.t = tiles(real is double)
    g.N, g.O, g.dy, g.db = dy.shape[0], dy.shape[1], <const char *> &dy[0, 0], <char *> &db[0]
    with nogil:
        parallel(sum_columns, &g, 1, threads(), 0)
