"""A whole network in eval mode as one call: its steps for inputs of one shape, planned once and run often.

A `Plan` holds what shapes decide, `Weights` know where the parameters lie.
"""
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.string cimport memcpy

from fastnn._kernels._activation cimport Map, apply, describe_map, unary_tile
from fastnn._kernels._conv cimport Conv, convolve
from fastnn._kernels._matmul cimport Linear, describe_linear, linear
from fastnn._kernels._norm cimport Norm, describe_norm, normalise
from fastnn._kernels._pool cimport Pool, avgpool, describe, maxpool
from fastnn._kernels._table cimport allocate, release, threads, tiles
from fastnn._kernels.fnn cimport FNN_RELU, ceil_div, fnn_tiles


# ---- What must not change ------------------------------------------------------------------------------------------

cdef object ANYTHING = object()


cdef class Unchanged:
    """True as long as the modules have the attributes that they had: the same objects under all names but `but`."""

    cdef list modules, names, values

    def __init__(self, modules, but):
        self.modules = list(modules)
        self.names = [list(vars(m)) for m in self.modules]
        self.values = [[ANYTHING if n in but else value for n, value in vars(m).items()] for m in self.modules]

    def __bool__(self):
        cdef Py_ssize_t i, at
        cdef dict attributes
        cdef list names, values
        for i in range(len(self.modules)):
            attributes, names, values = self.modules[i].__dict__, <list> self.names[i], <list> self.values[i]
            if len(attributes) != len(names):
                return False
            at = 0
            for name, value in attributes.items():
                if name is not names[at] or value is not values[at] and values[at] is not ANYTHING:
                    return False
                at += 1
        return True


cdef class Weights:
    """Where the arrays of some parameters lie.

    Made of what `Parameter.sealed` gives for each, and of the arrays as a kernel can read them: themselves, or copies.
    The arrays themselves are not kept, but what keeps them is, or `sealed` could not tell that nobody else has them.
    """

    cdef list parameters, keepers, seals, copies
    cdef void **starts

    def __cinit__(self, list parameters, list sealed, list readable):
        cdef Py_ssize_t i
        cdef Py_buffer buffer
        self.parameters = parameters
        self.keepers = [keeper for keeper, _ in sealed]
        self.seals = [seal for _, seal in sealed]
        self.copies = [copy for (keeper, _), copy in zip(sealed, readable) if copy is not keeper[0]]
        self.starts = <void **> allocate(len(parameters) * sizeof(void *))
        if self.starts == NULL:
            raise MemoryError("no memory for the plan of a network")
        for i in range(len(parameters)):
            PyObject_GetBuffer(readable[i], &buffer, PyBUF_SIMPLE)
            self.starts[i] = buffer.buf
            PyBuffer_Release(&buffer)

    def __dealloc__(self):
        release(self.starts)

    def __bool__(self):
        """Whether no parameter can have changed."""
        cdef Py_ssize_t i
        for i in range(len(self.parameters)):
            if self.seals[i] is None or self.parameters[i]._seal is not self.seals[i]:
                return False
        return True


# ---- What shapes decide --------------------------------------------------------------------------------------------

cdef enum Kind:
    CONV
    MAX_POOL
    AVERAGE_POOL
    LINEAR
    MAP
    NORM

cdef struct Step:
    Kind kind
    Py_ssize_t weight, bias  # places among the weights; -1: none
    Py_ssize_t mean, var
    Py_ssize_t outputs       # elements
    Conv conv                # one of these, by its kind
    Pool pool
    Linear linear
    Map map
    Norm norm


cdef inline const char *parameter(void **weights, Py_ssize_t place) noexcept nogil:
    return <const char *> weights[place] if place >= 0 else NULL


