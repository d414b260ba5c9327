"""Convolution forward, as a matrix product whose right factor, the patches, is never written out.

An image is unfolded over its width only. Each kernel column kw has a copy of each channel's plane: the pixels that the
output's columns meet at kw, with padding and column stride applied. For x (1, 3, 4) and a 2 x 2 kernel, the output is
2 x 3, and there are two planes of three rows:

    x  a b c d      plane kw = 0  a b c      plane kw = 1  b c d      element  0  1  2  3  4  5  6  7  8
       e f g h                    e f g                    f g h      plane 0  a  b  c  e  f  g  i  j  k
       i j k l                    i j k                    j k l      plane 1  b  c  d  f  g  h  j  k  l

The pixels that one kernel element (kh, kw) meets at the six outputs are neighbours. They are a row of the patch matrix:
OH * OW elements of plane kw, which begin kh rows down. `unfold` would write these rows out. Here the table `koff` holds
where each row begins:

    (kh, kw)  koff  row
    (0, 0)     0    a b c e f g
    (0, 1)     9    b c d f g h
    (1, 0)     3    e f g i j k
    (1, 1)    12    f g h j k l

With a row stride SH, the rows of a plane are sorted by their phase, row % SH. At stride 2, kernel row kh begins in
phase kh % 2, kh // 2 rows down. The rows that it meets are neighbours again:

    rows of x met     0 1 2 3 4      plane  [phase 0: rows 0 2 4] [phase 1: rows 1 3]

Dilation only changes the table. A group of an image is treated as an image with weights of its own. If few output rows
fill the cache, only some channels are unfolded at a time, and their products are added to y. With too few outputs for a
tile (`taps`), each output is a weighted sum of rows of the patch matrix. Then the weights are not packed.
docs/dev/convolution.md has a larger example.
"""
from libc.string cimport memcpy

from fastnn._kernels._table cimport allocate, parallel, release, threads
from fastnn._kernels.conv_output cimport Output
from fastnn._kernels.conv_shape cimport ConvShape, is_pointwise
from fastnn._kernels.conv_way cimport PLANES, POINTWISE, TAPS, Way
from fastnn._kernels.fnn cimport FNN_ACCUMULATE, ceil_div, fits, fnn_fetch, fnn_tiles, reach, split_at

cdef enum:
    UNFOLD_BYTES = 524288  # unfolded planes of a band: they stay in the second-level cache
    STRIP_BYTES = 262144   # a strip of an image that is read where it lies
    TAPS_BYTES = 24576     # unfolded planes of a band for `taps`: they stay in the first-level cache
    LINE = 64              # bytes of a cache line
    CHUNK_MIN_TILES = 4    # tiles that a chunk should have if several threads share the bands
    BAND_MIN_TILES = 8     # a band of fewer tiles does not repay reading all weights
    SUM_MIN_DEPTH = 96     # a product of smaller depth does not repay adding it to y


