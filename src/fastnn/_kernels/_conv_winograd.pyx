"""Convolution forward, 3 x 3 at stride 1, by Winograd's F(4 x 4, 3 x 3): a quarter of the multiplications.

Images are laid out pixel by pixel, channels last. Of each tile of 6 x 6 pixels (they overlap by 2) come 36 values for
each channel, of each kernel 36 values too; for each of the 36, the product of the matrix (tiles, channels) with the
matrix (channels, outputs) gives values from which the 4 x 4 pixels of each output are computed. Some tiles at a time,
so that their values stay in the cache.

The rounding error is larger than that of the direct form, and is spread over a tile: for each output at most
(C + 40) eps times what the transforms make of absolute values. An inf or NaN would be spread over its tile too: such an
image is spoilt, and the direct form is to be used for it.
"""
from libc.string cimport memset

from fastnn._kernels._conv cimport Conv
from fastnn._kernels._table cimport allocate, parallel, release, threads
from fastnn._kernels.fnn cimport ceil_div, fits, fnn_tiles, split_at

cdef enum:
    CHUNK_BYTES = 1 << 17  # of the values and products of the tiles of a chunk
    SHARE = 2              # blocks of tiles for each thread, from which they are worth reading all weights

cdef void transform_weights(void *job, Py_ssize_t c, int slot) noexcept nogil:
    cdef const Winograd *s = <const Winograd *> job
    cdef const Conv *g = s.g
    cdef Py_ssize_t size = g.t.itemsize, nr = g.t.nr, panel
    for panel in range(s.panels):
        g.t.wino_weights(s.weights + (panel * g.C + c) * nr * size, s.panels * g.C * nr,
                         g.w + (panel * nr * g.C + c) * 9 * size, g.C * 9, 1, min(nr, g.O - panel * nr))


cdef void lay_out(fnn_tiles *t, char *pixels, const Py_ssize_t *places, Py_ssize_t line, const char *x, Py_ssize_t C,
                  Py_ssize_t H, Py_ssize_t W, Py_ssize_t first, Py_ssize_t rows) noexcept nogil:
    cdef Py_ssize_t top = min(max(<Py_ssize_t> 0, first), H), end = max(top, min(H, first + rows)), size = t.itemsize
    memset(pixels, 0, (top - first) * line * size)
    memset(pixels + (end - first) * line * size, 0, (first + rows - end) * line * size)
    t.transpose(pixels + (top - first) * line * size, places, x + top * W * size, H * W, C, (end - top) * W)


cdef void renew(char *workspace, Py_ssize_t step, int workers) noexcept nogil:
    cdef int slot
    for slot in range(workers):
        workspace[slot * step] = False


cdef char *zeroed(char *workspace, Py_ssize_t nbytes) noexcept nogil:
    if not workspace[0]:
        memset(workspace + LINE, 0, nbytes)
        workspace[0] = True
    return workspace + LINE


cdef void multiply(const Winograd *s, const char *values, char *products, Py_ssize_t tiles, Py_ssize_t first,
                   Py_ssize_t last) noexcept nogil:
    """The panels of outputs from first on, up to last."""
    cdef const Conv *g = s.g
    cdef fnn_tiles *t = g.t
    cdef Py_ssize_t size = t.itemsize, nr = t.nr, blocks = ceil_div(tiles, t.mr), k, panel, block, m
    cdef const char *b
    for k in range(VALUES):
        for panel in range(first, last):
            b = s.weights + (k * s.panels + panel) * g.C * nr * size
            for block in range(blocks):
                m = split_at(tiles, blocks, block)
                t.panel(split_at(tiles, blocks, block + 1) - m, min(nr, s.OL - panel * nr), 1, g.C,
                        values + (k * s.tiles + m) * s.CL * size, NULL, s.CL, 1, b, s.koff,
                        products + ((k * s.tiles + m) * s.OL + panel * nr) * size, s.OL, NULL, 0,
                        b + g.C * nr * size + block * LINE if block * LINE < nr * size else NULL)


