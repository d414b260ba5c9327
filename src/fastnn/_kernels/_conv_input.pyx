"""The gradient of a convolution's input.

Where maps keep their size, it is the convolution of dy with the kernel turned round. Elsewhere (strides, windows that
shrink the map, 1 x 1), for each image, the product of the transposed weights with dy gives the gradients of its
patches, which are folded (col2im) into planes while they are in the cache.
"""
from libc.string cimport memset

from fastnn._kernels._conv cimport Conv, convolve
from fastnn._kernels._conv_ways cimport input_way, turned
from fastnn._kernels._table cimport allocate, parallel, release, threads
from fastnn._kernels.fnn cimport FNN_RELU, FNN_relu, ceil_div, fits, fnn_tiles, reach, split_at
from fastnn._kernels.conv_folded cimport folded_at, unfold_phases
from fastnn._kernels.conv_gradients cimport Gradients
from fastnn._kernels.conv_way cimport PLANES, TAPS, WINOGRAD, Way

ctypedef fused real:
    float
    double

cdef enum:
    PANEL_BYTES = 393216  # of dy's panels at a time: they stay in the second-level cache
    PATCH_BYTES = 131072  # of patch gradients at a time

cdef struct InputGradient:
    fnn_tiles *t
    Py_ssize_t N, C, H, W, O, KH, KW, OH, OW, SH, SW, PH, PW, DH, DW, G
    const char *dy
    const char *w
    const char *bias
    char *dx
    int flags
    Py_ssize_t group, groups    # channels folded together, and how many such groups C has
    Py_ssize_t share            # groups of a chunk
    Py_ssize_t band             # output rows at a time
    bint pointwise              # 1 x 1, stride 1: a patch is a pixel, nothing is folded
    Py_ssize_t patch_step       # elements of a row of patch gradients
    Py_ssize_t AH, AW           # of a plane being folded
    Py_ssize_t *koff            # k * nr
    char *weights               # for each of the G, for each group, for each block of its rows (c, kh, kw): (O, rows)
    char *workspace             # for each thread: panels of dy, patch gradients, planes being folded
    Py_ssize_t panels_size, patches_size, folded_size, workspace_step  # elements, the last in bytes


cdef inline Py_ssize_t group_rows(const InputGradient *g, Py_ssize_t group) noexcept nogil:
    return min(g.group, g.C - group * g.group) * g.KH * g.KW


