"""The gradient of a convolution's input.

At stride 1, where maps keep their size, dx is a convolution of dy with each kernel turned by half a turn. Elsewhere
(strides, kernels that shrink the map, 1 x 1) dx is folded, image by image. The transposed weights times dy are the
gradients of the patches. These are folded (col2im) into planes while they are in the cache:

    patches    (c, kh, kw) x pixels  =  weights^T (c, kh, kw) x o   times   dy, o x pixels
    planes     row (c, kh, kw) of the patches adds to plane c, shifted by (kh, kw)

`conv_folded.pxd` draws a plane that is being folded.
"""
from libc.string cimport memset

from fastnn._kernels._conv_batch cimport batch_input
from fastnn._kernels._conv_forward cimport convolve
from fastnn._kernels._conv_ways cimport input_way
from fastnn._kernels._conv_winograd_input cimport winograd_input
from fastnn._kernels._conv_winograd_side cimport winograd_input_side_by_side
from fastnn._kernels._table cimport allocate, parallel, release, threads
from fastnn._kernels.conv_folded cimport folded_at, unfold_phases
from fastnn._kernels.conv_gradients cimport Gradients
from fastnn._kernels.conv_output cimport Output
from fastnn._kernels.conv_shape cimport ConvShape, is_pointwise, turned
from fastnn._kernels.conv_way cimport BATCH, PLANES, SIDE, SPREAD, TAPS, WINOGRAD, Way
from fastnn._kernels.fnn cimport FNN_RELU, FNN_relu, ceil_div, fits, fnn_tiles, reach, split_at

ctypedef fused real:
    float
    double

cdef enum:
    PANEL_BYTES = 393216  # panels of dy in use: they stay in the second-level cache
    PATCH_BYTES = 131072  # patch gradients in use

cdef struct InputGradient:
    const Gradients *a
    # In this struct a group is some channels that are folded together. The G groups of the convolution are others.
    Py_ssize_t group, groups    # channels of a group; groups that C has
    Py_ssize_t share            # groups that one chunk takes
    Py_ssize_t band             # output rows that are taken at a time
    bint pointwise              # 1 x 1, stride 1: a patch is a pixel, nothing is folded
    Py_ssize_t patch_step       # elements of a row of patch gradients
    Py_ssize_t AH, AW           # the plane being folded is (AH, SW, AW), see conv_folded.pxd
    Py_ssize_t *koff            # o * nr
    char *weights               # (O, rows) for each of the G, each group, and each block of its rows (c, kh, kw)
    char *workspace             # for each thread: panels of dy, patch gradients, planes being folded
    Py_ssize_t panels_size, patches_size, folded_size, workspace_step  # elements, the last in bytes

cdef struct Turned:
    const Gradients *a
    char *flipped  # (G, C, O, KH, KW)


cdef inline Py_ssize_t group_rows(const InputGradient *p, Py_ssize_t group) noexcept nogil:
    cdef const ConvShape *s = &p.a.shape
    return min(p.group, s.C - group * p.group) * s.KH * s.KW


