"""Batch normalisation, channel by channel. A channel is read twice, the second time while it is in the cache.

A channel is cut into blocks that stay in the first-level cache. The moments of the blocks are put together (Chan, Golub
and LeVeque 1983). So the first reading takes the channel from memory once. The second reading goes backwards,
from the block that was read last. docs/dev/normalisation.md draws both. Blocks depend on the shape alone, so any number
of threads gives the same bits. The sums of blocks are added in double precision. If squares leave the range of the
dtype, the variance shows it, and the channel is computed again, scaled (`scaled.pxd`).
"""
from libc.math cimport sqrt
from libc.string cimport memcpy

from fastnn._kernels._table cimport allocate, parallel, release, threads, tiles
from fastnn._kernels.buffers cimport Buffers, borrow, give_back, is_double, reads, writes
from fastnn._kernels.direction cimport BACKWARD, FORWARD
from fastnn._kernels.fnn cimport FNN_NORM_BLOCK, FNN_NORM_ROWS, FNN_RELU, ceil_div, fits, fnn_tiles, split_at
from fastnn._kernels.scaled cimport Scaled, in_range, scaled_apply, scaled_moments

ctypedef fused real:
    float
    double

cdef enum:
    CHUNK = 16384  # the least elements of a chunk
    MANY_BLOCKS = 8  # blocks of rows, from which a chunk has all columns: rows are then read in the order of memory
    EACH = 4096    # elements of a chunk with `each`: it stays in the first-level cache

