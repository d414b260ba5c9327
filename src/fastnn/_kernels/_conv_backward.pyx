"""The gradients of convolution.

Input: where maps keep their size, the convolution of dy with the kernel turned round. Elsewhere (strides, windows that
shrink the map, 1 x 1), for each image, the product of the transposed weights with dy gives the gradients of its
patches, which are folded (col2im) into planes while they are in the cache.

Weight: images are laid out pixel by pixel, channels last, and so is dy; then the patch elements (kw, c) of one kernel
row are neighbours, and the sum over pixels is a panel tile whose rows they are. A fixed number of parts of the batch
are summed apart, for the threads, and added in order.
"""
from libc.string cimport memset

from fastnn._kernels._table cimport allocate, parallel, release, threads, tiles
from fastnn._kernels._conv cimport Conv, convolve
from fastnn._kernels.folded cimport folded_at, unfold_phases
from fastnn._kernels.fnn cimport FNN_ACCUMULATE, ceil_div, fits, fnn_tiles, split_at

ctypedef fused real:
    float
    double

cdef enum:
    PANEL_BYTES = 393216  # of dy's panels at a time: they stay in the second-level cache
    PATCH_BYTES = 131072  # of patch gradients at a time
    PIXELS = 256          # summed at a time in the weight gradient: a panel of dy stays in the first-level cache
    PARTS = 8             # of the batch in the weight gradient, at most
    SUMS_BYTES = 1 << 24  # of all their sums


# ---- Input gradient -------------------------------------------------------------------------------------------------

cdef struct InputGradient:
    fnn_tiles *t
    Py_ssize_t N, C, H, W, O, KH, KW, OH, OW, SH, SW, PH, PW
    const char *dy
    const char *w
    char *dx
    Py_ssize_t group, groups    # channels folded together, and how many such groups there are
    Py_ssize_t share            # groups of a chunk
    Py_ssize_t band             # output rows at a time
    bint pointwise              # 1 x 1, stride 1: a patch is a pixel, nothing is folded
    Py_ssize_t patch_step       # elements of a row of patch gradients
    Py_ssize_t AH, AW           # of a plane being folded
    Py_ssize_t *koff            # k * nr
    char *weights               # for each group, for each block of its rows (c, kh, kw): (O, rows)
    char *workspace             # for each thread: panels of dy, patch gradients, planes being folded
    Py_ssize_t panels_size, patches_size, folded_size, workspace_step  # elements, the last in bytes


cdef inline Py_ssize_t group_rows(const InputGradient *g, Py_ssize_t group) noexcept nogil:
    return min(g.group, g.C - group * g.group) * g.KH * g.KW


cdef void pack_group(void *job, Py_ssize_t group, int slot) noexcept nogil:
    cdef const InputGradient *g = <const InputGradient *> job
    cdef Py_ssize_t size = g.t.itemsize, K = g.C * g.KH * g.KW, k0 = group * g.group * g.KH * g.KW, block, m, rows
    cdef Py_ssize_t total = group_rows(g, group), blocks = ceil_div(total, g.t.mr)
    for block in range(blocks):
        m = split_at(total, blocks, block)
        rows = split_at(total, blocks, block + 1) - m
        g.t.copy(g.weights + (k0 + m) * g.O * size, rows, g.w + (k0 + m) * size, K, g.O, rows)


cdef void pack_dy(const InputGradient *g, char *panels, const char *dy, Py_ssize_t pixels) noexcept nogil:
    """Panels (O, nr) of the pixels of dy (O, OH*OW)."""
    cdef Py_ssize_t q, nr = g.t.nr
    for q from 0 <= q < pixels by nr:
        g.t.copy(panels + q * g.O * g.t.itemsize, nr, dy + q * g.t.itemsize, g.OH * g.OW, g.O, min(nr, pixels - q))


