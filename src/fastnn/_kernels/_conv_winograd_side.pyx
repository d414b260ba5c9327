"""Winograd's y and dx with images side by side: an image in each lane of a vector, instead of a channel.

See `_conv_winograd` for y and `_conv_winograd_input` for dx. There channels are lanes, so 20 of them take two vectors
of 16. Here a pixel of one channel is a vector of images, and no lane is empty if there are enough images::

    pixels laid out                   values of some tiles of a row
    [channel][row][column][image]     [channel][36][tile][image]      times a number for each: [output][channel][36]

A chunk is a vector of images, for all outputs or for one part of them.
"""
from libc.string cimport memset

from fastnn._kernels._conv_winograd cimport LINE, VALUES, VIEW, renew, zeroed
from fastnn._kernels._table cimport allocate, parallel, release, threads
from fastnn._kernels.conv_gradients cimport Gradients
from fastnn._kernels.conv_output cimport Output
from fastnn._kernels.conv_shape cimport ConvShape
from fastnn._kernels.fnn cimport FNN_RELU, FNN_SIDE_TILES, FNN_relu, ceil_div, fnn_side, fnn_tiles, split_at

cdef enum:
    MOST_BYTES = 9 << 17  # all that a chunk has in use: most of it stays in the second-level cache

# The maps that tiles are made of, or that they become: a plane of vectors for each channel.
cdef struct Maps:
    Py_ssize_t channels, H, W
    Py_ssize_t line, plane  # elements
    Py_ssize_t first        # elements before pixel (0, 0) of a plane

cdef struct Side:
    fnn_tiles *t
    int taps
    bint gradient            # y is dx, and x is dy
    int flags
    Py_ssize_t N, tile, rows, cols
    Py_ssize_t blocks        # of wino_outs outputs
    Py_ssize_t parts         # of the blocks; each has chunks of its own
    Maps ins, outs
    fnn_side tiles           # as many as are taken at a time
    Py_ssize_t workspace_step  # bytes
    const char *x
    const char *w
    const char *bias
    char *y
    Py_ssize_t *places       # of the elements of x among those laid out
    Py_ssize_t *images       # i * elements of an image of y
    char *weights            # (blocks, ins, VALUES, wino_outs)
    char *workspace          # for each thread: a line, maps laid out, maps of results, values
    char *spoilt


cdef void describe(Side *p, fnn_tiles *t, const ConvShape *s, bint gradient) noexcept nogil:
    """All sizes."""
    cdef Maps small, large
    cdef Py_ssize_t lanes = t.lanes, room
    p.t, p.taps, p.tile, p.gradient, p.N = t, <int> s.KH, VIEW + 1 - s.KH, gradient, s.N
    p.rows, p.cols = ceil_div(s.OH, p.tile), ceil_div(s.OW, p.tile)
    small.channels, small.H, small.W = s.O, s.OH, s.OW
    small.line = (p.cols * p.tile if gradient else s.OW) * lanes  # the last tile of a row may write into the next row
    small.plane = p.rows * p.tile * small.line + (0 if gradient else p.tile * lanes)
    small.first = 0
    large.channels, large.H, large.W = s.C, s.H, s.W
    large.line = (p.cols * p.tile + VIEW - p.tile) * lanes
    large.plane = (p.rows * p.tile + VIEW - p.tile) * large.line
    large.first = s.PH * large.line + s.PW * lanes
    p.ins, p.outs = (small, large) if gradient else (large, small)
    p.blocks = ceil_div(p.outs.channels, t.wino_outs)
    p.tiles.taps, p.tiles.ins, p.tiles.tiles = p.taps, p.ins.channels, min(p.cols, <Py_ssize_t> FNN_SIDE_TILES)
    p.tiles.plane, p.tiles.row_step = p.outs.plane, p.outs.line
    p.tiles.step = p.tiles.tiles * lanes
    p.tiles.in_step = VALUES * p.tiles.step + lanes  # an odd number of vectors: see step_of_weights
    room = p.ins.channels * (p.ins.plane + p.tiles.in_step) + p.outs.channels * p.outs.plane
    p.workspace_step = LINE + ceil_div(room * t.itemsize, LINE) * LINE


