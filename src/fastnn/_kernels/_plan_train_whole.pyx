"""A training step that goes step after step over the whole batch: each is shared out among the threads for itself.

Values are arrays (N, elements), as the layers have them. They lie one after the other in memory that stays::

    memory   value 1 | value 2 | ... | one gradient | another one
"""
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from fastnn._kernels._activation cimport Map, apply, describe_map
from fastnn._kernels._loss cimport Rows, forward_and_backward_rows
from fastnn._kernels._matmul cimport Gradient, Linear, describe_linear, linear, linear_gradients
from fastnn._kernels._plan_train_steps cimport CROSS_ENTROPY, LINEAR, Call, Step
from fastnn._kernels._table cimport parallel
from fastnn._kernels.fnn cimport FNN_DISTANCE, FNN_relu, ceil_div

cdef enum:
    CHUNK = 16384  # elements of scores
    BLOCK = 1024   # elements whose losses are added in their own precision


cdef Py_ssize_t memory_of_whole(const Call *g) noexcept nogil:
    return (g.values + 2 * g.widest) * g.N * g.t.itemsize


cdef Py_ssize_t loss_chunks(const Call *g) noexcept nogil:
    if g.loss == CROSS_ENTROPY:
        return ceil_div(g.scores.groups, g.scores.chunk)
    return ceil_div(g.N * g.outputs, <Py_ssize_t> CHUNK)


cdef inline char *value(const Call *g, Py_ssize_t at) noexcept nogil:
    """Where a value begins; the input is the caller's."""
    return <char *> g.x if at == 0 else g.memory + at * g.N * g.t.itemsize


cdef void map_all(const Call *g, Py_ssize_t function, const double *settings, const char *dy, const char *x, char *y,
                  Py_ssize_t width) noexcept nogil:
    cdef Map map = describe_map(g.t, function, g.N * width, 0, settings[0], settings[1])
    apply(&map, dy, x, y, g.workers)


cdef bint forward(const Call *g) noexcept nogil:
    cdef Py_ssize_t i
    cdef const Step *step
    cdef Linear rows
    for i in range(g.count):
        step = g.steps + i
        if step.kind == LINEAR:
            rows = describe_linear(g.t, g.N, step.outputs, step.inputs, step.relu)
            rows.x, rows.y = value(g, step.x), value(g, step.y)
            rows.w = <const char *> g.parameters[step.weight]
            rows.b = <const char *> g.parameters[step.bias] if step.bias >= 0 else NULL
            if not linear(&rows, g.workers):
                return False
        else:
            map_all(g, step.function, step.settings, NULL, value(g, step.x), value(g, step.y), step.inputs)
    return True


cdef void squared_errors(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """The losses of some elements, and their gradients in the place of the first gradient."""
    cdef const Call *g = <const Call *> job
    cdef Py_ssize_t size = g.t.itemsize, i = chunk * CHUNK, end = min(g.N * g.outputs, i + CHUNK), n, at
    cdef char *dy = g.memory + g.values * g.N * size
    cdef const char *x = value(g, g.steps[g.count - 1].y)
    cdef double block[BLOCK]
    cdef double total = 0
    while i < end:
        n, at = min(end - i, <Py_ssize_t> BLOCK), i * size
        g.t.loss[FNN_DISTANCE][0](x + at, g.target + at, NULL, NULL, g.power, 1, block, n)
        g.t.sums(&total, block, n, 1, n)
        g.t.loss[FNN_DISTANCE][1](x + at, g.target + at, NULL, NULL, g.power, 1 / g.divisor, dy + at, n)
        i += n
    g.losses[chunk] = total


cdef void take_loss(Call *g) noexcept nogil:
    cdef Rows r
    cdef Py_ssize_t chunks = loss_chunks(g)
    cdef double work = 4.0 * g.N * g.outputs
    if g.loss != CROSS_ENTROPY:
        parallel(squared_errors, g, chunks, g.workers, work)
        return
    r = g.scores
    r.x, r.labels, r.sums = value(g, g.steps[g.count - 1].y), <const int64_t *> g.target, g.losses
    r.out, r.scale = g.memory + g.values * g.N * g.t.itemsize, 1 / g.divisor
    parallel(forward_and_backward_rows, &r, chunks, g.workers, work)


cdef bint backward(const Call *g) noexcept nogil:
    cdef Py_ssize_t i, size = g.t.itemsize
    cdef const Step *step
    cdef Gradient rows
    cdef char *dy = g.memory + g.values * g.N * size
    cdef char *dx = dy + g.widest * g.N * size
    for i in range(g.count - 1, g.first - 1, -1):
        step = g.steps + i
        if step.kind != LINEAR:
            map_all(g, step.function, step.settings, dy, value(g, step.y if step.sees_y else step.x), dy, step.inputs)
            continue
        if step.relu:
            map_all(g, FNN_relu, step.settings, dy, value(g, step.y), dy, step.outputs)
        rows.t, rows.N, rows.O, rows.I, rows.dy = g.t, g.N, step.outputs, step.inputs, dy
        rows.x, rows.w = value(g, step.x), <const char *> g.parameters[step.weight]
        rows.dx = dx if i > g.first else NULL
        rows.dw, rows.db = g.gradients[step.weight], g.gradients[step.bias] if step.bias >= 0 else NULL
        if not linear_gradients(&rows):
            return False
        if i > g.first:
            dy, dx = dx, dy
    return True


cdef bint run_whole(Call *g) noexcept nogil:
    cdef Py_ssize_t size = g.t.itemsize
    if not forward(g):
        return False
    if g.y != NULL:
        memcpy(g.y, value(g, g.steps[g.count - 1].y), g.N * g.outputs * size)
    take_loss(g)
    return backward(g)
