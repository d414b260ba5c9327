"""A training step whose values lie as in the layers: (examples, elements).

A network with convolutions takes chunks of examples, which threads share. Within a chunk, one group of examples after
another goes forward and back through all steps, while it is in the cache. Its gradients are added to the chunk's.

The whole batch is one group in three cases. With many parameters, reading all weights for few examples costs more than
values that leave the cache. Batch normalisation and dropout need the whole batch. Then threads share each step. Memory
of a thread::

    value 1 | value 2 | ... | dy | dx | gradients of a group's parameters | sums of losses
"""
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from fastnn._kernels._loss cimport Rows, forward_and_backward_rows
from fastnn._kernels._plan_train_steps cimport (
    CONV, CROSS_ENTROPY, DROP, MAP, NORM, Call, Step, gradient, step_backward, step_forward
)
from fastnn._kernels._table cimport parallel
from fastnn._kernels.fnn cimport FNN_DISTANCE, ceil_div

cdef enum:
    MOST_LEARNT = 131072    # elements of gradients: with more, each chunk would read too many
    CACHE_BYTES = 1048576   # values and gradients of a group
    MOST_CHUNKS = 16
    CHUNK_WORK = 400000     # the least multiply-adds of a chunk
    WORK_OF_A_SUM = 256     # the least multiply-adds of a chunk for each of its gradients, which is added to the others
    CHUNK = 16384           # scores of a chunk of the loss
    BLOCK = 1024            # scores whose losses are added in the dtype of the scores

cdef struct Errors:
    const Call *g
    const char *x
    const char *target
    char *dx
    double *sums
    Py_ssize_t count


cdef double work_of(const Call *g) noexcept nogil:
    """Multiply-adds of an example, forward and back."""
    cdef Py_ssize_t i
    cdef double work = 0
    for i in range(g.count):
        work += 3 * g.steps[i].work
    return work