cdef void patch_gradients(const InputGradient *g, char *patches, Py_ssize_t patch_step, const char *panels,
                          Py_ssize_t group, Py_ssize_t pixels) noexcept nogil:
    """Rows (c, kh, kw) of the group, `pixels` long."""
    cdef fnn_tiles *t = g.t
    cdef Py_ssize_t size = t.itemsize, k0 = group * g.group * g.KH * g.KW, total = group_rows(g, group)
    cdef Py_ssize_t blocks = ceil_div(total, t.mr), block, m, rows, q
    for block in range(blocks):
        m = split_at(total, blocks, block)
        rows = split_at(total, blocks, block + 1) - m
        for q from 0 <= q < pixels by t.nr:
            t.panel(rows, min(t.nr, pixels - q), 1, g.O, g.weights + (k0 + m) * g.O * size, NULL, rows,
                    panels + q * g.O * size, g.koff, patches + (m * patch_step + q) * size, patch_step, NULL, 0)


cdef void fold(const InputGradient *g, char *folded, const char *patches, Py_ssize_t channels, Py_ssize_t oh0,
               Py_ssize_t band) noexcept nogil:
    cdef Py_ssize_t size = g.t.itemsize, kh, kw
    for _ in range(channels):
        for kh in range(g.KH):
            for kw in range(g.KW):
                g.t.add(folded + folded_at(oh0 * g.SH + kh, kw, g.SW, g.AW) * size, g.SH * g.SW * g.AW, patches, g.OW,
                        band, g.OW)
                patches += g.patch_step * size
        folded += g.AH * g.SW * g.AW * size


cdef void input_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """Some groups of channels of one image."""
    cdef const InputGradient *g = <const InputGradient *> job
    cdef Py_ssize_t size = g.t.itemsize, shares = ceil_div(g.groups, g.share), n = chunk // shares
    cdef Py_ssize_t first = chunk % shares * g.share, group, oh, band, channels, c
    cdef char *panels = g.workspace + slot * g.workspace_step
    cdef char *patches = panels + g.panels_size * size
    cdef char *folded = patches + g.patches_size * size
    cdef const char *dy = g.dy + n * g.O * g.OH * g.OW * size
    cdef char *dx
    for group in range(first, min(g.groups, first + g.share)):
        channels = min(g.group, g.C - group * g.group)
        dx = g.dx + (n * g.C + group * g.group) * g.H * g.W * size
        if not g.pointwise:
            memset(folded, 0, g.folded_size * size)
        for oh from 0 <= oh < g.OH by g.band:
            band = min(g.band, g.OH - oh)
            if g.band < g.OH or group == first:
                pack_dy(g, panels, dy + oh * g.OW * size, band * g.OW)
            if g.pointwise:
                patch_gradients(g, dx + oh * g.W * size, g.H * g.W, panels, group, band * g.W)
            else:
                # whole vectors, into rows that have room for them: what lies beyond the pixels means nothing
                patch_gradients(g, patches, g.patch_step, panels, group, ceil_div(band * g.OW, g.t.lanes) * g.t.lanes)
                fold(g, folded, patches, channels, oh, band)
        for c in range(0 if g.pointwise else channels):
            unfold_phases(g.t, dx + c * g.H * g.W * size, g.H, g.W, folded + c * g.AH * g.SW * g.AW * size, g.PH, g.PW,
                          g.SW, g.AW)