cdef bint take(const Step *step, void **weights, const char *x, char *y, int workers) noexcept nogil:
    """y = step(x). False when there is no memory."""
    cdef Conv conv
    cdef Pool pool
    cdef Linear rows
    cdef Map map
    cdef Norm norm
    if step.kind == CONV:
        conv = step.conv
        conv.x, conv.y = x, y
        conv.w, conv.bias = parameter(weights, step.weight), parameter(weights, step.bias)
        return convolve(&conv)
    if step.kind == NORM:
        norm = step.norm
        norm.x, norm.out = x, y
        norm.weight, norm.bias = parameter(weights, step.weight), parameter(weights, step.bias)
        norm.running_mean, norm.running_var = <char *> weights[step.mean], <char *> weights[step.var]
        return normalise(&norm, workers)
    if step.kind == LINEAR:
        rows = step.linear
        rows.x, rows.y = x, y
        rows.w, rows.b = parameter(weights, step.weight), parameter(weights, step.bias)
        linear(&rows, workers)
    elif step.kind == MAP:
        map = step.map
        apply(&map, x, NULL, y, workers)
    else:
        pool = step.pool
        pool.x, pool.y = <char *> x, y
        if step.kind == MAX_POOL:
            maxpool(&pool, workers)
        else:
            avgpool(&pool, workers)
    return True


