"""Convolution forward, as a matrix product whose patches are never materialised.

An image is unfolded over its width only: for each kernel column kw and channel c, the plane of the input pixels that
the columns of the output see, (rows, OW), padding and column stride applied. In it the patch row (c, kh, kw) of
consecutive output pixels is a contiguous run, kh rows further down: a table of offsets is all that im2col would have
written. A row stride sorts the rows by their phase kh % SH first. Where a band of few rows would fill the cache, some
channels are unfolded at a time instead, and the products of the others added. Dilation is another table, and a group of
an image is an image with weights of its own. Too few outputs for a tile are made as sums of the shifted planes.
"""
from libc.string cimport memcpy

from fastnn._kernels._conv_ways cimport forward_way, is_pointwise
from fastnn._kernels._conv_winograd cimport winograd
from fastnn._kernels._table cimport allocate, parallel, release, threads, tiles
from fastnn._kernels.fnn cimport FNN_ACCUMULATE, FNN_RELU, begin, ceil_div, fits, fnn_fetch, fnn_tiles, reach, split_at
from fastnn._kernels.conv_way cimport PLANES, POINTWISE, TAPS, WINOGRAD, Way

ctypedef fused real:
    float
    double

cdef enum:
    UNFOLD_BYTES = 524288  # of unfolded planes at a time: they stay in the second-level cache
    STRIP_BYTES = 262144   # of an image that is read where it lies
    TAPS_BYTES = 24576     # of unfolded planes whose sums are taken: they stay in the first-level cache
    LINE = 64              # bytes of a cache line
    SHARE = 4              # tiles that a chunk for one of several threads should have
    TILES = 8              # of a band, from which the weights are worth reading again for it
    DEPTH = 96             # of a product, from which it is worth adding to y


