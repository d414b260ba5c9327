"""Matrix products: packed panels around the panel tile (`gemm`), and linear layers.

docs/dev/matrix-products.md draws both tiles and the packed factors.
"""
from libc.string cimport memcpy, memset

from fastnn._kernels._matmul_amx cimport gemm_on_tiles, is_for_tiles
from fastnn._kernels._matmul_dot cimport DotTiles, choose_dot_tiles, linear_on_dot_tiles
from fastnn._kernels._table cimport allocate, parallel, release, threads, tiles
from fastnn._kernels.fnn cimport FNN_ACCUMULATE, FNN_BIAS_OF_COLUMNS, FNN_RELU, FNN_relu
from fastnn._kernels.fnn cimport begin, ceil_div, fnn_tiles, share_sets, split_at
from fastnn._kernels.matrix cimport Matrix, matrix

ctypedef fused real:
    float
    double

cdef enum:
    DEPTH = 384        # the most rows of a packed panel: PANELS panels stay in the second-level cache
    PANELS = 8         # the most panels of a chunk of columns
    PLAIN_PANELS = 4   # panels of b: up to here packing a costs more than it saves
    SET_ROWS = 7       # rows of a tile, if rows share sets: one less than a set has lines
    THIN_DEPTH = 64    # rows of b that are read at a time where b is not packed
    THIN_ROWS = 16     # the least rows of a thread, if threads share rows instead of columns
    READ = 4           # rows: with one, reading the weights takes longer than multiplying
    LATENCY = 8        # vectors of a tile: with fewer, a step still takes the latency of a multiply-add


# ---- The packed product --------------------------------------------------------------------------------------------

cdef struct Gemm:
    fnn_tiles *t
    Py_ssize_t M, N, K
    Matrix a, b
    char *c
    const char *bias                 # (N), or NULL
    bint relu
    Py_ssize_t blocks                # blocks of rows: M // blocks rows each, and one more in the first ones
    Py_ssize_t width                 # columns of a chunk
    Py_ssize_t parts                 # parts of the blocks, if there are too few columns for the threads
    Py_ssize_t depth                 # rows of a packed panel
    bint in_place                    # whole panels of b are not packed, because only one block of rows reads them
    bint a_in_place                  # a is not packed, because few panels read it, from different sets of the cache
    bint a_on_the_way                # each chunk has all columns, and packs the blocks of a that it reads
    char *packed_a                   # (K, rows) for each block; or (DEPTH, mr) for each thread
    char *packed_b                   # (DEPTH, nr) for each panel of a chunk, for each thread
    const char *ready                # all of b as `pack_columns` packs it, or NULL
    Py_ssize_t *koff                 # k * nr, k < DEPTH
    Py_ssize_t *b_offsets            # k * b.row, k < DEPTH
    Py_ssize_t *a_offsets            # k * (M // blocks), then k * (M // blocks + 1), k < DEPTH


