"""A training step by groups of examples, which go forward and back through all steps while they are in the cache.

Within a group, a value has a row for each of its elements. So vectors are full even where a layer is narrow::

    x (group, I) of the caller          value (I, ld): element by element, example after example
    e0: a b c                           a d g . . .
    e1: d e f          transpose        b e h . . .
    e2: g h i          -------->        c f i . . .

    forward    y (O, ld)  = w (O, I) x (I, ld)           panel tile; w is read where it lies
    backward   dx (I, ld) = w^T (I, O) dy (O, ld)        panel tile
               dw (O, I)  = dy (O, group) x (I, group)^T dot tile: it multiplies rows by rows

A chunk has some groups, and each group adds its gradients to those of its chunk. Chunks follow from the sizes alone,
and their gradients are added in order. So the bits do not depend on the number of threads.
"""
from libc.stdint cimport int64_t
from libc.string cimport memset

from fastnn._kernels._loss cimport Rows, forward_and_backward_rows
from fastnn._kernels._plan_train_steps cimport CROSS_ENTROPY, LINEAR, MAP, NO_LOSS, Call, Step, gradient
from fastnn._kernels._table cimport parallel
from fastnn._kernels.fnn cimport FNN_ACCUMULATE, FNN_DISTANCE, FNN_RELU, FNN_relu, ceil_div, split_at

cdef enum:
    MOST_WEIGHTS = 2048    # elements of all weights: of more, products of all examples at once are faster
    CACHE_BYTES = 393216   # values and gradients of a group
    MOST_CHUNKS = 16
    CHUNK_WORK = 400000    # the least multiply-adds of a chunk


cdef inline Py_ssize_t vectors(const Call *g, Py_ssize_t n) noexcept nogil:
    """n rounded up to whole tiles of columns."""
    return ceil_div(n, g.t.nr) * g.t.nr


