"""Layer, group and instance normalisation: rows of an array, each normalised by its own moments.

An array is N images of G groups of S segments of P elements. A group is a row, and a segment has one weight and one
bias (docs/dev/normalisation.md draws them). Layer normalisation has one group, whose segments have one element.
Instance normalisation has groups of one segment. For short segments the weights are spread to a pattern over the row.
Chunks depend on the shape alone, so any number of threads gives the same bits. If squares leave the range of the dtype,
the variance shows it, and the row is computed again, scaled (`scaled.pxd`).
"""
from libc.math cimport sqrt
from libc.string cimport memset

from fastnn._kernels._table cimport allocate, parallel, release, threads, tiles
from fastnn._kernels.buffers cimport Buffers, borrow, give_back, is_double, reads, writes
from fastnn._kernels.direction cimport BACKWARD, FORWARD
from fastnn._kernels.fnn cimport add_doubles, ceil_div, fits, fnn_tiles
from fastnn._kernels.scaled cimport Scaled, in_range, scaled_apply, scaled_moments

ctypedef fused real:
    float
    double

ctypedef (Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t) Sizes

cdef enum:
    SHORT = 8      # vectors of a segment: for a shorter one the call costs more than the elements
    CHUNK = 16384  # the least elements of a chunk
    LONG = 2048    # the least elements of an image's patterns, whose sums do not stay in the first-level cache
    PARTS = 32     # the most parts of the images; each part has its own sums of the gradients of weights
    IMAGES = 32    # images whose gradients of weights are added in the dtype, before they are added to doubles

cdef inline double number(const Rows *g, const char *a, Py_ssize_t i, double otherwise) noexcept nogil:
    if a == NULL:
        return otherwise
    return (<const float *> a)[i] if g.t.itemsize == sizeof(float) else (<const double *> a)[i]


cdef inline void put(const Rows *g, char *a, Py_ssize_t i, double value) noexcept nogil:
    if a == NULL:
        return
    if g.t.itemsize == sizeof(float):
        (<float *> a)[i] = <float> value
    else:
        (<double *> a)[i] = value


cdef void apply(const Rows *g, Py_ssize_t row, double mean, double invstd) noexcept nogil:
    """Write y of a row, segment by segment."""
    cdef double numbers[3]  # three numbers of either dtype
    cdef char *n = <char *> numbers
    cdef Py_ssize_t size = g.t.itemsize, s, c
    put(g, n, 0, mean)
    for s in range(g.S):
        c = row % g.G * g.S + s
        put(g, n, 1, invstd * number(g, g.weight, c, 1))
        put(g, n, 2, number(g, g.bias, c, 0))
        g.t.norm_apply(g.x, g.out, row * g.length + s * g.P, 1, 0, g.P, 0, n, n + size, n + 2 * size, 0)


cdef void far_row(const Rows *g, Py_ssize_t row, const real *x, real *y, double *mean, double *var,
                  double *invstd) noexcept nogil:
    """Compute the output and the moments of a row whose squares leave the range of the dtype."""
    cdef Py_ssize_t at = row * g.length, c = row % g.G * g.S, s
    cdef Scaled scaled = scaled_moments(x + at, 1, 0, g.length, g.eps, mean, var, invstd)
    if scaled.unit:
        for s in range(g.S):
            scaled_apply(scaled, x + at + s * g.P, y + at + s * g.P, 1, 0, g.P, number(g, g.weight, c + s, 1),
                         number(g, g.bias, c + s, 0), False)


