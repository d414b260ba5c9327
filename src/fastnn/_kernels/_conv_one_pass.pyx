"""The gradients of a convolution in one pass over dy.

This serves patches of few elements (the first layer of a network), and 1 x 1 over large maps. There dy and x are large
and the product is thin, so reading memory takes most of the time. dy is taken a band of rows at a time. Both gradients
of a band are made while it is in the second-level cache, and the next band is prefetched meanwhile.

Input: the transposed weights times dy are the gradients of the patches, which are folded (col2im) into planes.
Weight: the pixels that one patch element meets are neighbours in the unfolded planes (drawn in `_conv_planes`). The
pixels of one output channel are neighbours in dy. So dot tiles multiply the two where they lie, without packing:

    dw[o][k] += the dot product of dy[o] (pixels) and row k of the patches (pixels), for k = (c, kh, kw)

The batch is cut into a fixed number of parts, which threads share. Each part has its own sums, and the sums are added
in order at the end. With 1 x 1, x and dx are the planes themselves: nothing is unfolded or folded.
"""
from libc.string cimport memset

from fastnn._kernels._conv_planes cimport Unfolded, patch_rows, unfold
from fastnn._kernels._table cimport allocate, parallel, release, threads
from fastnn._kernels.conv_folded cimport folded_at, unfold_phases
from fastnn._kernels.conv_gradients cimport Gradients
from fastnn._kernels.conv_shape cimport ConvShape, is_pointwise
from fastnn._kernels.fnn cimport FNN_ACCUMULATE, add_doubles, ceil_div, fits, fnn_tiles, put_doubles, reach, split_at

cdef enum:
    BAND_BYTES = 196608  # a band of dy: with its panels it stays in the second-level cache
    PARTS = 8            # the most parts of a batch
    LINE = 64            # bytes of a cache line

cdef struct OnePass:
    const Gradients *a
    Unfolded unfolded        # the planes of the forward, which dw needs again
    Py_ssize_t band          # output rows that are taken at a time
    Py_ssize_t K, P          # elements of a patch, pixels of an output plane
    bint pointwise           # 1 x 1, stride 1, no padding
    Py_ssize_t parts         # parts of the batch, for each group
    Py_ssize_t patch_step    # elements of a row of patch gradients
    Py_ssize_t AH, AW        # the plane being folded is (AH, SW, AW), see conv_folded.pxd
    Py_ssize_t *dy_rows      # o * P
    Py_ssize_t *panel_rows   # o * nr
    Py_ssize_t *patch_rows   # the place among the planes where the row of each patch element starts
    char *weights            # (O, rows) for each group and each block of patch elements
    char *dw_sums            # (groups, parts, O, K)
    double *db_sums          # (groups, parts, O)
    char *workspace          # for each thread: planes, a panel of dy, patch gradients, planes being folded
    Py_ssize_t planes_size, panel_size, patches_size, folded_size, workspace_step  # elements; the last in bytes


cdef void images_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """One group, for the images of one part of the batch: images in order, and each in bands of output rows."""
    cdef const OnePass *p = <const OnePass *> job
    cdef const Gradients *a = p.a
    cdef const ConvShape *s = &a.shape
    cdef Py_ssize_t size = a.t.itemsize, n, i, oh, c, rows, ahead, at, plane = s.H * s.W
    cdef Py_ssize_t group = chunk // p.parts, part = chunk % p.parts, last = split_at(s.N, p.parts, part + 1)
    cdef char *planes = p.workspace + slot * p.workspace_step
    cdef char *panel = planes + p.planes_size * size
    cdef char *patches = panel + p.panel_size * size
    cdef char *folded = patches + p.patches_size * size
    cdef bint first = True
    for n in range(split_at(s.N, p.parts, part), last):
        i = n * s.G + group
        if a.dx != NULL:
            memset(folded, 0, p.folded_size * size)
        for oh from 0 <= oh < s.OH by p.band:
            rows = min(p.band, s.OH - oh)
            ahead = rows * s.OW if oh + rows < s.OH else s.G * s.O * p.P - oh * s.OW
            at = (i * s.C * s.H + oh) * s.W * size
            if a.dx != NULL and p.pointwise:
                multiply_band(p, panel, a.dx + at, p.P, i, oh, rows, ahead)
            elif a.dx != NULL:
                multiply_band(p, panel, patches, p.patch_step, i, oh, rows, ahead)
                fold(p, folded, patches, oh, rows)
            if a.dw != NULL and p.pointwise:
                sum_band(p, a.x + at, chunk, i, oh, rows, ahead, first)
            elif a.dw != NULL:
                unfold(&p.unfolded, planes, a.x + i * s.C * plane * size, oh, rows)
                sum_band(p, planes, chunk, i, oh, rows, ahead, first)
            first = False
        for c in range(s.C if a.dx != NULL and not p.pointwise else 0):
            unfold_phases(a.t, a.dx + (i * s.C + c) * plane * size, s.H, s.W,
                          folded + c * p.AH * s.SW * p.AW * size, s.PH, s.PW, s.SW, p.AW)


