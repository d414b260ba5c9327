"""The gradients of a convolution's weight and bias.

Some images, or a band of one image, are laid out with the channels last, and so is dy. Then the patch elements (kw, c)
of one kernel row are neighbours. With dilation, the elements of one kw are. A panel tile has these elements as rows and
outputs as columns, and it sums over pixels. Here are two channels, KW = 3 and PW = 1:

    laid out         c0 c1   c0 c1   c0 c1   c0 c1     pixels -1, 0, 1 and 2 of a row
    output pixel 0  [=====================]            6 rows of the tile, times dy at pixel 0: o0 o1 o2 ...
    output pixel 1          [=====================]    6 rows of the tile, times dy at pixel 1: o0 o1 o2 ...

The batch is cut into a fixed number of parts, which threads share. Each part has its own sums, and the sums are added
in order at the end.
"""
from libc.string cimport memset

from fastnn._kernels._table cimport allocate, parallel, release, threads
from fastnn._kernels.conv_gradients cimport Gradients
from fastnn._kernels.conv_shape cimport ConvShape
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

cdef enum:
    PANEL_BYTES = 393216  # pixels laid out at a time: they stay in the second-level cache
    PIXELS = 256          # pixels that a tile sums at a time: a panel of dy stays in the first-level cache
    PARTS = 8             # the most parts of a batch
    SUMS_BYTES = 1 << 24  # sums of all parts together
    WIDEST = 32           # the most columns that a panel has

cdef struct WeightGradient:
    const Gradients *a
    Py_ssize_t parts                   # parts of the batch, for each group
    Py_ssize_t images, band            # taken at a time: `images` whole images, or `band` output rows of one image
    Py_ssize_t channels, blocks        # channels of a block; blocks of a group
    Py_ssize_t HP, WP                  # rows and columns of an image or band laid out, with padding
    Py_ssize_t OL                      # O, up to whole vectors
    Py_ssize_t *places                 # the place of each pixel of x among the pixels laid out, from their first row on
    Py_ssize_t *starts                 # the place among the pixels where each output row starts
    Py_ssize_t *channel_places         # o * C*KH*KW, the place of each output in dw
    Py_ssize_t *koff                   # pixel * nr
    char *sums                         # (groups, parts, blocks, KH, (kw, channel), OL)
    double *db_sums                    # (groups, parts, O)
    char *workspace                    # for each thread: pixels (images, HP, WP, channels), panel of dy (pixels, nr)
    Py_ssize_t image_size, sums_size   # elements of an image laid out; elements of the sums of one part and block
    Py_ssize_t workspace_step          # bytes of a workspace


cdef void weight_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """The sums of one group and one block of its channels, over the images of one part of the batch, in order."""
    cdef const WeightGradient *p = <const WeightGradient *> job
    cdef const Gradients *a = p.a
    cdef const ConvShape *s = &a.shape
    cdef Py_ssize_t size = a.t.itemsize, sums = chunk // p.blocks, c0 = chunk % p.blocks * p.channels
    cdef Py_ssize_t group = sums // p.parts, part = sums % p.parts, n = split_at(s.N, p.parts, part)
    cdef Py_ssize_t last = split_at(s.N, p.parts, part + 1), images, i, oh
    cdef char *pixels = p.workspace + slot * p.workspace_step
    cdef bint first = True
    memset(pixels, 0, p.images * p.image_size * size)
    while n < last:
        images = min(p.images, last - n)
        for oh from 0 <= oh < s.OH by p.band:
            for i in range(images):
                lay_out(p, pixels + i * p.image_size * size,
                        a.x + (((n + i) * s.G + group) * s.C + c0) * s.H * s.W * size, min(p.channels, s.C - c0), oh)
            add_products(p, pixels, p.sums + chunk * p.sums_size * size,
                         p.db_sums + sums * s.O if a.db != NULL and c0 == 0 else NULL, group, n, images, oh,
                         first)
            first = False
        n += images


