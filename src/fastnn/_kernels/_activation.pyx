"""Functions element by element and row by row, from the table of the tier; softmax of columns; sums; and PReLU."""
from cpython.buffer cimport PyBUF_ND, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.string cimport memcpy

from fastnn._kernels._table cimport allocate, parallel, release, threads, tiles
from fastnn._kernels.direction cimport BACKWARD, FORWARD
from fastnn._kernels.fnn cimport FNN_FUNCTION_COUNT, begin, ceil_div, fits, fnn_tiles

ctypedef fused real:
    float
    double

cdef enum:
    CHUNK = 16384  # elements
    VECTORS = 4    # of a strip of columns


# The places of functions in the table, by their names.
FUNCTIONS = {tiles(False).functions[i].name.decode(): i for i in range(FNN_FUNCTION_COUNT)}


cdef void run_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Map *g = <const Map *> job
    cdef Py_ssize_t i, n
    for i from chunk * g.chunk <= i < min(g.total, (chunk + 1) * g.chunk) by g.step:
        n = min(g.step, g.total - i)
        if g.direction == BACKWARD:
            g.function.backward(g.dy + i * g.size, g.x + i * g.size, g.y + i * g.size, n, g.settings)
        else:
            g.function.forward(g.x + i * g.size, g.y + i * g.size, n, g.settings)