cdef bint input_gradient(InputGradient *g) noexcept nogil:
    """Plan the split, pack the weights, run the chunks. False when there is no memory."""
    cdef fnn_tiles *t = g.t
    cdef Py_ssize_t k, K = g.KH * g.KW
    cdef int workers = threads()
    cdef bint enough
    if not fits((<double> g.OH * g.SH + g.KH + g.H + g.PH) * (<double> g.OW * g.SW + g.KW + g.W + g.PW)
                * (g.O + g.C * K) * workers * t.itemsize):
        return False
    g.AH = max((g.OH - 1) * g.SH + g.KH, g.H + g.PH)
    g.AW = max(g.OW + (g.KW - 1) // g.SW, ceil_div(g.W + g.PW, g.SW))
    g.pointwise = g.KH == g.KW == g.SH == g.SW == 1 and g.PH == g.PW == 0
    g.band = min(g.OH, max(<Py_ssize_t> 1, PANEL_BYTES // (g.O * g.OW * t.itemsize)))
    g.patch_step = ceil_div(g.band * g.OW, t.nr) * t.nr
    g.group = min(g.C, max(<Py_ssize_t> 1, PATCH_BYTES // (K * g.patch_step * t.itemsize)))
    g.group = ceil_div(g.C, ceil_div(g.C, g.group))
    g.groups = ceil_div(g.C, g.group)
    g.share = max(<Py_ssize_t> 1, min(g.groups, g.N * g.groups // (4 * workers)))
    g.panels_size = g.patch_step * g.O
    g.patches_size = 0 if g.pointwise else g.group * K * g.patch_step
    g.folded_size = 0 if g.pointwise else g.group * g.AH * g.SW * g.AW
    g.workspace_step = ceil_div((g.panels_size + g.patches_size + g.folded_size) * t.itemsize, 64) * 64
    g.weights = <char *> allocate(g.O * g.C * K * t.itemsize)
    g.koff = <Py_ssize_t *> allocate(g.O * sizeof(Py_ssize_t))
    g.workspace = <char *> allocate(workers * g.workspace_step)
    enough = g.weights != NULL and g.koff != NULL and g.workspace != NULL
    if enough:
        for k in range(g.O):
            g.koff[k] = k * t.nr
        parallel(pack_group, g, g.groups, workers, <double> g.O * g.C * K)
        parallel(input_chunk, g, g.N * ceil_div(g.groups, g.share), workers,
                 <double> g.N * g.O * g.OH * g.OW * g.C * K / 16)
    release(g.weights)
    release(g.koff)
    release(g.workspace)
    return enough


cdef bint correlate(const real *dy, const real *w, real *flipped, real *dx, InputGradient *g) noexcept nogil:
    """The input gradient at stride 1, as the convolution of dy with the kernel turned round. False without memory."""
    cdef Conv f
    cdef Py_ssize_t c, o, k, K = g.KH * g.KW
    if flipped == NULL:
        return False
    for c in range(g.C):
        for o in range(g.O):
            for k in range(K):
                flipped[(c * g.O + o) * K + k] = w[(o * g.C + c) * K + K - 1 - k]
    f.t, f.N, f.C, f.H, f.W, f.O = g.t, g.N, g.O, g.OH, g.OW, g.C
    f.KH, f.KW, f.OH, f.OW, f.SH, f.SW = g.KH, g.KW, g.H, g.W, 1, 1
    f.PH, f.PW = g.KH - 1 - g.PH, g.KW - 1 - g.PW
    f.x, f.w, f.y, f.bias, f.flags = <const char *> dy, <const char *> flipped, <char *> dx, NULL, 0
    return convolve(&f)


def conv2d_backward_input(const real[:, :, :, ::1] dy, const real[:, :, :, ::1] w, real[:, :, :, ::1] dx,
                          Py_ssize_t SH, Py_ssize_t SW, Py_ssize_t PH, Py_ssize_t PW):
    """dx (N, C, H, W) from dy (N, O, OH, OW) and w (O, C, KH, KW). Writes all of dx; no overlap. REDUCTION(O*KH*KW).

    Two ways: as a convolution, where that multiplies few zeros of a border (stride 1, maps kept or grown) and fills a
    tile; or by folding.
    """
    cdef InputGradient g
    cdef bint enough = True
    cdef void *flipped
    g.t = tiles(real is double)
    g.N, g.C, g.H, g.W = dx.shape[0], dx.shape[1], dx.shape[2], dx.shape[3]
    g.O, g.KH, g.KW, g.OH, g.OW = w.shape[0], w.shape[2], w.shape[3], dy.shape[2], dy.shape[3]
    g.SH, g.SW, g.PH, g.PW = SH, SW, PH, PW
    g.dy, g.w, g.dx = <const char *> &dy[0, 0, 0, 0], <const char *> &w[0, 0, 0, 0], <char *> &dx[0, 0, 0, 0]
    if g.N * g.C * g.H * g.W:
        with nogil:
            if SH == SW == 1 and g.KH * g.KW > 1 and g.C >= 8 and 8 * g.H * g.W <= 9 * g.OH * g.OW:
                flipped = allocate(g.O * g.C * g.KH * g.KW * sizeof(real))
                enough = correlate(&dy[0, 0, 0, 0], &w[0, 0, 0, 0], <real *> flipped, &dx[0, 0, 0, 0], &g)
                release(flipped)
            else:
                enough = input_gradient(&g)
    if not enough:
        raise MemoryError("no memory for the workspace of a convolution's input gradient")


# ---- Weight gradient ------------------------------------------------------------------------------------------------

cdef struct WeightGradient:
    fnn_tiles *t
    Py_ssize_t N, C, H, W, O, KH, KW, OH, OW, SH, SW, PH, PW
    const char *dy
    const char *x
    char *dw
    Py_ssize_t parts                   # of the batch
    Py_ssize_t images, band            # at a time: `images` whole ones, or a band of output rows of one
    Py_ssize_t channels, blocks        # of x at a time, and how many such blocks there are
    Py_ssize_t HP, WP                  # of an image laid out, with the padding that windows see
    Py_ssize_t OL                      # O, up to whole vectors
    Py_ssize_t *places                 # of the pixels of x among those laid out
    Py_ssize_t *starts                 # of the output rows among them
    Py_ssize_t *koff                   # p * nr
    char *db                           # or NULL
    char *sums                         # (parts, blocks, KH, (kw, channel), OL)
    char *db_sums                      # (parts, OL)
    char *workspace                    # for each thread: pixels (images, HP, WP, channels), panel of dy (pixels, nr)
    Py_ssize_t image_size, sums_size   # elements, of an image laid out and of a part and block of the sums
    Py_ssize_t workspace_step          # bytes


cdef void weight_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """The sums of one part of the batch and one block of channels, images in order."""
    cdef const WeightGradient *g = <const WeightGradient *> job
    cdef Py_ssize_t size = g.t.itemsize, part = chunk // g.blocks, c0 = chunk % g.blocks * g.channels
    cdef Py_ssize_t n = split_at(g.N, g.parts, part), last = split_at(g.N, g.parts, part + 1), images, i, oh
    cdef char *pixels = g.workspace + slot * g.workspace_step
    cdef bint first = True
    memset(pixels, 0, g.images * g.image_size * size)
    while n < last:
        images = min(g.images, last - n)
        for i in range(images):
            g.t.transpose(pixels + i * g.image_size * size, g.places, g.x + ((n + i) * g.C + c0) * g.H * g.W * size,
                          g.H * g.W, min(g.channels, g.C - c0), g.H * g.W)
        for oh from 0 <= oh < g.OH by g.band:
            add_products(g, pixels, g.sums + chunk * g.sums_size * size,
                         g.db_sums + part * g.OL * size if g.db != NULL and c0 == 0 else NULL, n, images, oh, first)
            first = False
        n += images


cdef void add_products(const WeightGradient *g, char *pixels, char *sums, char *db_sums, Py_ssize_t n,
                       Py_ssize_t images, Py_ssize_t oh, bint first) noexcept nogil:
    """sums += the products of a band of rows of some images, from output row oh on, all kernel elements, all O.

    db_sums, if not NULL, gets the sums of dy alone, while it is at hand.
    """
    cdef fnn_tiles *t = g.t
    cdef Py_ssize_t size = t.itemsize, P = g.OH * g.OW, rows = min(g.band, g.OH - oh), M = g.KW * g.channels
    cdef Py_ssize_t m_blocks = ceil_div(M, t.mr), o, i, kh, block, m
    cdef char *panel = pixels + g.images * g.image_size * size
    for o from 0 <= o < g.O by t.nr:
        for i in range(images):
            t.transpose(panel + i * P * t.nr * size, g.koff, g.dy + (((n + i) * g.O + o) * P + oh * g.OW) * size, P,
                        min(t.nr, g.O - o), rows * g.OW)
        if db_sums != NULL:
            t.sum_rows(db_sums + o * size, panel, t.nr, images * rows * g.OW, min(t.nr, g.OL - o))
        for kh in range(g.KH):
            for block in range(m_blocks):
                m = split_at(M, m_blocks, block)
                t.panel(split_at(M, m_blocks, block + 1) - m, min(t.nr, g.OL - o), images * rows, g.OW,
                        pixels + ((oh * g.SH + kh) * g.WP * g.channels + m) * size, g.starts, g.SW * g.channels,
                        panel, g.koff, sums + ((kh * M + m) * g.OL + o) * size, g.OL, NULL,
                        0 if first else FNN_ACCUMULATE)


cdef void finish_channel(void *job, Py_ssize_t c, int slot) noexcept nogil:
    """dw[:, c]: the parts added in order."""
    cdef const WeightGradient *g = <const WeightGradient *> job
    cdef Py_ssize_t block = c // g.channels, kh, kw, part, at
    for kh in range(g.KH):
        for kw in range(g.KW):
            at = ((kh * g.KW + kw) * g.channels + c - block * g.channels) * g.OL
            for part in range(1, g.parts):
                g.t.add(g.sums + (block * g.sums_size + at) * g.t.itemsize, 0,
                        g.sums + ((part * g.blocks + block) * g.sums_size + at) * g.t.itemsize, 0, 1, g.O)
            if g.t.itemsize == sizeof(float):
                put[float](g, <float *> g.dw + (c * g.KH + kh) * g.KW + kw,
                           <const float *> g.sums + block * g.sums_size + at)
            else:
                put[double](g, <double *> g.dw + (c * g.KH + kh) * g.KW + kw,
                            <const double *> g.sums + block * g.sums_size + at)


cdef void finish_bias(const WeightGradient *g) noexcept nogil:
    """db: the parts added in order."""
    cdef Py_ssize_t size = g.t.itemsize
    memset(g.db, 0, g.O * size)
    g.t.sum_rows(g.db, g.db_sums, g.OL, g.parts, g.O)


cdef void put(const WeightGradient *g, real *dw, const real *row) noexcept nogil:
    cdef Py_ssize_t o
    for o in range(g.O):
        dw[o * g.C * g.KH * g.KW] = row[o]


cdef bint weight_gradient(WeightGradient *g) noexcept nogil:
    """Plan the split by the shape alone, run the parts, add them. False when there is no memory."""
    cdef fnn_tiles *t = g.t
    cdef Py_ssize_t P = g.OH * g.OW, dw_bytes = g.O * g.C * g.KH * g.KW * t.itemsize, i, rows, length
    cdef int workers = threads()
    cdef bint enough
    g.images = min(g.N, max(<Py_ssize_t> 1, PIXELS // P))
    g.band = g.OH if g.images > 1 else min(g.OH, max(<Py_ssize_t> 1, PIXELS // g.OW))
    g.HP, g.WP = max(g.H + g.PH, (g.OH - 1) * g.SH + g.KH), max(g.W + g.PW, (g.OW - 1) * g.SW + g.KW)
    if not fits(<double> g.HP * g.WP * (g.images * g.C + t.mr) * workers * t.itemsize):
        return False
    # Parts while their sums are small, blocks of channels for the cache and where the parts are few.
    g.parts = max(<Py_ssize_t> 1, min(min(<Py_ssize_t> PARTS, ceil_div(g.N, g.images)), SUMS_BYTES // dw_bytes))
    g.channels = max(ceil_div(t.mr, g.KW), PANEL_BYTES // (g.images * g.HP * g.WP * t.itemsize))
    g.blocks = min(g.C, max(ceil_div(g.C, g.channels), PARTS // g.parts if g.C * g.KW >= 8 * t.mr else 1))
    g.channels = ceil_div(g.C, g.blocks)
    g.blocks = ceil_div(g.C, g.channels)
    g.OL = ceil_div(g.O, t.lanes) * t.lanes
    g.image_size = g.HP * g.WP * g.channels
    g.sums_size = g.KH * g.KW * g.channels * g.OL
    rows, length = g.images * g.band, g.images * g.band * g.OW
    g.workspace_step = ceil_div((g.images * g.image_size + length * t.nr) * t.itemsize, 64) * 64
    g.places = <Py_ssize_t *> allocate((g.H * g.W + rows + length) * sizeof(Py_ssize_t))
    g.sums = <char *> allocate((g.blocks * g.sums_size + g.OL) * g.parts * t.itemsize)
    g.workspace = <char *> allocate(workers * g.workspace_step)
    enough = g.places != NULL and g.sums != NULL and g.workspace != NULL
    if enough:
        g.starts = g.places + g.H * g.W
        g.koff = g.starts + rows
        for i in range(g.H * g.W):
            g.places[i] = ((i // g.W + g.PH) * g.WP + i % g.W + g.PW) * g.channels
        for i in range(rows):
            g.starts[i] = (i // g.OH * g.HP + i % g.OH * g.SH) * g.WP * g.channels
        for i in range(length):
            g.koff[i] = i * t.nr
        g.db_sums = g.sums + g.parts * g.blocks * g.sums_size * t.itemsize
        memset(g.db_sums, 0, g.parts * g.OL * t.itemsize)
        parallel(weight_chunk, g, g.parts * g.blocks, workers, <double> g.N * g.O * g.C * P * g.KH * g.KW / 16)
        parallel(finish_channel, g, g.C, workers, <double> g.parts * g.O * g.C * g.KH * g.KW)
        if g.db != NULL:
            finish_bias(g)
    release(g.places)
    release(g.sums)
    release(g.workspace)
    return enough


def conv2d_backward_weight(const real[:, :, :, ::1] dy, const real[:, :, :, ::1] x, real[:, :, :, ::1] dw, real[::1] db,
                           Py_ssize_t SH, Py_ssize_t SW, Py_ssize_t PH, Py_ssize_t PW):
    """dw (O, C, KH, KW), and db (O,) if not None, from dy (N, O, OH, OW) and x (N, C, H, W).

    Writes all of dw and db; no overlap. REDUCTION(N*OH*OW).
    """
    cdef WeightGradient g
    cdef bint enough = True
    g.t = tiles(real is double)
    g.N, g.C, g.H, g.W = x.shape[0], x.shape[1], x.shape[2], x.shape[3]
    g.O, g.KH, g.KW, g.OH, g.OW = dw.shape[0], dw.shape[2], dw.shape[3], dy.shape[2], dy.shape[3]
    g.SH, g.SW, g.PH, g.PW = SH, SW, PH, PW
    g.dy, g.x, g.dw = <const char *> &dy[0, 0, 0, 0], <const char *> &x[0, 0, 0, 0], <char *> &dw[0, 0, 0, 0]
    g.db = NULL
    if db is not None:
        g.db = <char *> &db[0]
    with nogil:
        if g.N == 0:
            memset(g.dw, 0, g.O * g.C * g.KH * g.KW * sizeof(real))
            if g.db != NULL:
                memset(g.db, 0, g.O * sizeof(real))
        elif g.O * g.C:
            enough = weight_gradient(&g)
    if not enough:
        raise MemoryError("no memory for the workspace of a convolution's weight gradient")


# ---- Bias gradient --------------------------------------------------------------------------------------------------

cdef struct BiasGradient:
    fnn_tiles *t
    Py_ssize_t N, O, P
    const char *dy
    char *db


cdef void bias_chunk(void *job, Py_ssize_t o, int slot) noexcept nogil:
    cdef const BiasGradient *g = <const BiasGradient *> job
    cdef Py_ssize_t n, size = g.t.itemsize
    memset(g.db + o * size, 0, size)
    for n in range(g.N):
        g.t.sum(g.db + o * size, g.dy + (n * g.O + o) * g.P * size, g.P)


def conv2d_backward_bias(const real[:, :, :, ::1] dy, real[::1] db):
    """db (O,) = the sum of dy (N, O, OH, OW) over all but O. Writes all of db; no overlap. REDUCTION(N*OH*OW)."""
    cdef BiasGradient g
    g.t = tiles(real is double)
    g.N, g.O, g.P = dy.shape[0], dy.shape[1], dy.shape[2] * dy.shape[3]
    g.dy, g.db = <const char *> &dy[0, 0, 0, 0], <char *> &db[0]
    with nogil:
        parallel(bias_chunk, &g, g.O, threads(), <double> g.N * g.O * g.P)
