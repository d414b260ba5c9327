"""The gradient of the weight of a convolution of small maps, many images at a time.

For each tap, it is one product: the sum over the outputs whose tap lies inside the map, and over some images. The
channels of one side are in the lanes of a tile, and those of the other side are its rows, whichever fills tiles better.
Both lie as (blocks, pixels, images, channels of a block). Here are two images of 2 x 2 with three channels a, b and c;
the number is the pixel, and a dash marks the second image::

    in lanes, one block       a0 b0 c0 -  a0' b0' c0' -  a1 b1 c1 -  a1' b1' c1' -  a2 ...      up to whole vectors
    as rows, blocks of two    a0 b0  a0' b0'  a1 b1  a1' b1'  a2 ...     c0 -  c0' -  c1 - ...

A term of the sum is a vector of the former and an element for each row of the latter. The outputs whose tap is inside
are a rectangle. Its rows are segments of the tile's left factor if neighbouring outputs lie at neighbouring pixels
there, and each of its elements is a segment otherwise.

Parts of the batch, fixed by the shape, are summed apart for the threads, and added in order.
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
    split_at,
)

cdef enum:
    LAID_BYTES = 524288  # of images laid side by side: they stay in the second-level cache
    IMAGES = 16          # together, at most
    MIN_TERMS = 128      # of a sum at a time: a tile loads and stores what it adds to
    PARTS = 8            # of the batch, at most
    LINE = 64            # bytes of a cache line

# The outputs of one axis whose tap lies inside the map.
cdef struct Reached:
    Py_ssize_t first, count, pixel  # that the first of them meets

# x or dy, laid out.
cdef struct Side:
    const char *images           # (N, G*channels, pixels)
    Py_ssize_t channels, pixels  # of a group, of a map
    Py_ssize_t width             # pixels of a row
    Py_ssize_t down, across      # steps in rows and columns from one output to the next: strides for x, 1 for dy
    Py_ssize_t height, blocks    # channels of a block, and their blocks
    Py_ssize_t size              # elements of a block
    Py_ssize_t *places           # of the pixels in a block

cdef struct BatchWeight:
    const Gradients *a
    Side lanes, rows            # one is x, the other one dy
    bint x_in_lanes
    Py_ssize_t images, batches  # together, and how many such batches there are
    Py_ssize_t parts            # of the batches, for each group
    Py_ssize_t most_rows, most_columns  # of any rectangle
    Reached *of_rows
    Reached *of_columns
    Py_ssize_t *starts          # for each number of columns
    Py_ssize_t *koff
    Py_ssize_t *dw_places       # of a row's lanes in dw
    char *sums                  # (groups, parts, kh, kw, rows, lanes)
    double *db_sums             # (groups, parts, O)
    char *workspace             # for each thread: lanes, rows, a sum of dy
    Py_ssize_t sums_size, workspace_step  # elements, bytes


cdef void reach_outputs(Reached *taps, const ConvShape *s, bint columns, Py_ssize_t *most) noexcept nogil:
    cdef Py_ssize_t length = s.W if columns else s.H, outputs = s.OW if columns else s.OH
    cdef Py_ssize_t stride = s.SW if columns else s.SH, padding = s.PW if columns else s.PH, k, at, pixel
    most[0] = 0
    for k in range(s.KW if columns else s.KH):
        taps[k].first = taps[k].count = taps[k].pixel = 0
        for at in range(outputs):
            pixel = at * stride - padding + k * (s.DW if columns else s.DH)
            if 0 <= pixel < length:
                if taps[k].count == 0:
                    taps[k].first, taps[k].pixel = at, pixel
                taps[k].count += 1
        most[0] = max(most[0], taps[k].count)


cdef void part_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """The sums of one part of the batch and one group, batch after batch."""
    cdef const BatchWeight *p = <const BatchWeight *> job
    cdef const ConvShape *s = &p.a.shape
    cdef Py_ssize_t group = chunk // p.parts, part = chunk % p.parts, i, n0, images, size = p.a.t.itemsize
    cdef Py_ssize_t first = split_at(p.batches, p.parts, part)
    cdef char *lanes = p.workspace + slot * p.workspace_step
    cdef char *rows = lanes + p.lanes.size * size
    for i in range(first, split_at(p.batches, p.parts, part + 1)):
        n0 = i * p.images
        images = min(p.images, s.N - n0)
        if images < p.images:
            memset(lanes, 0, (p.lanes.size + p.rows.blocks * p.rows.size) * size)
        lay_side(p, &p.lanes, lanes, n0, images, group)
        lay_side(p, &p.rows, rows, n0, images, group)
        add_products(p, lanes, rows, p.sums + chunk * p.sums_size * size, i == first)
        if p.a.db != NULL:
            add_bias(p, lanes, rows, p.db_sums + chunk * s.O)


cdef void lay_side(const BatchWeight *p, const Side *side, char *laid, Py_ssize_t n0, Py_ssize_t images,
                   Py_ssize_t group) noexcept nogil:
    cdef Py_ssize_t n, block, size = p.a.t.itemsize, plane = side.pixels * size
    cdef const char *image
    for n in range(images):
        image = side.images + ((n0 + n) * p.a.shape.G + group) * side.channels * plane
        for block in range(side.blocks):
            p.a.t.transpose(laid + (block * side.size + n * side.height) * size, side.places,
                            image + block * side.height * plane, side.pixels,
                            min(side.height, side.channels - block * side.height), side.pixels)


cdef void add_products(const BatchWeight *p, const char *lanes, const char *rows, char *sums,
                       bint first) noexcept nogil:
    """sums (kh, kw, rows, lanes) (+)= the products of one batch."""
    cdef const ConvShape *s = &p.a.shape
    cdef fnn_tiles *t = p.a.t
    cdef Py_ssize_t size = t.itemsize, kh, kw, block, m, j, table, LP = p.lanes.height
    cdef Py_ssize_t rows_at, lanes_at, segments, depth, flags = 0 if first else FNN_ACCUMULATE
    cdef bint is_run = p.rows.across == 1
    cdef const Reached *r
    cdef const Reached *c
    for kh in range(s.KH):
        r = p.of_rows + kh
        for kw in range(s.KW):
            c = p.of_columns + kw
            rows_at, lanes_at = r.pixel * s.W + c.pixel, r.first * s.OW + c.first
            if p.x_in_lanes:
                rows_at, lanes_at = lanes_at, rows_at
            table = p.most_rows * (c.count * (c.count - 1) // 2)
            segments, depth = r.count if c.count else 0, c.count * p.images
            if not is_run:
                segments, depth = r.count * c.count, p.images
            for block in range(p.rows.blocks):
                m = block * p.rows.height
                for j from 0 <= j < p.lanes.channels by t.nr:
                    t.panel(min(p.rows.height, p.rows.channels - m), min(t.nr, p.lanes.channels - j), segments, depth,
                            rows + (block * p.rows.size + rows_at * p.images * p.rows.height) * size, p.starts + table,
                            1, p.rows.height, lanes + (lanes_at * p.images * LP + j) * size, p.koff + table * p.images,
                            sums + (((kh * s.KW + kw) * p.rows.channels + m) * LP + j) * size, LP, NULL, flags, NULL)


cdef void add_bias(const BatchWeight *p, char *lanes, const char *rows, double *db_sums) noexcept nogil:
    cdef fnn_tiles *t = p.a.t
    cdef const Side *dy = &p.rows if p.x_in_lanes else &p.lanes
    cdef Py_ssize_t size = t.itemsize, block, channels
    cdef const char *laid = rows if p.x_in_lanes else lanes
    cdef char *sum = lanes + (p.lanes.blocks * p.lanes.size + p.rows.blocks * p.rows.size) * size
    for block in range(dy.blocks):
        channels = min(dy.height, dy.channels - block * dy.height)
        memset(sum, 0, channels * size)
        t.sum_rows(sum, laid + block * dy.size * size, dy.height, dy.pixels * p.images, channels)
        add_to_doubles(db_sums + block * dy.height, sum, channels, size)


cdef void finish_row(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """dw of one row of the tiles: the parts added in order."""
    cdef const BatchWeight *p = <const BatchWeight *> job
    cdef const ConvShape *s = &p.a.shape
    cdef fnn_tiles *t = p.a.t
    cdef Py_ssize_t size = t.itemsize, K = s.KH * s.KW, LP = p.lanes.height, part
    cdef Py_ssize_t group = chunk // p.rows.channels, m = chunk % p.rows.channels, step = p.rows.channels * LP
    cdef char *sums = p.sums + (group * p.parts * p.sums_size + m * LP) * size
    cdef char *dw = p.a.dw + (group * s.O * s.C + m * (s.C if p.x_in_lanes else 1)) * K * size
    for part in range(1, p.parts):
        t.add(sums, step, sums + part * p.sums_size * size, step, K, p.lanes.channels)
    if p.x_in_lanes and K == 1:
        t.copy(dw, s.C, sums, step, 1, s.C)
    else:
        t.transpose(dw, p.dw_places, sums, step, K, p.lanes.channels)


cdef void fill_tables(BatchWeight *p) noexcept nogil:
    cdef const ConvShape *s = &p.a.shape
    cdef Py_ssize_t i, j, n, count, K = s.KH * s.KW
    cdef Py_ssize_t in_lanes = p.images * p.lanes.height, in_rows = p.images * p.rows.height
    cdef Py_ssize_t *starts = p.starts
    cdef Py_ssize_t *koff = p.koff
    for i in range(p.lanes.pixels):
        p.lanes.places[i] = i * in_lanes
    for i in range(p.rows.pixels):
        p.rows.places[i] = i * in_rows
    for i in range(p.lanes.channels):
        p.dw_places[i] = i * (K if p.x_in_lanes else s.C * K)
    for count in range(1, p.most_columns + 1):
        for i in range(p.most_rows):
            if p.rows.across == 1:
                starts[i] = i * p.rows.down * p.rows.width * in_rows
            for j in range(count):
                if p.rows.across > 1:
                    starts[i * count + j] = (i * p.rows.down * p.rows.width + j * p.rows.across) * in_rows
                for n in range(p.images):
                    koff[n] = (i * p.lanes.down * p.lanes.width + j * p.lanes.across) * in_lanes + n * p.lanes.height
                koff += p.images
        starts += p.most_rows * count


cdef void cut(BatchWeight *p) noexcept nogil:
    """Batches, parts and the sizes of what they need, by the shape alone."""
    cdef const ConvShape *s = &p.a.shape
    cdef fnn_tiles *t = p.a.t
    cdef Py_ssize_t P = s.OH * s.OW, each
    p.lanes.blocks, p.lanes.height = 1, ceil_div(p.lanes.channels, t.lanes) * t.lanes
    p.rows.height = ceil_div(p.rows.channels, ceil_div(p.rows.channels, t.mr))
    p.rows.blocks = ceil_div(p.rows.channels, p.rows.height)
    each = (p.lanes.pixels * p.lanes.height + p.rows.pixels * p.rows.channels) * t.itemsize
    p.images = min(<Py_ssize_t> IMAGES, max(ceil_div(s.N, <Py_ssize_t> PARTS), ceil_div(<Py_ssize_t> MIN_TERMS, P)))
    p.images = min(s.N, max(<Py_ssize_t> 1, min(p.images, LAID_BYTES // each)))
    p.batches = ceil_div(s.N, p.images)
    p.images = ceil_div(s.N, p.batches)
    p.batches = ceil_div(s.N, p.images)
    p.parts = min(<Py_ssize_t> PARTS, p.batches)
    p.lanes.size = p.lanes.pixels * p.images * p.lanes.height + t.nr  # a tile reads whole vectors
    p.rows.size = p.rows.pixels * p.images * p.rows.height
    p.sums_size = s.KH * s.KW * p.rows.channels * p.lanes.height
    p.workspace_step = ceil_div((p.lanes.size + p.rows.blocks * p.rows.size + s.O) * t.itemsize, LINE) * LINE


cdef void describe_sides(BatchWeight *p) noexcept nogil:
    cdef const Gradients *a = p.a
    cdef const ConvShape *s = &a.shape
    cdef Py_ssize_t lanes = a.t.lanes
    cdef Side x
    cdef Side dy
    x.images, x.channels, x.pixels, x.width, x.down, x.across = a.x, s.C, s.H * s.W, s.W, s.SH, s.SW
    dy.images, dy.channels, dy.pixels, dy.width, dy.down, dy.across = a.dy, s.O, s.OH * s.OW, s.OW, 1, 1
    # whose lanes are filled better
    p.x_in_lanes = s.C * ceil_div(s.O, lanes) > s.O * ceil_div(s.C, lanes)
    p.lanes, p.rows = x if p.x_in_lanes else dy, dy if p.x_in_lanes else x


cdef bint run(BatchWeight *p, int workers) noexcept nogil:
    cdef const Gradients *a = p.a
    cdef const ConvShape *s = &a.shape
    cdef Py_ssize_t size = a.t.itemsize, work = s.O * s.C * s.KH * s.KW
    cdef Py_ssize_t rectangles = p.most_rows * (p.most_columns * (p.most_columns + 1) // 2), group
    cdef Py_ssize_t *tables = <Py_ssize_t *> allocate(
        (p.lanes.pixels + p.rows.pixels + p.lanes.channels + rectangles * (p.images + 1)) * sizeof(Py_ssize_t))
    p.workspace = <char *> allocate(workers * p.workspace_step)
    p.db_sums = <double *> allocate(s.G * p.parts * (s.O * sizeof(double) + p.sums_size * size))
    cdef bint enough = tables != NULL and p.workspace != NULL and p.db_sums != NULL
    if enough:
        p.lanes.places, p.rows.places = tables, tables + p.lanes.pixels
        p.dw_places = p.rows.places + p.rows.pixels
        p.starts = p.dw_places + p.lanes.channels
        p.koff = p.starts + rectangles
        p.sums = <char *> (p.db_sums + s.G * p.parts * s.O)
        memset(p.db_sums, 0, s.G * p.parts * s.O * sizeof(double))
        fill_tables(p)
        parallel(part_chunk, p, s.G * p.parts, workers, <double> s.N * s.G * s.OH * s.OW * work / 16)
        parallel(finish_row, p, s.G * p.rows.channels, workers, <double> p.parts * s.G * work)
        for group in range(s.G if a.db != NULL else 0):
            add_doubles(p.db_sums + group * p.parts * s.O, p.parts, s.O)
            put_doubles(a.db + group * s.O * size, p.db_sums + group * p.parts * s.O, s.O, size)
    release(tables)
    release(p.workspace)
    release(p.db_sums)
    return enough


cdef bint batch_weight(const Gradients *a) noexcept nogil:
    cdef BatchWeight p
    cdef const ConvShape *s = &a.shape
    cdef int workers = threads()
    cdef bint enough
    p.a = a
    describe_sides(&p)
    cut(&p)
    if not fits(<double> workers * p.workspace_step + <double> s.G * p.parts * p.sums_size * a.t.itemsize):
        return False
    p.of_rows = <Reached *> allocate((s.KH + s.KW) * sizeof(Reached))
    if p.of_rows == NULL:
        return False
    p.of_columns = p.of_rows + s.KH
    reach_outputs(p.of_rows, s, False, &p.most_rows)
    reach_outputs(p.of_columns, s, True, &p.most_columns)
    enough = run(&p, workers)
    release(p.of_rows)
    return enough