cdef void forward_rows(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Rows *g = <const Rows *> job
    cdef Py_ssize_t row, at
    cdef double mean, var, invstd
    for row in range(g.first + chunk * g.group, g.first + min(g.N * g.G, (chunk + 1) * g.group)):
        if g.spread:
            at = row % g.G * g.length * g.t.itemsize
            g.t.norm_row(g.x, g.out, row * g.length, g.length, g.pattern + at, g.shift + at, g.eps, &mean, &var)
            invstd = 1 / sqrt(var + g.eps)
        else:
            g.t.norm_moments(g.x, row * g.length, 1, g.length, g.length, 0, &mean, &var)
            var = 0 if var < 0 else var / g.length  # rounding may leave less than 0; NaN stays
            invstd = 1 / sqrt(var + g.eps)
            apply(g, row, mean, invstd)
        if not in_range(var, g.eps, g.t.itemsize == sizeof(double)):
            if g.t.itemsize == sizeof(float):
                far_row(g, row, <const float *> g.x, <float *> g.out, &mean, &var, &invstd)
            else:
                far_row(g, row, <const double *> g.x, <double *> g.out, &mean, &var, &invstd)
        put(g, g.mean, row, mean)
        put(g, g.invstd, row, invstd)
        if g.var != NULL:
            g.var[row] = var


cdef void backward_segments(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """Write dx of some rows, and the sums of dy and of dy*(x - mean)*invstd over each of their segments."""
    cdef const Rows *g = <const Rows *> job
    cdef double numbers[4]
    cdef char *n = <char *> numbers
    cdef Py_ssize_t size = g.t.itemsize, row, s, at
    cdef double invstd, total, slope, weight
    cdef double *totals
    cdef double *slopes
    for row in range(chunk * g.group, min(g.N * g.G, (chunk + 1) * g.group)):
        invstd, total, slope = number(g, g.invstd, row, 1), 0, 0
        totals, slopes = g.totals + row * g.S, g.slopes + row * g.S
        for s in range(g.S):
            at = row * g.length + s * g.P
            g.t.norm_sums(g.dy, g.x, NULL, at, 1, 0, g.P, 0, g.mean + row * size, g.invstd + row * size, totals + s,
                          slopes + s)
            weight = number(g, g.weight, row % g.G * g.S + s, 1)
            total += weight * totals[s]
            slope += weight * slopes[s]
        if g.out == NULL:
            continue
        put(g, n, 0, number(g, g.mean, row, 0))
        put(g, n, 2, invstd * total / g.length)
        put(g, n, 3, invstd * slope / g.length)
        for s in range(g.S):
            put(g, n, 1, invstd * number(g, g.weight, row % g.G * g.S + s, 1))
            g.t.norm_backward(g.dy, g.x, NULL, g.out, row * g.length + s * g.P, 1, 0, g.P, 0, n,
                              g.invstd + row * size, n + size, n + 2 * size, n + 3 * size)


cdef void backward_patterns(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """Write dx of some images, and the sums over these images for each element of the pattern."""
    cdef const Rows *g = <const Rows *> job
    cdef Py_ssize_t size = g.t.itemsize, row, at, group, image, first, last = min(g.N, (chunk + 1) * g.group)
    cdef char *sums = g.sums + slot * 2 * g.length * size  # of IMAGES images, so that the error does not grow with N
    cdef double *totals
    cdef double *slopes
    for group in range(g.G):  # group by group, so that its pattern stays in the first-level cache
        at = group * g.length
        totals, slopes = g.totals + chunk * g.G * g.length + at, g.slopes + chunk * g.G * g.length + at
        memset(totals, 0, g.length * sizeof(double))
        memset(slopes, 0, g.length * sizeof(double))
        for first from chunk * g.group <= first < last by IMAGES:
            memset(sums, 0, 2 * g.length * size)
            for image in range(first, min(last, first + IMAGES)):
                row = image * g.G + group
                g.t.norm_row_backward(g.dy, g.x, g.out, row * g.length, g.length, g.pattern + at * size,
                                      number(g, g.mean, row, 0), number(g, g.invstd, row, 1), sums,
                                      sums + g.length * size)
            if size == sizeof(float):
                widen(slopes, totals, <const float *> sums, g.length)
            else:
                widen(slopes, totals, <const double *> sums, g.length)


cdef void widen(double *slopes, double *totals, const real *sums, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        slopes[i] += sums[i]
    for i in range(n):
        totals[i] += sums[n + i]


cdef void sum_segments(const Rows *g) noexcept nogil:
    """dw and db: add the sums of segments, image by image."""
    cdef Py_ssize_t C = g.G * g.S, c, i
    cdef double total, slope
    for c in range(C):
        total = slope = 0
        for i in range(g.N):
            total += g.totals[i * C + c]
            slope += g.slopes[i * C + c]
        put(g, g.dw, c, slope)
        put(g, g.db, c, total)


cdef void sum_patterns(const Rows *g, Py_ssize_t parts) noexcept nogil:
    """dw and db: add the sums of the parts of the images, and then the elements of each segment."""
    cdef Py_ssize_t j, c
    cdef double total, slope
    add_doubles(g.totals, parts, g.G * g.length)
    add_doubles(g.slopes, parts, g.G * g.length)
    for c in range(g.G * g.S):
        total = slope = 0
        for j in range(c * g.P, (c + 1) * g.P if parts else 0):
            slope += g.slopes[j]
            total += g.totals[j]
        put(g, g.dw, c, slope)
        put(g, g.db, c, total)


cdef Rows describe_rows(fnn_tiles *t, Py_ssize_t N, Py_ssize_t G, Py_ssize_t S, Py_ssize_t P,
                        bint weights) noexcept nogil:
    cdef Rows g
    g.t, g.N, g.G, g.S, g.P, g.length = t, N, G, S, P, S * P
    if not weights:
        g.S, g.P = 1, g.length
    g.spread = g.P < (SHORT * t.lanes if weights else t.lanes)
    g.group = max(<Py_ssize_t> 1, CHUNK // g.length)
    g.direction = FORWARD
    g.dy = g.weight = g.bias = g.pattern = g.shift = NULL
    g.out = g.mean = g.invstd = g.dw = g.db = g.sums = NULL
    g.var = g.totals = g.slopes = NULL
    g.eps, g.first = 0, 0
    return g


cdef const char *spread_numbers(const Rows *g, const char *a, double otherwise, char *pattern) noexcept nogil:
    """Copy the number of each segment to each of its elements."""
    cdef Py_ssize_t c, j
    if g.P == 1 and a != NULL:
        return a
    for c in range(g.G * g.S):
        for j in range(c * g.P, (c + 1) * g.P):
            put(g, pattern, j, number(g, a, c, otherwise))
    return pattern


cdef bint normalise_rows(Rows *g, int workers) noexcept nogil:
    cdef Py_ssize_t size = g.t.itemsize, all_of = g.G * g.length, parts = 0, sums = 0
    cdef double work = 3.0 * g.N * all_of
    cdef char *workspace = NULL
    if g.direction == BACKWARD and g.spread:
        parts = min(min(<Py_ssize_t> PARTS, g.N // (8 if all_of > LONG else 4)), g.N * all_of // CHUNK)
        g.group = max(<Py_ssize_t> 1, ceil_div(g.N, max(<Py_ssize_t> 1, parts)))
        parts = ceil_div(g.N, g.group)
        sums = parts * all_of
    elif g.direction == BACKWARD:
        sums = g.N * g.G * g.S
    if fits(16.0 * (sums + 1) + 2.0 * (all_of + <double> workers * g.length) * size):
        workspace = <char *> allocate(2 * sums * sizeof(double) + 2 * (all_of + workers * g.length) * size)
    if workspace == NULL:
        return False
    g.totals = <double *> workspace
    g.slopes = g.totals + sums
    g.sums = <char *> (g.slopes + sums)
    if g.spread:
        g.pattern = spread_numbers(g, g.weight, 1, g.sums + 2 * workers * g.length * size)
        g.shift = spread_numbers(g, g.bias, 0, g.sums + (2 * workers * g.length + all_of) * size)
    if g.direction == FORWARD:
        parallel(forward_rows, g, ceil_div(g.N * g.G, g.group), workers, work)
    elif g.spread:
        parallel(backward_patterns, g, parts, workers, work)
        sum_patterns(g, parts)
    else:
        parallel(backward_segments, g, ceil_div(g.N * g.G, g.group), workers, work)
        if g.dw != NULL or g.db != NULL:
            sum_segments(g)
    release(workspace)
    return True


cdef int run(Rows *g) except -1:
    cdef bint enough
    with nogil:
        enough = normalise_rows(g, threads())
    if not enough:
        raise MemoryError("no memory for the sums of rows")
    return 0


def row_norm(x, weight, bias, mean, invstd, var, y, Sizes sizes, double eps):
    """y = (x - m)*s*weight + bias for each row of x (N, G, S, P). weight and bias are (G*S,), or None for 1 and 0.

    m and v are the mean and the variance of the n = S*P elements of a row, and s = 1/sqrt(v + eps). They are written to
    mean, var and invstd (N*G,), unless these are None. Writes all of y; no overlap. REDUCTION(2*n + 10).
    """
    cdef Buffers b
    cdef Rows g
    b.count = 0
    try:
        g = describe_rows(tiles(is_double(borrow(&b, x, False))), sizes[0], sizes[1], sizes[2], sizes[3],
                          weight is not None or bias is not None)
        g.x, g.out, g.eps = <const char *> b.each[0].buf, writes(&b, y), eps
        g.weight, g.bias = reads(&b, weight), reads(&b, bias)
        g.mean, g.invstd, g.var = writes(&b, mean), writes(&b, invstd), <double *> writes(&b, var)
        run(&g)
    finally:
        give_back(&b)


def row_norm_backward(dy, x, weight, mean, invstd, dx, dw, db, Sizes sizes):
    """The gradients dx (N, G, S, P), dw (G*S,) and db (G*S,), each unless it is None.

    dy, x (N, G, S, P); weight, mean, invstd as given to and written by the forward; no overlap. dx is
    REDUCTION(S*P + 10), dw and db are REDUCTION(N*P + 4).
    """
    cdef Buffers b
    cdef Rows g
    b.count = 0
    try:
        g = describe_rows(tiles(is_double(borrow(&b, x, False))), sizes[0], sizes[1], sizes[2], sizes[3],
                          weight is not None or dw is not None or db is not None)
        g.direction, g.x, g.dy = BACKWARD, <const char *> b.each[0].buf, reads(&b, dy)
        g.weight = reads(&b, weight)
        g.mean, g.invstd = <char *> reads(&b, mean), <char *> reads(&b, invstd)
        g.out, g.dw, g.db = writes(&b, dx), writes(&b, dw), writes(&b, db)
        run(&g)
    finally:
        give_back(&b)