cdef void pack_weights(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Conv *g = <const Conv *> job
    cdef Py_ssize_t block = chunk % g.blocks, o0 = split_at(g.O, g.blocks, block)
    cdef Py_ssize_t rows = split_at(g.O, g.blocks, block + 1) - o0
    cdef Py_ssize_t at = (chunk // g.blocks * g.O + o0) * g.depth * g.t.itemsize
    g.t.transpose(g.weights + at, g.w_offsets + (rows - g.O // g.blocks) * g.depth, g.w + at, g.depth, rows, g.depth)


cdef void patch_rows(const Conv *g, Py_ssize_t *offsets) noexcept nogil:
    cdef Py_ssize_t c, kh, kw, k = 0
    for c in range(g.C):
        for kh in range(g.KH):
            for kw in range(g.KW):
                offsets[k] = ((kw * g.C + c) * g.phases + kh * g.DH % g.SH) * g.plane + kh * g.DH // g.SH * g.OW
                k += 1


cdef void unfold(const Conv *g, char *planes, const char *x, Py_ssize_t oh0, Py_ssize_t band) noexcept nogil:
    cdef Py_ssize_t c, kw, phase, size = g.t.itemsize, plane = g.H * g.W
    cdef Py_ssize_t top = max(<Py_ssize_t> 0, oh0 * g.SH - g.PH)
    cdef Py_ssize_t span = reach(g.KH, g.DH), end = min(g.H, (oh0 + band - 1) * g.SH - g.PH + span)
    if is_pointwise(g.KH, g.KW, g.SH, g.SW, g.PH, g.PW, g.H == g.OH and g.W == g.OW) and band == g.H:
        memcpy(planes, x, g.C * plane * size)
        return
    for c in range(g.C):
        if c + 1 < g.C:
            fnn_fetch(x + ((c + 1) * plane + top * g.W) * size, (end - top) * g.W * size)
        for kw in range(g.KW):
            for phase in range(g.phases):
                g.t.unfold_plane(planes + ((kw * g.C + c) * g.phases + phase) * g.plane * size,
                                 band + (span - 1 - phase) // g.SH, g.OW, x + c * plane * size, g.H, g.W,
                                 oh0 * g.SH - g.PH + phase, g.SH, kw * g.DW - g.PW, g.SW)


cdef void conv_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """One part of the output channels of one band of rows of one group of one image."""
    cdef const Conv *g = <const Conv *> job
    cdef Py_ssize_t size = g.t.itemsize, part = chunk % g.parts, at = chunk // g.parts, c
    cdef Py_ssize_t i = at // g.bands, oh0 = at % g.bands * g.band
    cdef Py_ssize_t band = min(g.band, g.OH - oh0), first = i % g.G * g.O
    cdef char *planes = g.planes + slot * g.planes_step
    cdef char *y = g.y + (i * g.O * g.OH + oh0) * g.OW * size
    cdef Conv some = g[0]
    if g.pointwise:
        multiply(g, g.x + (i * g.C * g.H + oh0) * g.W * size, y, band * g.OW, first, part, 0)
        return
    some.C = g.channels
    for c from 0 <= c < g.C by g.channels:
        unfold(&some, planes, g.x + (i * g.C + c) * g.H * g.W * size, oh0, band)
        if g.taps:
            add_taps(g, planes, y, band * g.OW, first)
        else:
            multiply(g, planes, y, band * g.OW, first, part, c)


cdef void add_taps(const Conv *g, const char *planes, char *y, Py_ssize_t pixels, Py_ssize_t first) noexcept nogil:
    """y = the outputs of the group that begins with the output `first`."""
    cdef Py_ssize_t size = g.t.itemsize, o
    for o in range(first, first + g.O):
        g.t.taps(pixels, g.depth, g.w + o * g.depth * size, planes, g.koff, y,
                 g.bias + o * size if g.bias != NULL else NULL, g.flags)
        y += g.OH * g.OW * size


cdef void multiply(const Conv *g, const char *b, char *y, Py_ssize_t pixels, Py_ssize_t first, Py_ssize_t part,
                   Py_ssize_t c0) noexcept nogil:
    """y (+)= weights of a part of the group's outputs, of its channels from c0 on, times the patches' rows, at b."""
    cdef fnn_tiles *t = g.t
    cdef Py_ssize_t size = t.itemsize, depth = g.channels * g.KH * g.KW, block, o0, rows, q0, q, cols, lines
    cdef Py_ssize_t strip = pixels, flags = 0 if c0 + g.channels < g.C else g.flags
    cdef const char *next
    if c0:
        flags |= FNN_ACCUMULATE
    lines = t.nr * size // LINE
    if g.pointwise:
        strip = max(t.nr, STRIP_BYTES // (depth * t.nr * size) * t.nr)
    elif g.channels < g.C:
        strip = t.nr
    for q0 from 0 <= q0 < pixels by strip:
        for block in range(split_at(g.blocks, g.parts, part), split_at(g.blocks, g.parts, part + 1)):
            o0 = split_at(g.O, g.blocks, block)
            rows = split_at(g.O, g.blocks, block + 1) - o0
            q = q0
            while q < min(pixels, q0 + strip):
                # the last tile ends with the band and may repeat pixels of the one before: no partial vectors
                cols = min(pixels - q if c0 else pixels, t.nr if pixels - q > t.lanes else t.lanes)
                q = min(q, pixels - cols)
                # an image read where it lies comes from memory: the first blocks fetch the lines of the next strip
                next = b + (q + strip) * size + block * LINE if g.pointwise and block < lines else NULL
                t.panel(rows, cols, 1, depth, g.weights + ((first + o0) * g.depth + c0 * g.KH * g.KW * rows) * size,
                        NULL, 1, rows, b + q * size, g.koff, y + (o0 * g.OH * g.OW + q) * size, g.OH * g.OW,
                        g.bias + (first + o0) * size if g.bias != NULL and c0 == 0 else NULL, flags, next)
                q += cols


cdef Py_ssize_t channels_at_a_time(const Conv *g, Py_ssize_t fitting) noexcept nogil:
    """At most `fitting` channels, in equal parts; all of them where the parts' products would be too short."""
    cdef Py_ssize_t parts = ceil_div(g.C, max(fitting, <Py_ssize_t> 1))
    while parts < g.C and g.C % parts:
        parts += 1
    return g.C // parts if g.C // parts * g.KH * g.KW >= DEPTH else g.C


cdef bint plan_conv(Conv *g, Way way, int workers) noexcept nogil:
    cdef fnn_tiles *t = g.t
    cdef Py_ssize_t k, row_bytes, short_rows, rows, span = reach(g.KH, g.DH), below = (span - 1) // g.SH
    cdef Conv some
    g.koff = NULL
    if not fits(<double> (g.OH + span) * g.OW * g.KW * g.C * min(g.SH, span) * workers * t.itemsize):
        return False
    g.depth = g.C * g.KH * g.KW
    g.blocks = ceil_div(g.O, t.mr)
    g.phases = min(g.SH, span)
    g.taps = way == TAPS
    # A band: as many rows as stay in the cache, few enough that every thread gets some, enough to fill a tile.
    row_bytes = max(<Py_ssize_t> 1, g.KW * g.C * g.phases * g.OW * t.itemsize)
    # The number of threads has no say in the channels: a cut there goes through sums.
    g.channels = g.C
    g.band = (TAPS_BYTES if g.taps else UNFOLD_BYTES) // row_bytes - below
    if way == PLANES and g.band < g.OH and g.band * g.OW < TILES * t.nr:
        g.band = min(g.OH, ceil_div(TILES * t.nr, g.OW))
        g.channels = channels_at_a_time(g, UNFOLD_BYTES * g.C // (row_bytes * (g.band + below)))
        row_bytes = row_bytes // g.C * g.channels
        g.band = UNFOLD_BYTES // row_bytes - below
    if workers > 1:
        # four chunks a thread, or fewer of some tiles: the last tile of each is seldom full
        rows = g.OH * g.N * g.G
        g.band = min(g.band, max(ceil_div(rows, 4 * workers),
                                 min(ceil_div(rows, workers), ceil_div(SHARE * t.nr, g.OW))))
    g.band = min(g.OH, max(g.band, ceil_div(t.nr, g.OW)))
    g.bands = ceil_div(g.OH, g.band)
    g.band = ceil_div(g.OH, g.bands)
    g.bands = ceil_div(g.OH, g.band)
    # too few bands for the threads: these share the outputs, and each unfolds for itself
    g.parts = 1
    if not g.taps and g.N * g.G * g.bands < workers:
        g.parts = min(g.blocks, <Py_ssize_t> workers)
    # the last band too must fill a tile, for a tile reads whole vectors
    g.pointwise = way == POINTWISE and (g.OH - (g.bands - 1) * g.band) * g.OW >= t.nr
    g.plane = g.H * g.W if g.pointwise else (g.band + below) * g.OW
    g.planes_step = 0
    if not g.pointwise:
        g.planes_step = ceil_div((g.KW * g.channels * g.phases * g.plane + t.nr) * t.itemsize, LINE) * LINE
    g.koff = <Py_ssize_t *> allocate(3 * g.depth * sizeof(Py_ssize_t))
    if g.koff == NULL:
        return False
    g.w_offsets = g.koff + g.depth
    short_rows = g.O // g.blocks
    some = g[0]
    some.C = g.channels
    patch_rows(&some, g.koff)
    for k in range(g.depth):
        g.w_offsets[k], g.w_offsets[g.depth + k] = k * short_rows, k * (short_rows + 1)
    return True


cdef void pack_conv(const Conv *g, int workers) noexcept nogil:
    parallel(pack_weights, <void *> g, g.G * g.blocks, workers, <double> g.G * g.O * g.depth)


cdef void run_conv(const Conv *g, int workers) noexcept nogil:
    parallel(conv_chunk, <void *> g, g.N * g.G * g.bands * g.parts, workers,
             <double> g.N * g.G * g.O * g.OH * g.OW * g.depth / 16)


cdef void forget_conv(Conv *g) noexcept nogil:
    release(g.koff)


cdef bint convolve_directly(Conv *g, Way way) noexcept nogil:
    cdef int workers = threads()
    cdef bint enough = plan_conv(g, way, workers)
    if enough:
        g.weights = <char *> allocate(0 if g.taps else g.G * g.O * g.depth * g.t.itemsize)
        g.planes = <char *> allocate(workers * g.planes_step)
        enough = g.weights != NULL and g.planes != NULL
        if enough:
            if not g.taps:
                pack_conv(g, workers)
            run_conv(g, workers)
        release(g.weights)
        release(g.planes)
    forget_conv(g)
    return enough


cdef bint convolve_spoilt(const Conv *g, const char *spoilt) noexcept nogil:
    cdef Conv some = g[0]
    cdef Py_ssize_t n = 0, end, size = g.t.itemsize
    while n < g.N:
        end = n
        while end < g.N and spoilt[end]:
            end += 1
        if end > n:
            some.N, some.x = end - n, g.x + n * g.C * g.H * g.W * size
            some.y = g.y + n * g.O * g.OH * g.OW * size
            if not convolve_directly(&some, PLANES):
                return False
        n = end + 1
    return True


cdef bint convolve(Conv *g) noexcept nogil:
    cdef Way way = forward_way(g, False)
    cdef char *spoilt
    cdef bint enough
    if way != WINOGRAD:
        return convolve_directly(g, way)
    spoilt = <char *> allocate(g.N)
    enough = spoilt != NULL and winograd(g, spoilt) and convolve_spoilt(g, spoilt)
    release(spoilt)
    return enough


def conv2d_forward(const real[:, :, :, ::1] x, const real[:, :, :, ::1] w, const real[::1] b, real[:, :, :, ::1] y,
                   Py_ssize_t SH, Py_ssize_t SW, Py_ssize_t PH, Py_ssize_t PW, Py_ssize_t DH, Py_ssize_t DW,
                   Py_ssize_t G, bint relu):
    """y (N, O, OH, OW) = act(b (O,) or None + x (N, C, H, W) correlated with w (O, C/G, KH, KW)).

    The shape of y says how much padding there is below and on the right. Writes all of y; y overlaps no input.
    REDUCTION(C/G*KH*KW + 1).
    """
    cdef Conv g
    cdef bint enough = True
    g.t = tiles(real is double)
    g.N, g.C, g.H, g.W, g.G = x.shape[0], w.shape[1], x.shape[2], x.shape[3], G
    g.O, g.KH, g.KW, g.OH, g.OW = w.shape[0] // G, w.shape[2], w.shape[3], y.shape[2], y.shape[3]
    g.SH, g.SW, g.PH, g.PW, g.DH, g.DW = SH, SW, PH, PW, DH, DW
    g.x, g.w, g.y = begin(x), begin(w), begin(y)
    g.bias = begin(b)
    g.flags = FNN_RELU if relu else 0
    if y.shape[0] * g.O * g.OH * g.OW:
        with nogil:
            enough = convolve(&g)
    if not enough:
        raise MemoryError("no memory for the workspace of a convolution")