cdef Norm describe_norm(fnn_tiles *t, Py_ssize_t N, Py_ssize_t C, Py_ssize_t P) noexcept nogil:
    cdef Norm g
    g.t, g.direction, g.N, g.C, g.P = t, FORWARD, N, C, P
    g.each = P < t.lanes
    g.columns = P if g.each else 1
    g.parts = 1 if g.each else ceil_div(P, <Py_ssize_t> FNN_NORM_BLOCK)
    g.images = FNN_NORM_ROWS if g.each else max(<Py_ssize_t> 1, FNN_NORM_BLOCK // P)
    g.blocks = ceil_div(N, g.images) * g.parts
    g.group = max(<Py_ssize_t> 1, CHUNK // max(N * P, <Py_ssize_t> 1))
    if g.each:
        g.group = max(max(<Py_ssize_t> 1, EACH // max(N * P, <Py_ssize_t> 1)), ceil_div(64, P))
        if g.blocks >= MANY_BLOCKS:
            g.group = C
    g.group = min(g.group, C)
    g.cuts = 1
    g.x = g.dy = g.relu = g.weight = g.bias = NULL
    g.out = g.running_mean = g.running_var = g.saved_mean = g.saved_invstd = g.dw = g.db = NULL
    g.flags = 0
    return g


cdef inline void block_at(const Norm *g, Py_ssize_t b, Py_ssize_t *image, Py_ssize_t *images, Py_ssize_t *start,
                          Py_ssize_t *length) noexcept nogil:
    """Find block b of a channel: `images` images from `image` on, and `length` elements of each from `start` on."""
    cdef Py_ssize_t part = b % g.parts
    image[0] = b // g.parts * g.images
    images[0] = min(g.images, g.N - image[0])
    start[0] = split_at(g.P, g.parts, part)
    length[0] = split_at(g.P, g.parts, part + 1) - start[0]


cdef void collect(const Norm *g, Py_ssize_t c_from, Py_ssize_t c_to, Py_ssize_t b_from, Py_ssize_t b_to) noexcept nogil:
    """Compute the moments of x, or the sums of the backward, for the blocks b_from <= b < b_to of some channels."""
    cdef Py_ssize_t size = g.t.itemsize, step = g.C * g.P, b, c, image, images, start, length, at, to
    for c from c_from <= c < c_to by (c_to - c_from if g.each else 1):
        for b in range(b_from, b_to):
            block_at(g, b, &image, &images, &start, &length)
            if g.each:
                length = (c_to - c_from) * g.P
            at = (image * g.C + c) * g.P + start
            to = b * g.C * g.columns + c * g.columns
            if g.direction == FORWARD:
                g.t.norm_moments(g.x, at, images, step, length, g.each, g.first + to, g.second + to)
            else:
                g.t.norm_sums(g.dy, g.x, g.relu, at, images, step, length,
                              g.each, g.mean + c * g.columns * size, g.invstd + c * g.columns * size, g.first + to,
                              g.second + to)


cdef void write(const Norm *g, Py_ssize_t c_from, Py_ssize_t c_to, Py_ssize_t b_from, Py_ssize_t b_to) noexcept nogil:
    """Write the output of the blocks b_from <= b < b_to of some channels, last block first."""
    cdef Py_ssize_t size = g.t.itemsize, step = g.C * g.P, b, c, image, images, start, length, at, of
    for c from c_from <= c < c_to by (c_to - c_from if g.each else 1):
        of = c * g.columns * size
        for b in range(b_to - 1, b_from - 1, -1):
            block_at(g, b, &image, &images, &start, &length)
            if g.each:
                length = (c_to - c_from) * g.P
            at = (image * g.C + c) * g.P + start
            if g.direction == FORWARD:
                g.t.norm_apply(g.x, g.out, at, images, step, length, g.each, g.mean + of, g.scale + of,
                               g.shift + of, g.flags)
            else:
                g.t.norm_backward(g.dy, g.x if g.training else NULL, g.relu, g.out, at, images, step, length, g.each,
                                  g.mean + of, g.invstd + of, g.scale + of, g.shift + of, g.slope + of)


cdef inline double elements(const Norm *g, Py_ssize_t b) noexcept nogil:
    """The number of elements of block b in one channel, or with `each` in one of its columns."""
    cdef Py_ssize_t image, images, start, length
    block_at(g, b, &image, &images, &start, &length)
    return <double> images * (length // g.columns)


# Loops over channels are innermost and over plain arrays, so that compilers turn them into vector code: there may be
# thousands of channels of few elements.

cdef void moments(const Norm *g, Py_ssize_t c_from, Py_ssize_t c_to, double *mean, double *var) noexcept nogil:
    """The mean and variance of channels from the moments of their blocks. Both are 0 if there are no elements."""
    cdef Py_ssize_t b, j, c, columns = g.columns
    cdef double n, apart, each = 1 / max(<double> g.N * g.P, 1.0)
    cdef const double *means
    cdef const double *squares
    if g.blocks == columns == 1:
        for c in range(c_from, c_to):
            mean[c] = g.first[c]
            var[c] = 0 if g.second[c] < 0 else g.second[c] * each
        return
    for c in range(c_from, c_to):
        mean[c] = var[c] = 0
    for b in range(g.blocks):
        n = elements(g, b)
        for j in range(columns):
            means = g.first + b * g.C * columns + j
            for c in range(c_from, c_to):
                mean[c] += means[c * columns] * n
    for c in range(c_from, c_to):
        mean[c] *= each
    for b in range(g.blocks):
        n = elements(g, b)
        for j in range(columns):
            means = g.first + b * g.C * columns + j
            squares = g.second + b * g.C * columns + j
            for c in range(c_from, c_to):
                apart = means[c * columns] - mean[c]
                var[c] += squares[c * columns] + apart * apart * n
    for c in range(c_from, c_to):
        var[c] = 0 if var[c] < 0 else var[c] * each  # rounding may leave less than 0; NaN stays


cdef void sums(const Norm *g, Py_ssize_t c_from, Py_ssize_t c_to, double *total, double *slope) noexcept nogil:
    """The sums of dy, and of dy*(x - mean)*invstd, from the sums of blocks. They are 0 if the blocks were not read."""
    cdef Py_ssize_t b, j, c, columns = g.columns
    cdef const double *totals
    cdef const double *slopes
    for c in range(c_from, c_to):
        total[c] = slope[c] = 0
    for b in range(g.blocks if g.looks else 0):
        for j in range(columns):
            totals = g.first + b * g.C * columns + j
            slopes = g.second + b * g.C * columns + j
            for c in range(c_from, c_to):
                total[c] += totals[c * columns]
                slope[c] += slopes[c * columns]


cdef void spread(const Norm *g, Py_ssize_t c_from, Py_ssize_t c_to, const double *number, real *out) noexcept nogil:
    """Copy the number of each channel to each of its columns."""
    cdef Py_ssize_t c, j, columns = g.columns
    for j in range(columns):
        for c in range(c_from, c_to):
            out[c * columns + j] = <real> number[c]


cdef void forward_numbers(const Norm *g, Py_ssize_t c_from, Py_ssize_t c_to, real *running_mean) noexcept nogil:
    """Prepare mean, scale and shift of some channels for the tiles. In train mode they follow from the blocks."""
    cdef real *running_var = <real *> g.running_var
    cdef real *saved_mean = <real *> g.saved_mean
    cdef real *saved_invstd = <real *> g.saved_invstd
    cdef const real *weight = <const real *> g.weight
    cdef const real *bias = <const real *> g.bias
    cdef double *mean = g.numbers
    cdef double *var = mean + g.C
    cdef double *scale = var + g.C
    cdef Py_ssize_t c
    cdef double count = <double> g.N * g.P, step = g.momentum, eps = g.eps, unbiased = count / max(count - 1, 1.0)
    if not g.training:
        for c in range(c_from, c_to):
            mean[c], var[c] = running_mean[c], running_var[c]
    else:
        moments(g, c_from, c_to, mean, var)
    for c in range(c_from, c_to):
        scale[c] = 1 / sqrt(var[c] + eps)
    if g.training:
        for c in range(c_from, c_to):
            g.far[c] = not in_range(var[c], eps, real is double)
            if g.far[c]:
                scaled_moments(<const real *> g.x + c * g.P, g.N, g.C * g.P, g.P, eps, mean + c, var + c, scale + c)
        if running_mean != NULL and count > 0:
            for c in range(c_from, c_to):
                running_mean[c] = <real> ((1 - step) * running_mean[c] + step * mean[c])
                running_var[c] = <real> ((1 - step) * running_var[c] + step * unbiased * var[c])
    if saved_mean != NULL:
        for c in range(c_from, c_to):
            saved_mean[c], saved_invstd[c] = <real> mean[c], <real> scale[c]
    spread(g, c_from, c_to, mean, <real *> g.mean)
    for c in range(c_from, c_to):
        scale[c] *= weight[c] if weight != NULL else 1
        mean[c] = bias[c] if bias != NULL else 0
    spread(g, c_from, c_to, scale, <real *> g.scale)
    spread(g, c_from, c_to, mean, <real *> g.shift)


cdef void backward_numbers(const Norm *g, Py_ssize_t c_from, Py_ssize_t c_to, const real *invstd) noexcept nogil:
    """Write dw and db of some channels from the sums of blocks, and prepare scale, shift and slope for dx."""
    cdef real *dw = <real *> g.dw
    cdef real *db = <real *> g.db
    cdef const real *weight = <const real *> g.weight
    cdef double *total = g.numbers
    cdef double *slope = total + g.C
    cdef double *scale = slope + g.C
    cdef Py_ssize_t c
    cdef double each = 1 / max(<double> g.N * g.P, 1.0)
    sums(g, c_from, c_to, total, slope)
    for c in range(c_from, c_to):
        scale[c] = (weight[c] if weight != NULL else 1) * <double> invstd[c]
    if dw != NULL:
        for c in range(c_from, c_to):
            dw[c] = <real> slope[c]
    if db != NULL:
        for c in range(c_from, c_to):
            db[c] = <real> total[c]
    for c in range(c_from, c_to):
        total[c] *= scale[c] * each
        slope[c] *= scale[c] * each
    spread(g, c_from, c_to, scale, <real *> g.scale)
    spread(g, c_from, c_to, total, <real *> g.shift)
    spread(g, c_from, c_to, slope, <real *> g.slope)


cdef void numbers(const Norm *g, Py_ssize_t c_from, Py_ssize_t c_to) noexcept nogil:
    if g.direction == FORWARD and g.t.itemsize == sizeof(float):
        forward_numbers[float](g, c_from, c_to, <float *> g.running_mean)
    elif g.direction == FORWARD:
        forward_numbers[double](g, c_from, c_to, <double *> g.running_mean)
    elif g.t.itemsize == sizeof(float):
        backward_numbers[float](g, c_from, c_to, <const float *> g.saved_invstd)
    else:
        backward_numbers[double](g, c_from, c_to, <const double *> g.saved_invstd)


cdef void whole_channels(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Norm *g = <const Norm *> job
    cdef Py_ssize_t c_from = chunk * g.group, c_to = min(g.C, (chunk + 1) * g.group)
    if g.looks:
        collect(g, c_from, c_to, 0, g.blocks)
    numbers(g, c_from, c_to)
    if g.out != NULL:
        write(g, c_from, c_to, 0, g.blocks)


cdef void collect_part(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Norm *g = <const Norm *> job
    cdef Py_ssize_t c_from = chunk // g.cuts * g.group, cut = chunk % g.cuts
    collect(g, c_from, min(g.C, c_from + g.group), split_at(g.blocks, g.cuts, cut), split_at(g.blocks, g.cuts, cut + 1))


cdef void all_numbers(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Norm *g = <const Norm *> job
    numbers(g, 0, g.C)


cdef void write_part(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Norm *g = <const Norm *> job
    cdef Py_ssize_t c_from = chunk // g.cuts * g.group, cut = chunk % g.cuts
    write(g, c_from, min(g.C, c_from + g.group), split_at(g.blocks, g.cuts, cut), split_at(g.blocks, g.cuts, cut + 1))


cdef void write_far(const Norm *g, Py_ssize_t c, const real *x, real *y, const real *weight,
                    const real *bias) noexcept nogil:
    """Write the output of a channel again, scaled. In the dtype 1/sqrt(var + eps) may be below the smallest number."""
    cdef double mean, var, invstd
    cdef Py_ssize_t at = c * g.P, step = g.C * g.P
    cdef Scaled s = scaled_moments(x + at, g.N, step, g.P, g.eps, &mean, &var, &invstd)
    if s.unit:
        scaled_apply(s, x + at, y + at, g.N, step, g.P, weight[c] if weight != NULL else 1,
                     bias[c] if bias != NULL else 0, g.flags & FNN_RELU)


cdef char *room_for(Norm *g) noexcept nogil:
    cdef Py_ssize_t columns = g.C * g.columns, size = g.t.itemsize, c, j
    cdef char *workspace = NULL
    if fits((2.0 * g.blocks * columns + 3.0 * g.C) * sizeof(double) + 5.0 * columns * size + g.C):
        workspace = <char *> allocate((2 * g.blocks * columns + 3 * g.C) * sizeof(double) + 5 * columns * size + g.C)
    if workspace == NULL:
        return NULL
    g.first = <double *> workspace
    g.second = g.first + g.blocks * columns
    g.numbers = g.second + g.blocks * columns
    g.mean = <char *> (g.numbers + 3 * g.C)
    g.scale = g.mean + columns * size
    g.shift = g.scale + columns * size
    g.slope = g.shift + columns * size
    g.invstd = g.slope + columns * size
    g.far = g.invstd + columns * size
    if g.direction == BACKWARD and g.columns == 1:
        g.mean, g.invstd = g.saved_mean, g.saved_invstd
    elif g.direction == BACKWARD:
        for c in range(g.C):
            for j in range(c * g.columns, (c + 1) * g.columns):
                memcpy(g.mean + j * size, g.saved_mean + c * size, size)
                memcpy(g.invstd + j * size, g.saved_invstd + c * size, size)
    return workspace


cdef void write_far_channel(const Norm *g, Py_ssize_t c, char *out) noexcept nogil:
    if g.t.itemsize == sizeof(float):
        write_far(g, c, <const float *> g.x, <float *> out, <const float *> g.weight, <const float *> g.bias)
    else:
        write_far(g, c, <const double *> g.x, <double *> out, <const double *> g.weight, <const double *> g.bias)


cdef bint normalise(Norm *g, int workers) noexcept nogil:
    """Run chunks of whole channels. If these are too few for the threads, run parts of channels in two passes."""
    cdef Py_ssize_t groups = ceil_div(g.C, g.group), c
    cdef double work = 3.0 * g.N * g.C * g.P
    cdef char *workspace = room_for(g)
    if workspace == NULL:
        return False
    if groups >= 2 * workers or g.blocks == 1:
        parallel(whole_channels, g, groups, workers, work)
    else:
        g.cuts = min(g.blocks, ceil_div(4 * workers, groups))
        if g.looks:
            parallel(collect_part, g, groups * g.cuts, workers, work)
        parallel(all_numbers, g, 1, workers, 0)
        if g.out != NULL:
            parallel(write_part, g, groups * g.cuts, workers, work)
    if g.direction == FORWARD and g.training:
        for c in range(g.C):
            if g.far[c]:
                write_far_channel(g, c, g.out)
    release(workspace)
    return True


cdef int run(Norm *g) except -1:
    cdef bint enough
    with nogil:
        enough = normalise(g, threads())
    if not enough:
        raise MemoryError("no memory for the moments of channels")
    return 0


cdef Norm of_array(Buffers *b, x, bint whole_batch) except *:
    """The normalisation of an array (N, C, ...)."""
    cdef Py_buffer *a = borrow(b, x, False)
    cdef Py_ssize_t P = 1, axis
    cdef Norm g
    for axis in range(2, a.ndim):
        P *= a.shape[axis]
    g = describe_norm(tiles(is_double(a)), a.shape[0], a.shape[1], P)
    g.x, g.training = <const char *> a.buf, whole_batch
    return g


def batch_norm_forward(x, weight, bias, running_mean, running_var, double momentum, mean, invstd, y, double eps,
                       bint relu, bint training):
    """y = (x - m)*s*weight + bias for each channel of x (N, C, ...), or its ReLU. The others are (C,). No overlap.

    With `training`, m and v are the mean and the variance of the n elements of a channel; without it they are
    running_mean and running_var. s = 1/sqrt(v + eps). m and s are written to mean and invstd unless these are None.
    In training running_mean and running_var, unless None, move by `momentum` towards m and v*n/(n - 1) if n > 0; n = 1
    is not allowed. Weight None means 1, bias None 0. REDUCTION(2*n + 10), without training REDUCTION(8).
    """
    cdef Buffers b
    cdef Norm g
    b.count = 0
    try:
        g = of_array(&b, x, training)
        g.out, g.flags, g.eps, g.momentum, g.looks = writes(&b, y), FNN_RELU if relu else 0, eps, momentum, training
        g.weight, g.bias = reads(&b, weight), reads(&b, bias)
        g.saved_mean, g.saved_invstd = writes(&b, mean), writes(&b, invstd)
        g.running_mean = writes(&b, running_mean) if training else <char *> reads(&b, running_mean)
        g.running_var = writes(&b, running_var) if training else <char *> reads(&b, running_var)
        run(&g)
    finally:
        give_back(&b)


def batch_norm_backward(dy, x, y, weight, mean, invstd, dx, dw, db, bint training):
    """The gradients dx (N, C, P), dw (C,) and db (C,), each unless it is None.

    dy, x, y (N, C, P); weight, mean, invstd (C,) as given to and written by the forward; no overlap. If y is not None,
    it is the output of a ReLU after the normalisation, and dy is the gradient of y. Without `training` mean and invstd
    are constants that do not depend on x. REDUCTION(N*P + 8).
    """
    cdef Buffers b
    cdef Norm g
    b.count = 0
    try:
        g = of_array(&b, x, training)
        g.direction, g.dy, g.relu = BACKWARD, reads(&b, dy), reads(&b, y)
        g.weight = reads(&b, weight)
        g.saved_mean, g.saved_invstd = <char *> reads(&b, mean), <char *> reads(&b, invstd)
        g.out, g.dw, g.db = writes(&b, dx), writes(&b, dw), writes(&b, db)
        g.looks = training or dw is not None or db is not None
        run(&g)
    finally:
        give_back(&b)
