"""The weight gradient of a 3 x 3 convolution at stride 1, by the transposed transforms of F(4 x 4, 3 x 3).

See `_conv_winograd` for the forward: M = U V for each of the 36 values of a tile, y = A^T M A and U = G w G^T. So
dU = (A dy A^T) V^T, summed over all tiles, and dw = G^T dU G.

A group of images is taken at a time. First its images are transformed, one by one. Then each of the 36 products is
added to its sums. The order of the sums depends on the shape alone. For product k of the 36:

    sums k (channels, outputs)  +=  x values k (tiles, channels)^T  times  dy values k (tiles, outputs)
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
from fastnn._kernels.conv_gradients cimport Gradients
from fastnn._kernels.conv_shape cimport ConvShape
from fastnn._kernels.fnn cimport FNN_ACCUMULATE, ceil_div, fits, fnn_tiles, split_at

cdef enum:
    GROUP_BYTES = 1 << 22  # values of a group of images

cdef struct WinogradWeight:
    const Gradients *a
    Py_ssize_t rows, cols         # rows and columns of tiles in an image
    Py_ssize_t first, images      # the first image of the current group; images of this group
    Py_ssize_t tiles              # the tiles that a group has room for, an odd number
    Py_ssize_t CL, OL             # C and O up to whole vectors
    Py_ssize_t x_line, dy_line    # elements of a row of x and of dy, laid out
    Py_ssize_t *x_places          # the place of each pixel of x among the pixels laid out
    Py_ssize_t *dy_places         # the same for dy
    Py_ssize_t *koff              # tile * OL
    char *x_values                # (VALUES, tiles, CL)
    char *dy_values               # (VALUES, tiles, OL)
    char *sums                    # (VALUES, C, OL)
    char *db_sums                 # (N, OL)
    char *workspace               # for each thread: flag line, pixels of x, pixels of dy
    Py_ssize_t x_size, workspace_step  # elements of x laid out; bytes of a workspace
    char *spoilt                  # (C): True where the sums of a channel have inf or NaN


cdef void transform_image(void *job, Py_ssize_t i, int slot) noexcept nogil:
    cdef const WinogradWeight *p = <const WinogradWeight *> job
    cdef const Gradients *a = p.a
    cdef const ConvShape *s = &a.shape
    cdef fnn_tiles *t = a.t
    cdef Py_ssize_t size = t.itemsize, n = p.first + i, r, c, at = i * p.rows * p.cols, P = s.OH * s.OW
    cdef char *x = zeroed(p.workspace + slot * p.workspace_step, p.workspace_step - LINE)
    cdef char *dy = x + p.x_size * size
    lay_out(t, x, p.x_places, p.x_line, a.x + n * s.C * s.H * s.W * size, s.C, s.H, s.W, -s.PH, p.rows * TILE + 2)
    lay_out(t, dy, p.dy_places, p.dy_line, a.dy + n * s.O * P * size, s.O, s.OH, s.OW, 0, p.rows * TILE)
    for r in range(p.rows):
        for c in range(p.cols):
            t.wino_image(p.x_values + at * p.CL * size, p.tiles * p.CL, x + (r * p.x_line + c * p.CL) * TILE * size,
                         p.x_line, p.CL, p.CL)
            t.wino_gradient(p.dy_values + at * p.OL * size, p.tiles * p.OL,
                            dy + (r * p.dy_line + c * p.OL) * TILE * size, p.dy_line, p.OL, p.OL)
            at += 1
    if a.db != NULL:
        memset(p.db_sums + n * p.OL * size, 0, p.OL * size)
        t.sum_rows(p.db_sums + n * p.OL * size, dy, p.OL, s.OH * p.cols * TILE, p.OL)


cdef void multiply(void *job, Py_ssize_t k, int slot) noexcept nogil:
    """sums[k] += value k of x times value k of dy, over the tiles of the group."""
    cdef const WinogradWeight *p = <const WinogradWeight *> job
    cdef fnn_tiles *t = p.a.t
    cdef Py_ssize_t size = t.itemsize, C = p.a.shape.C, blocks = ceil_div(C, t.mr), block, m, o
    for o from 0 <= o < p.OL by t.nr:
        for block in range(blocks):
            m = split_at(C, blocks, block)
            t.panel(split_at(C, blocks, block + 1) - m, min(t.nr, p.OL - o), 1, p.images * p.rows * p.cols,
                    p.x_values + (k * p.tiles * p.CL + m) * size, NULL, 1, p.CL,
                    p.dy_values + (k * p.tiles * p.OL + o) * size, p.koff,
                    p.sums + ((k * C + m) * p.OL + o) * size, p.OL, NULL, FNN_ACCUMULATE if p.first else 0, NULL)


cdef void finish(void *job, Py_ssize_t c, int slot) noexcept nogil:
    """dw[:, c]"""
    cdef const WinogradWeight *p = <const WinogradWeight *> job
    cdef const Gradients *a = p.a
    cdef const ConvShape *s = &a.shape
    p.spoilt[c] = not a.t.wino_taps(a.dw + c * 9 * a.t.itemsize, s.C * 9, 1, p.sums + c * p.OL * a.t.itemsize,
                                    s.C * p.OL, s.O)


cdef void place(Py_ssize_t *places, Py_ssize_t H, Py_ssize_t W, Py_ssize_t line, Py_ssize_t left,
                Py_ssize_t channels) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(H * W):
        places[i] = i // W * line + (i % W + left) * channels


cdef Outcome winograd_weight(const Gradients *a) noexcept nogil:
    cdef WinogradWeight p
    cdef const ConvShape *s = &a.shape
    cdef fnn_tiles *t = a.t
    cdef Py_ssize_t size = t.itemsize, i, group, tiles, dy_size
    cdef int workers = threads()
    cdef Outcome outcome = DONE
    p.a = a
    p.rows, p.cols = ceil_div(s.OH, TILE), ceil_div(s.OW, TILE)
    p.CL, p.OL = ceil_div(s.C, t.lanes) * t.lanes, ceil_div(s.O, t.lanes) * t.lanes
    tiles = p.rows * p.cols
    if not fits((<double> tiles * (p.CL + p.OL) * (workers + 1) + <double> p.CL * p.OL + <double> s.N * p.OL)
                * VALUES * size):
        return NO_MEMORY
    group = min(s.N, max(<Py_ssize_t> 1, GROUP_BYTES // (VALUES * tiles * (p.CL + p.OL) * size)))
    p.tiles = group * tiles | 1  # odd, or the 36 values of a tile could all fall into one set of the cache
    p.x_line, p.dy_line = (p.cols * TILE + 2) * p.CL, p.cols * TILE * p.OL
    p.x_size, dy_size = (p.rows * TILE + 2) * p.x_line, p.rows * TILE * p.dy_line
    p.workspace_step = LINE + ceil_div((p.x_size + dy_size) * size, LINE) * LINE
    p.x_places = <Py_ssize_t *> allocate((s.H * s.W + s.OH * s.OW + p.tiles) * sizeof(Py_ssize_t))
    p.x_values = <char *> allocate(VALUES * p.tiles * (p.CL + p.OL) * size)
    p.sums = <char *> allocate((VALUES * s.C + s.N) * p.OL * size + s.C)
    p.workspace = <char *> allocate(workers * p.workspace_step)
    if p.x_places == NULL or p.x_values == NULL or p.sums == NULL or p.workspace == NULL:
        outcome = NO_MEMORY
    else:
        p.dy_places = p.x_places + s.H * s.W
        p.koff = p.dy_places + s.OH * s.OW
        p.dy_values = p.x_values + VALUES * p.tiles * p.CL * size
        p.db_sums = p.sums + VALUES * s.C * p.OL * size
        p.spoilt = p.db_sums + s.N * p.OL * size
        place(p.x_places, s.H, s.W, p.x_line, s.PW, p.CL)
        place(p.dy_places, s.OH, s.OW, p.dy_line, 0, p.OL)
        for i in range(p.tiles):
            p.koff[i] = i * p.OL
        renew(p.workspace, p.workspace_step, workers)
        p.first = 0
        while p.first < s.N:
            p.images = min(group, s.N - p.first)
            parallel(transform_image, &p, p.images, workers, <double> p.images * tiles * VALUES * (p.CL + p.OL))
            parallel(multiply, &p, VALUES, workers, <double> p.images * tiles * s.C * s.O * VALUES / 16)
            p.first += p.images
        parallel(finish, &p, s.C, workers, <double> VALUES * s.C * s.O)
        for i in range(s.C):
            if p.spoilt[i]:
                outcome = NOT_FINITE
        if a.db != NULL:
            memset(a.db, 0, s.O * size)
            t.sum_rows(a.db, p.db_sums, p.OL, s.N, s.O)
    release(p.x_places)
    release(p.x_values)
    release(p.sums)
    release(p.workspace)
    return outcome