cdef void pack_group(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const InputGradient *p = <const InputGradient *> job
    cdef const Gradients *a = p.a
    cdef const ConvShape *s = &a.shape
    cdef Py_ssize_t size = a.t.itemsize, K = s.C * s.KH * s.KW, group = chunk % p.groups, block, m, rows
    cdef Py_ssize_t first = chunk // p.groups * s.O * K, k0 = group * p.group * s.KH * s.KW
    cdef Py_ssize_t total = group_rows(p, group), blocks = ceil_div(total, a.t.mr)
    for block in range(blocks):
        m = split_at(total, blocks, block)
        rows = split_at(total, blocks, block + 1) - m
        a.t.copy(p.weights + (first + (k0 + m) * s.O) * size, rows, a.w + (first + k0 + m) * size, K, s.O, rows)


cdef void pack_dy(const InputGradient *p, char *panels, const char *dy, Py_ssize_t pixels) noexcept nogil:
    """Copy dy (O, OH*OW) into panels (O, nr) of nr pixels each."""
    cdef const Gradients *a = p.a
    cdef const ConvShape *s = &a.shape
    cdef Py_ssize_t q, nr = a.t.nr
    for q from 0 <= q < pixels by nr:
        a.t.copy(panels + q * s.O * a.t.itemsize, nr, dy + q * a.t.itemsize, s.OH * s.OW, s.O, min(nr, pixels - q))


cdef void patch_gradients(const InputGradient *p, char *patches, Py_ssize_t patch_step, const char *panels,
                          Py_ssize_t of, Py_ssize_t group, Py_ssize_t pixels, const char *bias,
                          int flags) noexcept nogil:
    """The patch gradients of one group of channels, within number `of` of the G: rows (c, kh, kw) of `pixels`."""
    cdef const Gradients *a = p.a
    cdef const ConvShape *s = &a.shape
    cdef fnn_tiles *t = a.t
    cdef Py_ssize_t size = t.itemsize, k0 = group * p.group * s.KH * s.KW, total = group_rows(p, group)
    cdef Py_ssize_t blocks = ceil_div(total, t.mr), block, m, rows, q
    cdef const char *weights = p.weights + of * s.O * s.C * s.KH * s.KW * size
    for block in range(blocks):
        m = split_at(total, blocks, block)
        rows = split_at(total, blocks, block + 1) - m
        for q from 0 <= q < pixels by t.nr:
            t.panel(rows, min(t.nr, pixels - q), 1, s.O, weights + (k0 + m) * s.O * size, NULL, 1, rows,
                    panels + q * s.O * size, p.koff, patches + (m * patch_step + q) * size, patch_step,
                    bias + m * size if bias != NULL else NULL, flags, NULL)


cdef void fold(const InputGradient *p, char *folded, const char *patches, Py_ssize_t channels, Py_ssize_t oh0,
               Py_ssize_t band) noexcept nogil:
    cdef const Gradients *a = p.a
    cdef const ConvShape *s = &a.shape
    cdef Py_ssize_t size = a.t.itemsize, kh, kw
    for _ in range(channels):
        for kh in range(s.KH):
            for kw in range(s.KW):
                a.t.add(folded + folded_at(oh0 * s.SH + kh * s.DH, kw * s.DW, s.SW, p.AW) * size, s.SH * s.SW * p.AW,
                        patches, s.OW, band, s.OW)
                patches += p.patch_step * size
        folded += p.AH * s.SW * p.AW * size


cdef void input_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """Some groups of channels, for one of the G of one image."""
    cdef const InputGradient *p = <const InputGradient *> job
    cdef const Gradients *a = p.a
    cdef const ConvShape *s = &a.shape
    cdef Py_ssize_t size = a.t.itemsize, shares = ceil_div(p.groups, p.share), i = chunk // shares
    cdef Py_ssize_t first = chunk % shares * p.share, group, oh, band, channels, c
    cdef Py_ssize_t c0, plane = s.H * s.W
    cdef char *panels = p.workspace + slot * p.workspace_step
    cdef char *patches = panels + p.panels_size * size
    cdef char *folded = patches + p.patches_size * size
    cdef const char *dy = a.dy + i * s.O * s.OH * s.OW * size
    cdef const char *bias
    cdef char *dx
    for group in range(first, min(p.groups, first + p.share)):
        channels = min(p.group, s.C - group * p.group)
        c0 = i % s.G * s.C + group * p.group
        bias = a.bias + c0 * size if a.bias != NULL else NULL
        dx = a.dx + (i // s.G * s.G * s.C + c0) * plane * size
        if p.pointwise:
            pass
        elif bias == NULL:
            memset(folded, 0, p.folded_size * size)
        elif size == sizeof(float):
            fill[float](<float *> folded, <const float *> bias, channels, p.AH * s.SW * p.AW)
        else:
            fill[double](<double *> folded, <const double *> bias, channels, p.AH * s.SW * p.AW)
        for oh from 0 <= oh < s.OH by p.band:
            band = min(p.band, s.OH - oh)
            if p.band < s.OH or group == first:
                pack_dy(p, panels, dy + oh * s.OW * size, band * s.OW)
            if p.pointwise:
                patch_gradients(p, dx + oh * s.W * size, plane, panels, i % s.G, group, band * s.W, bias,
                                a.flags)
            else:
                # whole vectors are faster, and the rows have room for them; elements beyond the pixels are never read
                patch_gradients(p, patches, p.patch_step, panels, i % s.G, group,
                                ceil_div(band * s.OW, a.t.lanes) * a.t.lanes, NULL, 0)
                fold(p, folded, patches, channels, oh, band)
        for c in range(0 if p.pointwise else channels):
            unfold_phases(a.t, dx + c * plane * size, s.H, s.W, folded + c * p.AH * s.SW * p.AW * size, s.PH, s.PW,
                          s.SW, p.AW)
            if a.flags & FNN_RELU:
                a.t.functions[FNN_relu].forward(dx + c * plane * size, dx + c * plane * size, plane, NULL)


cdef void fill(real *folded, const real *bias, Py_ssize_t channels, Py_ssize_t length) noexcept nogil:
    cdef Py_ssize_t c, i
    for c in range(channels):
        for i in range(length):
            folded[c * length + i] = bias[c]


cdef bint fold_patches(const Gradients *a) noexcept nogil:
    """Cut the work, pack the weights, and run the chunks. False when there is no memory."""
    cdef InputGradient p
    cdef const ConvShape *s = &a.shape
    cdef fnn_tiles *t = a.t
    cdef Py_ssize_t k, K = s.KH * s.KW, span_h = reach(s.KH, s.DH), span_w = reach(s.KW, s.DW)
    cdef int workers = threads()
    cdef bint enough
    if not fits((<double> s.OH * s.SH + span_h + s.H + s.PH) * (<double> s.OW * s.SW + span_w + s.W + s.PW)
                * (s.O + s.C * K) * max(s.G, <Py_ssize_t> workers) * t.itemsize):
        return False
    p.a = a
    p.AH = max((s.OH - 1) * s.SH + span_h, s.H + s.PH)
    p.AW = max(s.OW + (span_w - 1) // s.SW, ceil_div(s.W + s.PW, s.SW))
    p.pointwise = is_pointwise(s)
    p.band = min(s.OH, max(<Py_ssize_t> 1, PANEL_BYTES // (s.O * s.OW * t.itemsize)))
    p.patch_step = ceil_div(p.band * s.OW, t.nr) * t.nr
    p.group = min(s.C, max(<Py_ssize_t> 1, PATCH_BYTES // (K * p.patch_step * t.itemsize)))
    p.group = ceil_div(s.C, ceil_div(s.C, p.group))
    p.groups = ceil_div(s.C, p.group)
    p.share = max(<Py_ssize_t> 1, min(p.groups, s.N * s.G * p.groups // (4 * workers)))
    p.panels_size = p.patch_step * s.O
    p.patches_size = 0 if p.pointwise else p.group * K * p.patch_step
    p.folded_size = 0 if p.pointwise else p.group * p.AH * s.SW * p.AW
    p.workspace_step = ceil_div((p.panels_size + p.patches_size + p.folded_size) * t.itemsize, 64) * 64
    p.weights = <char *> allocate(s.G * s.O * s.C * K * t.itemsize)
    p.koff = <Py_ssize_t *> allocate(s.O * sizeof(Py_ssize_t))
    p.workspace = <char *> allocate(workers * p.workspace_step)
    enough = p.weights != NULL and p.koff != NULL and p.workspace != NULL
    if enough:
        for k in range(s.O):
            p.koff[k] = k * t.nr
        parallel(pack_group, &p, s.G * p.groups, workers, <double> s.G * s.O * s.C * K)
        parallel(input_chunk, &p, s.N * s.G * ceil_div(p.groups, p.share), workers,
                 <double> s.N * s.G * s.O * s.OH * s.OW * s.C * K / 16)
    release(p.weights)
    release(p.koff)
    release(p.workspace)
    return enough


cdef void turn(const real *w, real *flipped, const ConvShape *s, Py_ssize_t c) noexcept nogil:
    cdef Py_ssize_t o, k, K = s.KH * s.KW
    w += (c // s.C * s.O * s.C + c % s.C) * K
    flipped += c * s.O * K
    for o in range(s.O):
        for k in range(K):
            flipped[o * K + k] = w[o * s.C * K + K - 1 - k]


cdef void turn_channel(void *job, Py_ssize_t c, int slot) noexcept nogil:
    """All kernels of input channel c % C in group c // C, turned by half a turn: flipped (G, C, O, KH, KW)."""
    cdef const Turned *p = <const Turned *> job
    if p.a.t.itemsize == sizeof(float):
        turn[float](<const float *> p.a.w, <float *> p.flipped, &p.a.shape, c)
    else:
        turn[double](<const double *> p.a.w, <double *> p.flipped, &p.a.shape, c)


cdef void turn_kernels(const Gradients *a, char *flipped) noexcept nogil:
    cdef const ConvShape *s = &a.shape
    cdef Turned p
    p.a, p.flipped = a, flipped
    parallel(turn_channel, &p, s.G * s.C, threads(), <double> s.G * s.O * s.C * s.KH * s.KW)


cdef bint correlate(const Gradients *a) noexcept nogil:
    cdef const ConvShape *s = &a.shape
    cdef Output g
    cdef char *flipped = <char *> allocate(s.G * s.O * s.C * s.KH * s.KW * a.t.itemsize)
    cdef bint enough = flipped != NULL
    if enough:
        turn_kernels(a, flipped)
        g.t, g.shape, g.x, g.w, g.bias, g.y, g.flags = a.t, turned(s), a.dy, flipped, a.bias, a.dx, a.flags
        enough = convolve(&g)
    release(flipped)
    return enough


cdef bint fold_spoilt(const Gradients *a, const char *spoilt) noexcept nogil:
    cdef const ConvShape *s = &a.shape
    cdef Gradients one = a[0]
    cdef Py_ssize_t n, size = a.t.itemsize
    one.shape.N = 1
    for n in range(s.N):
        one.dy, one.dx = a.dy + n * s.O * s.OH * s.OW * size, a.dx + n * s.C * s.H * s.W * size
        if spoilt[n] and not fold_patches(&one):
            return False
    return True


cdef bint spread(const Gradients *a, Way way) noexcept nogil:
    cdef char *spoilt = <char *> allocate(a.shape.N)
    cdef bint enough = spoilt != NULL
    if enough:
        enough = winograd_input_side_by_side(a, spoilt) if way == SIDE else winograd_input(a, spoilt)
    enough = enough and fold_spoilt(a, spoilt)
    release(spoilt)
    return enough


cdef bint input_gradient(const Gradients *a) noexcept nogil:
    cdef Way way = input_way(a.t, &a.shape)
    if way == BATCH:
        return batch_input(a)
    if way == PLANES or way == WINOGRAD or way == TAPS:
        return correlate(a)
    if way == SPREAD or way == SIDE:
        return spread(a, way)
    return fold_patches(a)