cdef void multiply_band(const OnePass *p, char *panel, char *patches, Py_ssize_t patch_step, Py_ssize_t i,
                        Py_ssize_t oh, Py_ssize_t rows, Py_ssize_t ahead) noexcept nogil:
    """The gradients of the patches under `rows` output rows from oh on, in group i % G of image i // G.

    Prefetches the next band of dy, which begins `ahead` elements after this one. If sum_band prefetches too, each of
    them does a part.
    """
    cdef const Gradients *a = p.a
    cdef const ConvShape *s = &a.shape
    cdef fnn_tiles *t = a.t
    cdef Py_ssize_t size = t.itemsize, nr = t.nr, pixels = rows * s.OW, blocks = ceil_div(p.K, t.mr), block, m, q, cols
    cdef Py_ssize_t lines = 1 if a.dw != NULL and not p.pointwise else nr * size // LINE
    cdef const char *dy = a.dy + (i * s.O * p.P + oh * s.OW) * size
    cdef const char *weights = p.weights + i % s.G * s.O * p.K * size
    cdef const char *b
    cdef const Py_ssize_t *rows_at
    for q from 0 <= q < pixels by nr:
        cols = min(nr, pixels - q)
        b, rows_at = dy + q * size, p.dy_rows
        if cols < nr:  # a tile reads whole vectors, and would read beyond the end of dy
            t.copy(panel, nr, b, p.P, s.O, cols)
            b, rows_at = panel, p.panel_rows
        for block in range(blocks):
            m = split_at(p.K, blocks, block)
            t.panel(split_at(p.K, blocks, block + 1) - m, cols, 1, s.O, weights + m * s.O * size, NULL, 1,
                    split_at(p.K, blocks, block + 1) - m, b, rows_at, patches + (m * patch_step + q) * size, patch_step,
                    NULL, 0, dy + (ahead + q) * size + block * LINE if block < lines else NULL)


cdef void fold(const OnePass *p, char *folded, const char *patches, Py_ssize_t oh, Py_ssize_t rows) noexcept nogil:
    cdef const Gradients *a = p.a
    cdef const ConvShape *s = &a.shape
    cdef Py_ssize_t size = a.t.itemsize, c, kh, kw
    for c in range(s.C):
        for kh in range(s.KH):
            for kw in range(s.KW):
                a.t.add(folded + folded_at(c * p.AH + oh * s.SH + kh * s.DH, kw * s.DW, s.SW, p.AW) * size,
                        s.SH * s.SW * p.AW, patches, s.OW, rows, s.OW)
                patches += p.patch_step * size


