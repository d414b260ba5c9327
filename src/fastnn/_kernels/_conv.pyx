"""Convolution in its three directions, as matrix products whose patches are never materialised.

An image is unfolded over its width only: for each kernel column kw and channel c, the plane of the input pixels that
the columns of the output see, (rows, OW), padding and column stride applied. In it the patch row (c, kh, kw) of
consecutive output pixels is a contiguous run, kh rows further down: a table of offsets is all that im2col would have
written. The row stride sorts the rows by their phase kh % SH first.

forward: panel tiles over that table. Input gradient: the same, with dy for x and the kernel flipped; a stride splits dx
into SH*SW grids of pixels, each a convolution of its own with a part of the kernel. Weight gradient: dot tiles of rows
of dy with the same runs.
"""
from libc.string cimport memset

from fastnn._kernels._table cimport allocate, parallel, release, threads, tiles
from fastnn._kernels.fnn cimport FNN_ACCUMULATE, FNN_RELU, fnn_tiles

ctypedef fused real:
    float
    double

cdef enum:
    UNFOLD_BYTES = 393216  # of unfolded planes at a time: they stay in the second-level cache
    UNFOLD_LENGTH = 2048   # pixels of a run in the weight gradient: a tile's rows stay in the first-level cache


# ---- Unfolding -----------------------------------------------------------------------------------------------------

# Where patch rows start among the planes of `band` output rows of C channels: [kw][c][phase][rows][OW].
cdef struct Planes:
    fnn_tiles *t
    Py_ssize_t H, W, KH, KW, OH, OW, SH, SW, PH, PW
    Py_ssize_t C        # channels unfolded together
    Py_ssize_t phases   # min(SH, KH)
    Py_ssize_t band     # output rows unfolded together
    Py_ssize_t rows     # of a plane: band rows, and those that lower kernel rows see


cdef void plan_planes(Planes *p, Py_ssize_t band) noexcept nogil:
    p.band = band
    p.phases = min(p.SH, p.KH)
    p.rows = band + (p.KH - 1) // p.SH


cdef inline Py_ssize_t plane_size(const Planes *p) noexcept nogil:
    return p.rows * p.OW


cdef inline Py_ssize_t planes_size(const Planes *p) noexcept nogil:
    return p.KW * p.C * p.phases * plane_size(p)


cdef inline Py_ssize_t patch_offset(const Planes *p, Py_ssize_t c, Py_ssize_t kh, Py_ssize_t kw) noexcept nogil:
    return ((kw * p.C + c) * p.phases + kh % p.SH) * plane_size(p) + kh // p.SH * p.OW


cdef void unfold(const Planes *p, char *dst, const char *x, Py_ssize_t channels, Py_ssize_t oh0,
                 Py_ssize_t band) noexcept nogil:
    """Unfold `channels` planes of x (channels, H, W) for the output rows oh0 .. oh0 + band."""
    cdef Py_ssize_t c, kw, phase, size = p.t.itemsize
    for c in range(channels):
        for kw in range(p.KW):
            for phase in range(p.phases):
                p.t.unfold_plane(dst + patch_offset(p, c, phase, kw) * size,
                                 band + (p.KH - 1 - phase) // p.SH, p.OW, x + c * p.H * p.W * size, p.H, p.W,
                                 oh0 * p.SH - p.PH + phase, p.SH, kw - p.PW, p.SW)


# ---- Panel convolution: forward, and input gradient -----------------------------------------------------------------

cdef struct Conv:
    Planes p
    Py_ssize_t N, O
    const char *x
    const char *bias
    char *y
    Py_ssize_t y_image, y_plane, y_row, y_col  # steps of y; rows and columns may be those of a grid in a larger plane
    bint flat                                  # y's rows follow each other: y_col == 1 and y_row == OW
    int flags
    # w[o, c, kh, kw] = kernel[o*w_out + c*w_in + kh*w_row + kw*w_col]: steps are negative for a flipped kernel
    const char *kernel
    Py_ssize_t w_out, w_in, w_row, w_col
    Py_ssize_t depth                           # C * KH * KW
    Py_ssize_t blocks, rows, longer            # blocks of output channels, as in a packed product
    Py_ssize_t bands
    char *weights                              # (depth, rows) for each block
    Py_ssize_t *koff
    char *workspace
    Py_ssize_t workspace_step                  # bytes for each thread