cdef void lay_out(const WeightGradient *p, char *pixels, const char *x, Py_ssize_t channels,
                  Py_ssize_t oh) noexcept nogil:
    """Lay out the rows that a band meets, which begins at output row oh, with zeros above and below the image.

    The zeros beside the image are there already.
    """
    cdef const Gradients *a = p.a
    cdef const ConvShape *s = &a.shape
    cdef Py_ssize_t row = p.WP * p.channels * a.t.itemsize, first = max(<Py_ssize_t> 0, oh * s.SH - s.PH)
    cdef Py_ssize_t above = min(p.HP, max(<Py_ssize_t> 0, s.PH - oh * s.SH))
    cdef Py_ssize_t rows = max(<Py_ssize_t> 0, min(s.H - first, p.HP - above))
    memset(pixels, 0, above * row)
    a.t.transpose(pixels + above * row, p.places, x + first * s.W * a.t.itemsize, s.H * s.W, channels, rows * s.W)
    memset(pixels + (above + rows) * row, 0, (p.HP - above - rows) * row)


cdef void add_products(const WeightGradient *p, char *pixels, char *sums, double *db_sums, Py_ssize_t group,
                       Py_ssize_t n, Py_ssize_t images, Py_ssize_t oh, bint first) noexcept nogil:
    """sums += the products of a band, from output row oh on, of `images` images from n on: all kernel elements, all O.

    db_sums += the sums of dy, unless db_sums is NULL. They are cheap here, while dy is in the cache.
    """
    cdef const Gradients *a = p.a
    cdef const ConvShape *s = &a.shape
    cdef fnn_tiles *t = a.t
    cdef Py_ssize_t size = t.itemsize, P = s.OH * s.OW, rows = min(p.band, s.OH - oh)
    cdef Py_ssize_t neighbours = s.KW if s.DW == 1 else 1, M = neighbours * p.channels
    cdef Py_ssize_t m_blocks = ceil_div(M, t.mr), o, i, kh, kw, block, m
    cdef char *panel = pixels + p.images * p.image_size * size
    cdef double bias[WIDEST]
    for o from 0 <= o < s.O by t.nr:
        for i in range(images):
            t.transpose(panel + i * P * t.nr * size, p.koff,
                        a.dy + ((((n + i) * s.G + group) * s.O + o) * P + oh * s.OW) * size, P, min(t.nr, s.O - o),
                        rows * s.OW)
        if db_sums != NULL:
            memset(bias, 0, sizeof(bias))
            t.sum_rows(bias, panel, t.nr, images * rows * s.OW, min(t.nr, s.O - o))
            add_to_doubles(db_sums + o, bias, min(t.nr, s.O - o), size)
        for kh in range(s.KH):
            for kw from 0 <= kw < s.KW by neighbours:
                for block in range(m_blocks):
                    m = split_at(M, m_blocks, block)
                    t.panel(split_at(M, m_blocks, block + 1) - m, min(t.nr, p.OL - o), images * rows, s.OW,
                            pixels + ((kh * s.DH * p.WP + kw * s.DW) * p.channels + m) * size, p.starts,
                            1, s.SW * p.channels, panel, p.koff,
                            sums + (((kh * s.KW + kw) * p.channels + m) * p.OL + o) * size, p.OL, NULL,
                            0 if first else FNN_ACCUMULATE, NULL)