cdef void winograd_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """Some images, or some rows of tiles of one; all outputs, or a part of them: all pieces of a part, then the next.

    A thread claims neighbouring chunks, so it keeps to the weights of its part, which stay in its cache.
    """
    cdef const Winograd *s = <const Winograd *> job
    cdef const Conv *g = s.g
    cdef fnn_tiles *t = g.t
    cdef Py_ssize_t size = t.itemsize, in_line = (s.cols * TILE + 2) * s.CL, out_line = s.cols * TILE * s.OL
    cdef Py_ssize_t pieces = ceil_div(g.N, s.images) * s.bands, part = chunk // pieces, some = chunk % pieces
    cdef Py_ssize_t n0 = some // s.bands * s.images, n1 = min(g.N, n0 + s.images), row = some % s.bands * s.band
    cdef Py_ssize_t first = split_at(s.panels, s.parts, part), last = split_at(s.panels, s.parts, part + 1)
    cdef Py_ssize_t o0 = first * t.nr, o1 = min(g.O, last * t.nr), width = min(s.OL, last * t.nr) - o0
    cdef Py_ssize_t rows = min(s.band, s.rows - row), n, r, c, at = 0
    cdef Py_ssize_t o, oh, lines = min(rows * TILE, g.OH - row * TILE)
    cdef char *pixels = zeroed(s.workspace + slot * s.workspace_step, s.pixels_size * size)
    cdef char *results = pixels + s.pixels_size * size
    cdef char *values = results + s.band * TILE * out_line * size
    cdef char *products = values + s.values_size * size
    cdef char *bias = s.weights + (s.weights_size - s.OL + o0) * size if g.bias != NULL else NULL
    cdef char *y
    for n in range(n0, n1):
        lay_out(t, pixels, s.places, in_line, g.x + n * g.C * g.H * g.W * size, g.C, g.H, g.W, row * TILE - g.PH,
                rows * TILE + 2)
        for r in range(rows):
            for c in range(s.cols):
                t.wino_image(values + at * s.CL * size, s.tiles * s.CL, pixels + (r * in_line + c * s.CL) * TILE * size,
                             in_line, s.CL, s.CL)
                at += 1
    multiply(s, values, products, at, first, last)
    at = 0
    for n in range(n0, n1):
        for r in range(rows):
            for c in range(s.cols):
                if not t.wino_result(results + ((r * out_line + c * s.OL) * TILE + o0) * size, out_line, s.OL,
                                     products + (at * s.OL + o0) * size, s.tiles * s.OL, width, bias, g.flags):
                    s.spoilt[n] = True
                at += 1
        # some outputs at a time: their planes are written from the first pixel to the last
        y = g.y + (n * g.O * g.OH + row * TILE) * g.OW * size
        for o from o0 <= o < o1 by t.lanes:
            if g.OW == s.cols * TILE:
                t.transpose(y, s.planes + o, results + o * size, s.OL, lines * g.OW, min(t.lanes, o1 - o))
            else:
                for oh in range(lines):
                    t.transpose(y + oh * g.OW * size, s.planes + o, results + (oh * out_line + o) * size, s.OL, g.OW,
                                min(t.lanes, o1 - o))