cdef inline Py_ssize_t even_depth(Py_ssize_t K) noexcept nogil:
    """The depth of packed panels, about equal for all. A short last one would read and write all of c for few terms."""
    return ceil_div(K, ceil_div(K, <Py_ssize_t> DEPTH))


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
    for k from 0 <= k < g.K by g.depth:
        pack(g.t, packed + k * rows * size, g.a_offsets + (rows - g.M // g.blocks) * DEPTH,
             g.a.start + (m0 * g.a.row + k * g.a.col) * size, g.a.col, g.a.row, min(g.depth, g.K - k), rows)


cdef void pack_panel(void *job, Py_ssize_t panel, int slot) noexcept nogil:
    """One panel of b, for all parts: in the order of `pack_linear`."""
    cdef const Gemm *g = <const Gemm *> job
    cdef Py_ssize_t size = g.t.itemsize, nr = g.t.nr, panels = ceil_div(g.N, nr), n = panel * nr, k0, depth
    for k0 from 0 <= k0 < g.K by g.depth:
        depth = min(g.depth, g.K - k0)
        pack(g.t, g.packed_b + (k0 * panels + panel * depth) * nr * size, g.koff,
             g.b.start + (k0 * g.b.row + n * g.b.col) * size, g.b.row, g.b.col, depth, min(nr, g.N - n))


cdef void multiply_columns(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """Some columns of the product, or of a part of its blocks of rows."""
    cdef const Gemm *g = <const Gemm *> job
    cdef fnn_tiles *t = g.t
    cdef Py_ssize_t size = t.itemsize, nr = t.nr, n0 = chunk // g.parts * g.width, n1 = min(g.N, n0 + g.width)
    cdef Py_ssize_t first = split_at(g.blocks, g.parts, chunk % g.parts)
    cdef Py_ssize_t last = split_at(g.blocks, g.parts, chunk % g.parts + 1)
    cdef Py_ssize_t k0, depth, n, block, m0, rows, whole = n0 + (n1 - n0) // nr * nr if g.in_place else n0
    cdef char *panels = g.packed_b + slot * g.width * g.depth * size if g.packed_b != NULL else NULL
    cdef const char *a
    cdef const char *b
    cdef Py_ssize_t b_step
    cdef int flags
    for k0 from 0 <= k0 < g.K by g.depth:
        depth = min(g.depth, g.K - k0)
        flags = (FNN_ACCUMULATE if k0 else FNN_BIAS_OF_COLUMNS) | (FNN_RELU if g.relu and k0 + depth == g.K else 0)
        b, b_step = panels - n0 * g.depth * size if panels != NULL else NULL, g.depth
        if g.ready != NULL:
            b, b_step = g.ready + k0 * ceil_div(g.N, nr) * nr * size, depth
        else:
            for n from whole <= n < n1 by nr:
                pack(t, panels + (n - n0) * g.depth * size, g.koff, g.b.start + (k0 * g.b.row + n * g.b.col) * size,
                     g.b.row, g.b.col, depth, min(nr, n1 - n))
        for block in range(first, last):
            m0 = split_at(g.M, g.blocks, block)
            rows = split_at(g.M, g.blocks, block + 1) - m0
            a = g.packed_a + (m0 * g.K + k0 * rows) * size
            if g.a_in_place:
                a = g.a.start + (m0 * g.a.row + k0 * g.a.col) * size
            elif g.a_on_the_way:
                a = g.packed_a + slot * DEPTH * t.mr * size
                pack(t, <char *> a, g.a_offsets + (rows - g.M // g.blocks) * DEPTH,
                     g.a.start + (m0 * g.a.row + k0 * g.a.col) * size, g.a.col, g.a.row, depth, rows)
            for n from n0 <= n < n1 by nr:
                t.panel(rows, min(nr, n1 - n), 1, depth, a, NULL, g.a.row if g.a_in_place else 1,
                        g.a.col if g.a_in_place else rows,
                        g.b.start + (k0 * g.b.row + n) * size if n < whole else b + n * b_step * size,
                        g.b_offsets if n < whole else g.koff, g.c + (m0 * g.N + n) * size, g.N,
                        g.bias + n * size if g.bias != NULL and k0 == 0 else NULL, flags, NULL)


cdef void multiply_row(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """Some columns of a product with one row. Nothing is packed."""
    cdef const Gemm *g = <const Gemm *> job
    cdef Py_ssize_t size = g.t.itemsize, n0 = chunk * g.width, cols = min(g.width, g.N - n0)
    if g.bias != NULL:
        memcpy(g.c + n0 * size, g.bias + n0 * size, cols * size)
    else:
        memset(g.c + n0 * size, 0, cols * size)
    g.t.row(g.a.start, g.a.col, g.b.start + n0 * size, g.b.row, g.K, g.c + n0 * size, cols)
    if g.relu:
        g.t.functions[FNN_relu].forward(g.c + n0 * size, g.c + n0 * size, cols, NULL)


cdef void multiply_packed_row(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """Some columns of a product with one row. The panels, packed before, are read in the order in which they lie."""
    cdef const Gemm *g = <const Gemm *> job
    cdef Py_ssize_t size = g.t.itemsize, nr = g.t.nr, panels = ceil_div(g.N, nr), k0, depth, panel, n
    cdef int flags
    for k0 from 0 <= k0 < g.K by g.depth:
        depth = min(g.depth, g.K - k0)
        flags = (FNN_ACCUMULATE if k0 else 0) | (FNN_RELU if g.relu and k0 + depth == g.K else 0)
        for panel in range(split_at(panels, g.parts, chunk), split_at(panels, g.parts, chunk + 1)):
            n = panel * nr
            g.t.panel_row(min(nr, g.N - n), depth, g.a.start + k0 * size,
                          g.ready + (k0 * panels + panel * depth) * nr * size, g.c + n * size,
                          g.bias + n * size if g.bias != NULL and k0 == 0 else NULL, flags)


cdef void lay_out(Gemm *g, int workers) noexcept nogil:
    """How the product is cut, and which factors are packed."""
    cdef Py_ssize_t panels = ceil_div(g.N, g.t.nr), chunks
    cdef bint a_shares = share_sets(g.a.row * g.t.itemsize)
    # A tile of few rows is soon done with b. Then waiting counts: for rows of a, if one panel reads them, or of c.
    cdef bint few = panels == 1 and a_shares or g.K <= THIN_DEPTH and share_sets(g.N * g.t.itemsize)
    g.blocks = ceil_div(g.M, min(g.t.mr, <Py_ssize_t> SET_ROWS) if few and g.M > g.t.mr else g.t.mr)
    g.parts = 1
    if panels * min(g.K, <Py_ssize_t> DEPTH) <= PANELS * DEPTH and g.M >= THIN_ROWS * workers:  # share rows
        g.width = g.t.nr * panels
        if workers > 1:
            g.parts = min(g.blocks, 2 * workers if g.M >= 8 * THIN_ROWS * workers else workers)
    else:
        g.width = g.t.nr * max(1, min(<Py_ssize_t> PANELS, panels // (4 if workers == 1 else 8 * workers)))
    chunks = ceil_div(g.N, g.width)
    if g.ready != NULL and chunks < workers:
        g.parts = min(g.blocks, ceil_div(workers, chunks))
    g.blocks = ceil_div(g.blocks, g.parts) * g.parts
    g.in_place = g.blocks == 1 and g.b.col == 1
    g.depth = THIN_DEPTH if g.in_place else even_depth(g.K)
    g.a_in_place = panels <= (1 if a_shares else PLAIN_PANELS) or g.blocks == 1 and panels <= PLAIN_PANELS
    g.a_on_the_way = not g.a_in_place and chunks == 1


cdef bint gemm(fnn_tiles *t, Py_ssize_t M, Py_ssize_t N, Py_ssize_t K, Matrix a, Matrix b, void *c,
               const void *bias=NULL, bint relu=False, const char *ready=NULL) noexcept nogil:
    """c (M, N) = act(a (M, K) b (K, N) + bias (N,)), c in C order.

    a.row and a.col are the steps of a, b.row and b.col those of b; one of each pair is 1. With K = 0, c is 0, without
    the bias. `ready` is b as `pack_linear` packs it, or NULL; with it a.col is 1. Returns False, and has written
    nothing, when there is no memory for the packed panels.
    """
    cdef Gemm g
    cdef Py_ssize_t offsets[4 * DEPTH]
    cdef Py_ssize_t k, panels = ceil_div(N, t.nr)
    cdef int workers = threads()
    cdef bint enough, packs_once
    if M == 0 or N == 0 or K == 0:
        memset(c, 0, M * N * t.itemsize)
        return True
    g.t, g.M, g.N, g.K, g.c, g.bias, g.relu = t, M, N, K, <char *> c, <const char *> bias, relu
    g.a, g.b, g.ready = a, b, ready
    if N == 1 and a.row == 1 and bias == NULL:  # one column: the row of the transposed product
        g.M, g.N, g.a, g.b = 1, M, matrix(b.start, 1, b.row), matrix(a.start, a.col, 1)
    if g.M == 1 and g.b.col == 1:
        g.width = ceil_div(ceil_div(g.N, workers), t.nr) * t.nr
        parallel(multiply_row, &g, ceil_div(g.N, g.width), workers, <double> g.N * K / 16)
        return True
    if ready != NULL and M == 1:
        g.depth, g.parts = even_depth(K), min(panels, <Py_ssize_t> 2 * workers)
        parallel(multiply_packed_row, &g, g.parts, workers, READ * <double> N * K / 16)
        return True
    if ready == NULL and is_for_tiles(t, M, N, K) and gemm_on_tiles(t, M, N, K, a, b, c, bias, relu):
        return True
    lay_out(&g, workers)
    packs_once = workers > 1 and g.parts > 1 and ready == NULL and not g.in_place
    g.packed_a = g.packed_b = NULL
    if not g.a_in_place:
        g.packed_a = <char *> allocate((workers * DEPTH * t.mr if g.a_on_the_way else M * K) * t.itemsize)
    if ready == NULL:
        g.packed_b = <char *> allocate((K * panels * t.nr if packs_once else workers * g.width * g.depth) * t.itemsize)
    enough = (g.a_in_place or g.packed_a != NULL) and (ready != NULL or g.packed_b != NULL)
    if enough:
        g.koff = offsets
        g.b_offsets = g.koff + DEPTH
        g.a_offsets = g.koff + 2 * DEPTH
        for k in range(min(<Py_ssize_t> DEPTH, max(K, <Py_ssize_t> 2))):  # the second entry is the step
            g.koff[k] = k * t.nr
            g.b_offsets[k] = k * b.row
            g.a_offsets[k] = k * (M // g.blocks)
            g.a_offsets[DEPTH + k] = k * (M // g.blocks + 1)
        if not g.a_in_place and not g.a_on_the_way:
            parallel(pack_rows, &g, g.blocks, workers, <double> M * K)
        if packs_once:
            parallel(pack_panel, &g, panels, workers, <double> N * K)
            g.ready = g.packed_b
        parallel(multiply_columns, &g, ceil_div(N, g.width) * g.parts, workers, <double> M * N * K / 16)
    release(g.packed_a)
    release(g.packed_b)
    return enough


cdef int check(bint enough) except -1:
    if not enough:
        raise MemoryError("no memory for the packed panels of a matrix product")
    return 0


def matmul(const real[:, ::1] a, const real[:, ::1] b, real[:, ::1] c):
    """c (M, N) = a (M, K) b (K, N). Writes all of c; c overlaps neither a nor b. REDUCTION(K)."""
    cdef bint enough
    with nogil:
        enough = gemm(tiles(real is double), a.shape[0], b.shape[1], a.shape[1], matrix(begin(a), a.shape[1], 1),
                      matrix(begin(b), b.shape[1], 1), begin(c))
    check(enough)


# ---- Linear --------------------------------------------------------------------------------------------------------

cdef Linear describe_linear(fnn_tiles *t, Py_ssize_t N, Py_ssize_t O, Py_ssize_t K, bint relu) noexcept nogil:
    cdef Linear g
    cdef Py_ssize_t j
    g.t, g.N, g.O, g.K, g.relu, g.b, g.packed = t, N, O, K, relu, NULL, NULL
    for j in range(t.dot_cols[1]):
        g.koff[j] = j * K
    return g


cdef inline double packed_cost(const Linear *g, bint is_ready) noexcept nogil:
    """The cost of the packed product in the same unit; `is_ready` says that the weights are packed already."""
    cdef Py_ssize_t vectors = ceil_div(g.O, g.t.lanes), blocks = ceil_div(g.N, g.t.mr) * ceil_div(g.O, g.t.nr)
    return (1500 + (0 if is_ready else 0.9 * g.O * g.K) + 40 * blocks + 6. * g.N * vectors +
            <double> g.K * max(g.N * vectors, LATENCY * blocks))


cdef inline bint is_packed(const Linear *g, bint is_ready) noexcept nogil:
    """One row reads packed weights once, faster than dot tiles, which read many rows at a time."""
    return g.K > 0 and (is_ready and g.N == 1 or packed_cost(g, is_ready) < choose_dot_tiles(g).cost)


cdef Py_ssize_t packed_linear(const Linear *g) noexcept nogil:
    return ceil_div(g.O, g.t.nr) * g.t.nr * g.K * g.t.itemsize if is_packed(g, True) else 0


cdef void pack_linear(const Linear *g, char *packed) noexcept nogil:
    cdef Py_ssize_t koff[DEPTH]
    cdef Py_ssize_t k, k0, n, depth, size = g.t.itemsize, nr = g.t.nr, step = even_depth(g.K)
    for k in range(DEPTH):
        koff[k] = k * nr
    for k0 from 0 <= k0 < g.K by step:
        depth = min(step, g.K - k0)
        for n from 0 <= n < g.O by nr:
            pack(g.t, packed, koff, g.w + (k0 + n * g.K) * size, 1, g.K, depth, min(nr, g.O - n))
            packed += depth * nr * size


cdef bint linear(Linear *g, int workers) noexcept nogil:
    cdef DotTiles way
    if g.packed != NULL or is_packed(g, False):
        return gemm(g.t, g.N, g.O, g.K, matrix(g.x, g.K, 1), matrix(g.w, 1, g.K), g.y, g.b, g.relu, g.packed)
    way = choose_dot_tiles(g)
    linear_on_dot_tiles(g, &way, workers)
    return True


def linear_forward(const real[:, ::1] x, const real[:, ::1] w, const real[::1] b, real[:, ::1] y, bint relu):
    """y (N, O) = act(x (N, I) w (O, I)^T + b). b is (O,) or None. Writes all of y; no overlap. REDUCTION(I + 1)."""
    cdef Linear g = describe_linear(tiles(real is double), x.shape[0], w.shape[0], x.shape[1], relu)
    cdef bint enough
    g.x, g.w, g.y = begin(x), begin(w), begin(y)
    g.b = begin(b)
    with nogil:
        enough = linear(&g, threads())
    check(enough)


cdef void sum_columns(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Gradient *g = <const Gradient *> job
    memset(g.db, 0, g.O * g.t.itemsize)
    g.t.sum_rows(g.db, g.dy, g.O, g.N, g.O)


cdef bint linear_gradients(const Gradient *g) noexcept nogil:
    cdef fnn_tiles *t = g.t
    cdef bint enough = True
    cdef Linear rows
    if g.dx != NULL and g.I == 1:  # w is one row then
        rows = describe_linear(t, g.N, 1, g.O, False)
        rows.x, rows.w, rows.y = g.dy, g.w, g.dx
        enough &= linear(&rows, threads())
    elif g.dx != NULL:
        enough &= gemm(t, g.N, g.I, g.O, matrix(g.dy, g.O, 1), matrix(g.w, g.I, 1), g.dx)
    if g.dw != NULL:
        enough &= gemm(t, g.O, g.I, g.N, matrix(g.dy, 1, g.O), matrix(g.x, g.I, 1), g.dw)
    if g.db != NULL:
        parallel(sum_columns, <void *> g, 1, 1, 0)
    return enough


def linear_backward(const real[:, ::1] dy, const real[:, ::1] x, const real[:, ::1] w, real[:, ::1] dx,
                    real[:, ::1] dw, real[::1] db):
    """dx (N, I) = dy (N, O) w (O, I); dw (O, I) = dy^T x (N, I); db (O,) = the sum of dy over N.

    Each is computed unless it is None. Writes all of each; none overlaps an input. Blocks of rows of db are added in
    double precision. REDUCTION(O) for dx, REDUCTION(N) for dw and db.
    """
    cdef Gradient g
    cdef bint enough
    g.t, g.N, g.O, g.I = tiles(real is double), dy.shape[0], dy.shape[1], w.shape[1]
    g.dy, g.x, g.w = begin(dy), begin(x), begin(w)
    g.dx, g.dw, g.db = begin(dx), begin(dw), begin(db)
    with nogil:
        enough = linear_gradients(&g)
    check(enough)