cdef void pack_weights(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Planes *p = <const Planes *> job
    cdef const Output *g = p.g
    cdef Py_ssize_t O = g.shape.O, block = chunk % p.blocks, o0 = split_at(O, p.blocks, block)
    cdef Py_ssize_t rows = split_at(O, p.blocks, block + 1) - o0
    cdef Py_ssize_t at = (chunk // p.blocks * O + o0) * p.depth * g.t.itemsize
    g.t.transpose(p.weights + at, p.w_offsets + (rows - O // p.blocks) * p.depth, g.w + at, p.depth, rows, p.depth)


cdef void patch_rows(const Unfolded *u, bint taps_first, Py_ssize_t *offsets) noexcept nogil:
    cdef const ConvShape *s = &u.shape
    cdef Py_ssize_t c, kh, kw, k
    for c in range(s.C):
        for kh in range(s.KH):
            for kw in range(s.KW):
                k = (kh * s.KW + kw) * s.C + c if taps_first else (c * s.KH + kh) * s.KW + kw
                offsets[k] = ((kw * s.C + c) * u.phases + kh * s.DH % s.SH) * u.plane + kh * s.DH // s.SH * s.OW


cdef void unfold(const Unfolded *u, char *planes, const char *x, Py_ssize_t oh0, Py_ssize_t band) noexcept nogil:
    cdef const ConvShape *s = &u.shape
    cdef Py_ssize_t c, kw, phase, size = u.t.itemsize, plane = s.H * s.W
    cdef Py_ssize_t top = max(<Py_ssize_t> 0, oh0 * s.SH - s.PH)
    cdef Py_ssize_t span = reach(s.KH, s.DH), end = min(s.H, (oh0 + band - 1) * s.SH - s.PH + span)
    if is_pointwise(s) and band == s.H:
        memcpy(planes, x, s.C * plane * size)
        return
    for c in range(s.C):
        if c + 1 < s.C:
            fnn_fetch(x + ((c + 1) * plane + top * s.W) * size, (end - top) * s.W * size)
        for kw in range(s.KW):
            for phase in range(u.phases):
                u.t.unfold_plane(planes + ((kw * s.C + c) * u.phases + phase) * u.plane * size,
                                 band + (span - 1 - phase) // s.SH, s.OW, x + c * plane * size, s.H, s.W,
                                 oh0 * s.SH - s.PH + phase, s.SH, kw * s.DW - s.PW, s.SW)


cdef void planes_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """One part of the output channels, for one band of output rows of one group of one image."""
    cdef const Planes *p = <const Planes *> job
    cdef const Output *g = p.g
    cdef const ConvShape *s = &g.shape
    cdef Py_ssize_t size = g.t.itemsize, part = chunk % p.parts, at = chunk // p.parts, c
    cdef Py_ssize_t i = at // p.bands, oh0 = at % p.bands * p.band
    cdef Py_ssize_t band = min(p.band, s.OH - oh0), first = i % s.G * s.O
    cdef char *planes = p.planes + slot * p.planes_step
    cdef char *y = g.y + (i * s.O * s.OH + oh0) * s.OW * size
    cdef const char *x = g.x + (i * s.C * s.H + oh0) * s.W * size  # if it is pointwise
    if p.pointwise:
        if p.taps:
            add_taps(p, x, y, band * s.OW, first)
        else:
            multiply(p, x, y, band * s.OW, first, part, 0)
        return
    for c from 0 <= c < s.C by p.unfolded.shape.C:
        unfold(&p.unfolded, planes, g.x + (i * s.C + c) * s.H * s.W * size, oh0, band)
        if p.taps:
            add_taps(p, planes, y, band * s.OW, first)
        else:
            multiply(p, planes, y, band * s.OW, first, part, c)


cdef void add_taps(const Planes *p, const char *planes, char *y, Py_ssize_t pixels, Py_ssize_t first) noexcept nogil:
    """y = `pixels` pixels of each output of a group. `first` is the group's first output channel."""
    cdef const Output *g = p.g
    cdef Py_ssize_t size = g.t.itemsize, o
    for o in range(first, first + g.shape.O):
        g.t.taps(pixels, p.depth, g.w + o * p.depth * size, planes, p.koff, y,
                 g.bias + o * size if g.bias != NULL else NULL, g.flags)
        y += g.shape.OH * g.shape.OW * size


cdef void multiply(const Planes *p, const char *b, char *y, Py_ssize_t pixels, Py_ssize_t first, Py_ssize_t part,
                   Py_ssize_t c0) noexcept nogil:
    """y = the weights of one part of a group's outputs times the patches, whose planes begin at b.

    The planes hold some channels, from c0 on. Unless c0 is 0, the products are added to y.
    """
    cdef const Output *g = p.g
    cdef const ConvShape *s = &g.shape
    cdef fnn_tiles *t = g.t
    cdef Py_ssize_t size = t.itemsize, channels = p.unfolded.shape.C, depth = channels * s.KH * s.KW
    cdef Py_ssize_t block, o0, rows, q0, q, cols, lines, strip = pixels, flags = 0 if c0 + channels < s.C else g.flags
    cdef const char *next
    if c0:
        flags |= FNN_ACCUMULATE
    lines = t.nr * size // LINE
    if p.pointwise:
        strip = max(t.nr, STRIP_BYTES // (depth * t.nr * size) * t.nr)
    elif channels < s.C:
        strip = t.nr
    for q0 from 0 <= q0 < pixels by strip:
        for block in range(split_at(p.blocks, p.parts, part), split_at(p.blocks, p.parts, part + 1)):
            o0 = split_at(s.O, p.blocks, block)
            rows = split_at(s.O, p.blocks, block + 1) - o0
            q = q0
            while q < min(pixels, q0 + strip):
                # the last tile ends with the band: it repeats pixels of the tile before rather than take a part vector
                cols = min(pixels - q if c0 else pixels, t.nr if pixels - q > t.lanes else t.lanes)
                q = min(q, pixels - cols)
                # an image that is read where it lies comes from memory: the first blocks prefetch the next strip
                next = b + (q + strip) * size + block * LINE if p.pointwise and block < lines else NULL
                t.panel(rows, cols, 1, depth, p.weights + ((first + o0) * p.depth + c0 * s.KH * s.KW * rows) * size,
                        NULL, 1, rows, b + q * size, p.koff, y + (o0 * s.OH * s.OW + q) * size, s.OH * s.OW,
                        g.bias + (first + o0) * size if g.bias != NULL and c0 == 0 else NULL, flags, next)
                q += cols


cdef Py_ssize_t channels_at_a_time(const ConvShape *s, Py_ssize_t fitting) noexcept nogil:
    """At most `fitting` channels, so that C is cut into equal parts; all C if a part's products would be too short."""
    cdef Py_ssize_t parts = ceil_div(s.C, max(fitting, <Py_ssize_t> 1))
    while parts < s.C and s.C % parts:
        parts += 1
    return s.C // parts if s.C // parts * s.KH * s.KW >= SUM_MIN_DEPTH else s.C


cdef Py_ssize_t channels_together(fnn_tiles *t, const ConvShape *s) noexcept nogil:
    cdef Py_ssize_t span = reach(s.KH, s.DH), below = (span - 1) // s.SH
    cdef Py_ssize_t row_bytes = max(<Py_ssize_t> 1, s.KW * s.C * min(s.SH, span) * s.OW * t.itemsize)
    cdef Py_ssize_t band = UNFOLD_BYTES // row_bytes - below
    if band >= s.OH or band * s.OW >= BAND_MIN_TILES * t.nr:
        return s.C
    band = min(s.OH, ceil_div(BAND_MIN_TILES * t.nr, s.OW))
    return channels_at_a_time(s, UNFOLD_BYTES * s.C // (row_bytes * (band + below)))


cdef void cut(Planes *p, Way way, int workers) noexcept nogil:
    """Decide the bands of rows, the parts of the output channels, and the input channels to unfold at a time.

    The number of threads must not decide the channels, because that cut goes through sums.
    """
    cdef const ConvShape *s = &p.g.shape
    cdef fnn_tiles *t = p.g.t
    cdef Py_ssize_t below = (reach(s.KH, s.DH) - 1) // s.SH, rows
    cdef Py_ssize_t row_bytes = max(<Py_ssize_t> 1, s.KW * s.C * p.unfolded.phases * s.OW * t.itemsize)
    # A band has as many rows as the cache holds. Below it is cut so that every thread has some, but it fills a tile.
    p.band = (TAPS_BYTES if p.taps else UNFOLD_BYTES) // row_bytes - below
    if way == PLANES and p.band < s.OH and p.band * s.OW < BAND_MIN_TILES * t.nr:
        p.unfolded.shape.C = channels_together(t, s)
        row_bytes = row_bytes // s.C * p.unfolded.shape.C
        p.band = UNFOLD_BYTES // row_bytes - below
    if workers > 1:
        # four chunks a thread, or fewer if these would have too few tiles: the last tile of a chunk is seldom full
        rows = s.OH * s.N * s.G
        p.band = min(p.band, max(ceil_div(rows, 4 * workers),
                                 min(ceil_div(rows, workers), ceil_div(CHUNK_MIN_TILES * t.nr, s.OW))))
    p.band = min(s.OH, max(p.band, ceil_div(t.nr, s.OW)))
    p.bands = ceil_div(s.OH, p.band)
    p.band = ceil_div(s.OH, p.bands)
    p.bands = ceil_div(s.OH, p.band)
    # with fewer bands than threads, the threads share the outputs, and each unfolds for itself
    p.parts = 1
    if not p.taps and s.N * s.G * p.bands < workers:
        p.parts = min(p.blocks, <Py_ssize_t> workers)
    # even the last band must fill a tile, because a tile reads whole vectors; taps read as far as they write
    p.pointwise = is_pointwise(s) if p.taps else way == POINTWISE and (s.OH - (p.bands - 1) * p.band) * s.OW >= t.nr
    p.unfolded.plane = s.H * s.W if p.pointwise else (p.band + below) * s.OW


cdef void place_weights(Planes *p) noexcept nogil:
    """Weights in the order (kh, kw, c), for the channels of one unfolding after those of another."""
    cdef const ConvShape *s = &p.g.shape
    cdef Py_ssize_t k, c, tap, taps = s.KH * s.KW, together = p.unfolded.shape.C, rows = s.O // p.blocks
    for k in range(p.depth):
        c, tap = k // taps, k % taps
        c, tap = c // together * together * taps + c % together, tap * together
        p.w_offsets[k], p.w_offsets[p.depth + k] = (c + tap) * rows, (c + tap) * (rows + 1)


cdef bint prepare_planes(Planes *p, const Output *g, Way way, int workers) noexcept nogil:
    cdef const ConvShape *s = &g.shape
    cdef fnn_tiles *t = g.t
    cdef Py_ssize_t k, span = reach(s.KH, s.DH)
    p.g, p.koff = g, NULL
    if not fits(<double> (s.OH + span) * s.OW * s.KW * s.C * min(s.SH, span) * workers * t.itemsize):
        return False
    p.depth = s.C * s.KH * s.KW
    p.blocks = ceil_div(s.O, t.mr)
    p.taps = way == TAPS
    p.unfolded.t, p.unfolded.shape, p.unfolded.phases = t, g.shape, min(s.SH, span)
    cut(p, way, workers)
    p.planes_step = 0
    if not p.pointwise:
        k = s.KW * p.unfolded.shape.C * p.unfolded.phases * p.unfolded.plane
        p.planes_step = ceil_div((k + t.nr) * t.itemsize, LINE) * LINE
    p.koff = <Py_ssize_t *> allocate(3 * p.depth * sizeof(Py_ssize_t))
    if p.koff == NULL:
        return False
    p.w_offsets = p.koff + p.depth
    patch_rows(&p.unfolded, not p.taps, p.koff)
    place_weights(p)
    return True


cdef void pack_planes(const Planes *p, int workers) noexcept nogil:
    parallel(pack_weights, <void *> p, p.g.shape.G * p.blocks, workers,
             <double> p.g.shape.G * p.g.shape.O * p.depth)


cdef void run_planes(const Planes *p, int workers) noexcept nogil:
    cdef const ConvShape *s = &p.g.shape
    parallel(planes_chunk, <void *> p, s.N * s.G * p.bands * p.parts, workers,
             <double> s.N * s.G * s.O * s.OH * s.OW * p.depth / 16)


cdef void forget_planes(Planes *p) noexcept nogil:
    release(p.koff)


cdef bint convolve_by_planes(const Output *g, Way way) noexcept nogil:
    cdef Planes p
    cdef int workers = threads()
    cdef bint enough
    enough = prepare_planes(&p, g, way, workers)
    if enough:
        p.weights = <char *> allocate(0 if p.taps else g.shape.G * g.shape.O * p.depth * g.t.itemsize)
        p.planes = <char *> allocate(workers * p.planes_step)
        enough = p.weights != NULL and p.planes != NULL
        if enough:
            if not p.taps:
                pack_planes(&p, workers)
            run_planes(&p, workers)
        release(p.weights)
        release(p.planes)
    forget_planes(&p)
    return enough