cdef Map describe_map(fnn_tiles *t, Py_ssize_t function, Py_ssize_t total, Py_ssize_t row, double a,
                      double b) noexcept nogil:
    cdef Map g
    g.function, g.direction, g.total, g.size = &t.functions[function], FORWARD, total, t.itemsize
    g.settings[0], g.settings[1] = a, b
    g.step = row if row else CHUNK
    g.chunk = g.step * max(<Py_ssize_t> 1, CHUNK // g.step)
    return g


cdef void apply(Map *g, const void *dy, const void *x, void *y, int workers) noexcept nogil:
    cdef double work = g.function.work if g.direction == FORWARD else g.function.backward_work
    g.dy, g.x, g.y = <const char *> dy, <const char *> x, <char *> y
    parallel(run_chunk, g, ceil_div(g.total, g.chunk), workers, work * g.total)


cdef int borrow(Py_buffer *buffers, y, x, other) except -1:
    """Take the buffers of y (writable), x and other; `other` may be None.

    Memoryviews would cost as much as all the rest of a call on a small array.
    """
    cdef int taken = 0
    try:
        PyObject_GetBuffer(y, &buffers[0], PyBUF_ND | PyBUF_WRITABLE)
        taken = 1
        PyObject_GetBuffer(x, &buffers[1], PyBUF_ND)
        taken = 2
        buffers[2].buf = NULL
        if other is not None:
            PyObject_GetBuffer(other, &buffers[2], PyBUF_ND)
    except BaseException:
        give_back(buffers, taken)
        raise
    return 0


cdef void give_back(Py_buffer *buffers, int taken) noexcept:
    for i in range(taken):
        PyBuffer_Release(&buffers[i])


cdef int run(Py_ssize_t function, dy, x, y, double a, double b, Py_ssize_t row) except -1:
    cdef Py_buffer buffers[3]
    cdef Map g
    borrow(buffers, y, x, dy)
    with nogil:
        g = describe_map(tiles(buffers[0].itemsize == sizeof(double)), function,
                         buffers[0].len // buffers[0].itemsize, row, a, b)
        g.direction = FORWARD if dy is None else BACKWARD
        apply(&g, buffers[2].buf, buffers[1].buf, buffers[0].buf, threads())
    give_back(buffers, 2 if dy is None else 3)
    return 0


def forward(Py_ssize_t function, x, y, double a=0, double b=0, Py_ssize_t row=0):
    """y = the function at a place of the table: element by element, or if it is one of rows, by rows of `row` elements.

    x, y contiguous arrays of one shape and dtype; y may be x. a and b are the settings. EXACT for functions made of
    comparisons. Otherwise REDUCTION of the number of operations, where an exponential counts as 4, plus `row`.
    """
    run(function, None, x, y, a, b, row)


def backward(Py_ssize_t function, dy, seen, dx, double a=0, double b=0, Py_ssize_t row=0):
    """dx from dy and from `seen`, which is x or y (fnn.h says which). The rest is as in `forward`."""
    run(function, dy, seen, dx, a, b, row)


cdef void add_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Sum *g = <const Sum *> job
    cdef Py_ssize_t at = chunk * CHUNK * g.t.itemsize
    g.t.add_two(g.a + at, g.b + at, g.y + at, min(<Py_ssize_t> CHUNK, g.total - chunk * CHUNK), g.relu)


cdef void add_up(Sum *g, int workers) noexcept nogil:
    parallel(add_chunk, g, ceil_div(g.total, CHUNK), workers, 2 * <double> g.total)


def add(a, b, y, bint relu):
    """y = a + b, its ReLU if asked for; all contiguous arrays of one shape and dtype. REDUCTION(2)."""
    cdef Py_buffer buffers[3]
    cdef Sum g
    borrow(buffers, y, a, b)
    with nogil:
        g.t, g.relu = tiles(buffers[0].itemsize == sizeof(double)), relu
        g.total = buffers[0].len // buffers[0].itemsize
        g.y, g.a, g.b = <char *> buffers[0].buf, <const char *> buffers[1].buf, <const char *> buffers[2].buf
        add_up(&g, threads())
    give_back(buffers, 3)


# ---- Softmax along an axis that is not the last: the places of an image are columns of its classes -------------------

cdef struct Columns:
    fnn_tiles *t
    Py_ssize_t images, K, P  # each of the P places of an image has K scores
    Py_ssize_t width, strips  # columns of a strip, strips of an image
    Py_ssize_t group          # strips of a chunk
    const char *x
    const char *dy            # NULL, or backward: y is the gradient from dy and x, which is the output
    char *y
    bint logged


cdef void columns_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Columns *g = <const Columns *> job
    cdef Py_ssize_t i, first, at
    for i in range(chunk * g.group, min(g.images * g.strips, (chunk + 1) * g.group)):
        first = i % g.strips * g.width
        at = (i // g.strips * g.K * g.P + first) * g.t.itemsize
        if g.dy == NULL:
            g.t.softmax_columns(g.x + at, g.y + at, min(g.width, g.P - first), g.K, g.P, g.logged)
        else:
            g.t.softmax_columns_backward(g.dy + at, g.x + at, g.y + at, min(g.width, g.P - first), g.K, g.P, g.logged)


cdef Columns describe_columns(const real[:, :, ::1] x, real[:, :, ::1] y, bint logged) noexcept:
    cdef Columns g
    g.t, g.images, g.K, g.P, g.logged = tiles(real is double), x.shape[0], x.shape[1], x.shape[2], logged
    g.width = VECTORS * g.t.lanes
    g.strips = ceil_div(g.P, g.width)
    g.group = max(<Py_ssize_t> 1, CHUNK // max(g.K * min(g.P, g.width), <Py_ssize_t> 1))
    g.x, g.dy, g.y = begin(x), NULL, begin(y)
    return g


cdef void run_columns(Columns *g, double work) noexcept:
    with nogil:
        parallel(columns_chunk, g, ceil_div(g.images * g.strips, g.group), threads(), work * g.images * g.K * g.P)


def softmax_forward(const real[:, :, ::1] x, real[:, :, ::1] y, bint logged):
    """y = the softmax of x (N, K, P) along its second axis, or with `logged` its logarithm. No overlap.

    REDUCTION(K + 6), or with `logged` REDUCTION(K + 10).
    """
    cdef Columns g = describe_columns(x, y, logged)
    run_columns(&g, 4)


def softmax_backward(const real[:, :, ::1] dy, const real[:, :, ::1] y, real[:, :, ::1] dx, bint logged):
    """dx (N, K, P) from dy and from y, the output of the forward. No overlap. REDUCTION(K + 6)."""
    cdef Columns g = describe_columns(y, dx, logged)
    g.dy = begin(dy)
    run_columns(&g, 4 if logged else 2)


# ---- PReLU -----------------------------------------------------------------------------------------------------------

cdef Prelu describe_prelu(fnn_tiles *t, Py_ssize_t A, Py_ssize_t C, Py_ssize_t P) noexcept nogil:
    """Planes shorter than a vector are joined into one row, with a slope for each column."""
    cdef Prelu g
    g.t, g.direction, g.C, g.P = t, FORWARD, C, P
    g.each = C > 1 and P < t.lanes
    g.rows, g.row = (A, C * P) if g.each else (A * C, P)
    g.part = g.row if g.each else min(P, <Py_ssize_t> CHUNK)
    g.group = max(<Py_ssize_t> 1, CHUNK // max(g.part, <Py_ssize_t> 1))
    g.dy = g.x = g.w = NULL
    g.y = NULL
    g.sums = NULL
    return g


cdef inline Py_ssize_t calls(const Prelu *g) noexcept nogil:
    return g.rows * ceil_div(g.row, g.part) if g.row else 0


cdef Py_ssize_t sums_of(const Prelu *g) noexcept nogil:
    """The number of partial sums of the slopes' gradients: one a call, or with `each` one for each column of a chunk.

    The totals of the channels stand behind them.
    """
    return ceil_div(calls(g), g.group) * g.row if g.each else calls(g)


cdef void prelu_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Prelu *g = <const Prelu *> job
    cdef Py_ssize_t size = g.t.itemsize, parts = ceil_div(g.row, g.part), call = chunk * g.group, n, at
    cdef Py_ssize_t row = call // parts, c = row % g.C, start = call % parts * g.part
    cdef const char *w
    cdef char *y
    cdef double *sums = NULL
    for call in range(call, min(calls(g), call + g.group)):
        n, at = min(g.part, g.row - start), (row * g.row + start) * size
        w = g.w if g.each else g.w + c * size
        if g.direction == FORWARD:
            g.t.prelu(g.x + at, w, g.y + at, n, g.each)
        else:
            if g.sums != NULL:
                sums = g.sums + (chunk * g.row if g.each else call)
            y = g.y + at if g.y != NULL else NULL
            g.t.prelu_backward(g.dy + at, g.x + at, w, y, sums, n, g.each)
        start += n
        if start == g.row:
            row, start = row + 1, 0
            c = c + 1 if c + 1 < g.C else 0


cdef bint apply_prelu(Prelu *g, int workers) noexcept nogil:
    cdef Py_ssize_t i, size = g.t.itemsize
    cdef const char *w = g.w
    cdef char *spread = NULL
    if g.each and g.P > 1:
        spread = <char *> allocate(g.row * size)
        if spread == NULL:
            return False
        for i in range(g.row):
            memcpy(spread + i * size, w + i // g.P * size, size)
        g.w = spread
    parallel(prelu_chunk, g, ceil_div(calls(g), g.group), workers, 2.0 * g.rows * g.row)
    g.w = w
    release(spread)
    return True


cdef void add_sums(const Prelu *g, real *dw) noexcept nogil:
    """The gradients of the slopes from their sums, in order."""
    cdef Py_ssize_t i, c, count = sums_of(g), parts = ceil_div(g.row, g.part)
    cdef double *totals = g.sums + count
    for i in range(count):
        totals[i % g.row // g.P if g.each else i // parts % g.C] += g.sums[i]
    for c in range(g.C):
        dw[c] = <real> totals[c]


cdef bint prelu_gradients(Prelu *g, char *dw, int workers) noexcept nogil:
    cdef Py_ssize_t i, count = sums_of(g)
    cdef bint enough = True
    if dw != NULL:
        g.sums = <double *> allocate((count + g.C) * sizeof(double)) if fits(8.0 * count) else NULL
        enough = g.sums != NULL
    if enough:
        for i in range(count + g.C if g.sums != NULL else 0):
            g.sums[i] = 0
        enough = apply_prelu(g, workers)
        if g.sums != NULL and g.t.itemsize == sizeof(float):
            add_sums(g, <float *> dw)
        elif g.sums != NULL:
            add_sums(g, <double *> dw)
    release(g.sums)
    return enough


def prelu_forward(const real[:, :, ::1] x, const real[::1] w, real[:, :, ::1] y):
    """y = x where x > 0, else w[c]*x, for each channel c of x (A, C, P); w (C,). REDUCTION(1)."""
    cdef Prelu g = describe_prelu(tiles(real is double), x.shape[0], x.shape[1], x.shape[2])
    cdef bint enough
    g.x, g.w, g.y = begin(x), begin(w), begin(y)
    with nogil:
        enough = apply_prelu(&g, threads())
    if not enough:
        raise MemoryError("no memory for the slopes of a PReLU")


def prelu_backward(const real[:, :, ::1] dy, const real[:, :, ::1] x, const real[::1] w, real[:, :, ::1] dx,
                   real[::1] dw):
    """The gradients dx (A, C, P), REDUCTION(1), and dw (C,), REDUCTION(A*P), unless None; dy, x (A, C, P), w (C,)."""
    cdef Prelu g = describe_prelu(tiles(real is double), x.shape[0], x.shape[1], x.shape[2])
    cdef bint enough
    g.direction = BACKWARD
    g.dy, g.x, g.w = begin(dy), begin(x), begin(w)
    g.y = begin(dx)
    with nogil:
        enough = prelu_gradients(&g, begin(dw), threads())
    if not enough:
        raise MemoryError("no memory for the slopes of a PReLU")
