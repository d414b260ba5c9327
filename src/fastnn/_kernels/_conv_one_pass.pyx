"""The gradients of a convolution in one pass over dy: for patches of few elements (the first layer of a network), and
for 1 x 1 over large maps.

There dy and x are large and the product is thin, so memory decides: dy is taken a band of rows at a time, and both
gradients are made of a band while it is in the second-level cache and the next one is on its way.

Input: the transposed weights times dy are the gradients of the patches, which are folded (col2im) into planes.
Weight: a patch element's values over the pixels are a contiguous run of the width-unfolded planes (see `_conv`), and so
are an output channel's of dy: the sums of their products are dot tiles over both where they lie. A fixed number of
parts of the batch are summed apart, for the threads, and added in order.
With 1 x 1, x and dx are the planes themselves: nothing is unfolded or folded.
"""
from libc.string cimport memset

from fastnn._kernels._conv cimport Conv, patch_rows, unfold
from fastnn._kernels._table cimport allocate, parallel, release, threads
from fastnn._kernels.fnn cimport FNN_ACCUMULATE, add_doubles, ceil_div, fits, fnn_tiles, put_doubles, reach, split_at
from fastnn._kernels.conv_folded cimport folded_at, unfold_phases
from fastnn._kernels.conv_gradients cimport Gradients

cdef enum:
    BAND_BYTES = 196608  # of dy at a time: with its panels it stays in the second-level cache
    PARTS = 8            # of the batch, at most
    LINE = 64            # bytes of a cache line

cdef struct OnePass:
    Conv conv                # the forward's geometry: dw unfolds its planes again
    const Gradients *a
    Py_ssize_t K, P          # elements of a patch, pixels of an output plane
    bint pointwise           # 1 x 1, stride 1, no padding
    Py_ssize_t parts         # of the batch, for each group
    Py_ssize_t patch_step    # elements of a row of patch gradients
    Py_ssize_t AH, AW        # of a plane being folded
    Py_ssize_t *dy_rows      # o * P
    Py_ssize_t *panel_rows   # o * nr
    Py_ssize_t *patch_rows   # where the patch elements' runs start among the planes
    char *weights            # for each group, for each block of patch elements: (O, rows)
    char *dw_sums            # (groups, parts, O, K)
    double *db_sums          # (groups, parts, O)
    char *workspace          # for each thread: planes, a panel of dy, patch gradients, planes being folded
    Py_ssize_t planes_size, panel_size, patches_size, folded_size, workspace_step  # elements; the last in bytes


cdef void images_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """One group of one part of the batch, its images in order, each in bands of output rows."""
    cdef const OnePass *s = <const OnePass *> job
    cdef const Gradients *a = s.a
    cdef Py_ssize_t size = a.t.itemsize, n, i, oh, c, rows, ahead, at, plane = a.H * a.W
    cdef Py_ssize_t group = chunk // s.parts, part = chunk % s.parts, last = split_at(a.N, s.parts, part + 1)
    cdef char *planes = s.workspace + slot * s.workspace_step
    cdef char *panel = planes + s.planes_size * size
    cdef char *patches = panel + s.panel_size * size
    cdef char *folded = patches + s.patches_size * size
    cdef bint first = True
    for n in range(split_at(a.N, s.parts, part), last):
        i = n * a.G + group
        if a.dx != NULL:
            memset(folded, 0, s.folded_size * size)
        for oh from 0 <= oh < a.OH by s.conv.band:
            rows = min(s.conv.band, a.OH - oh)
            ahead = rows * a.OW if oh + rows < a.OH else a.G * a.O * s.P - oh * a.OW
            at = (i * a.C * a.H + oh) * a.W * size
            if a.dx != NULL and s.pointwise:
                multiply_band(s, panel, a.dx + at, s.P, i, oh, rows, ahead)
            elif a.dx != NULL:
                multiply_band(s, panel, patches, s.patch_step, i, oh, rows, ahead)
                fold(s, folded, patches, oh, rows)
            if a.dw != NULL and s.pointwise:
                sum_band(s, a.x + at, chunk, i, oh, rows, ahead, first)
            elif a.dw != NULL:
                unfold(&s.conv, planes, a.x + i * a.C * plane * size, oh, rows)
                sum_band(s, planes, chunk, i, oh, rows, ahead, first)
            first = False
        for c in range(a.C if a.dx != NULL and not s.pointwise else 0):
            unfold_phases(a.t, a.dx + (i * a.C + c) * plane * size, a.H, a.W,
                          folded + c * s.AH * a.SW * s.AW * size, a.PH, a.PW, a.SW, s.AW)


