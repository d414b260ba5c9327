"""A training step whose values lie as in the layers: (examples, elements).

A network with convolutions takes chunks of examples, which threads share. Within a chunk, one group of examples after
another goes forward and back through all steps, while it is in the cache. Its gradients are added to the chunk's.

The whole batch is one group in four cases. With many parameters, reading all weights for few examples costs more than
values that leave the cache. Batch normalisation and dropout need the whole batch. Transposed convolutions are faster
over it. Then threads share each step. Memory of a thread::

    values and their gradients | gradients of a group's parameters | sums of losses
"""
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from fastnn._kernels._activation cimport Product, Sum, add_up, describe_product, multiply, product_gradients
from fastnn._kernels._loss cimport Rows, forward_and_backward_rows
from fastnn._kernels._plan_train_steps cimport (
    CONV, CROSS_ENTROPY, DROP, JOIN, NO_LOSS, NORM, NORM_POOL, PRODUCT, SUM, TRANSPOSED, Call, Step, Target, gradient,
    step_backward, step_forward, turn, turns
)
from fastnn._kernels._table cimport parallel
from fastnn._kernels.fnn cimport FNN_DISTANCE, ceil_div, fnn_tiles

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


cdef struct Joined:
    fnn_tiles *t
    char *whole            # each row n elements of one part and then m of the other
    char *parts[2]
    Py_ssize_t lengths[2]
    Py_ssize_t rows        # of an example
    bint splits


cdef inline Py_ssize_t values_and_gradients(const Call *g) noexcept nogil:
    """Elements of an example. The input lies where the caller has it."""
    return g.values - g.inputs


cdef double work_of(const Call *g) noexcept nogil:
    """Multiply-adds of an example, forward and back."""
    cdef Py_ssize_t i
    cdef double work = 0
    for i in range(g.count):
        work += 3 * g.steps[i].work
    return work


cdef Py_ssize_t in_whole_vectors(const Call *g, Py_ssize_t count, Py_ssize_t most) noexcept nogil:
    """The examples of a part, if `count` examples are cut into parts of about `most`. Some kernels lay examples side by
    side in a vector, so parts of a vector or more are whole vectors."""
    cdef Py_ssize_t part = ceil_div(count, ceil_div(count, most)), lanes = g.t.lanes
    return min(count, part if 2 * part < lanes else ceil_div(part, lanes) * lanes)