cdef void sum_band(const OnePass *p, const char *planes, Py_ssize_t chunk, Py_ssize_t i, Py_ssize_t oh, Py_ssize_t rows,
                   Py_ssize_t ahead, bint first) noexcept nogil:
    """Add to dw and db: the products of dy with the patches, for `rows` rows from oh on, group i % G, image i // G.

    Prefetches memory that is read next. With 1 x 1 this is the next channels of x, else the next band of dy, which
    begins `ahead` elements after this one.
    """
    cdef const Gradients *a = p.a
    cdef const ConvShape *s = &a.shape
    cdef fnn_tiles *t = a.t
    cdef Py_ssize_t size = t.itemsize, pixels = rows * s.OW, k, k1, o
    cdef const char *dy = a.dy + (i * s.O * p.P + oh * s.OW) * size
    cdef const char *next
    for k from 0 <= k < p.K by t.dot_n:
        k1 = min(p.K, k + t.dot_n)
        for o from 0 <= o < s.O by t.dot_m:
            next = NULL
            if p.pointwise and k1 + o // t.dot_m < min(p.K, k1 + t.dot_n):
                next = planes + p.patch_rows[k1 + o // t.dot_m] * size
            elif not p.pointwise and k // t.dot_n < t.dot_m:
                next = dy + (ahead + (o + k // t.dot_n) * p.P) * size
            t.dot(min(t.dot_m, s.O - o), k1 - k, pixels, dy + o * p.P * size, p.P, planes, p.patch_rows + k,
                  p.dw_sums + ((chunk * s.O + o) * p.K + k) * size, p.K, NULL, 0 if first else FNN_ACCUMULATE, next)
    if a.db != NULL:
        t.sums(p.db_sums + chunk * s.O, dy, p.P, s.O, pixels)


cdef void add_parts(fnn_tiles *t, char *total, const char *sums, Py_ssize_t groups, Py_ssize_t parts,
                    Py_ssize_t length) noexcept nogil:
    """total (groups, length) = the sums (groups, parts, length), with the parts added in order."""
    cdef Py_ssize_t group
    memset(total, 0, groups * length * t.itemsize)
    for group in range(groups):
        t.sum_rows(total + group * length * t.itemsize, sums + group * parts * length * t.itemsize, length, parts,
                   length)


cdef void lay_out_workspace(OnePass *p) noexcept nogil:
    """Decide the size of a band, and the workspace that a thread needs for one."""
    cdef const Gradients *a = p.a
    cdef const ConvShape *s = &a.shape
    cdef Unfolded *u = &p.unfolded
    cdef Py_ssize_t nr = a.t.nr, size = a.t.itemsize, room
    cdef Py_ssize_t span_h = reach(s.KH, s.DH), span_w = reach(s.KW, s.DW)
    p.band = min(s.OH, max(<Py_ssize_t> 1, BAND_BYTES // (s.O * s.OW * size)))
    p.band = ceil_div(s.OH, ceil_div(s.OH, p.band))
    u.t, u.shape, u.phases = a.t, a.shape, min(s.SH, span_h)
    u.plane = p.P if p.pointwise else (p.band + (span_h - 1) // s.SH) * s.OW
    p.AH = max((s.OH - 1) * s.SH + span_h, s.H + s.PH)
    p.AW = max(s.OW + (span_w - 1) // s.SW, ceil_div(s.W + s.PW, s.SW))
    p.patch_step = ceil_div(p.band * s.OW, nr) * nr
    p.planes_size = 0
    if a.dw != NULL and not p.pointwise:
        p.planes_size = ceil_div(s.KW * s.C * u.phases * u.plane, nr) * nr
    p.panel_size = s.O * nr
    p.patches_size = 0 if p.pointwise else p.K * p.patch_step
    p.folded_size = 0 if p.pointwise else s.C * p.AH * s.SW * p.AW
    room = p.planes_size + (p.panel_size + p.patches_size + p.folded_size if a.dx != NULL else 0)
    p.workspace_step = ceil_div(room * size, LINE) * LINE


cdef void pack_weights(const OnePass *p) noexcept nogil:
    cdef const Gradients *a = p.a
    cdef Py_ssize_t size = a.t.itemsize, O = a.shape.O, blocks = ceil_div(p.K, a.t.mr), block, m, rows, group, i
    for i in range(a.shape.G * blocks):
        group, block = i // blocks * O * p.K, i % blocks
        m = split_at(p.K, blocks, block)
        rows = split_at(p.K, blocks, block + 1) - m
        a.t.copy(p.weights + (group + m * O) * size, rows, a.w + (group + m) * size, p.K, O, rows)


cdef void run(OnePass *p, int workers) noexcept nogil:
    """Fill the tables, pack the weights, run the chunks, and add the parts."""
    cdef const Gradients *a = p.a
    cdef const ConvShape *s = &a.shape
    cdef Py_ssize_t size = a.t.itemsize, sums = p.parts * s.O, o, group
    p.panel_rows = p.dy_rows + s.O
    p.patch_rows = p.panel_rows + s.O
    p.dw_sums = <char *> (p.db_sums + s.G * sums)
    memset(p.db_sums, 0, s.G * sums * sizeof(double))
    patch_rows(&p.unfolded, False, p.patch_rows)
    for o in range(s.O):
        p.dy_rows[o], p.panel_rows[o] = o * p.P, o * a.t.nr
    pack_weights(p)
    parallel(images_chunk, p, s.G * p.parts, workers, <double> s.N * s.G * s.O * p.P * p.K / 8)
    if a.dw != NULL:
        add_parts(a.t, a.dw, p.dw_sums, s.G, p.parts, s.O * p.K)
    if a.db != NULL:
        for group in range(s.G):
            add_doubles(p.db_sums + group * sums, p.parts, s.O)
            put_doubles(a.db + group * s.O * size, p.db_sums + group * sums, s.O, size)


cdef bint one_pass(const Gradients *a) noexcept nogil:
    cdef OnePass p
    cdef const ConvShape *s = &a.shape
    cdef Py_ssize_t size = a.t.itemsize
    cdef int workers = threads()
    cdef bint enough
    p.a, p.K, p.P = a, s.C * s.KH * s.KW, s.OH * s.OW
    if not fits((<double> s.OH * s.SH + reach(s.KH, s.DH) + s.H + s.PH)
                * (<double> s.OW * s.SW + reach(s.KW, s.DW) + s.W + s.PW) * (s.O + p.K) * workers * size):
        return False
    p.pointwise = is_pointwise(s)
    p.parts = min(s.N, <Py_ssize_t> PARTS)
    lay_out_workspace(&p)
    p.weights = <char *> allocate(s.G * s.O * p.K * size)
    p.dy_rows = <Py_ssize_t *> allocate((2 * s.O + p.K) * sizeof(Py_ssize_t))
    p.db_sums = <double *> allocate(s.G * p.parts * s.O * (sizeof(double) + p.K * size))
    p.workspace = <char *> allocate(workers * p.workspace_step)
    enough = p.weights != NULL and p.dy_rows != NULL and p.db_sums != NULL and p.workspace != NULL
    if enough:
        run(&p, workers)
    release(p.weights)
    release(p.dy_rows)
    release(p.db_sums)
    release(p.workspace)
    return enough