cdef bint plan_winograd(Winograd *s, const Conv *g, int workers) noexcept nogil:
    cdef fnn_tiles *t = g.t
    cdef Py_ssize_t size = t.itemsize, i, room
    s.g, s.places = g, NULL
    s.rows, s.cols = ceil_div(g.OH, TILE), ceil_div(g.OW, TILE)
    s.CL, s.OL, s.panels = ceil_div(g.C, t.lanes) * t.lanes, ceil_div(g.O, t.lanes) * t.lanes, ceil_div(g.O, t.nr)
    if not fits((<double> s.rows * s.cols * (s.CL + s.OL) * workers + <double> s.CL * s.OL) * VALUES * size):
        return False
    room = max(t.mr, CHUNK_BYTES // (VALUES * (s.CL + s.OL) * size))
    s.band = min(s.rows, max(<Py_ssize_t> 1, room // s.cols))
    # Threads share the rows of tiles of few images, or, where these are few as well, the outputs, since each reads all
    # weights of its own.
    s.parts = 1
    if g.N < workers and s.rows * s.cols * g.N < workers * SHARE * t.mr and s.panels >= workers:
        s.parts = workers
    elif g.N < workers:
        s.band = min(s.band, ceil_div(s.rows * g.N, workers))
    s.bands = ceil_div(s.rows, s.band)
    s.band = ceil_div(s.rows, s.bands)
    s.bands = ceil_div(s.rows, s.band)
    s.images = 1 if s.bands > 1 else min(g.N, max(<Py_ssize_t> 1, room // (s.rows * s.cols)))
    if s.images > 1 and workers > 1:
        s.images = max(<Py_ssize_t> 1, min(s.images, g.N // (2 * workers)))
    s.tiles = s.images * s.band * s.cols | 1  # the values of a tile must not all be in one set of the cache
    s.weights_size = VALUES * s.panels * g.C * t.nr + s.OL
    s.pixels_size = (s.band * TILE + 2) * (s.cols * TILE + 2) * s.CL
    s.values_size = VALUES * s.tiles * s.CL
    room = s.pixels_size + s.band * s.cols * TILE * TILE * s.OL + s.values_size + VALUES * s.tiles * s.OL
    s.workspace_step = LINE + ceil_div(room * size, LINE) * LINE
    s.places = <Py_ssize_t *> allocate((g.H * g.W + g.C + g.O) * sizeof(Py_ssize_t))
    if s.places == NULL:
        return False
    s.koff = s.places + g.H * g.W
    s.planes = s.koff + g.C
    for i in range(g.H * g.W):
        s.places[i] = (i // g.W * (s.cols * TILE + 2) + i % g.W + g.PW) * s.CL
    for i in range(g.C):
        s.koff[i] = i * t.nr
    for i in range(g.O):
        s.planes[i] = i * g.OH * g.OW
    return True


cdef void pack_winograd(const Winograd *s, int workers) noexcept nogil:
    cdef const Conv *g = s.g
    cdef char *bias = s.weights + (s.weights_size - s.OL) * g.t.itemsize
    memset(bias, 0, s.OL * g.t.itemsize)
    if g.bias != NULL:
        g.t.copy(bias, 0, g.bias, 0, 1, g.O)
    parallel(transform_weights, <void *> s, g.C, workers, <double> VALUES * g.C * g.O)


cdef void run_winograd(const Winograd *s, int workers) noexcept nogil:
    cdef const Conv *g = s.g
    memset(s.spoilt, 0, g.N)
    renew(s.workspace, s.workspace_step, workers)
    parallel(winograd_chunk, <void *> s, ceil_div(g.N, s.images) * s.bands * s.parts, workers,
             <double> g.N * g.O * g.OH * g.OW * g.C / 4)


cdef void forget_winograd(Winograd *s) noexcept nogil:
    release(s.places)


cdef bint winograd(const Conv *g, char *spoilt) noexcept nogil:
    cdef Winograd s
    cdef int workers = threads()
    cdef bint enough = plan_winograd(&s, g, workers)
    if enough:
        s.weights = <char *> allocate(s.weights_size * g.t.itemsize)
        s.workspace = <char *> allocate(workers * s.workspace_step)
        s.spoilt = spoilt
        enough = s.weights != NULL and s.workspace != NULL
        if enough:
            pack_winograd(&s, workers)
            run_winograd(&s, workers)
        release(s.weights)
        release(s.workspace)
    forget_winograd(&s)
    return enough