cdef void finish_channel(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """dw[:, c] of one group: adds the parts in order."""
    cdef const WeightGradient *p = <const WeightGradient *> job
    cdef const Gradients *a = p.a
    cdef const ConvShape *s = &a.shape
    cdef Py_ssize_t group = chunk // s.C, c = chunk % s.C, block = c // p.channels, part, size = a.t.itemsize
    cdef Py_ssize_t K = s.KH * s.KW, step = p.channels * p.OL
    cdef char *sums = p.sums + ((group * p.parts * p.blocks + block) * p.sums_size + c % p.channels * p.OL) * size
    for part in range(1, p.parts):
        a.t.add(sums, step, sums + part * p.blocks * p.sums_size * size, step, K, s.O)
    a.t.transpose(a.dw + (group * s.O * s.C + c) * K * size, p.channel_places, sums, step, K, s.O)


cdef void finish_bias(const WeightGradient *p) noexcept nogil:
    """db: adds the parts in order."""
    cdef const Gradients *a = p.a
    cdef const ConvShape *s = &a.shape
    cdef Py_ssize_t size = a.t.itemsize, group
    for group in range(s.G):
        add_doubles(p.db_sums + group * p.parts * s.O, p.parts, s.O)
        put_doubles(a.db + group * s.O * size, p.db_sums + group * p.parts * s.O, s.O, size)


cdef bint cut(WeightGradient *p, int workers) noexcept nogil:
    """Cut the work, by the shape alone. False when the workspace would be too large to exist."""
    cdef const ConvShape *s = &p.a.shape
    cdef fnn_tiles *t = p.a.t
    cdef Py_ssize_t P = s.OH * s.OW, dw_bytes = s.G * s.O * s.C * s.KH * s.KW * t.itemsize
    p.images = min(s.N, max(<Py_ssize_t> 1, PIXELS // P))
    p.band = s.OH if p.images > 1 else ceil_div(s.OH, min(s.OH, ceil_div(P, PIXELS)))
    p.HP = (p.band - 1) * s.SH + reach(s.KH, s.DH)
    p.WP = max(s.W + s.PW, (s.OW - 1) * s.SW + reach(s.KW, s.DW))
    if not fits(<double> p.HP * p.WP * (p.images * s.C + t.mr) * workers * t.itemsize):
        return False
    # More parts serve more threads, as long as their sums are small. Blocks of channels keep pixels in the cache, and
    # serve the threads where there are few parts.
    p.parts = max(<Py_ssize_t> 1, min(min(<Py_ssize_t> PARTS, ceil_div(s.N, p.images)), SUMS_BYTES // dw_bytes))
    p.channels = max(ceil_div(t.mr, s.KW), PANEL_BYTES // (p.images * p.HP * p.WP * t.itemsize))
    p.blocks = min(s.C, max(ceil_div(s.C, p.channels), PARTS // p.parts if s.C * s.KW >= 8 * t.mr else 1))
    p.channels = ceil_div(s.C, p.blocks)
    p.blocks = ceil_div(s.C, p.channels)
    p.OL = ceil_div(s.O, t.lanes) * t.lanes
    p.image_size = p.HP * p.WP * p.channels
    p.sums_size = s.KH * s.KW * p.channels * p.OL
    return True


cdef void fill_tables(WeightGradient *p, Py_ssize_t shown) noexcept nogil:
    """Fill the tables, which lie one after the other from `places` on. `shown` pixels of x are laid out at most."""
    cdef const ConvShape *s = &p.a.shape
    cdef Py_ssize_t i, rows = p.images * p.band, length = rows * s.OW
    p.starts = p.places + shown
    p.koff = p.starts + rows
    p.channel_places = p.koff + length
    for i in range(shown):
        p.places[i] = (i // s.W * p.WP + i % s.W + s.PW) * p.channels
    for i in range(rows):
        p.starts[i] = (i // p.band * p.HP + i % p.band * s.SH) * p.WP * p.channels
    for i in range(length):
        p.koff[i] = i * p.a.t.nr
    for i in range(s.O):
        p.channel_places[i] = i * s.C * s.KH * s.KW


cdef bint weight_gradient(const Gradients *a) noexcept nogil:
    cdef WeightGradient p
    cdef const ConvShape *s = &a.shape
    cdef Py_ssize_t size = a.t.itemsize, rows, length, shown, work = s.G * s.O * s.C * s.KH * s.KW
    cdef int workers = threads()
    cdef bint enough
    p.a = a
    if not cut(&p, workers):
        return False
    rows, length, shown = p.images * p.band, p.images * p.band * s.OW, min(s.H, p.HP) * s.W
    p.workspace_step = ceil_div((p.images * p.image_size + length * a.t.nr) * size, 64) * 64
    p.places = <Py_ssize_t *> allocate((shown + rows + length + s.O) * sizeof(Py_ssize_t))
    p.db_sums = <double *> allocate((p.blocks * p.sums_size * size + s.O * sizeof(double)) * s.G * p.parts)
    p.workspace = <char *> allocate(workers * p.workspace_step)
    enough = p.places != NULL and p.db_sums != NULL and p.workspace != NULL
    if enough:
        fill_tables(&p, shown)
        p.sums = <char *> (p.db_sums + s.G * p.parts * s.O)
        memset(p.db_sums, 0, s.G * p.parts * s.O * sizeof(double))
        parallel(weight_chunk, &p, s.G * p.parts * p.blocks, workers, <double> s.N * s.OH * s.OW * work / 16)
        parallel(finish_channel, &p, s.G * s.C, workers, <double> p.parts * work)
        if a.db != NULL:
            finish_bias(&p)
    release(p.places)
    release(p.db_sums)
    release(p.workspace)
    return enough
