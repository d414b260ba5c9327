"""The input gradient of a 3 x 3 or 5 x 5 convolution at stride 1, by the transposed transforms of the forward.

The forward is y = A^T (U V) A with V = B^T d B (see `_conv_winograd`). So dV = U^T (A dy A^T) and dd = B dV B^T. Each
tile of dy has 36 values for each output; from their products with the weights come the gradients of 6 x 6 pixels. These
windows overlap, and are added up. There are as many as tiles of dy. A convolution of dy with turned kernels has tiles
for all of dx: 36 instead of 16 for maps that shrink from 12 x 12 to 8 x 8.
"""
from libc.string cimport memset

from fastnn._kernels._conv_winograd cimport (
    LINE,
    VALUES,
    VIEW,
    Products,
    bring_back,
    lay_out,
    multiply,
    renew,
    room_of_tiles,
    step_of_weights,
    zeroed,
)
from fastnn._kernels._table cimport allocate, parallel, release, threads
from fastnn._kernels.conv_gradients cimport Gradients
from fastnn._kernels.conv_shape cimport ConvShape
from fastnn._kernels.fnn cimport FNN_RELU, FNN_relu, ceil_div, fits, fnn_tiles, split_at

cdef struct WinogradInput:
    const Gradients *a
    int taps                   # of the kernel, each way
    Py_ssize_t tile            # pixels of dy in a tile, each way
    Py_ssize_t rows, cols      # of tiles, of an image
    Py_ssize_t images, band    # images of a chunk; rows of tiles at a time
    Py_ssize_t parts           # of the channels of dx, a chunk each
    Py_ssize_t dy_line, dx_line, dy_size, dx_size, workspace_step  # elements; the last in bytes
    Products products          # (tiles, O) by (O, C)
    Py_ssize_t *places         # of the pixels of dy among those laid out
    Py_ssize_t *planes         # c * H*W
    char *bias                 # (CL), zeros if there is none
    char *workspace            # for each thread: a line, pixels of dy and dx, values, products
    char *spoilt


cdef void transform_weights(void *job, Py_ssize_t o, int slot) noexcept nogil:
    cdef const WinogradInput *p = <const WinogradInput *> job
    cdef const Gradients *a = p.a
    cdef const ConvShape *s = &a.shape
    cdef Py_ssize_t size = a.t.itemsize, nr = a.t.nr, K = s.KH * s.KW, panels = p.products.panels, panel
    for panel in range(panels):
        a.t.wino_weights(p.taps, p.products.weights + (panel * s.O + o) * nr * size, p.products.step,
                         a.w + (o * s.C + panel * nr) * K * size, K, min(nr, s.C - panel * nr))


cdef Py_ssize_t transform(const WinogradInput *p, char *values, char *pixels, Py_ssize_t n, Py_ssize_t row,
                          Py_ssize_t rows) noexcept nogil:
    """The values of some rows of tiles of an image; how many tiles these are."""
    cdef const Gradients *a = p.a
    cdef const ConvShape *s = &a.shape
    cdef Py_ssize_t size = a.t.itemsize, OL = p.products.width, r, c, at = 0
    lay_out(a.t, pixels, p.places, p.dy_line, a.dy + n * s.O * s.OH * s.OW * size, s.O, s.OH, s.OW, row * p.tile,
            rows * p.tile)
    for r in range(rows):
        for c in range(p.cols):
            a.t.wino_gradient(p.taps, values + at * OL * size, p.products.tiles * OL,
                              pixels + (r * p.dy_line + c * OL) * p.tile * size, p.dy_line, OL, OL)
            at += 1
    return at


cdef Py_ssize_t spread(const WinogradInput *p, char *dx, const char *products, Py_ssize_t n, Py_ssize_t rows,
                       Py_ssize_t channels) noexcept nogil:
    """Add the windows of some rows of tiles; how many tiles these are."""
    cdef fnn_tiles *t = p.a.t
    cdef Py_ssize_t size = t.itemsize, CL = p.products.out_width, r
    for r in range(rows):
        if not t.wino_spread(p.taps, dx + r * p.tile * p.dx_line * size, p.dx_line, CL,
                             products + r * p.cols * CL * size, p.products.tiles * CL, channels, p.cols):
            p.spoilt[n] = True
    return rows * p.cols


cdef void write_image(const WinogradInput *p, const char *pixels, Py_ssize_t n, Py_ssize_t first,
                      Py_ssize_t last) noexcept nogil:
    """Some channels of dx from the pixels that were added up, whose channels are neighbours."""
    cdef const Gradients *a = p.a
    cdef const ConvShape *s = &a.shape
    cdef Py_ssize_t size = a.t.itemsize, CL = p.products.out_width, P = s.H * s.W
    cdef char *dx = a.dx + n * s.C * P * size
    bring_back(a.t, dx, p.planes, pixels + (s.PH * p.dx_line + s.PW * CL) * size, p.dx_line, CL, first, last, s.H, s.W)
    if a.flags & FNN_RELU:
        dx += first * P * size
        a.t.functions[FNN_relu].forward(dx, dx, (last - first) * P, NULL)