cdef bint fits_side_by_side(fnn_tiles *t, const ConvShape *s) noexcept nogil:
    cdef Py_ssize_t tile = VIEW + 1 - s.KH
    cdef double height = ceil_div(s.OH, tile) * tile, width = ceil_div(s.OW, tile) * tile
    cdef double pixels = s.C * (height + VIEW - tile) * (width + VIEW - tile) + s.O * height * width
    pixels += VALUES * FNN_SIDE_TILES * max(s.C, s.O)
    return (pixels * t.lanes + <double> VALUES * s.C * s.O) * t.itemsize <= MOST_BYTES


cdef void transform_weights(void *job, Py_ssize_t i, int slot) noexcept nogil:
    """Of input i."""
    cdef const Side *p = <const Side *> job
    cdef fnn_tiles *t = p.t
    cdef Py_ssize_t size = t.itemsize, K = p.taps * p.taps, O = p.outs.channels, o, first
    cdef Py_ssize_t of_in = O * K if p.gradient else K, of_out = K if p.gradient else p.ins.channels * K
    cdef char room[VALUES * 64]  # a vector has at most 64 bytes
    for first from 0 <= first < O by t.lanes:
        t.wino_weights(p.taps, room, t.lanes, p.w + (i * of_in + first * of_out) * size, of_out,
                       min(t.lanes, O - first))
        for o from first <= o < min(O, first + t.lanes) by t.wino_outs:
            t.copy(p.weights + (o * p.ins.channels + i * t.wino_outs) * VALUES * size, t.wino_outs,
                   room + (o - first) * size, t.lanes, VALUES, t.wino_outs)


cdef void transform(const Side *p, char *values, const char *maps, Py_ssize_t r, Py_ssize_t c,
                    Py_ssize_t tiles) noexcept nogil:
    """The values of some tiles of row r, from column c of tiles on."""
    cdef Py_ssize_t size = p.t.itemsize, lanes = p.t.lanes, k
    maps += (r * p.ins.line + c * lanes) * p.tile * size
    for _ in range(p.ins.channels):
        if p.gradient:
            for k in range(tiles):
                p.t.wino_gradient(p.taps, values + k * lanes * size, p.tiles.step, maps + k * p.tile * lanes * size,
                                  p.ins.line, lanes, lanes)
        else:
            p.t.wino_image(p.taps, values, p.tiles.step, maps, p.ins.line, lanes, lanes, tiles)
        values += p.tiles.in_step * size
        maps += p.ins.plane * size


cdef bint finish(const Side *p, const fnn_side *tiles, char *maps, const char *values, Py_ssize_t block) noexcept nogil:
    """The pixels of a block of outputs. False if one of the products was inf or NaN."""
    cdef fnn_tiles *t = p.t
    cdef Py_ssize_t size = t.itemsize, o = block * t.wino_outs
    cdef const char *weights = p.weights + o * p.ins.channels * VALUES * size
    cdef int outs = <int> min(t.wino_outs, p.outs.channels - o)
    maps += o * p.outs.plane * size
    if p.gradient:
        return t.side_spread(tiles, outs, maps, values, weights)
    return t.side_result(tiles, outs, maps, values, weights, p.bias + o * size if p.bias != NULL else NULL, p.flags)


cdef void write(const Side *p, Py_ssize_t n0, Py_ssize_t count, Py_ssize_t o, const char *maps) noexcept nogil:
    """Output o of some images."""
    cdef fnn_tiles *t = p.t
    cdef Py_ssize_t size = t.itemsize, P = p.outs.H * p.outs.W, i
    cdef char *y = p.y + (n0 * p.outs.channels + o) * P * size
    maps += (o * p.outs.plane + p.outs.first) * size
    if p.outs.line == p.outs.W * t.lanes:
        t.transpose(y, p.images, maps, t.lanes, P, count)
    else:
        for i in range(p.outs.H):
            t.transpose(y + i * p.outs.W * size, p.images, maps + i * p.outs.line * size, t.lanes, p.outs.W, count)
    if p.gradient and p.flags & FNN_RELU:
        for i in range(count):
            t.functions[FNN_relu].forward(y + p.images[i] * size, y + p.images[i] * size, P, NULL)