cdef inline Py_ssize_t first_channel(const Conv *g, Py_ssize_t block) noexcept nogil:
    return block * g.rows + min(block, g.longer)


cdef void pack_weights(void *job, Py_ssize_t block, int slot) noexcept nogil:
    """The order of the depth is (kw, c, kh), that of the planes in memory."""
    cdef const Conv *g = <const Conv *> job
    cdef Py_ssize_t o0 = first_channel(g, block), rows = first_channel(g, block + 1) - o0
    if g.p.t.itemsize == sizeof(float):
        pack_kernel[float](g, <float *> g.weights + o0 * g.depth, <const float *> g.kernel + o0 * g.w_out, rows)
    else:
        pack_kernel[double](g, <double *> g.weights + o0 * g.depth, <const double *> g.kernel + o0 * g.w_out, rows)


cdef void pack_kernel(const Conv *g, real *dst, const real *w, Py_ssize_t rows) noexcept nogil:
    cdef Py_ssize_t c, kh, kw, o
    cdef const real *source
    for kw in range(g.p.KW):
        for c in range(g.p.C):
            for kh in range(g.p.KH):
                source = w + c * g.w_in + kh * g.w_row + kw * g.w_col
                for o in range(rows):
                    dst[o] = source[o * g.w_out]
                dst += rows


cdef void conv_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """One band of rows of one image, all output channels."""
    cdef const Conv *g = <const Conv *> job
    cdef fnn_tiles *t = g.p.t
    cdef Py_ssize_t size = t.itemsize, n = chunk // g.bands, oh0 = chunk % g.bands * g.p.band
    cdef Py_ssize_t band = min(g.p.band, g.p.OH - oh0), pixels = band * g.p.OW, block, o0, rows, q, cols, ldc
    cdef char *planes = g.workspace + slot * g.workspace_step
    cdef char *grid = planes + (planes_size(&g.p) + t.nr) * size  # where the output waits when y is not flat
    cdef char *y = g.y + (n * g.y_image + oh0 * g.y_row) * size
    cdef char *out
    unfold(&g.p, planes, g.x + n * g.p.C * g.p.H * g.p.W * size, g.p.C, oh0, band)
    out = y if g.flat else grid
    ldc = g.y_plane if g.flat else pixels
    for block in range(g.blocks):
        o0 = first_channel(g, block)
        rows = first_channel(g, block + 1) - o0
        q = 0
        while q < pixels:
            # the last tile ends with the band and may repeat pixels of the one before: no partial vectors
            cols = t.nr if pixels - q > t.lanes else t.lanes
            if cols > pixels:
                cols = pixels
            q = min(q, pixels - cols)
            t.panel(rows, cols, g.depth, g.weights + o0 * g.depth * size, rows, planes + q * size, g.koff,
                    out + (o0 * ldc + q) * size, ldc, g.bias + o0 * size if g.bias != NULL else NULL, g.flags)
            q += cols
    if not g.flat:
        if size == sizeof(float):
            scatter[float](g, <float *> y, <const float *> grid, band)
        else:
            scatter[double](g, <double *> y, <const double *> grid, band)


cdef void scatter(const Conv *g, real *y, const real *grid, Py_ssize_t band) noexcept nogil:
    cdef Py_ssize_t o, r, j
    cdef real *row
    for o in range(g.O):
        for r in range(band):
            row = y + o * g.y_plane + r * g.y_row
            for j in range(g.p.OW):
                row[j * g.y_col] = grid[j]
            grid += g.p.OW


