"""Functions element by element and row by row, from the table of the tier; softmax of columns; sums; and PReLU."""
from libc.string cimport memcpy

from fastnn._kernels._table cimport allocate, parallel, release, threads, tiles
from fastnn._kernels.buffers cimport Buffers, borrow, give_back, is_double, reads, writes
from fastnn._kernels.direction cimport BACKWARD, FORWARD
from fastnn._kernels.fnn cimport FNN_FUNCTION_COUNT, FNN_SHORT_ROW, FNN_log_softmax, ceil_div, fits, fnn_tiles

ctypedef fused real:
    float
    double

ctypedef (Py_ssize_t, Py_ssize_t, Py_ssize_t) Planes

cdef enum:
    CHUNK = 16384  # elements
    BLOCK = 256    # products that are summed at once
    STRIP = 256    # bytes of a row of a strip of columns


# The places of functions in the table, by their names.
FUNCTIONS = {tiles(False).functions[i].name.decode(): i for i in range(FNN_FUNCTION_COUNT)}


cdef void run_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Map *g = <const Map *> job
    cdef Py_ssize_t i, n
    if g.short_rows:
        short_rows(g, chunk * g.chunk * g.size, min(g.chunk, g.total - chunk * g.chunk) // g.step)
        return
    for i from chunk * g.chunk <= i < min(g.total, (chunk + 1) * g.chunk) by g.step:
        n = min(g.step, g.total - i)
        if g.direction == BACKWARD:
            g.function.backward(g.dy + i * g.size, g.x + i * g.size, g.y + i * g.size, n, g.settings)
        else:
            g.function.forward(g.x + i * g.size, g.y + i * g.size, n, g.settings)


cdef void short_rows(const Map *g, Py_ssize_t at, Py_ssize_t rows) noexcept nogil:
    if g.direction == BACKWARD:
        g.t.softmax_short_backward(g.dy + at, g.x + at, g.y + at, rows, g.step, g.logged)
    else:
        g.t.softmax_short(g.x + at, g.y + at, rows, g.step, g.logged)


cdef Map describe_map(fnn_tiles *t, Py_ssize_t function, Py_ssize_t total, Py_ssize_t row, double a,
                      double b) noexcept nogil:
    cdef Map g
    g.function, g.direction, g.total, g.size = &t.functions[function], FORWARD, total, t.itemsize
    g.settings[0], g.settings[1] = a, b
    g.t, g.short_rows, g.logged = t, 0 < row <= FNN_SHORT_ROW, function == FNN_log_softmax
    g.step = row if row else CHUNK
    g.chunk = g.step * max(<Py_ssize_t> 1, CHUNK // g.step)
    return g


cdef void apply(Map *g, const void *dy, const void *x, void *y, int workers) noexcept nogil:
    cdef double work = g.function.work if g.direction == FORWARD else g.function.backward_work
    g.dy, g.x, g.y = <const char *> dy, <const char *> x, <char *> y
    parallel(run_chunk, g, ceil_div(g.total, g.chunk), workers, work * g.total)


cdef int run(Py_ssize_t function, dy, x, y, double a, double b, Py_ssize_t row) except -1:
    cdef Buffers buffers
    cdef Py_buffer *out
    cdef const char *seen
    cdef const char *given
    cdef Map g
    buffers.count = 0
    try:
        out = borrow(&buffers, y, True)
        seen, given = reads(&buffers, x), reads(&buffers, dy)
        with nogil:
            g = describe_map(tiles(out.itemsize == sizeof(double)), function, out.len // out.itemsize, row, a, b)
            g.direction = FORWARD if given == NULL else BACKWARD
            apply(&g, given, seen, out.buf, threads())
    finally:
        give_back(&buffers)
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


cdef Product describe_product(fnn_tiles *t, Py_ssize_t rows, Py_ssize_t n) noexcept nogil:
    cdef Product g
    g.t, g.rows, g.n = t, rows, n
    g.x, g.z, g.dy, g.y, g.dx, g.dz = NULL, NULL, NULL, NULL, NULL, NULL
    return g


cdef inline Py_ssize_t rows_of_chunk(const Product *g) noexcept nogil:
    return max(<Py_ssize_t> 1, CHUNK // g.n)


cdef void multiply_rows(const Product *g, Py_ssize_t row, Py_ssize_t end, const char *x, const char *z,
                        char *y) noexcept nogil:
    cdef Py_ssize_t size = g.t.itemsize
    if g.n == 1:
        g.t.multiply(x + row * size, z + row * size, y + row * size, end - row, True)
        return
    for row in range(row, end):
        g.t.multiply(x + row * g.n * size, z + row * size, y + row * g.n * size, g.n, False)


cdef void multiply_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Product *g = <const Product *> job
    cdef Py_ssize_t row = chunk * rows_of_chunk(g)
    multiply_rows(g, row, min(g.rows, row + rows_of_chunk(g)), g.x, g.z, g.y)


cdef double sum_of_products(const Product *g, Py_ssize_t row) noexcept nogil:
    cdef double block[BLOCK]
    cdef double total = 0
    cdef Py_ssize_t at, some
    for at from 0 <= at < g.n by BLOCK:
        some = min(<Py_ssize_t> BLOCK, g.n - at)
        g.t.multiply(g.dy + (row * g.n + at) * g.t.itemsize, g.x + (row * g.n + at) * g.t.itemsize, block, some, True)
        g.t.sums(&total, block, some, 1, some)
    return total


cdef void product_back_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Product *g = <const Product *> job
    cdef Py_ssize_t row = chunk * rows_of_chunk(g), end = min(g.rows, row + rows_of_chunk(g))
    if g.dx != NULL:
        multiply_rows(g, row, end, g.dy, g.z, g.dx)
    if g.dz != NULL and g.n == 1:
        multiply_rows(g, row, end, g.dy, g.x, g.dz)
        return
    for row in range(row, end if g.dz != NULL else row):
        if g.t.itemsize == sizeof(float):
            (<float *> g.dz)[row] = <float> sum_of_products(g, row)
        else:
            (<double *> g.dz)[row] = sum_of_products(g, row)


cdef void multiply(Product *g, int workers) noexcept nogil:
    parallel(multiply_chunk, g, ceil_div(g.rows, rows_of_chunk(g)), workers, 2 * <double> g.rows * g.n)


cdef void product_gradients(Product *g, int workers) noexcept nogil:
    parallel(product_back_chunk, g, ceil_div(g.rows, rows_of_chunk(g)), workers, 4 * <double> g.rows * g.n)


def add(a, b, y, bint relu):
    """y = a + b, its ReLU if asked for; all contiguous arrays of one shape and dtype. REDUCTION(2)."""
    cdef Buffers buffers
    cdef Py_buffer *out
    cdef Sum g
    buffers.count = 0
    try:
        out = borrow(&buffers, y, True)
        g.y, g.a, g.b = <char *> out.buf, reads(&buffers, a), reads(&buffers, b)
        g.t, g.relu, g.total = tiles(is_double(out)), relu, out.len // out.itemsize
        with nogil:
            add_up(&g, threads())
    finally:
        give_back(&buffers)


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


cdef int run_columns(dy, x, y, Planes planes, bint logged, double work) except -1:
    cdef Buffers b
    cdef Columns g
    b.count = 0
    try:
        g.t, g.logged = tiles(is_double(borrow(&b, y, True))), logged
        g.images, g.K, g.P = planes
        g.width = STRIP // g.t.itemsize
        g.strips = ceil_div(g.P, g.width) if g.K else 0
        g.group = max(<Py_ssize_t> 1, CHUNK // max(g.K * min(g.P, g.width), <Py_ssize_t> 1))
        g.y, g.x, g.dy = <char *> b.each[0].buf, reads(&b, x), reads(&b, dy)
        with nogil:
            parallel(columns_chunk, &g, ceil_div(g.images * g.strips, g.group), threads(), work * g.images * g.K * g.P)
    finally:
        give_back(&b)
    return 0


def softmax_forward(x, y, Planes planes, bint logged):
    """y = the softmax of x (N, K, P) along its second axis, or with `logged` its logarithm; `planes` are N, K and P.

    No overlap. REDUCTION(K + 6), or with `logged` REDUCTION(K + 10).
    """
    run_columns(None, x, y, planes, logged, 4)


def softmax_backward(dy, y, dx, Planes planes, bint logged):
    """dx (N, K, P) from dy and from y, the output of the forward. No overlap. REDUCTION(K + 6)."""
    run_columns(dy, y, dx, planes, logged, 4 if logged else 2)


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
    cdef Py_ssize_t end = min(calls(g), call + g.group), together
    cdef const char *w
    cdef char *y
    cdef double *sums = NULL
    while call < end:
        n, at = min(g.part, g.row - start), (row * g.row + start) * size
        w, together = g.w if g.each else g.w + c * size, 1
        if g.direction == FORWARD:
            together = min(end - call, g.C - c) if parts == 1 else 1
            g.t.prelu(g.x + at, w, g.y + at, together, n, g.each)
        else:
            if g.sums != NULL:
                sums = g.sums + (chunk * g.row if g.each else call)
            y = g.y + at if g.y != NULL else NULL
            g.t.prelu_backward(g.dy + at, g.x + at, w, y, sums, n, g.each)
        call += together
        start += n
        if start == g.row:
            row, start = row + together, 0
            c = c + together if c + together < g.C else 0


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
    """dx, and unless it is NULL dw. False if there is no memory."""
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


def prelu_forward(x, w, y, Planes planes):
    """y = x where x > 0, else w[c]*x, for each channel c of x (A, C, P); w (C,); `planes` are A, C and P.

    REDUCTION(1).
    """
    cdef Buffers b
    cdef Prelu g
    cdef bint enough
    b.count = 0
    try:
        g = describe_prelu(tiles(is_double(borrow(&b, y, True))), planes[0], planes[1], planes[2])
        g.y, g.x, g.w = <char *> b.each[0].buf, reads(&b, x), reads(&b, w)
        with nogil:
            enough = apply_prelu(&g, threads())
    finally:
        give_back(&b)
    if not enough:
        raise MemoryError("no memory for the slopes of a PReLU")


def prelu_backward(dy, x, w, dx, dw, Planes planes):
    """The gradients dx (A, C, P), REDUCTION(1), and dw (C,), REDUCTION(A*P), unless None; dy, x (A, C, P), w (C,)."""
    cdef Buffers b
    cdef Prelu g
    cdef char *slopes
    cdef bint enough
    b.count = 0
    try:
        g = describe_prelu(tiles(is_double(borrow(&b, x, False))), planes[0], planes[1], planes[2])
        g.direction, g.x = BACKWARD, <const char *> b.each[0].buf
        g.dy, g.w, g.y, slopes = reads(&b, dy), reads(&b, w), writes(&b, dx), writes(&b, dw)
        with nogil:
            enough = prelu_gradients(&g, slopes, threads())
    finally:
        give_back(&b)
    if not enough:
        raise MemoryError("no memory for the slopes of a PReLU")