cdef void cut(Call *g) noexcept nogil:
    cdef Py_ssize_t i, bytes_each = (g.values + 2 * g.widest) * g.t.itemsize
    cdef double work = work_of(g)
    cdef bint convolves = False, apart = True
    for i in range(g.count):
        convolves |= g.steps[i].kind == CONV
        apart &= g.steps[i].kind != NORM and g.steps[i].kind != DROP  # these two depend on the whole batch
    g.chunk = g.group = g.N
    if convolves and apart and g.learnt <= MOST_LEARNT:
        g.chunk = <Py_ssize_t> (max(<double> CHUNK_WORK, <double> WORK_OF_A_SUM * g.learnt) / work) + 1
        g.chunk = min(g.N, max(g.chunk, ceil_div(g.N, <Py_ssize_t> MOST_CHUNKS)))
        g.chunk = ceil_div(g.N, ceil_div(g.N, g.chunk))
        g.group = max(<Py_ssize_t> 1, CACHE_BYTES // bytes_each)
        g.group = ceil_div(g.chunk, ceil_div(g.chunk, g.group))
    g.chunks = ceil_div(g.N, g.chunk)


cdef Py_ssize_t loss_chunks(const Call *g, Py_ssize_t n) noexcept nogil:
    if g.loss == CROSS_ENTROPY:
        return ceil_div(ceil_div(n, g.scores.group), g.scores.chunk)
    return ceil_div(n * g.outputs, <Py_ssize_t> CHUNK)


cdef Py_ssize_t memory_of_whole(const Call *g) noexcept nogil:
    cdef Py_ssize_t each = ((g.values + 2 * g.widest) * g.group + g.most_learnt) * g.t.itemsize
    return ceil_div(each, <Py_ssize_t> 64) * 64 + ceil_div(loss_chunks(g, g.group), <Py_ssize_t> 8) * 64


cdef void squared_errors(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Errors *e = <const Errors *> job
    cdef const Call *g = e.g
    cdef Py_ssize_t size = g.t.itemsize, i = chunk * CHUNK, end = min(e.count, i + CHUNK), n, at
    cdef double block[BLOCK]
    cdef double total = 0
    while i < end:
        n, at = min(end - i, <Py_ssize_t> BLOCK), i * size
        g.t.loss[FNN_DISTANCE][0](e.x + at, e.target + at, NULL, NULL, g.power, 1, block, n)
        g.t.sums(&total, block, n, 1, n)
        g.t.loss[FNN_DISTANCE][1](e.x + at, e.target + at, NULL, NULL, g.power, 1 / g.divisor, e.dx + at, n)
        i += n
    e.sums[chunk] = total


cdef double loss_of(const Call *g, Py_ssize_t first, Py_ssize_t n, const char *x, char *dx, double *sums,
                    int workers) noexcept nogil:
    """Return the sum of losses of n examples, and write the gradient of their scores x."""
    cdef Rows r
    cdef Errors e
    cdef Py_ssize_t i, chunks = loss_chunks(g, n)
    cdef double total = 0, work = 4.0 * n * g.outputs
    if g.loss == CROSS_ENTROPY:
        r = g.scores
        r.places, r.groups, r.x, r.labels = n, ceil_div(n, r.group), x, (<const int64_t *> g.target) + first
        r.sums, r.out, r.scale = sums, dx, 1 / g.divisor
        parallel(forward_and_backward_rows, &r, chunks, workers, work)
    else:
        e.g, e.x, e.dx, e.sums, e.count = g, x, dx, sums, n * g.outputs
        e.target = g.target + first * g.outputs * g.t.itemsize
        parallel(squared_errors, &e, chunks, workers, work)
    for i in range(chunks):
        total += sums[i]
    return total


cdef inline char *place_of(const Call *g, Py_ssize_t place, Py_ssize_t chunk, bint more, char *apart) noexcept nogil:
    """The address where a group writes a gradient, or NULL if there is none.

    The first group of a chunk writes to the chunk's gradient. With `more`, a group writes to `apart`, and adds it then.
    """
    cdef char *whole = gradient(g, place, chunk)
    return apart if more and whole != NULL else whole


cdef void add_gradient(const Call *g, Py_ssize_t place, Py_ssize_t chunk, Py_ssize_t count,
                       const char *part) noexcept nogil:
    cdef char *whole = gradient(g, place, chunk)
    if whole != NULL:
        g.t.add(whole, count, part, count, 1, count)


cdef bint go_back(const Call *g, Py_ssize_t first, Py_ssize_t n, char *memory, Py_ssize_t chunk, bint more,
                  int workers) noexcept nogil:
    cdef Py_ssize_t i, size = g.t.itemsize, row = g.group * size
    cdef const Step *step
    cdef char *dy = memory + g.values * row
    cdef char *dx = dy + g.widest * row
    cdef char *apart = dx + g.widest * row
    cdef const char *x
    for i in range(g.count - 1, g.first - 1, -1):
        step = g.steps + i
        x = memory + step.x * row if step.x else g.x + first * g.inputs * size
        if not step_backward(g, step, n, dy, x, memory + step.y * row, memory + step.positions * row,
                             dx if i > g.first else NULL, place_of(g, step.weight, chunk, more, apart),
                             place_of(g, step.bias, chunk, more, apart + step.weights * size), workers):
            return False
        if more:
            add_gradient(g, step.weight, chunk, step.weights, apart)
            add_gradient(g, step.bias, chunk, step.biases, apart + step.weights * size)
        if step.kind != MAP:
            dy, dx = dx, dy
    return True


cdef bint go_forward(const Call *g, Py_ssize_t first, Py_ssize_t n, char *memory, int workers) noexcept nogil:
    cdef Py_ssize_t i, size = g.t.itemsize, row = g.group * size
    cdef const Step *step
    cdef const char *x
    for i in range(g.count):
        step = g.steps + i
        x = memory + step.x * row if step.x else g.x + first * g.inputs * size
        if not step_forward(g, step, n, x, memory + step.y * row, memory + step.positions * row, workers):
            return False
    return True


cdef void go_through(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef Call *g = <Call *> job
    cdef Py_ssize_t size = g.t.itemsize, row = g.group * size, first = chunk * g.chunk, n
    cdef Py_ssize_t end = min(g.N, first + g.chunk), begin = first
    cdef int workers = g.workers if g.chunks == 1 else 1
    cdef char *memory = g.memory + slot * g.slot_bytes
    cdef const char *scores = memory + g.steps[g.count - 1].y * row
    cdef double *sums = <double *> (memory + g.slot_bytes - ceil_div(loss_chunks(g, g.group), <Py_ssize_t> 8) * 64)
    g.losses[chunk] = 0
    while first < end:
        n = min(g.group, end - first)
        if not go_forward(g, first, n, memory, workers):
            g.enough = False
            return
        if g.y != NULL:
            memcpy(g.y + first * g.outputs * size, scores, n * g.outputs * size)
        g.losses[chunk] += loss_of(g, first, n, scores, memory + g.values * row, sums, workers)
        if not go_back(g, first, n, memory, chunk, first > begin, workers):
            g.enough = False
            return
        first += n


cdef void run_whole(Call *g) noexcept nogil:
    g.enough = True
    if g.chunks == 1:
        go_through(g, 0, 0)
    else:
        parallel(go_through, g, g.chunks, g.workers, work_of(g) * g.N / 16)