cdef int convolve(Conv *g) noexcept nogil:
    """Run the convolution that g describes; -1 when there is no memory."""
    cdef fnn_tiles *t = g.p.t
    cdef Py_ssize_t c, kh, kw, k = 0, band, rows_bytes
    cdef double work = <double> g.N * g.O * g.p.OH * g.p.OW * g.p.C * g.p.KH * g.p.KW
    cdef int workers = threads()
    if g.N == 0 or g.O == 0 or g.p.OH == 0 or g.p.OW == 0:
        return 0
    # A band: as many rows as stay in the cache, few enough that every thread gets some, enough for a tile.
    rows_bytes = g.p.KW * g.p.C * min(g.p.SH, g.p.KH) * g.p.OW * t.itemsize
    band = UNFOLD_BYTES // max(<Py_ssize_t> 1, rows_bytes) - (g.p.KH - 1) // g.p.SH
    if g.N < 4 * workers and workers > 1:
        band = min(band, (g.p.OH * g.N + 4 * workers - 1) // (4 * workers))
    band = min(g.p.OH, max(band, (t.nr + g.p.OW - 1) // g.p.OW))
    g.bands = (g.p.OH + band - 1) // band
    plan_planes(&g.p, (g.p.OH + g.bands - 1) // g.bands)
    g.bands = (g.p.OH + g.p.band - 1) // g.p.band
    g.depth = g.p.C * g.p.KH * g.p.KW
    g.blocks = (g.O + t.mr - 1) // t.mr
    g.rows, g.longer = g.O // g.blocks, g.O % g.blocks
    g.flat = g.y_col == 1 and g.y_row == g.p.OW
    g.workspace_step = (planes_size(&g.p) + t.nr + (0 if g.flat else g.O * g.p.band * g.p.OW)) * t.itemsize
    g.workspace_step = (g.workspace_step + 63) // 64 * 64
    g.weights = <char *> allocate(g.O * g.depth * t.itemsize)
    g.koff = <Py_ssize_t *> allocate(g.depth * sizeof(Py_ssize_t))
    g.workspace = <char *> allocate(workers * g.workspace_step)
    if g.weights != NULL and g.koff != NULL and g.workspace != NULL:
        for kw in range(g.p.KW):
            for c in range(g.p.C):
                for kh in range(g.p.KH):
                    g.koff[k] = patch_offset(&g.p, c, kh, kw)
                    k += 1
        parallel(pack_weights, g, g.blocks, workers, <double> g.O * g.depth)
        parallel(conv_chunk, g, g.N * g.bands, workers, work)
    release(g.weights)
    release(g.koff)
    release(g.workspace)
    return 0 if g.weights != NULL and g.koff != NULL and g.workspace != NULL else -1


cdef int check(int status) except -1:
    if status < 0:
        raise MemoryError("no memory for the workspace of a convolution")
    return 0


def conv2d_forward(const real[:, :, :, ::1] x, const real[:, :, :, ::1] w, const real[::1] b, real[:, :, :, ::1] y,
                   Py_ssize_t SH, Py_ssize_t SW, Py_ssize_t PH, Py_ssize_t PW, bint relu):
    """y (N, O, OH, OW) = act(b (O,) or None + x (N, C, H, W) correlated with w (O, C, KH, KW)).

    Writes all of y; y overlaps no input. REDUCTION(C*KH*KW + 1).
    """
    cdef Conv g
    cdef int status
    g.p.t = tiles(real is double)
    g.p.C, g.p.H, g.p.W = x.shape[1], x.shape[2], x.shape[3]
    g.p.KH, g.p.KW, g.p.OH, g.p.OW = w.shape[2], w.shape[3], y.shape[2], y.shape[3]
    g.p.SH, g.p.SW, g.p.PH, g.p.PW = SH, SW, PH, PW
    g.N, g.O = x.shape[0], w.shape[0]
    g.x, g.y, g.bias = <const char *> &x[0, 0, 0, 0], <char *> &y[0, 0, 0, 0], NULL
    if b is not None:
        g.bias = <const char *> &b[0]
    g.y_col, g.y_row, g.y_plane = 1, g.p.OW, g.p.OH * g.p.OW
    g.y_image = g.O * g.y_plane
    g.flags = FNN_RELU if relu else 0
    g.kernel = <const char *> &w[0, 0, 0, 0]
    g.w_col, g.w_row, g.w_in, g.w_out = 1, g.p.KW, g.p.KH * g.p.KW, g.p.C * g.p.KH * g.p.KW
    with nogil:
        status = convolve(&g)
    check(status)


def conv2d_backward_input(const real[:, :, :, ::1] dy, const real[:, :, :, ::1] w, real[:, :, :, ::1] dx,
                          Py_ssize_t SH, Py_ssize_t SW, Py_ssize_t PH, Py_ssize_t PW):
    """dx (N, C, H, W) from dy (N, O, OH, OW) and w (O, C, KH, KW). Writes all of dx. REDUCTION(O*KH*KW).

    Pixel (ih, iw) of dx is seen by the kernel rows kh with kh % SH == (ih + PH) % SH, and so for columns. Each such
    grid of pixels is a convolution of dy, stride 1, with those rows and columns of the kernel, flipped.
    """
    cdef Conv g
    cdef int status = 0
    cdef Py_ssize_t KH = w.shape[2], KW = w.shape[3], H = dx.shape[2], W = dx.shape[3], phase_h, phase_w, ih, iw
    cdef Py_ssize_t size = sizeof(real), OH = dy.shape[2], OW = dy.shape[3]
    g.p.t = tiles(real is double)
    g.p.C, g.p.H, g.p.W = dy.shape[1], OH, OW
    g.p.SH = g.p.SW = 1
    g.N, g.O = dx.shape[0], dx.shape[1]
    g.x, g.bias, g.flags = <const char *> &dy[0, 0, 0, 0], NULL, 0
    g.y_col, g.y_row, g.y_plane, g.y_image = SW, SH * W, H * W, g.O * H * W
    with nogil:
        if KH < SH or KW < SW:
            memset(&dx[0, 0, 0, 0], 0, g.N * g.y_image * size)  # pixels that no kernel element sees
        for phase_h in range(min(SH, KH)):
            for phase_w in range(min(SW, KW)):
                # the first pixel of the grid, and how many there are
                ih, iw = (phase_h - PH) % SH, (phase_w - PW) % SW
                if ih < 0:
                    ih += SH
                if iw < 0:
                    iw += SW
                g.p.KH, g.p.KW = (KH - phase_h + SH - 1) // SH, (KW - phase_w + SW - 1) // SW
                g.p.OH = (H - ih + SH - 1) // SH if ih < H else 0
                g.p.OW = (W - iw + SW - 1) // SW if iw < W else 0
                # pixel ih of dx sees dy's row (ih + PH - phase_h) / SH - t through kernel row phase_h + SH*t
                g.p.PH = g.p.KH - 1 - (ih + PH - phase_h) // SH
                g.p.PW = g.p.KW - 1 - (iw + PW - phase_w) // SW
                g.y = <char *> &dx[0, 0, 0, 0] + (ih * W + iw) * size
                g.w_out, g.w_in, g.w_row, g.w_col = KH * KW, g.O * KH * KW, -SH * KW, -SW
                g.kernel = <const char *> &w[0, 0, 0, 0] + (
                    (phase_h + SH * (g.p.KH - 1)) * KW + phase_w + SW * (g.p.KW - 1)) * size
                status = min(status, convolve(&g))
    check(status)


# ---- Weight gradient ------------------------------------------------------------------------------------------------

cdef struct WeightGradient:
    Planes p               # p.C: channels of a chunk
    Py_ssize_t N, C, O
    const char *x
    const char *dy
    char *dw
    Py_ssize_t images      # unfolded together
    Py_ssize_t outputs     # output channels of a chunk
    Py_ssize_t channel_chunks
    const Py_ssize_t *koff
    char *workspace
    Py_ssize_t workspace_step


cdef void weight_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """dw[o0:o1, c0:c1]: over images and bands in order, so that the sums do not depend on the split."""
    cdef const WeightGradient *g = <const WeightGradient *> job
    cdef fnn_tiles *t = g.p.t
    cdef Py_ssize_t size = t.itemsize, P = g.p.OH * g.p.OW, K = g.p.KH * g.p.KW, step = planes_size(&g.p)
    cdef Py_ssize_t c0 = chunk % g.channel_chunks * g.p.C, channels = min(g.p.C, g.C - c0)
    cdef Py_ssize_t o0 = chunk // g.channel_chunks * g.outputs, o1 = min(g.O, o0 + g.outputs)
    cdef Py_ssize_t n, images, i, oh, band, o, k
    cdef char *planes = g.workspace + slot * g.workspace_step
    for n from 0 <= n < g.N by g.images:
        images = min(g.images, g.N - n)
        for oh from 0 <= oh < g.p.OH by g.p.band:
            band = min(g.p.band, g.p.OH - oh)
            for i in range(images):
                unfold(&g.p, planes + i * step * size, g.x + ((n + i) * g.C + c0) * g.p.H * g.p.W * size, channels, oh,
                       band)
            for k from 0 <= k < channels * K by t.dot_n:
                for o from o0 <= o < o1 by t.dot_m:
                    t.dot(min(t.dot_m, o1 - o), min(t.dot_n, channels * K - k), band * g.p.OW, images,
                          g.dy + ((n * g.O + o) * P + oh * g.p.OW) * size, P, g.O * P, planes, g.koff + k, step,
                          g.dw + ((o * g.C + c0) * K + k) * size, g.C * K, NULL, FNN_ACCUMULATE if n or oh else 0)


def conv2d_backward_weight(const real[:, :, :, ::1] dy, const real[:, :, :, ::1] x, real[:, :, :, ::1] dw,
                           Py_ssize_t SH, Py_ssize_t SW, Py_ssize_t PH, Py_ssize_t PW):
    """dw (O, C, KH, KW) from dy (N, O, OH, OW) and x (N, C, H, W). Writes all of dw. REDUCTION(N*OH*OW)."""
    cdef WeightGradient g
    cdef bint enough = True
    g.p.t = tiles(real is double)
    g.C, g.p.H, g.p.W = x.shape[1], x.shape[2], x.shape[3]
    g.p.KH, g.p.KW, g.p.OH, g.p.OW = dw.shape[2], dw.shape[3], dy.shape[2], dy.shape[3]
    g.p.SH, g.p.SW, g.p.PH, g.p.PW = SH, SW, PH, PW
    g.N, g.O = dy.shape[0], dw.shape[0]
    g.x, g.dy, g.dw = <const char *> &x[0, 0, 0, 0], <const char *> &dy[0, 0, 0, 0], <char *> &dw[0, 0, 0, 0]
    with nogil:
        if g.N == 0 or g.O == 0 or g.C == 0:
            memset(g.dw, 0, g.O * g.C * g.p.KH * g.p.KW * sizeof(real))
        else:
            enough = weight_gradient(&g)
    if not enough:
        raise MemoryError("no memory for the workspace of a convolution")


cdef bint weight_gradient(WeightGradient *g) noexcept nogil:
    """The split is fixed by the shape alone, and no chunk's sums depend on it. False when there is no memory."""
    cdef fnn_tiles *t = g.p.t
    cdef Py_ssize_t channel, c, kh, kw, k = 0
    cdef Py_ssize_t *koff
    cdef bint enough
    cdef int workers = threads()
    g.p.C = 1
    plan_planes(&g.p, min(g.p.OH, max(<Py_ssize_t> 1, UNFOLD_LENGTH // g.p.OW)))
    channel = planes_size(&g.p) * t.itemsize
    g.p.C = min(max(<Py_ssize_t> 1, UNFOLD_BYTES // 4 // channel), (g.C + 3) // 4)
    g.channel_chunks = (g.C + g.p.C - 1) // g.p.C
    g.outputs = g.O if g.channel_chunks > 3 else max(t.dot_m, (g.O // 4 + t.dot_m - 1) // t.dot_m * t.dot_m)
    g.images = 1 if g.p.band < g.p.OH else min(g.N, max(<Py_ssize_t> 1, UNFOLD_BYTES // (channel * g.p.C)))
    g.workspace_step = (g.images * planes_size(&g.p) * t.itemsize + 63) // 64 * 64
    koff = <Py_ssize_t *> allocate(g.p.C * g.p.KH * g.p.KW * sizeof(Py_ssize_t))
    g.workspace = <char *> allocate(workers * g.workspace_step)
    enough = koff != NULL and g.workspace != NULL
    if enough:
        for c in range(g.p.C):
            for kh in range(g.p.KH):
                for kw in range(g.p.KW):
                    koff[k] = patch_offset(&g.p, c, kh, kw)
                    k += 1
        g.koff = koff
        parallel(weight_chunk, g, g.channel_chunks * ((g.O + g.outputs - 1) // g.outputs), workers,
                 <double> g.N * g.O * g.C * g.p.OH * g.p.OW * g.p.KH * g.p.KW)
    release(koff)
    release(g.workspace)
    return enough


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
    """db (O,) = the sum of dy (N, O, OH, OW) over all but O. Writes all of db. REDUCTION(N*OH*OW)."""
    cdef BiasGradient g
    g.t = tiles(real is double)
    g.N, g.O, g.P = dy.shape[0], dy.shape[1], dy.shape[2] * dy.shape[3]
    g.dy, g.db = <const char *> &dy[0, 0, 0, 0], <char *> &db[0]
    with nogil:
        parallel(bias_chunk, &g, g.O, threads(), <double> g.N * g.O * g.P)
