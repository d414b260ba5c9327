"""The weight gradient of a 3 x 3 or 5 x 5 convolution at stride 1, by the transposed transforms of the forward.

See `_conv_winograd` for the forward: M = U V for each of the 36 values of a tile, y = A^T M A and U = G w G^T. So
dU = (A dy A^T) V^T, summed over all tiles, and dw = G^T dU G.

A group of tiles is taken at a time. First its tiles are transformed, a band of an image at a time. Then each of the 36
products is added to its sums. For product k of the 36:

    sums k (channels, outputs)  +=  x values k (tiles, channels)^T  times  dy values k (tiles, outputs)

A chunk is some groups, which one thread takes. Each chunk has sums of its own, which are added in order at the end.
If sums would take too much memory, there is one chunk of large groups, and threads share each group. Chunks and groups
follow from the shape alone, and so does the order of the sums.
"""
from libc.string cimport memset

from fastnn._kernels._conv_winograd cimport (
    DONE,
    LINE,
    NO_MEMORY,
    NOT_FINITE,
    VALUES,
    VIEW,
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
    GROUP_BYTES = 1 << 18         # values of a group's tiles: they stay in the second-level cache
    GROUP_SUMS = 2                # or this many times the bytes of the sums, which each group reads and writes
    SHARED_GROUP_BYTES = 1 << 22  # values of a group that threads share
    MOST_CHUNKS = 16
    CHUNK_TILES = 256             # tiles of a chunk: fewer do not repay sums of its own
    MOST_SUMS_BYTES = 1 << 24     # sums of all chunks

cdef struct WinogradWeight:
    const Gradients *a
    int taps                      # 3 or 5: the kernel is taps x taps
    Py_ssize_t tile               # a tile has tile x tile output pixels
    Py_ssize_t rows, cols         # rows and columns of tiles in an image
    Py_ssize_t band, bands        # rows of tiles of a band, which is transformed at a time; bands of an image
    Py_ssize_t chunks, group      # chunks; bands of a group
    Py_ssize_t first, last        # the bands of the current group, if threads share it
    Py_ssize_t tiles              # the tiles that a group has room for, an odd number
    Py_ssize_t CL, OL             # C and O up to whole vectors
    Py_ssize_t step               # elements from the sums of a value to those of the next, an odd number of vectors
    Py_ssize_t x_line, dy_line    # elements of a row of x and of dy, laid out
    Py_ssize_t *x_places          # the place of each pixel of x among the pixels laid out
    Py_ssize_t *dy_places         # the same for dy
    Py_ssize_t *koff              # tile * OL
    char *values                  # values of x (VALUES, tiles, CL) and of dy (.., OL), if threads share groups
    char *sums                    # (chunks, VALUES, step): of each value (C, OL)
    char *db_sums                 # (N * bands, OL)
    char *workspace               # for each thread: flag line, pixels of x, pixels of dy, values of its own groups
    Py_ssize_t x_size, dy_size, values_size, sums_size, workspace_step  # elements; the last in bytes
    char *spoilt                  # (C): True where the sums of a channel have inf or NaN


cdef inline Py_ssize_t tiles_before(const WinogradWeight *p, Py_ssize_t band) noexcept nogil:
    return (band // p.bands * p.rows + band % p.bands * p.band) * p.cols


cdef void transform(const WinogradWeight *p, Py_ssize_t i, char *values, Py_ssize_t at, int slot) noexcept nogil:
    """Values of x (VALUES, tiles, CL) and of dy (.., OL): those of the tiles of band i, from place `at` on."""
    cdef const Gradients *a = p.a
    cdef const ConvShape *s = &a.shape
    cdef fnn_tiles *t = a.t
    cdef Py_ssize_t size = t.itemsize, n = i // p.bands, row = i % p.bands * p.band, rows = min(p.band, p.rows - row)
    cdef Py_ssize_t r, c, tile = p.tile
    cdef char *x = zeroed(p.workspace + slot * p.workspace_step, (p.x_size + p.dy_size) * size)
    cdef char *dy = x + p.x_size * size
    cdef char *dy_values = values + VALUES * p.tiles * p.CL * size
    lay_out(t, x, p.x_places, p.x_line, a.x + n * s.C * s.H * s.W * size, s.C, s.H, s.W, row * tile - s.PH,
            rows * tile + VIEW - tile)
    lay_out(t, dy, p.dy_places, p.dy_line, a.dy + n * s.O * s.OH * s.OW * size, s.O, s.OH, s.OW, row * tile,
            rows * tile)
    for r in range(rows):
        t.wino_image(p.taps, values + at * p.CL * size, p.tiles * p.CL, x + r * tile * p.x_line * size, p.x_line, p.CL,
                     p.CL, p.cols)
        for c in range(p.cols):
            t.wino_gradient(p.taps, dy_values + at * p.OL * size, p.tiles * p.OL,
                            dy + (r * p.dy_line + c * p.OL) * tile * size, p.dy_line, p.OL, p.OL)
            at += 1
    if a.db != NULL:
        memset(p.db_sums + i * p.OL * size, 0, p.OL * size)
        t.sum_rows(p.db_sums + i * p.OL * size, dy, p.OL, rows * tile * p.cols * tile, p.OL)


cdef void multiply(const WinogradWeight *p, Py_ssize_t k, char *values, Py_ssize_t tiles, char *sums,
                   int flags) noexcept nogil:
    """sums[k] = the products of the values k of a group's tiles, or += with FNN_ACCUMULATE."""
    cdef fnn_tiles *t = p.a.t
    cdef Py_ssize_t size = t.itemsize, C = p.a.shape.C, blocks = ceil_div(C, t.mr), block, m, o
    cdef char *x_values = values + k * p.tiles * p.CL * size
    cdef char *dy_values = values + p.tiles * (VALUES * p.CL + k * p.OL) * size
    for o from 0 <= o < p.OL by t.nr:
        for block in range(blocks):
            m = split_at(C, blocks, block)
            t.panel(split_at(C, blocks, block + 1) - m, min(t.nr, p.OL - o), 1, tiles, x_values + m * size, NULL, 1,
                    p.CL, dy_values + o * size, p.koff, sums + (k * p.step + m * p.OL + o) * size, p.OL, NULL, flags,
                    NULL)


cdef void go_through(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """All groups of a chunk."""
    cdef const WinogradWeight *p = <const WinogradWeight *> job
    cdef Py_ssize_t size = p.a.t.itemsize, bands = p.a.shape.N * p.bands, k, i
    cdef Py_ssize_t first = split_at(bands, p.chunks, chunk), end = split_at(bands, p.chunks, chunk + 1), last
    cdef char *values = p.workspace + slot * p.workspace_step + LINE + (p.x_size + p.dy_size) * size
    cdef int flags = 0
    while first < end:
        last = min(end, first + p.group)
        for i in range(first, last):
            transform(p, i, values, tiles_before(p, i) - tiles_before(p, first), slot)
        for k in range(VALUES):
            multiply(p, k, values, tiles_before(p, last) - tiles_before(p, first),
                     p.sums + chunk * p.sums_size * size, flags)
        first, flags = last, FNN_ACCUMULATE


cdef void transform_shared(void *job, Py_ssize_t i, int slot) noexcept nogil:
    cdef const WinogradWeight *p = <const WinogradWeight *> job
    transform(p, p.first + i, p.values, tiles_before(p, p.first + i) - tiles_before(p, p.first), slot)


cdef void multiply_shared(void *job, Py_ssize_t k, int slot) noexcept nogil:
    cdef const WinogradWeight *p = <const WinogradWeight *> job
    multiply(p, k, p.values, tiles_before(p, p.last) - tiles_before(p, p.first), p.sums,
             FNN_ACCUMULATE if p.first else 0)


cdef void go_through_together(WinogradWeight *p, int workers) noexcept nogil:
    cdef Py_ssize_t bands = p.a.shape.N * p.bands
    cdef double tiles
    p.first = 0
    while p.first < bands:
        p.last = min(bands, p.first + p.group)
        tiles = tiles_before(p, p.last) - tiles_before(p, p.first)
        parallel(transform_shared, p, p.last - p.first, workers, tiles * VALUES * (p.CL + p.OL))
        parallel(multiply_shared, p, VALUES, workers, tiles * p.a.shape.C * p.a.shape.O * VALUES / 16)
        p.first = p.last


cdef void finish(void *job, Py_ssize_t c, int slot) noexcept nogil:
    """dw[:, c]"""
    cdef const WinogradWeight *p = <const WinogradWeight *> job
    cdef const Gradients *a = p.a
    cdef const ConvShape *s = &a.shape
    cdef Py_ssize_t size = a.t.itemsize, K = s.KH * s.KW, chunk, step = p.step
    cdef char *sums = p.sums + c * p.OL * size
    for chunk in range(1, p.chunks):
        a.t.add(sums, step, sums + chunk * p.sums_size * size, step, VALUES, p.OL)
    p.spoilt[c] = not a.t.wino_taps(p.taps, a.dw + c * K * size, s.C * K, sums, step, s.O)


cdef void place(Py_ssize_t *places, Py_ssize_t H, Py_ssize_t W, Py_ssize_t line, Py_ssize_t left,
                Py_ssize_t channels) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(H * W):
        places[i] = i // W * line + (i % W + left) * channels


cdef bint prepare(WinogradWeight *p, const Gradients *a) noexcept nogil:
    """Decide chunks, groups and sizes. False when no memory could hold them."""
    cdef const ConvShape *s = &a.shape
    cdef fnn_tiles *t = a.t
    cdef Py_ssize_t size = t.itemsize, each, room
    p.a, p.taps, p.tile = a, <int> s.KH, VIEW + 1 - s.KH
    p.rows, p.cols = ceil_div(s.OH, p.tile), ceil_div(s.OW, p.tile)
    p.CL, p.OL = ceil_div(s.C, t.lanes) * t.lanes, ceil_div(s.O, t.lanes) * t.lanes
    if not fits((<double> p.rows * p.cols * (p.CL + p.OL) * (threads() + 1) + <double> p.CL * p.OL
                 + <double> s.N * p.rows * p.OL) * VALUES * size):
        return False
    p.step = (s.C * (p.OL // t.lanes) | 1) * t.lanes
    p.sums_size = VALUES * p.step
    p.chunks = min(<Py_ssize_t> MOST_CHUNKS, min(s.N * p.rows * p.cols // CHUNK_TILES,
                                                 MOST_SUMS_BYTES // (p.sums_size * size)))
    p.chunks = max(<Py_ssize_t> 1, p.chunks)
    each = VALUES * (p.CL + p.OL) * size
    room = SHARED_GROUP_BYTES // each
    if p.chunks > 1:
        room = max(<Py_ssize_t> GROUP_BYTES, GROUP_SUMS * p.sums_size * size) // each
    p.bands = ceil_div(p.rows, min(p.rows, max(<Py_ssize_t> 1, room // p.cols)))
    p.band = ceil_div(p.rows, p.bands)
    p.bands = ceil_div(p.rows, p.band)
    p.group = min(s.N * p.bands, max(<Py_ssize_t> 1, room // (p.band * p.cols)))
    p.chunks = min(p.chunks, s.N * p.bands)
    p.tiles = p.group * p.band * p.cols | 1  # odd, or the 36 values of a tile could all fall into one set of the cache
    p.x_line, p.dy_line = (p.cols * p.tile + VIEW - p.tile) * p.CL, p.cols * p.tile * p.OL
    p.x_size, p.dy_size = (p.band * p.tile + VIEW - p.tile) * p.x_line, p.band * p.tile * p.dy_line
    p.values_size = VALUES * p.tiles * (p.CL + p.OL)
    room = p.x_size + p.dy_size + (p.values_size if p.chunks > 1 else 0)
    p.workspace_step = LINE + ceil_div(room * size, LINE) * LINE
    return True


cdef Outcome run(WinogradWeight *p, int workers) noexcept nogil:
    cdef const Gradients *a = p.a
    cdef const ConvShape *s = &a.shape
    cdef Py_ssize_t i, bands = s.N * p.bands
    place(p.x_places, s.H, s.W, p.x_line, s.PW, p.CL)
    place(p.dy_places, s.OH, s.OW, p.dy_line, 0, p.OL)
    for i in range(p.tiles):
        p.koff[i] = i * p.OL
    renew(p.workspace, p.workspace_step, workers)
    if p.chunks > 1:
        parallel(go_through, p, p.chunks, workers, <double> bands * p.band * p.cols * VALUES
                 * (<double> s.C * s.O / 16 + p.CL + p.OL))
    else:
        go_through_together(p, workers)
    parallel(finish, p, s.C, workers, <double> VALUES * s.C * s.O * p.chunks)
    if a.db != NULL:
        memset(a.db, 0, s.O * a.t.itemsize)
        a.t.sum_rows(a.db, p.db_sums, p.OL, bands, s.O)
    for i in range(s.C):
        if p.spoilt[i]:
            return NOT_FINITE
    return DONE


cdef Outcome winograd_weight(const Gradients *a) noexcept nogil:
    cdef WinogradWeight p
    cdef const ConvShape *s = &a.shape
    cdef Py_ssize_t size = a.t.itemsize, sums
    cdef int workers = threads()
    cdef Outcome outcome = NO_MEMORY
    if not prepare(&p, a):
        return NO_MEMORY
    sums = p.chunks * p.sums_size
    p.x_places = <Py_ssize_t *> allocate((s.H * s.W + s.OH * s.OW + p.tiles) * sizeof(Py_ssize_t))
    p.values = NULL if p.chunks > 1 else <char *> allocate(p.values_size * size)
    p.sums = <char *> allocate((sums + s.N * p.bands * p.OL) * size + s.C)
    p.workspace = <char *> allocate(workers * p.workspace_step)
    if p.x_places != NULL and (p.chunks > 1 or p.values != NULL) and p.sums != NULL and p.workspace != NULL:
        p.dy_places = p.x_places + s.H * s.W
        p.koff = p.dy_places + s.OH * s.OW
        p.db_sums = p.sums + sums * size
        p.spoilt = p.db_sums + s.N * p.bands * p.OL * size
        outcome = run(&p, workers)
    release(p.x_places)
    release(p.values)
    release(p.sums)
    release(p.workspace)
    return outcome