cdef void cut(Call *g) noexcept nogil:
    cdef Py_ssize_t i, bytes_each = values_and_gradients(g) * g.t.itemsize
    cdef double work = work_of(g)
    cdef bint convolves = False, apart = g.loss != NO_LOSS
    for i in range(g.count):
        convolves |= g.steps[i].kind == CONV
        apart &= g.steps[i].kind not in (NORM, NORM_POOL, DROP, TRANSPOSED)  # these want the whole batch
    g.chunk = g.group = g.N
    if convolves and apart and g.learnt <= MOST_LEARNT:
        g.chunk = <Py_ssize_t> (max(<double> CHUNK_WORK, <double> WORK_OF_A_SUM * g.learnt) / work) + 1
        g.chunk = min(g.N, max(g.chunk, ceil_div(g.N, <Py_ssize_t> MOST_CHUNKS)))
        g.chunk = in_whole_vectors(g, g.N, g.chunk)
        g.group = in_whole_vectors(g, g.chunk, max(<Py_ssize_t> 1, CACHE_BYTES // bytes_each))
    g.chunks = ceil_div(g.N, g.chunk)


cdef Py_ssize_t loss_chunks(const Call *g, Py_ssize_t n) noexcept nogil:
    if g.loss == CROSS_ENTROPY:
        return ceil_div(ceil_div(n, g.scores.group), g.scores.chunk)
    return ceil_div(n * g.outputs, <Py_ssize_t> CHUNK)


cdef Py_ssize_t memory_of_whole(const Call *g) noexcept nogil:
    cdef Py_ssize_t each = (values_and_gradients(g) * g.group + g.most_learnt) * g.t.itemsize
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

    The first to write one writes to the chunk's gradient. With `more`, it is written `apart`, and added then.
    """
    cdef char *whole = gradient(g, place, chunk)
    return apart if more and whole != NULL else whole


cdef void add_gradient(const Call *g, Py_ssize_t place, Py_ssize_t chunk, Py_ssize_t count,
                       const char *part) noexcept nogil:
    cdef char *whole = gradient(g, place, chunk)
    if whole != NULL:
        g.t.add(whole, count, part, count, 1, count)


cdef void join_rows(void *job, Py_ssize_t example, int slot) noexcept nogil:
    cdef const Joined *g = <const Joined *> job
    cdef Py_ssize_t size = g.t.itemsize, length = g.lengths[0] + g.lengths[1], i, n
    cdef char *whole = g.whole + example * g.rows * length * size
    cdef char *part
    for i in range(2):
        n = g.lengths[i]
        if g.parts[i] != NULL:
            part = g.parts[i] + example * g.rows * n * size
            if g.splits:
                g.t.copy(part, n, whole, length, g.rows, n)
            else:
                g.t.copy(whole, length, part, n, g.rows, n)
        whole += n * size


cdef void join(const Call *g, const Step *step, Py_ssize_t n, char *whole, char *x, char *z, bint splits,
               int workers) noexcept nogil:
    """The rows of two values side by side, or such rows split."""
    cdef Joined joined
    joined.t, joined.whole, joined.rows, joined.splits = g.t, whole, step.count, splits
    joined.parts[0], joined.parts[1] = x, z
    joined.lengths[0], joined.lengths[1] = step.inputs // step.count, step.others // step.count
    parallel(join_rows, &joined, n, workers, 2.0 * n * step.outputs)


cdef void sum_up(const Call *g, const char *a, const char *b, char *y, Py_ssize_t total, bint relu,
                 int workers) noexcept nogil:
    cdef Sum both
    both.t, both.a, both.b, both.y, both.total, both.relu = g.t, a, b, y, total, relu
    add_up(&both, workers)


cdef Product product_of(const Call *g, const Step *step, Py_ssize_t n, const char *x, const char *z) noexcept nogil:
    cdef Product product = describe_product(g.t, n * step.count, step.inputs // step.count)
    product.x, product.z = x, z
    return product


cdef inline char *place_in(const Call *g, char *memory, Py_ssize_t at) noexcept nogil:
    """Where a gradient of a value lies, or NULL if it is not wanted."""
    return memory + (at - g.inputs) * g.group * g.t.itemsize if at >= 0 else NULL


cdef inline char *value_at(const Call *g, char *memory, Py_ssize_t first, Py_ssize_t at) noexcept nogil:
    """The value before which there are so many elements; of examples from the first one on."""
    if at == 0:
        return <char *> g.x + first * g.inputs * g.t.itemsize
    return memory + (at - g.inputs) * g.group * g.t.itemsize


cdef void add_to_others(const Call *g, const Target *target, char *memory, Py_ssize_t total,
                        int workers) noexcept nogil:
    if target.at >= 0 and target.total >= 0:
        sum_up(g, place_in(g, memory, target.before), place_in(g, memory, target.at),
               place_in(g, memory, target.total), total, False, workers)


cdef bint go_back(const Call *g, Py_ssize_t first, Py_ssize_t n, char *memory, Py_ssize_t chunk, bint more,
                  int workers) noexcept nogil:
    cdef Py_ssize_t i, size = g.t.itemsize
    cdef const Step *step
    cdef char *apart = place_in(g, memory, g.values)
    cdef char *dy
    cdef char *y
    cdef Product product
    for i in range(g.count - 1, -1, -1):
        step = g.steps + i
        if not step.goes_back:
            continue
        dy, y = place_in(g, memory, step.turned), value_at(g, memory, first, step.y)
        if turns(step):
            turn(g, step, n, place_in(g, memory, step.dy), y, dy, workers)
        if step.kind == PRODUCT:
            product = product_of(g, step, n, value_at(g, memory, first, step.x), value_at(g, memory, first, step.z))
            product.dy, product.dx = dy, place_in(g, memory, step.dx.at)
            product.dz = place_in(g, memory, step.dz.at)
            product_gradients(&product, workers)
        elif step.kind == JOIN:
            join(g, step, n, dy, place_in(g, memory, step.dx.at), place_in(g, memory, step.dz.at), True, workers)
        elif step.kind != SUM and not step_backward(
            g, step, n, dy, value_at(g, memory, first, step.x), y, value_at(g, memory, first, step.positions),
            place_in(g, memory, step.dx.at), place_of(g, step.weight, chunk, more or step.adds_weight, apart),
            place_of(g, step.bias, chunk, more or step.adds_bias, apart + step.weights * size), workers
        ):
            return False
        add_to_others(g, &step.dx, memory, n * step.inputs, workers)
        add_to_others(g, &step.dz, memory, n * step.others, workers)
        if more or step.adds_weight:
            add_gradient(g, step.weight, chunk, step.weights, apart)
        if more or step.adds_bias:
            add_gradient(g, step.bias, chunk, step.biases, apart + step.weights * size)
    return True


cdef bint go_forward(const Call *g, Py_ssize_t first, Py_ssize_t n, char *memory, int workers) noexcept nogil:
    cdef Py_ssize_t i
    cdef const Step *step
    cdef char *x
    cdef char *y
    cdef Product product
    for i in range(g.count):
        step = g.steps + i
        x, y = value_at(g, memory, first, step.x), value_at(g, memory, first, step.y)
        if step.kind == SUM:
            sum_up(g, x, value_at(g, memory, first, step.z), y, n * step.outputs, step.relu, workers)
        elif step.kind == PRODUCT:
            product = product_of(g, step, n, x, value_at(g, memory, first, step.z))
            product.y = y
            multiply(&product, workers)
        elif step.kind == JOIN:
            join(g, step, n, y, x, value_at(g, memory, first, step.z), False, workers)
        elif not step_forward(g, step, n, x, y, value_at(g, memory, first, step.positions), workers):
            return False
    return True


cdef void go_through(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef Call *g = <Call *> job
    cdef Py_ssize_t size = g.t.itemsize, first = chunk * g.chunk, n
    cdef Py_ssize_t end = min(g.N, first + g.chunk), begin = first
    cdef int workers = g.workers if g.chunks == 1 else 1
    cdef char *memory = g.memory + slot * g.slot_bytes
    cdef const char *scores = value_at(g, memory, 0, g.steps[g.count - 1].y)
    cdef double *sums = <double *> (memory + g.slot_bytes - ceil_div(loss_chunks(g, g.group), <Py_ssize_t> 8) * 64)
    g.losses[chunk] = 0
    while first < end:
        n = min(g.group, end - first)
        if not go_forward(g, first, n, memory, workers):
            g.enough = False
            return
        if g.y != NULL:
            memcpy(g.y + first * g.outputs * size, scores, n * g.outputs * size)
        g.losses[chunk] += loss_of(g, first, n, scores, place_in(g, memory, g.steps[g.count - 1].dy), sums, workers)
        if not go_back(g, first, n, memory, chunk, first > begin, workers):
            g.enough = False
            return
        if g.to_x != NULL:
            memcpy(g.to_x + first * g.inputs * size, place_in(g, memory, g.dx), n * g.inputs * size)
        first += n


cdef void run_whole(Call *g) noexcept nogil:
    g.enough = True
    if g.chunks == 1:
        go_through(g, 0, 0)
    else:
        parallel(go_through, g, g.chunks, g.workers, work_of(g) * g.N / 16)


cdef void run_forward(Call *g) noexcept nogil:
    g.enough = go_forward(g, 0, g.N, g.memory, g.workers)
    memcpy(g.y, value_at(g, g.memory, 0, g.steps[g.count - 1].y), g.N * g.outputs * g.t.itemsize)


cdef void run_backward(Call *g, const char *dy) noexcept nogil:
    memcpy(place_in(g, g.memory, g.steps[g.count - 1].dy), dy, g.N * g.outputs * g.t.itemsize)
    g.enough = go_back(g, 0, g.N, g.memory, 0, False, g.workers)
    if g.to_x != NULL:
        memcpy(g.to_x, place_in(g, g.memory, g.dx), g.N * g.inputs * g.t.itemsize)
