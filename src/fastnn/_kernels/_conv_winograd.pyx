"""Convolution forward at stride 1, 3 x 3 by Winograd's F(4 x 4, 3 x 3) and 5 x 5 by F(2 x 2, 5 x 5).

Images are laid out with the channels last. A tile of 6 x 6 input pixels becomes 36 values for each channel. Neighbour
tiles overlap by 2 pixels, or by 4. Each kernel becomes 36 values too. Number i of the 36 makes one matrix product:

    values i (tiles, channels)  times  weights i (channels, outputs)  =  products i (tiles, outputs)

The 36 products of a tile become 4 x 4 pixels of each output, or 2 x 2. A chunk has few enough tiles that their values
stay in the cache. docs/dev/winograd.md draws the tiles and the 36 planes.

The rounding error is larger than that of the direct form, and is spread over a tile. For each output it is at most
(C + 40) eps times the result of the same transforms of absolute values. An inf or NaN would spread over its whole tile.
So its image counts as spoilt, and the caller convolves it again by the direct form.
"""
from libc.string cimport memset

from fastnn._kernels._table cimport allocate, parallel, release, threads
from fastnn._kernels.conv_output cimport Output
from fastnn._kernels.conv_shape cimport ConvShape
from fastnn._kernels.fnn cimport ceil_div, fits, fnn_tiles, split_at

cdef enum:
    CHUNK_BYTES = 1 << 17  # values and products of a chunk's tiles
    LEAST_TILES = 28       # of a chunk: fewer do not repay reading all weights
    SHARE = 2              # blocks of tiles for each thread: fewer do not repay reading all weights

cdef void transform_weights(void *job, Py_ssize_t c, int slot) noexcept nogil:
    cdef const Winograd *p = <const Winograd *> job
    cdef const Output *g = p.g
    cdef const ConvShape *s = &g.shape
    cdef Py_ssize_t size = g.t.itemsize, nr = g.t.nr, K = s.KH * s.KW, panel
    for panel in range(p.panels):
        g.t.wino_weights(p.taps, p.weights + (panel * s.C + c) * nr * size, p.step,
                         g.w + (panel * nr * s.C + c) * K * size, s.C * K, min(nr, s.O - panel * nr))


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


cdef void bring_back(fnn_tiles *t, char *y, const Py_ssize_t *planes, const char *pixels, Py_ssize_t line,
                     Py_ssize_t step, Py_ssize_t first, Py_ssize_t last, Py_ssize_t rows, Py_ssize_t W) noexcept nogil:
    """Some channels at a time: their planes are written from the first pixel to the last."""
    cdef Py_ssize_t size = t.itemsize, c, r
    for c from first <= c < last by t.lanes:
        if line == W * step:
            t.transpose(y, planes + c, pixels + c * size, step, rows * W, min(t.lanes, last - c))
        else:
            for r in range(rows):
                t.transpose(y + r * W * size, planes + c, pixels + (r * line + c) * size, step, W,
                            min(t.lanes, last - c))


cdef Py_ssize_t step_of_weights(fnn_tiles *t, Py_ssize_t panels, Py_ssize_t depth) noexcept nogil:
    return (panels * depth | 1) * t.nr