cdef bint by_groups(Call *g) noexcept nogil:
    cdef Py_ssize_t i, weights = 0, fitting
    if g.loss == NO_LOSS or g.dx >= 0:
        return False
    for i in range(g.count):
        if g.steps[i].kind != LINEAR and g.steps[i].kind != MAP or g.steps[i].source != i:
            return False
        if g.steps[i].count != (g.steps[i].kind == LINEAR) or g.steps[i].adds_weight or g.steps[i].adds_bias:
            return False
        weights += g.steps[i].weights
    if weights > MOST_WEIGHTS or g.N < g.t.lanes:
        return False
    g.chunk = max(ceil_div(g.N, <Py_ssize_t> MOST_CHUNKS), ceil_div(<Py_ssize_t> CHUNK_WORK, 3 * weights + 1))
    g.chunk = min(vectors(g, g.chunk), g.N)
    g.chunks = ceil_div(g.N, g.chunk)
    fitting = max(g.t.nr, CACHE_BYTES // (g.values * g.t.itemsize))
    g.group = vectors(g, ceil_div(g.chunk, ceil_div(g.chunk, fitting)))
    g.ld = g.group + g.t.lanes
    return True


cdef Py_ssize_t memory_of_groups(const Call *g) noexcept nogil:
    cdef Py_ssize_t each = ((g.values + g.outputs) * g.ld + g.t.nr) * g.t.itemsize
    return ceil_div(each + g.widest * sizeof(double), <Py_ssize_t> 64) * 64


cdef inline void map_rows(const Call *g, Py_ssize_t function, const double *settings, const char *dy, const char *x,
                          char *y, Py_ssize_t rows, Py_ssize_t n) noexcept nogil:
    """A function of `rows` rows of n elements, or its gradient if dy is not NULL.

    If the gaps between rows are short, they are computed too, in one call for all rows.
    """
    cdef Py_ssize_t i, at, step = g.ld * g.t.itemsize
    if n + g.t.lanes >= g.ld:
        n, rows = (rows - 1) * g.ld + n, 1
    for i in range(rows):
        at = i * step
        if dy == NULL:
            g.t.functions[function].forward(x + at, y + at, n, settings)
        else:
            g.t.functions[function].backward(dy + at, x + at, y + at, n, settings)


cdef void multiply(const Call *g, Py_ssize_t M, Py_ssize_t K, const char *w, Py_ssize_t w_row, Py_ssize_t w_col,
                   const char *x, char *y, Py_ssize_t n, const char *bias, int flags) noexcept nogil:
    """y (M, n) = act(w (M, K) x (K, n) + bias (M,))."""
    cdef Py_ssize_t size = g.t.itemsize, blocks = ceil_div(M, g.t.mr), block, m, j
    for j from 0 <= j < n by g.t.nr:
        for block in range(blocks):
            m = split_at(M, blocks, block)
            g.t.panel(split_at(M, blocks, block + 1) - m, min(g.t.nr, n - j), 1, K, w + m * w_row * size, NULL, w_row,
                      w_col, x + j * size, g.offsets, y + (m * g.ld + j) * size, g.ld,
                      bias + m * size if bias != NULL else NULL, flags, NULL)


cdef void weight_gradient(const Call *g, const Step *step, const char *dy, const char *x, Py_ssize_t n, char *dw,
                          bint more) noexcept nogil:
    cdef Py_ssize_t size = g.t.itemsize, o, i, O = step.outputs, I = step.inputs
    for i from 0 <= i < I by g.t.dot_n:
        for o from 0 <= o < O by g.t.dot_m:
            g.t.dot(min(g.t.dot_m, O - o), min(g.t.dot_n, I - i), n, dy + o * g.ld * size, g.ld, x + i * g.ld * size,
                    g.offsets, dw + (o * I + i) * size, I, NULL, FNN_ACCUMULATE if more else 0, NULL)


cdef void bias_gradient(const Call *g, Py_ssize_t O, const char *dy, Py_ssize_t n, char *db, double *totals,
                        bint more) noexcept nogil:
    cdef Py_ssize_t o
    memset(totals, 0, O * sizeof(double))
    g.t.sums(totals, dy, g.ld, O, n)
    for o in range(O):
        if g.t.itemsize == sizeof(float):
            (<float *> db)[o] = <float> (totals[o] + ((<float *> db)[o] if more else 0))
        else:
            (<double *> db)[o] = totals[o] + ((<double *> db)[o] if more else 0)


cdef double loss_of(const Call *g, Py_ssize_t first, Py_ssize_t n, const char *x, char *dx, char *target,
                    double *totals) noexcept nogil:
    """Return the sum of losses of a group, and write the gradient of its scores x. `target` is room for its targets."""
    cdef Rows r
    cdef double total = 0
    cdef Py_ssize_t k, at, size = g.t.itemsize
    if g.loss == CROSS_ENTROPY:
        r = g.scores
        r.places, r.groups, r.x, r.labels = n, ceil_div(n, r.group), x, (<const int64_t *> g.target) + first
        r.chunk, r.class_step, r.sums, r.scale = r.groups, g.ld, &total, 1 / g.divisor
        r.out = dx
        forward_and_backward_rows(&r, 0, 0)
        return total
    g.t.transpose(target, g.offsets, g.target + first * g.outputs * size, g.outputs, n, g.outputs)
    for k in range(g.outputs):
        at = k * g.ld * size
        g.t.loss[FNN_DISTANCE][0](x + at, target + at, NULL, NULL, g.power, 1, dx + at, n)
    memset(totals, 0, g.outputs * sizeof(double))
    g.t.sums(totals, dx, g.ld, g.outputs, n)
    for k in range(g.outputs):
        total += totals[k]
        at = k * g.ld * size
        g.t.loss[FNN_DISTANCE][1](x + at, target + at, NULL, NULL, g.power, 1 / g.divisor, dx + at, n)
    return total


cdef void forward(const Call *g, char *values, Py_ssize_t first, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i, row = g.ld * g.t.itemsize
    cdef const Step *step
    g.t.transpose(values, g.offsets, g.x + first * g.inputs * g.t.itemsize, g.inputs, n, g.inputs)
    for i in range(g.count):
        step = g.steps + i
        if step.kind == LINEAR:
            multiply(g, step.outputs, step.inputs, <const char *> g.parameters[step.weight], step.inputs, 1,
                     values + step.x * row, values + step.y * row, n,
                     <const char *> g.parameters[step.bias] if step.bias >= 0 else NULL, FNN_RELU if step.relu else 0)
        else:
            map_rows(g, step.function, step.settings, NULL, values + step.x * row, values + step.y * row, step.inputs,
                     n)


cdef void backward(const Call *g, char *values, double *totals, Py_ssize_t n, Py_ssize_t chunk,
                   bint more) noexcept nogil:
    """All gradients of a group, from that of the scores.

    With `more`, the gradients of parameters are added to those of the chunk's earlier groups.
    """
    cdef Py_ssize_t i, row = g.ld * g.t.itemsize
    cdef const Step *step
    cdef char *wanted
    cdef char *dy
    for i in range(g.count - 1, g.first - 1, -1):
        step = g.steps + i
        dy = values + step.dy * row
        if step.kind != LINEAR:
            map_rows(g, step.function, step.settings, dy, values + (step.y if step.sees_y else step.x) * row, dy,
                     step.inputs, n)
            continue
        if step.relu:
            map_rows(g, FNN_relu, NULL, dy, values + step.y * row, dy, step.outputs, n)
        wanted = gradient(g, step.weight, chunk)
        if wanted != NULL:
            weight_gradient(g, step, dy, values + step.x * row, n, wanted, more)
        wanted = gradient(g, step.bias, chunk)
        if wanted != NULL:
            bias_gradient(g, step.outputs, dy, n, wanted, totals, more)
        if i > g.first:
            multiply(g, step.inputs, step.outputs, <const char *> g.parameters[step.weight], 1, step.inputs, dy,
                     values + step.dx.at * row, n, NULL, 0)


cdef void go_through(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Call *g = <const Call *> job
    cdef Py_ssize_t size = g.t.itemsize, row = g.ld * size, first = chunk * g.chunk, n
    cdef Py_ssize_t end = min(g.N, first + g.chunk), begin = first
    cdef char *values = g.memory + slot * g.slot_bytes
    cdef char *target = values + g.values * row
    cdef double *totals = <double *> (target + g.outputs * row + g.t.nr * size)
    cdef const char *scores = values + g.steps[g.count - 1].y * row
    g.losses[chunk] = 0
    while first < end:
        n = min(g.group, end - first)
        forward(g, values, first, n)
        if g.y != NULL:
            g.t.transpose(g.y + first * g.outputs * size, g.offsets + g.widest, scores, g.ld, g.outputs, n)
        g.losses[chunk] += loss_of(g, first, n, scores, values + g.steps[g.count - 1].dy * row, target, totals)
        backward(g, values, totals, n, chunk, first > begin)
        first += n


cdef void run_groups(Call *g) noexcept nogil:
    parallel(go_through, g, g.chunks, g.workers, <double> g.N * g.learnt / 5)
