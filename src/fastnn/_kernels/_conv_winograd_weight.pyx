"""The gradient of the weights of a 3 x 3 convolution at stride 1, by Winograd's F(4 x 4, 3 x 3) turned about.

The forward is dM = U V for each of the 36 values of a tile, y = A^T M A, U = G w G^T (see `_conv_winograd`). So
dU = (A dy A^T) V^T, summed over all tiles, and dw = G^T dU G. Some images at a time: first their values, image by
image, then the products, value by value, added to the sums so far: the order of the sums depends on the shape alone.
"""
from libc.string cimport memset

from fastnn._kernels._conv_winograd cimport (
    DONE,
    LINE,
    NO_MEMORY,
    NOT_FINITE,
    TILE,
    VALUES,
    Outcome,
    lay_out,
    renew,
    zeroed,
)
from fastnn._kernels._table cimport allocate, parallel, release, threads
from fastnn._kernels.fnn cimport FNN_ACCUMULATE, ceil_div, fits, fnn_tiles, split_at
from fastnn._kernels.conv_gradients cimport Gradients

cdef enum:
    GROUP_BYTES = 1 << 22  # of the values of the images of a group

cdef struct WinogradWeight:
    const Gradients *a
    Py_ssize_t rows, cols         # of tiles, of an image
    Py_ssize_t first, images      # of the group at work
    Py_ssize_t tiles              # of a group, at most; odd
    Py_ssize_t CL, OL             # C and O in whole vectors
    Py_ssize_t x_line, dy_line    # of images laid out
    Py_ssize_t *x_places
    Py_ssize_t *dy_places
    Py_ssize_t *koff              # tile * OL
    char *x_values                # (VALUES, tiles, CL)
    char *dy_values               # (VALUES, tiles, OL)
    char *sums                    # (VALUES, C, OL)
    char *db_sums                 # (N, OL)
    char *workspace               # for each thread: a line, pixels of x, pixels of dy
    Py_ssize_t x_size, workspace_step  # elements; bytes
    char *spoilt                  # for each channel: whether inf or NaN came of it


cdef void transform_image(void *job, Py_ssize_t i, int slot) noexcept nogil:
    cdef const WinogradWeight *s = <const WinogradWeight *> job
    cdef const Gradients *a = s.a
    cdef fnn_tiles *t = a.t
    cdef Py_ssize_t size = t.itemsize, n = s.first + i, r, c, at = i * s.rows * s.cols, P = a.OH * a.OW
    cdef char *x = zeroed(s.workspace + slot * s.workspace_step, s.workspace_step - LINE)
    cdef char *dy = x + s.x_size * size
    lay_out(t, x, s.x_places, s.x_line, a.x + n * a.C * a.H * a.W * size, a.C, a.H, a.W, -a.PH, s.rows * TILE + 2)
    lay_out(t, dy, s.dy_places, s.dy_line, a.dy + n * a.O * P * size, a.O, a.OH, a.OW, 0, s.rows * TILE)
    for r in range(s.rows):
        for c in range(s.cols):
            t.wino_image(s.x_values + at * s.CL * size, s.tiles * s.CL, x + (r * s.x_line + c * s.CL) * TILE * size,
                         s.x_line, s.CL, s.CL)
            t.wino_gradient(s.dy_values + at * s.OL * size, s.tiles * s.OL,
                            dy + (r * s.dy_line + c * s.OL) * TILE * size, s.dy_line, s.OL, s.OL)
            at += 1
    if a.db != NULL:
        memset(s.db_sums + n * s.OL * size, 0, s.OL * size)
        t.sum_rows(s.db_sums + n * s.OL * size, dy, s.OL, a.OH * s.cols * TILE, s.OL)


cdef void multiply(void *job, Py_ssize_t k, int slot) noexcept nogil:
    """sums[k] += the products of the values k of the group's tiles."""
    cdef const WinogradWeight *s = <const WinogradWeight *> job
    cdef fnn_tiles *t = s.a.t
    cdef Py_ssize_t size = t.itemsize, C = s.a.C, blocks = ceil_div(C, t.mr), block, m, o
    for o from 0 <= o < s.OL by t.nr:
        for block in range(blocks):
            m = split_at(C, blocks, block)
            t.panel(split_at(C, blocks, block + 1) - m, min(t.nr, s.OL - o), 1, s.images * s.rows * s.cols,
                    s.x_values + (k * s.tiles * s.CL + m) * size, NULL, 1, s.CL,
                    s.dy_values + (k * s.tiles * s.OL + o) * size, s.koff,
                    s.sums + ((k * C + m) * s.OL + o) * size, s.OL, NULL, FNN_ACCUMULATE if s.first else 0, NULL)