cdef void multiply_band(const OnePass *s, char *panel, char *patches, Py_ssize_t patch_step, Py_ssize_t i,
                        Py_ssize_t oh, Py_ssize_t rows, Py_ssize_t ahead) noexcept nogil:
    """The gradients of the patches under the output rows oh .. oh + rows of group i % G of image i // G.

    Fetches the band `ahead` of it in dy; half of it, where sum_band will fetch too.
    """
    cdef const Gradients *a = s.a
    cdef fnn_tiles *t = a.t
    cdef Py_ssize_t size = t.itemsize, nr = t.nr, pixels = rows * a.OW, blocks = ceil_div(s.K, t.mr), block, m, q, cols
    cdef Py_ssize_t lines = 1 if a.dw != NULL and not s.pointwise else nr * size // LINE
    cdef const char *dy = a.dy + (i * a.O * s.P + oh * a.OW) * size
    cdef const char *weights = s.weights + i % a.G * a.O * s.K * size
    cdef const char *b
    cdef const Py_ssize_t *rows_at
    for q from 0 <= q < pixels by nr:
        cols = min(nr, pixels - q)
        b, rows_at = dy + q * size, s.dy_rows
        if cols < nr:  # a tile reads whole vectors
            t.copy(panel, nr, b, s.P, a.O, cols)
            b, rows_at = panel, s.panel_rows
        for block in range(blocks):
            m = split_at(s.K, blocks, block)
            t.panel(split_at(s.K, blocks, block + 1) - m, cols, 1, a.O, weights + m * a.O * size, NULL, 1,
                    split_at(s.K, blocks, block + 1) - m, b, rows_at, patches + (m * patch_step + q) * size, patch_step,
                    NULL, 0, dy + (ahead + q) * size + block * LINE if block < lines else NULL)


cdef void fold(const OnePass *s, char *folded, const char *patches, Py_ssize_t oh, Py_ssize_t rows) noexcept nogil:
    cdef const Gradients *a = s.a
    cdef Py_ssize_t size = a.t.itemsize, c, kh, kw
    for c in range(a.C):
        for kh in range(a.KH):
            for kw in range(a.KW):
                a.t.add(folded + folded_at(c * s.AH + oh * a.SH + kh * a.DH, kw * a.DW, a.SW, s.AW) * size,
                        a.SH * a.SW * s.AW, patches, a.OW, rows, a.OW)
                patches += s.patch_step * size