cdef class Plan:
    """The steps of a network for N inputs; a method for each kind of step adds one. Shapes and windows as the kernels'.

    `w` and `b` are places among the weights, -1 for no bias.
    """

    cdef fnn_tiles *t
    cdef int workers
    cdef bint is_double
    cdef Py_ssize_t N, count, room
    cdef Step *steps

    def __cinit__(self, Py_ssize_t N, bint is_double):
        self.N, self.is_double, self.count, self.room, self.steps = N, is_double, 0, 0, NULL
        self.t, self.workers = tiles(is_double), threads()

    def __dealloc__(self):
        release(self.steps)

    def __len__(self):
        return self.count

    cdef Step *add(self, Kind kind, Py_ssize_t outputs, Py_ssize_t weight=-1, Py_ssize_t bias=-1) except NULL:
        cdef Step *steps
        if self.count == self.room:
            steps = <Step *> allocate(2 * (self.room + 4) * sizeof(Step))
            if steps == NULL:
                raise MemoryError("no memory for the plan of a network")
            if self.count:
                memcpy(steps, self.steps, self.count * sizeof(Step))
            release(self.steps)
            self.steps, self.room = steps, 2 * (self.room + 4)
        steps = self.steps + self.count
        steps.kind, steps.outputs, steps.weight, steps.bias = kind, outputs, weight, bias
        self.count += 1
        return steps

    def conv2d(self, Py_ssize_t w, Py_ssize_t b, Py_ssize_t C, Py_ssize_t H, Py_ssize_t W, Py_ssize_t O, Py_ssize_t KH,
               Py_ssize_t KW, Py_ssize_t SH, Py_ssize_t SW, Py_ssize_t PH, Py_ssize_t PW, Py_ssize_t OH, Py_ssize_t OW):
        cdef Conv *g = &self.add(CONV, self.N * O * OH * OW, w, b).conv
        g.t, g.N, g.C, g.H, g.W, g.O, g.KH, g.KW, g.OH, g.OW = self.t, self.N, C, H, W, O, KH, KW, OH, OW
        g.SH, g.SW, g.PH, g.PW, g.flags = SH, SW, PH, PW, 0

    def maxpool2d(self, Py_ssize_t C, Py_ssize_t H, Py_ssize_t W, Py_ssize_t KH, Py_ssize_t KW, Py_ssize_t SH,
                  Py_ssize_t SW, Py_ssize_t PH, Py_ssize_t PW, Py_ssize_t OH, Py_ssize_t OW):
        cdef Step *step = self.add(MAX_POOL, self.N * C * OH * OW)
        step.pool = describe(self.t, self.N * C, H, W, OH, OW, KH, KW, SH, SW, PH, PW)

    def avgpool2d(self, Py_ssize_t C, Py_ssize_t H, Py_ssize_t W, Py_ssize_t KH, Py_ssize_t KW, Py_ssize_t SH,
                  Py_ssize_t SW, Py_ssize_t PH, Py_ssize_t PW, Py_ssize_t OH, Py_ssize_t OW):
        cdef Step *step = self.add(AVERAGE_POOL, self.N * C * OH * OW)
        step.pool = describe(self.t, self.N * C, H, W, OH, OW, KH, KW, SH, SW, PH, PW)

    def linear(self, Py_ssize_t w, Py_ssize_t b, Py_ssize_t rows, Py_ssize_t I, Py_ssize_t O):
        """`rows` of an input."""
        cdef Step *step = self.add(LINEAR, self.N * rows * O, w, b)
        step.linear = describe_linear(self.t, self.N * rows, O, I, False)

    def batch_norm(self, Py_ssize_t mean, Py_ssize_t var, Py_ssize_t w, Py_ssize_t b, Py_ssize_t C, Py_ssize_t P,
                   double eps):
        """`mean` and `var` are places too. P elements of a plane."""
        cdef Step *step = self.add(NORM, self.N * C * P, w, b)
        step.mean, step.var = mean, var
        step.norm = describe_norm(self.t, self.N, C, P)
        step.norm.training = step.norm.looks = False
        step.norm.eps = eps

    def relu(self, Py_ssize_t size):
        """Of `size` elements of an input; in the store of the step before, if that can be."""
        cdef Step *last = self.steps + self.count - 1
        if self.count and last.kind == CONV:
            last.conv.flags |= FNN_RELU
        elif self.count and last.kind == LINEAR:
            last.linear.relu = True
        elif self.count and last.kind == NORM:
            last.norm.flags |= FNN_RELU
        else:
            self.map(self.t.relu, size, 0, 1)

    def sigmoid(self, Py_ssize_t size):
        self.map(self.t.sigmoid, size, 0, 4)

    def tanh(self, Py_ssize_t size):
        self.map(self.t.tanh, size, 0, 4)

    def softmax(self, Py_ssize_t rows, Py_ssize_t n):
        self.map(self.t.softmax_row, rows * n, n, 4)

    def log_softmax(self, Py_ssize_t rows, Py_ssize_t n):
        self.map(self.t.log_softmax_row, rows * n, n, 4)

    cdef int map(self, unary_tile tile, Py_ssize_t size, Py_ssize_t row, double cost) except -1:
        cdef Step *step = self.add(MAP, self.N * size)
        step.map = describe_map(tile, NULL, self.N * size, row, self.t.itemsize, cost)
        return 0

    def holds(self):
        """Whether it is for the tier and the number of threads that are in use."""
        return self.t == tiles(self.is_double) and self.workers == threads()

    def run(self, x, y, Weights weights):
        """y = the network's output for x, both contiguous; the arrays of the weights are to be held meanwhile."""
        cdef Py_buffer source, target
        cdef bint enough
        PyObject_GetBuffer(x, &source, PyBUF_SIMPLE)
        try:
            PyObject_GetBuffer(y, &target, PyBUF_SIMPLE | PyBUF_WRITABLE)
            with nogil:
                enough = self.steps_through(<const char *> source.buf, <char *> target.buf, weights.starts)
            PyBuffer_Release(&target)
        finally:
            PyBuffer_Release(&source)
        if not enough:
            raise MemoryError("no memory for the workspace of a network")

    cdef bint steps_through(self, const char *x, char *y, void **weights) noexcept nogil:
        """Outputs of steps go to two buffers in turn, the last one's to y; functions of one element stay in theirs."""
        cdef Py_ssize_t i, largest = 0
        cdef char *buffers
        cdef char *to
        cdef bint enough
        cdef const char *source = x
        for i in range(self.count - 1):
            largest = max(largest, self.steps[i].outputs)
        largest = ceil_div(largest * self.t.itemsize, 64) * 64
        buffers = <char *> allocate(2 * largest)
        enough = buffers != NULL
        for i in range(self.count):
            if not enough:
                break
            if i == self.count - 1:
                to = y
            elif self.steps[i].kind == MAP and x != source:
                to = <char *> x
            else:
                to = buffers + largest if x == buffers else buffers
            enough = take(self.steps + i, weights, x, to, self.workers)
            x = to
        release(buffers)
        return enough