cdef void finish(void *job, Py_ssize_t c, int slot) noexcept nogil:
    """dw[:, c]"""
    cdef const WinogradWeight *s = <const WinogradWeight *> job
    cdef const Gradients *a = s.a
    s.spoilt[c] = not a.t.wino_taps(a.dw + c * 9 * a.t.itemsize, a.C * 9, 1, s.sums + c * s.OL * a.t.itemsize,
                                    a.C * s.OL, a.O)


cdef void place(Py_ssize_t *places, Py_ssize_t H, Py_ssize_t W, Py_ssize_t line, Py_ssize_t left,
                Py_ssize_t channels) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(H * W):
        places[i] = i // W * line + (i % W + left) * channels


cdef Outcome winograd_weight(const Gradients *a) noexcept nogil:
    cdef WinogradWeight s
    cdef fnn_tiles *t = a.t
    cdef Py_ssize_t size = t.itemsize, i, group, tiles, dy_size
    cdef int workers = threads()
    cdef Outcome outcome = DONE
    s.a = a
    s.rows, s.cols = ceil_div(a.OH, TILE), ceil_div(a.OW, TILE)
    s.CL, s.OL = ceil_div(a.C, t.lanes) * t.lanes, ceil_div(a.O, t.lanes) * t.lanes
    tiles = s.rows * s.cols
    if not fits((<double> tiles * (s.CL + s.OL) * (workers + 1) + <double> s.CL * s.OL + <double> a.N * s.OL)
                * VALUES * size):
        return NO_MEMORY
    group = min(a.N, max(<Py_ssize_t> 1, GROUP_BYTES // (VALUES * tiles * (s.CL + s.OL) * size)))
    s.tiles = group * tiles | 1  # the values of a tile must not all be in one set of the cache
    s.x_line, s.dy_line = (s.cols * TILE + 2) * s.CL, s.cols * TILE * s.OL
    s.x_size, dy_size = (s.rows * TILE + 2) * s.x_line, s.rows * TILE * s.dy_line
    s.workspace_step = LINE + ceil_div((s.x_size + dy_size) * size, LINE) * LINE
    s.x_places = <Py_ssize_t *> allocate((a.H * a.W + a.OH * a.OW + s.tiles) * sizeof(Py_ssize_t))
    s.x_values = <char *> allocate(VALUES * s.tiles * (s.CL + s.OL) * size)
    s.sums = <char *> allocate((VALUES * a.C + a.N) * s.OL * size + a.C)
    s.workspace = <char *> allocate(workers * s.workspace_step)
    if s.x_places == NULL or s.x_values == NULL or s.sums == NULL or s.workspace == NULL:
        outcome = NO_MEMORY
    else:
        s.dy_places = s.x_places + a.H * a.W
        s.koff = s.dy_places + a.OH * a.OW
        s.dy_values = s.x_values + VALUES * s.tiles * s.CL * size
        s.db_sums = s.sums + VALUES * a.C * s.OL * size
        s.spoilt = s.db_sums + a.N * s.OL * size
        place(s.x_places, a.H, a.W, s.x_line, a.PW, s.CL)
        place(s.dy_places, a.OH, a.OW, s.dy_line, 0, s.OL)
        for i in range(s.tiles):
            s.koff[i] = i * s.OL
        renew(s.workspace, s.workspace_step, workers)
        s.first = 0
        while s.first < a.N:
            s.images = min(group, a.N - s.first)
            parallel(transform_image, &s, s.images, workers, <double> s.images * tiles * VALUES * (s.CL + s.OL))
            parallel(multiply, &s, VALUES, workers, <double> s.images * tiles * a.C * a.O * VALUES / 16)
            s.first += s.images
        parallel(finish, &s, a.C, workers, <double> VALUES * a.C * a.O)
        for i in range(a.C):
            if s.spoilt[i]:
                outcome = NOT_FINITE
        if a.db != NULL:
            memset(a.db, 0, a.O * size)
            t.sum_rows(a.db, s.db_sums, s.OL, a.N, a.O)
    release(s.x_places)
    release(s.x_values)
    release(s.sums)
    release(s.workspace)
    return outcome