cdef void begin(const Side *p, char *maps, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """Fill the maps that sums are added to with the bias, or zeros."""
    cdef fnn_tiles *t = p.t
    cdef Py_ssize_t size = t.itemsize, o
    if p.bias == NULL:
        memset(maps + first * p.outs.plane * size, 0, (last - first) * p.outs.plane * size)
        return
    for o in range(first, last):
        t.copy(maps + o * p.outs.plane * size, 1, p.bias + o * size, 0, p.outs.plane, 1)


cdef void side_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Side *p = <const Side *> job
    cdef fnn_side tiles = p.tiles
    cdef Py_ssize_t size = p.t.itemsize, lanes = p.t.lanes, groups = ceil_div(p.N, lanes), part = chunk // groups
    cdef Py_ssize_t n0 = chunk % groups * lanes, count = min(lanes, p.N - n0), r, c, block
    cdef Py_ssize_t first = split_at(p.blocks, p.parts, part), last = split_at(p.blocks, p.parts, part + 1)
    cdef Py_ssize_t o0 = first * p.t.wino_outs, o1 = min(p.outs.channels, last * p.t.wino_outs)
    cdef Py_ssize_t elements = p.ins.channels * p.ins.H * p.ins.W, laid = p.ins.channels * p.ins.plane * size
    cdef char *maps = zeroed(p.workspace + slot * p.workspace_step, laid)
    cdef char *results = maps + laid
    cdef char *values = results + p.outs.channels * p.outs.plane * size
    if count < lanes:
        memset(maps, 0, laid)
    p.t.transpose(maps, p.places, p.x + n0 * elements * size, elements, count, elements)
    if p.gradient:
        begin(p, results, o0, o1)
    for r in range(p.rows):
        c = (p.cols - 1) // p.tiles.tiles * p.tiles.tiles
        while c >= 0:  # from right to left, see side_result
            tiles.tiles = min(p.tiles.tiles, p.cols - c)
            transform(p, values, maps, r, c, tiles.tiles)
            for block in range(first, last):
                if not finish(p, &tiles, results + (r * p.outs.line + c * lanes) * p.tile * size, values, block):
                    memset(p.spoilt + n0, True, count)
            c -= p.tiles.tiles
    for c in range(o0, o1):
        write(p, n0, count, c, results)


cdef void fill_tables(Side *p) noexcept nogil:
    cdef Py_ssize_t i, row, at = 0
    for row in range(p.ins.channels * p.ins.H):
        for i in range(p.ins.W):
            p.places[at] = (row // p.ins.H * p.ins.plane + p.ins.first + row % p.ins.H * p.ins.line + i * p.t.lanes)
            at += 1
    p.images = p.places + at
    for i in range(p.t.lanes):
        p.images[i] = i * p.outs.channels * p.outs.H * p.outs.W


cdef bint run(Side *p) noexcept nogil:
    cdef int workers = threads()
    cdef Py_ssize_t groups = ceil_div(p.N, p.t.lanes)
    cdef Py_ssize_t tables = p.ins.channels * p.ins.H * p.ins.W + p.t.lanes
    cdef double products = <double> p.ins.channels * p.outs.channels * VALUES
    cdef bint enough
    p.parts = min(p.blocks, ceil_div(<Py_ssize_t> workers, groups))
    p.places = <Py_ssize_t *> allocate(tables * sizeof(Py_ssize_t))
    p.weights = <char *> allocate(p.blocks * p.t.wino_outs * p.ins.channels * VALUES * p.t.itemsize)
    p.workspace = <char *> allocate(workers * p.workspace_step)
    enough = p.places != NULL and p.weights != NULL and p.workspace != NULL
    if enough:
        fill_tables(p)
        memset(p.spoilt, 0, p.N)
        renew(p.workspace, p.workspace_step, workers)
        parallel(transform_weights, p, p.ins.channels, workers, products)
        parallel(side_chunk, p, groups * p.parts, workers, products * p.N * p.rows * p.cols / 16)
    release(p.places)
    release(p.weights)
    release(p.workspace)
    return enough


cdef bint winograd_side_by_side(const Output *g, char *spoilt) noexcept nogil:
    cdef Side p
    describe(&p, g.t, &g.shape, False)
    p.x, p.w, p.y, p.bias, p.flags, p.spoilt = g.x, g.w, g.y, g.bias, g.flags, spoilt
    return run(&p)


cdef bint winograd_input_side_by_side(const Gradients *a, char *spoilt) noexcept nogil:
    cdef Side p
    describe(&p, a.t, &a.shape, True)
    p.x, p.w, p.y, p.bias, p.flags, p.spoilt = a.dy, a.w, a.dx, a.bias, a.flags, spoilt
    return run(&p)