cdef Py_ssize_t room_of_tiles(fnn_tiles *t, Py_ssize_t width) noexcept nogil:
    return max(<Py_ssize_t> LEAST_TILES, CHUNK_BYTES // (VALUES * width * t.itemsize))


cdef void multiply(const Products *p, const char *values, char *products, Py_ssize_t tiles, Py_ssize_t first,
                   Py_ssize_t last) noexcept nogil:
    cdef fnn_tiles *t = p.t
    cdef Py_ssize_t size = t.itemsize, nr = t.nr, blocks = ceil_div(tiles, t.mr), k, panel, block, m
    cdef const char *b
    for k in range(VALUES):
        for panel in range(first, last):
            b = p.weights + (k * p.step + panel * p.depth * nr) * size
            for block in range(blocks):
                m = split_at(tiles, blocks, block)
                t.panel(split_at(tiles, blocks, block + 1) - m, min(nr, p.out_width - panel * nr), 1, p.depth,
                        values + (k * p.tiles + m) * p.width * size, NULL, p.width, 1, b, p.koff,
                        products + ((k * p.tiles + m) * p.out_width + panel * nr) * size, p.out_width, NULL, 0,
                        b + p.depth * nr * size + block * LINE if block * LINE < nr * size else NULL)


cdef void winograd_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """Some images, or a band of one image, for all outputs or for one part of them.

    Chunks run over the images of the first part, then over those of the next part. A thread claims neighbouring chunks.
    So it needs the weights of one part, which stay in its cache.
    """
    cdef const Winograd *p = <const Winograd *> job
    cdef const Output *g = p.g
    cdef const ConvShape *s = &g.shape
    cdef fnn_tiles *t = g.t
    cdef Py_ssize_t size = t.itemsize, tile = p.tile
    cdef Py_ssize_t in_line = (p.cols * tile + VIEW - tile) * p.CL, out_line = s.OW * p.OL
    cdef Py_ssize_t pieces = ceil_div(s.N, p.images) * p.bands, part = chunk // pieces, some = chunk % pieces
    cdef Py_ssize_t n0 = some // p.bands * p.images, n1 = min(s.N, n0 + p.images), row = some % p.bands * p.band
    cdef Py_ssize_t first = split_at(p.panels, p.parts, part), last = split_at(p.panels, p.parts, part + 1)
    cdef Py_ssize_t o0 = first * t.nr, o1 = min(s.O, last * t.nr), width = min(p.OL, last * t.nr) - o0
    cdef Py_ssize_t rows = min(p.band, p.rows - row), n, r, c, at = 0
    cdef Py_ssize_t lines = min(rows * tile, s.OH - row * tile)
    cdef char *pixels = zeroed(p.workspace + slot * p.workspace_step, p.pixels_size * size)
    cdef char *results = pixels + p.pixels_size * size
    cdef char *values = results + p.band * tile * out_line * size
    cdef char *products = values + p.values_size * size
    cdef char *bias = p.weights + (p.weights_size - p.OL + o0) * size if g.bias != NULL else NULL
    cdef char *y
    cdef Products q = {
        't': t, 'tiles': p.tiles, 'depth': s.C, 'panels': p.panels, 'width': p.CL, 'out_width': p.OL, 'step': p.step,
        'koff': p.koff, 'weights': p.weights}
    for n in range(n0, n1):
        lay_out(t, pixels, p.places, in_line, g.x + n * s.C * s.H * s.W * size, s.C, s.H, s.W, row * tile - s.PH,
                rows * tile + VIEW - tile)
        for r in range(rows):
            t.wino_image(p.taps, values + at * p.CL * size, p.tiles * p.CL, pixels + r * tile * in_line * size, in_line,
                         p.CL, p.CL, p.cols)
            at += p.cols
    multiply(&q, values, products, at, first, last)
    at = 0
    for n in range(n0, n1):
        for r in range(rows):
            for c in range(p.cols - 1, -1, -1):  # what a tile writes beyond its row, the tiles after it overwrite
                if not t.wino_result(p.taps, results + ((r * out_line + c * p.OL) * tile + o0) * size, out_line, p.OL,
                                     products + ((at + c) * p.OL + o0) * size, p.tiles * p.OL, width, bias, g.flags):
                    p.spoilt[n] = True
            at += p.cols
        y = g.y + (n * s.O * s.OH + row * tile) * s.OW * size
        bring_back(t, y, p.planes, results, out_line, p.OL, o0, o1, lines, s.OW)


cdef bint prepare_winograd(Winograd *p, const Output *g, int workers) noexcept nogil:
    cdef const ConvShape *s = &g.shape
    cdef fnn_tiles *t = g.t
    cdef Py_ssize_t size = t.itemsize, i, room
    p.g, p.places = g, NULL
    p.taps, p.tile = <int> s.KH, VIEW + 1 - s.KH
    p.rows, p.cols = ceil_div(s.OH, p.tile), ceil_div(s.OW, p.tile)
    p.CL, p.OL, p.panels = ceil_div(s.C, t.lanes) * t.lanes, ceil_div(s.O, t.lanes) * t.lanes, ceil_div(s.O, t.nr)
    if not fits((<double> p.rows * p.cols * (p.CL + p.OL) * workers + <double> p.CL * p.OL) * VALUES * size):
        return False
    room = room_of_tiles(t, p.CL + p.OL)
    p.band = min(p.rows, max(<Py_ssize_t> 1, room // p.cols))
    # If there are fewer images than threads, threads share the rows of tiles. If there are few tiles too, threads share
    # the outputs instead: then each thread reads the weights of its own outputs only.
    p.parts = 1
    if s.N < workers and p.rows * p.cols * s.N < workers * SHARE * t.mr and p.panels >= workers:
        p.parts = workers
    elif s.N < workers:
        p.band = min(p.band, ceil_div(p.rows * s.N, workers))
    p.bands = ceil_div(p.rows, p.band)
    p.band = ceil_div(p.rows, p.bands)
    p.bands = ceil_div(p.rows, p.band)
    p.images = 1 if p.bands > 1 else min(s.N, max(<Py_ssize_t> 1, room // (p.rows * p.cols)))
    if p.images > 1 and workers > 1:
        p.images = max(<Py_ssize_t> 1, min(p.images, s.N // (2 * workers)))
    p.tiles = p.images * p.band * p.cols | 1  # odd, or the 36 values of a tile could all fall into one set of the cache
    p.step = step_of_weights(t, p.panels, s.C)
    p.weights_size = VALUES * p.step + p.OL
    p.pixels_size = (p.band * p.tile + VIEW - p.tile) * (p.cols * p.tile + VIEW - p.tile) * p.CL
    p.values_size = VALUES * p.tiles * p.CL
    room = p.pixels_size + p.band * p.cols * p.tile * p.tile * p.OL + p.values_size + VALUES * p.tiles * p.OL
    p.workspace_step = LINE + ceil_div(room * size, LINE) * LINE
    p.places = <Py_ssize_t *> allocate((s.H * s.W + s.C + s.O) * sizeof(Py_ssize_t))
    if p.places == NULL:
        return False
    p.koff = p.places + s.H * s.W
    p.planes = p.koff + s.C
    for i in range(s.H * s.W):
        p.places[i] = (i // s.W * (p.cols * p.tile + VIEW - p.tile) + i % s.W + s.PW) * p.CL
    for i in range(s.C):
        p.koff[i] = i * t.nr
    for i in range(s.O):
        p.planes[i] = i * s.OH * s.OW
    return True


cdef void pack_winograd(const Winograd *p, int workers) noexcept nogil:
    cdef const Output *g = p.g
    cdef const ConvShape *s = &g.shape
    cdef char *bias = p.weights + (p.weights_size - p.OL) * g.t.itemsize
    memset(bias, 0, p.OL * g.t.itemsize)
    if g.bias != NULL:
        g.t.copy(bias, 0, g.bias, 0, 1, s.O)
    parallel(transform_weights, <void *> p, s.C, workers, <double> VALUES * s.C * s.O)


cdef void run_winograd(const Winograd *p, int workers) noexcept nogil:
    cdef const ConvShape *s = &p.g.shape
    memset(p.spoilt, 0, s.N)
    renew(p.workspace, p.workspace_step, workers)
    parallel(winograd_chunk, <void *> p, ceil_div(s.N, p.images) * p.bands * p.parts, workers,
             <double> s.N * s.O * s.OH * s.OW * s.C * s.KH * s.KW / VALUES)


cdef void forget_winograd(Winograd *p) noexcept nogil:
    release(p.places)


cdef bint winograd(const Output *g, char *spoilt) noexcept nogil:
    cdef Winograd p
    cdef int workers = threads()
    cdef bint enough = prepare_winograd(&p, g, workers)
    if enough:
        p.weights = <char *> allocate(p.weights_size * g.t.itemsize)
        p.workspace = <char *> allocate(workers * p.workspace_step)
        p.spoilt = spoilt
        enough = p.weights != NULL and p.workspace != NULL
        if enough:
            pack_winograd(&p, workers)
            run_winograd(&p, workers)
        release(p.weights)
        release(p.workspace)
    forget_winograd(&p)
    return enough