cdef void pack_group(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const InputGradient *g = <const InputGradient *> job
    cdef Py_ssize_t size = g.t.itemsize, K = g.C * g.KH * g.KW, group = chunk % g.groups, block, m, rows
    cdef Py_ssize_t first = chunk // g.groups * g.O * K, k0 = group * g.group * g.KH * g.KW
    cdef Py_ssize_t total = group_rows(g, group), blocks = ceil_div(total, g.t.mr)
    for block in range(blocks):
        m = split_at(total, blocks, block)
        rows = split_at(total, blocks, block + 1) - m
        g.t.copy(g.weights + (first + (k0 + m) * g.O) * size, rows, g.w + (first + k0 + m) * size, K, g.O, rows)


cdef void pack_dy(const InputGradient *g, char *panels, const char *dy, Py_ssize_t pixels) noexcept nogil:
    """Panels (O, nr) of the pixels of dy (O, OH*OW)."""
    cdef Py_ssize_t q, nr = g.t.nr
    for q from 0 <= q < pixels by nr:
        g.t.copy(panels + q * g.O * g.t.itemsize, nr, dy + q * g.t.itemsize, g.OH * g.OW, g.O, min(nr, pixels - q))


cdef void patch_gradients(const InputGradient *g, char *patches, Py_ssize_t patch_step, const char *panels,
                          Py_ssize_t of, Py_ssize_t group, Py_ssize_t pixels, const char *bias,
                          int flags) noexcept nogil:
    """Rows (c, kh, kw) of a group of one of the G, `pixels` long."""
    cdef fnn_tiles *t = g.t
    cdef Py_ssize_t size = t.itemsize, k0 = group * g.group * g.KH * g.KW, total = group_rows(g, group)
    cdef Py_ssize_t blocks = ceil_div(total, t.mr), block, m, rows, q
    cdef const char *weights = g.weights + of * g.O * g.C * g.KH * g.KW * size
    for block in range(blocks):
        m = split_at(total, blocks, block)
        rows = split_at(total, blocks, block + 1) - m
        for q from 0 <= q < pixels by t.nr:
            t.panel(rows, min(t.nr, pixels - q), 1, g.O, weights + (k0 + m) * g.O * size, NULL, 1, rows,
                    panels + q * g.O * size, g.koff, patches + (m * patch_step + q) * size, patch_step,
                    bias + m * size if bias != NULL else NULL, flags, NULL)


cdef void fold(const InputGradient *g, char *folded, const char *patches, Py_ssize_t channels, Py_ssize_t oh0,
               Py_ssize_t band) noexcept nogil:
    cdef Py_ssize_t size = g.t.itemsize, kh, kw
    for _ in range(channels):
        for kh in range(g.KH):
            for kw in range(g.KW):
                g.t.add(folded + folded_at(oh0 * g.SH + kh * g.DH, kw * g.DW, g.SW, g.AW) * size, g.SH * g.SW * g.AW,
                        patches, g.OW, band, g.OW)
                patches += g.patch_step * size
        folded += g.AH * g.SW * g.AW * size


cdef void input_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """Some groups of channels of one of the G of one image."""
    cdef const InputGradient *g = <const InputGradient *> job
    cdef Py_ssize_t size = g.t.itemsize, shares = ceil_div(g.groups, g.share), i = chunk // shares
    cdef Py_ssize_t first = chunk % shares * g.share, group, oh, band, channels, c
    cdef Py_ssize_t c0, plane = g.H * g.W
    cdef char *panels = g.workspace + slot * g.workspace_step
    cdef char *patches = panels + g.panels_size * size
    cdef char *folded = patches + g.patches_size * size
    cdef const char *dy = g.dy + i * g.O * g.OH * g.OW * size
    cdef const char *bias
    cdef char *dx
    for group in range(first, min(g.groups, first + g.share)):
        channels = min(g.group, g.C - group * g.group)
        c0 = i % g.G * g.C + group * g.group
        bias = g.bias + c0 * size if g.bias != NULL else NULL
        dx = g.dx + (i // g.G * g.G * g.C + c0) * plane * size
        if g.pointwise:
            pass
        elif bias == NULL:
            memset(folded, 0, g.folded_size * size)
        elif size == sizeof(float):
            fill[float](<float *> folded, <const float *> bias, channels, g.AH * g.SW * g.AW)
        else:
            fill[double](<double *> folded, <const double *> bias, channels, g.AH * g.SW * g.AW)
        for oh from 0 <= oh < g.OH by g.band:
            band = min(g.band, g.OH - oh)
            if g.band < g.OH or group == first:
                pack_dy(g, panels, dy + oh * g.OW * size, band * g.OW)
            if g.pointwise:
                patch_gradients(g, dx + oh * g.W * size, plane, panels, i % g.G, group, band * g.W, bias,
                                g.flags)
            else:
                # whole vectors, into rows that have room for them: what lies beyond the pixels means nothing
                patch_gradients(g, patches, g.patch_step, panels, i % g.G, group,
                                ceil_div(band * g.OW, g.t.lanes) * g.t.lanes, NULL, 0)
                fold(g, folded, patches, channels, oh, band)
        for c in range(0 if g.pointwise else channels):
            unfold_phases(g.t, dx + c * plane * size, g.H, g.W, folded + c * g.AH * g.SW * g.AW * size, g.PH, g.PW,
                          g.SW, g.AW)
            if g.flags & FNN_RELU:
                g.t.functions[FNN_relu].forward(dx + c * plane * size, dx + c * plane * size, plane, NULL)


cdef void fill(real *folded, const real *bias, Py_ssize_t channels, Py_ssize_t length) noexcept nogil:
    cdef Py_ssize_t c, i
    for c in range(channels):
        for i in range(length):
            folded[c * length + i] = bias[c]


cdef bint fold_patches(InputGradient *g) noexcept nogil:
    """Plan the split, pack the weights, run the chunks. False when there is no memory."""
    cdef fnn_tiles *t = g.t
    cdef Py_ssize_t k, K = g.KH * g.KW, span_h = reach(g.KH, g.DH), span_w = reach(g.KW, g.DW)
    cdef int workers = threads()
    cdef bint enough
    if not fits((<double> g.OH * g.SH + span_h + g.H + g.PH) * (<double> g.OW * g.SW + span_w + g.W + g.PW)
                * (g.O + g.C * K) * max(g.G, <Py_ssize_t> workers) * t.itemsize):
        return False
    g.AH = max((g.OH - 1) * g.SH + span_h, g.H + g.PH)
    g.AW = max(g.OW + (span_w - 1) // g.SW, ceil_div(g.W + g.PW, g.SW))
    g.pointwise = g.KH == g.KW == g.SH == g.SW == 1 and g.PH == g.PW == 0 and g.H == g.OH and g.W == g.OW
    g.band = min(g.OH, max(<Py_ssize_t> 1, PANEL_BYTES // (g.O * g.OW * t.itemsize)))
    g.patch_step = ceil_div(g.band * g.OW, t.nr) * t.nr
    g.group = min(g.C, max(<Py_ssize_t> 1, PATCH_BYTES // (K * g.patch_step * t.itemsize)))
    g.group = ceil_div(g.C, ceil_div(g.C, g.group))
    g.groups = ceil_div(g.C, g.group)
    g.share = max(<Py_ssize_t> 1, min(g.groups, g.N * g.G * g.groups // (4 * workers)))
    g.panels_size = g.patch_step * g.O
    g.patches_size = 0 if g.pointwise else g.group * K * g.patch_step
    g.folded_size = 0 if g.pointwise else g.group * g.AH * g.SW * g.AW
    g.workspace_step = ceil_div((g.panels_size + g.patches_size + g.folded_size) * t.itemsize, 64) * 64
    g.weights = <char *> allocate(g.G * g.O * g.C * K * t.itemsize)
    g.koff = <Py_ssize_t *> allocate(g.O * sizeof(Py_ssize_t))
    g.workspace = <char *> allocate(workers * g.workspace_step)
    enough = g.weights != NULL and g.koff != NULL and g.workspace != NULL
    if enough:
        for k in range(g.O):
            g.koff[k] = k * t.nr
        parallel(pack_group, g, g.G * g.groups, workers, <double> g.G * g.O * g.C * K)
        parallel(input_chunk, g, g.N * g.G * ceil_div(g.groups, g.share), workers,
                 <double> g.N * g.G * g.O * g.OH * g.OW * g.C * K / 16)
    release(g.weights)
    release(g.koff)
    release(g.workspace)
    return enough


cdef void turn(const real *w, real *flipped, const Gradients *a) noexcept nogil:
    """flipped (G, C, O, KH, KW) = w (G, O, C, KH, KW), each kernel turned round."""
    cdef Py_ssize_t c, o, k, K = a.KH * a.KW
    for _ in range(a.G):
        for c in range(a.C):
            for o in range(a.O):
                for k in range(K):
                    flipped[(c * a.O + o) * K + k] = w[(o * a.C + c) * K + K - 1 - k]
        flipped += a.C * a.O * K
        w += a.C * a.O * K


cdef bint correlate(const Gradients *a) noexcept nogil:
    cdef Conv f = turned(a)
    cdef char *flipped = <char *> allocate(a.G * a.O * a.C * a.KH * a.KW * a.t.itemsize)
    cdef bint enough = flipped != NULL
    if enough:
        if a.t.itemsize == sizeof(float):
            turn[float](<const float *> a.w, <float *> flipped, a)
        else:
            turn[double](<const double *> a.w, <double *> flipped, a)
        f.w = flipped
        enough = convolve(&f)
    release(flipped)
    return enough


cdef bint input_gradient(const Gradients *a) noexcept nogil:
    cdef InputGradient g
    cdef Way way = input_way(a)
    if way == PLANES or way == WINOGRAD or way == TAPS:
        return correlate(a)
    g.t, g.N, g.C, g.H, g.W, g.O = a.t, a.N, a.C, a.H, a.W, a.O
    g.KH, g.KW, g.OH, g.OW, g.SH, g.SW, g.PH, g.PW = a.KH, a.KW, a.OH, a.OW, a.SH, a.SW, a.PH, a.PW
    g.DH, g.DW, g.G, g.dy, g.w, g.bias, g.dx, g.flags = a.DH, a.DW, a.G, a.dy, a.w, a.bias, a.dx, a.flags
    return fold_patches(&g)