cdef void sum_band(const OnePass *s, const char *planes, Py_ssize_t chunk, Py_ssize_t i, Py_ssize_t oh, Py_ssize_t rows,
                   Py_ssize_t ahead, bint first) noexcept nogil:
    """Add the products of the output rows oh .. oh + rows of group i % G of image i // G with its patches.

    Fetches what comes next: of x itself with 1 x 1, else the band `ahead` in dy.
    """
    cdef const Gradients *a = s.a
    cdef fnn_tiles *t = a.t
    cdef Py_ssize_t size = t.itemsize, pixels = rows * a.OW, k, k1, o
    cdef const char *dy = a.dy + (i * a.O * s.P + oh * a.OW) * size
    cdef const char *next
    for k from 0 <= k < s.K by t.dot_n:
        k1 = min(s.K, k + t.dot_n)
        for o from 0 <= o < a.O by t.dot_m:
            next = NULL
            if s.pointwise and k1 + o // t.dot_m < min(s.K, k1 + t.dot_n):
                next = planes + s.patch_rows[k1 + o // t.dot_m] * size
            elif not s.pointwise and k // t.dot_n < t.dot_m:
                next = dy + (ahead + (o + k // t.dot_n) * s.P) * size
            t.dot(min(t.dot_m, a.O - o), k1 - k, pixels, dy + o * s.P * size, s.P, planes, s.patch_rows + k,
                  s.dw_sums + ((chunk * a.O + o) * s.K + k) * size, s.K, NULL, 0 if first else FNN_ACCUMULATE, next)
    if a.db != NULL:
        t.sums(s.db_sums + chunk * a.O, dy, s.P, a.O, pixels)


cdef void add_parts(fnn_tiles *t, char *total, const char *sums, Py_ssize_t groups, Py_ssize_t parts,
                    Py_ssize_t length) noexcept nogil:
    """The parts (parts, length) of each group, in order."""
    cdef Py_ssize_t group
    memset(total, 0, groups * length * t.itemsize)
    for group in range(groups):
        t.sum_rows(total + group * length * t.itemsize, sums + group * parts * length * t.itemsize, length, parts,
                   length)


cdef bint one_pass(const Gradients *a) noexcept nogil:
    cdef OnePass s
    cdef fnn_tiles *t = a.t
    cdef Py_ssize_t size = t.itemsize, blocks, block, m, o, room, group, i
    cdef Py_ssize_t span_h = reach(a.KH, a.DH), span_w = reach(a.KW, a.DW)
    cdef int workers = threads()
    cdef bint enough
    s.a, s.K, s.P = a, a.C * a.KH * a.KW, a.OH * a.OW
    if not fits((<double> a.OH * a.SH + span_h + a.H + a.PH) * (<double> a.OW * a.SW + span_w + a.W + a.PW)
                * (a.O + s.K) * workers * size):
        return False
    s.pointwise = a.KH == a.KW == a.SH == a.SW == 1 and a.PH == a.PW == 0 and a.H == a.OH and a.W == a.OW
    s.parts = min(a.N, <Py_ssize_t> PARTS)
    s.conv.t, s.conv.C, s.conv.H, s.conv.W = t, a.C, a.H, a.W
    s.conv.KH, s.conv.KW, s.conv.OH, s.conv.OW = a.KH, a.KW, a.OH, a.OW
    s.conv.SH, s.conv.SW, s.conv.PH, s.conv.PW, s.conv.DH, s.conv.DW = a.SH, a.SW, a.PH, a.PW, a.DH, a.DW
    s.conv.phases = min(a.SH, span_h)
    s.conv.band = min(a.OH, max(<Py_ssize_t> 1, BAND_BYTES // (a.O * a.OW * size)))
    s.conv.band = ceil_div(a.OH, ceil_div(a.OH, s.conv.band))
    s.conv.plane = s.P if s.pointwise else (s.conv.band + (span_h - 1) // a.SH) * a.OW
    s.AH = max((a.OH - 1) * a.SH + span_h, a.H + a.PH)
    s.AW = max(a.OW + (span_w - 1) // a.SW, ceil_div(a.W + a.PW, a.SW))
    s.patch_step = ceil_div(s.conv.band * a.OW, t.nr) * t.nr
    s.planes_size = 0
    if a.dw != NULL and not s.pointwise:
        s.planes_size = ceil_div(a.KW * a.C * s.conv.phases * s.conv.plane, t.nr) * t.nr
    s.panel_size = a.O * t.nr
    s.patches_size = 0 if s.pointwise else s.K * s.patch_step
    s.folded_size = 0 if s.pointwise else a.C * s.AH * a.SW * s.AW
    room = s.planes_size + (s.panel_size + s.patches_size + s.folded_size if a.dx != NULL else 0)
    s.workspace_step = ceil_div(room * size, 64) * 64
    s.weights = <char *> allocate(a.G * a.O * s.K * size)
    s.dy_rows = <Py_ssize_t *> allocate((2 * a.O + s.K) * sizeof(Py_ssize_t))
    s.db_sums = <double *> allocate(a.G * s.parts * a.O * (sizeof(double) + s.K * size))
    s.workspace = <char *> allocate(workers * s.workspace_step)
    enough = s.weights != NULL and s.dy_rows != NULL and s.db_sums != NULL and s.workspace != NULL
    if enough:
        s.panel_rows = s.dy_rows + a.O
        s.patch_rows = s.panel_rows + a.O
        s.dw_sums = <char *> (s.db_sums + a.G * s.parts * a.O)
        memset(s.db_sums, 0, a.G * s.parts * a.O * sizeof(double))
        patch_rows(&s.conv, s.patch_rows)
        for o in range(a.O):
            s.dy_rows[o], s.panel_rows[o] = o * s.P, o * t.nr
        blocks = ceil_div(s.K, t.mr)
        for i in range(a.G * blocks):
            group, block = i // blocks * a.O * s.K, i % blocks
            m = split_at(s.K, blocks, block)
            t.copy(s.weights + (group + m * a.O) * size, split_at(s.K, blocks, block + 1) - m,
                   a.w + (group + m) * size, s.K, a.O, split_at(s.K, blocks, block + 1) - m)
        parallel(images_chunk, &s, a.G * s.parts, workers, <double> a.N * a.G * a.O * s.P * s.K / 8)
        if a.dw != NULL:
            add_parts(t, a.dw, s.dw_sums, a.G, s.parts, a.O * s.K)
        if a.db != NULL:
            for group in range(a.G):
                add_doubles(s.db_sums + group * s.parts * a.O, s.parts, a.O)
                put_doubles(a.db + group * a.O * size, s.db_sums + group * s.parts * a.O, a.O, size)
    release(s.weights)
    release(s.dy_rows)
    release(s.db_sums)
    release(s.workspace)
    return enough