cdef void spread_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """Some images; all channels, or a part of them."""
    cdef const WinogradInput *p = <const WinogradInput *> job
    cdef const Gradients *a = p.a
    cdef const ConvShape *s = &a.shape
    cdef const Products *q = &p.products
    cdef Py_ssize_t size = a.t.itemsize, pieces = ceil_div(s.N, p.images), part = chunk // pieces
    cdef Py_ssize_t n0 = chunk % pieces * p.images, n1 = min(s.N, n0 + p.images), n, row, rows, at
    cdef Py_ssize_t first = split_at(q.panels, p.parts, part), last = split_at(q.panels, p.parts, part + 1)
    cdef Py_ssize_t c0 = first * a.t.nr, width = min(q.out_width, last * a.t.nr) - c0
    cdef char *dy = zeroed(p.workspace + slot * p.workspace_step, p.dy_size * size)
    cdef char *dx = dy + p.dy_size * size
    cdef char *values = dx + p.dx_size * size
    cdef char *products = values + VALUES * q.tiles * q.width * size
    for row from 0 <= row < p.rows by p.band:
        rows = min(p.band, p.rows - row)
        at = 0
        for n in range(n0, n1):
            at += transform(p, values + at * q.width * size, dy, n, row, rows)
        multiply(q, values, products, at, first, last)
        at = 0
        for n in range(n0, n1):
            if row == 0:
                a.t.copy(dx + c0 * size, q.out_width, p.bias + c0 * size, 0, p.dx_size // q.out_width, width)
            at += spread(p, dx + (row * p.tile * p.dx_line + c0) * size,
                         products + (at * q.out_width + c0) * size, n, rows, width)
            if row + rows == p.rows:
                write_image(p, dx, n, c0, min(s.C, last * a.t.nr))


cdef bint prepare(WinogradInput *p, const Gradients *a, int workers) noexcept nogil:
    """Decide the split and the sizes. False when no memory could hold them."""
    cdef const ConvShape *s = &a.shape
    cdef Products *q = &p.products
    cdef fnn_tiles *t = a.t
    cdef Py_ssize_t room
    p.a, p.taps, p.tile = a, <int> s.KH, VIEW + 1 - s.KH
    p.rows, p.cols = ceil_div(s.OH, p.tile), ceil_div(s.OW, p.tile)
    q.t, q.depth, q.panels = t, s.O, ceil_div(s.C, t.nr)
    q.width, q.out_width = ceil_div(s.O, t.lanes) * t.lanes, ceil_div(s.C, t.lanes) * t.lanes
    if not fits((<double> p.rows * p.cols * (q.width + q.out_width) * workers + <double> q.width * q.out_width)
                * VALUES * t.itemsize):
        return False
    q.step = step_of_weights(t, q.panels, s.O)
    room = room_of_tiles(t, q.width + q.out_width)
    p.band = ceil_div(p.rows, ceil_div(p.rows, min(p.rows, max(<Py_ssize_t> 1, room // p.cols))))
    p.images = 1
    if p.band == p.rows:
        p.images = min(s.N, max(<Py_ssize_t> 1, room // (p.rows * p.cols)))
        if workers > 1:
            p.images = max(<Py_ssize_t> 1, min(p.images, s.N // (2 * workers)))
    p.parts = min(q.panels, <Py_ssize_t> workers) if s.N < workers else 1
    q.tiles = p.images * p.band * p.cols | 1  # odd, or the 36 values of a tile could all fall into one set of the cache
    p.dy_line, p.dx_line = p.cols * p.tile * q.width, (p.cols * p.tile + VIEW - p.tile) * q.out_width
    p.dy_size, p.dx_size = p.band * p.tile * p.dy_line, (p.rows * p.tile + VIEW - p.tile) * p.dx_line
    room = p.dy_size + p.dx_size + VALUES * q.tiles * (q.width + q.out_width)
    p.workspace_step = LINE + ceil_div(room * t.itemsize, LINE) * LINE
    return True


cdef void run(WinogradInput *p, int workers) noexcept nogil:
    cdef const Gradients *a = p.a
    cdef const ConvShape *s = &a.shape
    cdef Py_ssize_t i, CL = p.products.out_width
    for i in range(s.OH * s.OW):
        p.places[i] = i // s.OW * p.dy_line + i % s.OW * p.products.width
    for i in range(s.O):
        p.products.koff[i] = i * a.t.nr
    for i in range(s.C):
        p.planes[i] = i * s.H * s.W
    memset(p.bias, 0, CL * a.t.itemsize)
    if a.bias != NULL:
        a.t.copy(p.bias, 0, a.bias, 0, 1, s.C)
    memset(p.spoilt, 0, s.N)
    renew(p.workspace, p.workspace_step, workers)
    parallel(transform_weights, p, s.O, workers, <double> VALUES * s.C * s.O)
    parallel(spread_chunk, p, ceil_div(s.N, p.images) * p.parts, workers,
             <double> s.N * s.O * s.OH * s.OW * s.C * s.KH * s.KW / VALUES)


cdef bint winograd_input(const Gradients *a, char *spoilt) noexcept nogil:
    cdef WinogradInput p
    cdef const ConvShape *s = &a.shape
    cdef Py_ssize_t weights
    cdef int workers = threads()
    cdef bint enough
    if not prepare(&p, a, workers):
        return False
    weights = VALUES * p.products.step
    p.places = <Py_ssize_t *> allocate((s.OH * s.OW + s.O + s.C) * sizeof(Py_ssize_t))
    p.products.weights = <char *> allocate((weights + p.products.out_width) * a.t.itemsize)
    p.workspace = <char *> allocate(workers * p.workspace_step)
    enough = p.places != NULL and p.products.weights != NULL and p.workspace != NULL
    if enough:
        p.products.koff = p.places + s.OH * s.OW
        p.planes = p.products.koff + s.O
        p.bias = p.products.weights + weights * a.t.itemsize
        p.spoilt = spoilt
        run(&p, workers)
    release(p.places)
    release(p.products.weights)
    release(p.workspace)
    return enough
