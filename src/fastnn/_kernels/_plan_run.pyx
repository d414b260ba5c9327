"""One call of a planned network: stage after stage, and within a stage group after group of images."""
from fastnn._kernels._activation cimport Product, Sum, add_up, describe_product, multiply
from fastnn._kernels._plan_buffers cimport Memory
from fastnn._kernels._plan_stages cimport Stage
from fastnn._kernels._plan_steps cimport INPUT, LOCAL, OUTPUT, PRODUCT, SUM, Place, Step, pack, take
from fastnn._kernels._plan_watch cimport Weights
from fastnn._kernels._table cimport parallel
from fastnn._kernels.conv_way cimport WINOGRAD
from fastnn._kernels.fnn cimport ceil_div


cdef class Packed:
    """The packed weights of each step of a plan, or NULL for a step that needs none."""

    def __cinit__(self, Weights weights, Py_ssize_t steps):
        self.weights, self.places = weights, Memory(steps * sizeof(char *))
        self.at = <char **> self.places.start


cdef char *packed_for(const Step *step, Weights weights, int workers) except? NULL:
    cdef Memory memory
    cdef bint by_winograd = step.way == WINOGRAD
    if step.packed == 0:
        return NULL
    key = step.weight, step.bias, by_winograd, step.conv.shape.G
    memory = weights.packed.get(key)
    if memory is None:
        memory = Memory(step.packed)
        pack(step, weights.starts, memory.start, workers)
        memory = weights.packed.setdefault(key, memory)  # if another thread was first, its copy is kept
    return memory.start


cdef inline char *address(const Run *r, const Place *place, Py_ssize_t n, char *memory, Py_ssize_t size) noexcept nogil:
    """The address of a value for the images from n on."""
    if place.where == LOCAL:
        return memory + place.offset
    return (r.x if place.where == INPUT else r.y if place.where == OUTPUT else r.apart) + place.offset + (
        n * place.size * size)


cdef void put_together(const Step *step, Py_ssize_t images, const char *x, const char *b, char *y,
                       int workers) noexcept nogil:
    """y = x + b, x times b, or x and b joined, for `images` images."""
    cdef Py_ssize_t n = step.inputs // step.count, m = step.others // step.count, rows = images * step.count
    cdef Sum sum
    cdef Product product
    if step.kind == PRODUCT:
        product = describe_product(step.t, rows, n)
        product.x, product.z, product.y = x, b, y
        multiply(&product, workers)
    elif step.kind == SUM:
        sum = step.sum
        sum.total, sum.a, sum.b, sum.y = rows, x, b, y
        add_up(&sum, workers)
    else:
        step.t.copy(y, n + m, x, n, rows, n)
        step.t.copy(y + n * step.t.itemsize, n + m, b, m, rows, m)


cdef void go_through(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """Run the steps of a stage for one group of images."""
    cdef Run *r = <Run *> job
    cdef const Stage *stage = r.stage
    cdef const Step *step
    cdef Py_ssize_t n = chunk * stage.group, images = min(stage.group, r.N - n), i, size = r.steps.t.itemsize
    cdef char *memory = r.memory + slot * stage.memory
    cdef char *x
    cdef char *y
    for i in range(stage.first, stage.last):
        step = r.steps + i
        x, y = address(r, &step.x, n, memory, size), address(r, &step.y, n, memory, size)
        if step.joined:
            continue
        if step.other >= 0:
            put_together(step, images, x, address(r, &step.b, n, memory, size), y, r.workers)
        elif not take(step, n, images, x, y, r.parameters, r.packed[i], memory + stage.between, r.workers):
            r.enough = False
            return


cdef bint run_stages(Run *r, const Stage *stages, Py_ssize_t count, int workers) noexcept nogil:
    cdef Py_ssize_t i
    r.enough = True
    for i in range(count):
        r.stage = stages + i
        if r.stage.group == r.N:
            r.workers = workers
            go_through(r, 0, 0)
        else:
            r.workers = 1
            parallel(go_through, r, ceil_div(r.N, r.stage.group), workers, <double> r.N * 1e6)
    return r.enough
