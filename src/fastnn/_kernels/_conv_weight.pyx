"""The gradient of a convolution's weight, and of its bias on the way.

Images, or bands of one, are laid out pixel by pixel, channels last, and so is dy; then the patch elements (kw, c) of
one kernel row are neighbours (with dilation, those of one kw), and the sum over pixels is a panel tile whose rows they
are. A fixed number of parts of the batch are summed apart, for the threads, and added in order.
"""
from libc.string cimport memset

from fastnn._kernels._table cimport allocate, parallel, release, threads
from fastnn._kernels.fnn cimport (
    FNN_ACCUMULATE,
    add_doubles,
    add_to_doubles,
    ceil_div,
    fits,
    fnn_tiles,
    put_doubles,
    reach,
    split_at,
)
from fastnn._kernels.conv_gradients cimport Gradients

cdef enum:
    PANEL_BYTES = 393216  # of an image laid out, at a time: it stays in the second-level cache
    PIXELS = 256          # summed at a time: a panel of dy stays in the first-level cache
    PARTS = 8             # of the batch, at most
    SUMS_BYTES = 1 << 24  # of all their sums
    WIDEST = 32           # columns of a panel, at most

cdef struct WeightGradient:
    fnn_tiles *t
    Py_ssize_t N, C, H, W, O, KH, KW, OH, OW, SH, SW, PH, PW, DH, DW, G
    const char *dy
    const char *x
    char *dw
    Py_ssize_t parts                   # of the batch, for each group
    Py_ssize_t images, band            # at a time: `images` whole ones, or a band of output rows of one
    Py_ssize_t channels, blocks        # of a group at a time, and how many such blocks it has
    Py_ssize_t HP, WP                  # of an image or band laid out, with the padding that windows see
    Py_ssize_t OL                      # O, up to whole vectors
    Py_ssize_t *places                 # of pixels of x among those laid out, from the first row that is
    Py_ssize_t *starts                 # of the output rows among them
    Py_ssize_t *channel_places         # o * C*KH*KW: of the outputs in dw
    Py_ssize_t *koff                   # p * nr
    char *db                           # or NULL
    char *sums                         # (groups, parts, blocks, KH, (kw, channel), OL)
    double *db_sums                    # (groups, parts, O)
    char *workspace                    # for each thread: pixels (images, HP, WP, channels), panel of dy (pixels, nr)
    Py_ssize_t image_size, sums_size   # elements, of an image laid out and of a part and block of the sums
    Py_ssize_t workspace_step          # bytes


cdef void weight_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """The sums of one group of one part of the batch and one block of its channels, images in order."""
    cdef const WeightGradient *g = <const WeightGradient *> job
    cdef Py_ssize_t size = g.t.itemsize, sums = chunk // g.blocks, c0 = chunk % g.blocks * g.channels
    cdef Py_ssize_t group = sums // g.parts, part = sums % g.parts, n = split_at(g.N, g.parts, part)
    cdef Py_ssize_t last = split_at(g.N, g.parts, part + 1), images, i, oh
    cdef char *pixels = g.workspace + slot * g.workspace_step
    cdef bint first = True
    memset(pixels, 0, g.images * g.image_size * size)
    while n < last:
        images = min(g.images, last - n)
        for oh from 0 <= oh < g.OH by g.band:
            for i in range(images):
                lay_out(g, pixels + i * g.image_size * size,
                        g.x + (((n + i) * g.G + group) * g.C + c0) * g.H * g.W * size, min(g.channels, g.C - c0), oh)
            add_products(g, pixels, g.sums + chunk * g.sums_size * size,
                         g.db_sums + sums * g.O if g.db != NULL and c0 == 0 else NULL, group, n, images, oh,
                         first)
            first = False
        n += images


cdef void lay_out(const WeightGradient *g, char *pixels, const char *x, Py_ssize_t channels,
                  Py_ssize_t oh) noexcept nogil:
    """The rows that a band from output row oh on sees, zeros above and below; those beside it are there already."""
    cdef Py_ssize_t row = g.WP * g.channels * g.t.itemsize, first = max(<Py_ssize_t> 0, oh * g.SH - g.PH)
    cdef Py_ssize_t above = min(g.HP, max(<Py_ssize_t> 0, g.PH - oh * g.SH))
    cdef Py_ssize_t rows = max(<Py_ssize_t> 0, min(g.H - first, g.HP - above))
    memset(pixels, 0, above * row)
    g.t.transpose(pixels + above * row, g.places, x + first * g.W * g.t.itemsize, g.H * g.W, channels, rows * g.W)
    memset(pixels + (above + rows) * row, 0, (g.HP - above - rows) * row)


cdef void add_products(const WeightGradient *g, char *pixels, char *sums, double *db_sums, Py_ssize_t group,
                       Py_ssize_t n, Py_ssize_t images, Py_ssize_t oh, bint first) noexcept nogil:
    """sums += the products of a band of rows of some images, from output row oh on, all kernel elements, all O.

    db_sums, if not NULL, gets the sums of dy alone, while it is at hand.
    """
    cdef fnn_tiles *t = g.t
    cdef Py_ssize_t size = t.itemsize, P = g.OH * g.OW, rows = min(g.band, g.OH - oh)
    cdef Py_ssize_t neighbours = g.KW if g.DW == 1 else 1, M = neighbours * g.channels
    cdef Py_ssize_t m_blocks = ceil_div(M, t.mr), o, i, kh, kw, block, m
    cdef char *panel = pixels + g.images * g.image_size * size
    cdef double bias[WIDEST]
    for o from 0 <= o < g.O by t.nr:
        for i in range(images):
            t.transpose(panel + i * P * t.nr * size, g.koff,
                        g.dy + ((((n + i) * g.G + group) * g.O + o) * P + oh * g.OW) * size, P, min(t.nr, g.O - o),
                        rows * g.OW)
        if db_sums != NULL:
            memset(bias, 0, sizeof(bias))
            t.sum_rows(bias, panel, t.nr, images * rows * g.OW, min(t.nr, g.O - o))
            add_to_doubles(db_sums + o, bias, min(t.nr, g.O - o), size)
        for kh in range(g.KH):
            for kw from 0 <= kw < g.KW by neighbours:
                for block in range(m_blocks):
                    m = split_at(M, m_blocks, block)
                    t.panel(split_at(M, m_blocks, block + 1) - m, min(t.nr, g.OL - o), images * rows, g.OW,
                            pixels + ((kh * g.DH * g.WP + kw * g.DW) * g.channels + m) * size, g.starts,
                            1, g.SW * g.channels, panel, g.koff,
                            sums + (((kh * g.KW + kw) * g.channels + m) * g.OL + o) * size, g.OL, NULL,
                            0 if first else FNN_ACCUMULATE, NULL)


cdef void finish_channel(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """dw[:, c] of a group: the parts added in order."""
    cdef const WeightGradient *g = <const WeightGradient *> job
    cdef Py_ssize_t group = chunk // g.C, c = chunk % g.C, block = c // g.channels, part, size = g.t.itemsize
    cdef Py_ssize_t K = g.KH * g.KW, step = g.channels * g.OL
    cdef char *sums = g.sums + ((group * g.parts * g.blocks + block) * g.sums_size + c % g.channels * g.OL) * size
    for part in range(1, g.parts):
        g.t.add(sums, step, sums + part * g.blocks * g.sums_size * size, step, K, g.O)
    g.t.transpose(g.dw + (group * g.O * g.C + c) * K * size, g.channel_places, sums, step, K, g.O)


cdef void finish_bias(const WeightGradient *g) noexcept nogil:
    """db: the parts added in order."""
    cdef Py_ssize_t size = g.t.itemsize, group
    for group in range(g.G):
        add_doubles(g.db_sums + group * g.parts * g.O, g.parts, g.O)
        put_doubles(g.db + group * g.O * size, g.db_sums + group * g.parts * g.O, g.O, size)


cdef bint sum_parts(WeightGradient *g) noexcept nogil:
    """Plan the split by the shape alone, run the parts, add them. False when there is no memory."""
    cdef fnn_tiles *t = g.t
    cdef Py_ssize_t P = g.OH * g.OW, dw_bytes = g.G * g.O * g.C * g.KH * g.KW * t.itemsize, i, rows, length, shown
    cdef int workers = threads()
    cdef bint enough
    g.images = min(g.N, max(<Py_ssize_t> 1, PIXELS // P))
    g.band = g.OH if g.images > 1 else ceil_div(g.OH, min(g.OH, ceil_div(P, PIXELS)))
    g.HP = (g.band - 1) * g.SH + reach(g.KH, g.DH)
    g.WP = max(g.W + g.PW, (g.OW - 1) * g.SW + reach(g.KW, g.DW))
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
    rows, length, shown = g.images * g.band, g.images * g.band * g.OW, min(g.H, g.HP) * g.W
    g.workspace_step = ceil_div((g.images * g.image_size + length * t.nr) * t.itemsize, 64) * 64
    g.places = <Py_ssize_t *> allocate((shown + rows + length + g.O) * sizeof(Py_ssize_t))
    g.db_sums = <double *> allocate((g.blocks * g.sums_size * t.itemsize + g.O * sizeof(double)) * g.G * g.parts)
    g.workspace = <char *> allocate(workers * g.workspace_step)
    enough = g.places != NULL and g.db_sums != NULL and g.workspace != NULL
    if enough:
        g.starts = g.places + shown
        g.koff = g.starts + rows
        g.channel_places = g.koff + length
        for i in range(shown):
            g.places[i] = (i // g.W * g.WP + i % g.W + g.PW) * g.channels
        for i in range(rows):
            g.starts[i] = (i // g.band * g.HP + i % g.band * g.SH) * g.WP * g.channels
        for i in range(length):
            g.koff[i] = i * t.nr
        for i in range(g.O):
            g.channel_places[i] = i * g.C * g.KH * g.KW
        g.sums = <char *> (g.db_sums + g.G * g.parts * g.O)
        memset(g.db_sums, 0, g.G * g.parts * g.O * sizeof(double))
        parallel(weight_chunk, g, g.G * g.parts * g.blocks, workers,
                 <double> g.N * g.G * g.O * g.C * P * g.KH * g.KW / 16)
        parallel(finish_channel, g, g.G * g.C, workers, <double> g.parts * g.G * g.O * g.C * g.KH * g.KW)
        if g.db != NULL:
            finish_bias(g)
    release(g.places)
    release(g.db_sums)
    release(g.workspace)
    return enough


cdef bint weight_gradient(const Gradients *a) noexcept nogil:
    cdef WeightGradient g
    g.t, g.N, g.C, g.H, g.W, g.O = a.t, a.N, a.C, a.H, a.W, a.O
    g.KH, g.KW, g.OH, g.OW, g.SH, g.SW, g.PH, g.PW = a.KH, a.KW, a.OH, a.OW, a.SH, a.SW, a.PH, a.PW
    g.DH, g.DW, g.G, g.dy, g.x, g.dw, g.db = a.DH, a.DW, a.G, a.dy, a.x, a.dw, a.db
    return sum_parts(&g)
