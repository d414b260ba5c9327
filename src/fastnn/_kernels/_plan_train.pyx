"""A training step as one call: its steps for inputs of one shape, planned once and run often.

Each job has a file, and a file imports only from files above it::

    _plan_train_steps    one step, and the struct of one call
    _plan_train_groups   small perceptrons, by groups of examples whose values lie element by element
    _plan_train_whole    all other networks, by groups or over the whole batch
    _plan_train_learnt   parameters, gradients and update
    _plan_train          the list of steps, as the layers write it down
"""
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.math cimport INFINITY
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

from fastnn._kernels._loss cimport describe_scores, look_at_labels
from fastnn._kernels._plan_buffers cimport Memory
from fastnn._kernels._plan_train_groups cimport by_groups, memory_of_groups, run_groups
from fastnn._kernels._plan_train_learnt cimport Learnt, Update
from fastnn._kernels._plan_train_steps cimport (
    AVERAGE_POOL, CONV, CROSS_ENTROPY, DROP, LINEAR, MAP, MAX_POOL, NORM, SQUARED_ERROR, Call, Kind, Step
)
from fastnn._kernels._plan_train_whole cimport cut, memory_of_whole, run_whole
from fastnn._kernels._pool cimport Windows, describe
from fastnn._kernels._table cimport threads, tiles
from fastnn._kernels.conv_shape cimport Geometry, conv_shape
from fastnn._kernels.fnn cimport ceil_div

cdef enum:
    MOST_STEPS = 64

SEEN_IN_OUTPUT = (b"relu", b"sigmoid", b"tanh")


cdef class TrainingPlan:
    """The steps of a network and its loss for N examples.

    Each kind of step has a method that adds one, and `settle` ends the list. Sizes are those of one example. `w` and
    `b` are places among the parameters, or -1 for none.
    """

    cdef Call g
    cdef Step steps[MOST_STEPS]
    cdef bint is_double, grouped
    cdef Py_ssize_t statistics  # elements that all normalisations save
    cdef Memory memory, small

    def __cinit__(self, Py_ssize_t N, Py_ssize_t inputs, bint is_double):
        self.is_double = is_double
        self.g.t, self.g.workers, self.g.steps = tiles(is_double), threads(), self.steps
        self.g.N, self.g.inputs, self.g.outputs = N, inputs, inputs
        self.statistics = 0
        self.g.count, self.g.values, self.g.widest, self.g.most_learnt = 0, inputs, inputs, 0

    def __len__(self):
        return self.g.count

    def __getattr__(self, step):
        """Steps without a method here have no training step."""
        raise NotImplementedError(f"{step} has no step of training")

    def sizes(self):
        """The examples of a group, and of a chunk."""
        return self.g.group, self.g.chunk

    cdef Step *add(self, Kind kind, Py_ssize_t inputs, Py_ssize_t outputs, bint in_place) except NULL:
        cdef Step *step = self.steps + self.g.count
        if self.g.count == MOST_STEPS:
            raise NotImplementedError(f"more than {MOST_STEPS} steps of training")
        step.kind, step.inputs, step.outputs = kind, inputs, outputs
        step.weight = step.bias = -1
        step.weights = step.biases = step.positions = 0
        step.work = 0
        step.relu = step.relu_first = step.relu_later = step.sees_y = False
        step.settings[0] = step.settings[1] = 0
        step.x = self.steps[self.g.count - 1].y if self.g.count else 0
        step.y = step.x if in_place else self.g.values
        if not in_place:
            self.g.values += outputs
        self.g.widest = max(self.g.widest, outputs)
        self.g.outputs = outputs
        self.g.count += 1
        return step

    def linear(self, Py_ssize_t w, Py_ssize_t b, Py_ssize_t rows, Py_ssize_t I, Py_ssize_t O):
        if rows != 1:
            raise NotImplementedError("several rows of an example have no step of training")
        self.learn(self.add(LINEAR, I, O, False), w, b, O * I, O)

    def conv2d(self, Py_ssize_t w, Py_ssize_t b, Py_ssize_t C, Py_ssize_t H, Py_ssize_t W, Py_ssize_t O, Py_ssize_t OH,
               Py_ssize_t OW, Geometry geometry):
        """C and O are the channels of all groups."""
        cdef Step *step = self.add(CONV, C * H * W, O * OH * OW, False)
        step.conv = conv_shape(self.g.N, C, H, W, O, OH, OW, geometry)
        self.learn(step, w, b, O * step.conv.C * step.conv.KH * step.conv.KW, O)
        step.work *= OH * OW

    cdef void learn(self, Step *step, Py_ssize_t w, Py_ssize_t b, Py_ssize_t weights, Py_ssize_t biases) noexcept:
        step.weight, step.bias, step.weights, step.biases, step.work = w, b, weights, biases, weights
        self.g.most_learnt = max(self.g.most_learnt, weights + biases)

    def max_pool2d(self, Py_ssize_t C, Py_ssize_t H, Py_ssize_t W, Py_ssize_t OH, Py_ssize_t OW, Windows windows):
        cdef Step *before = self.steps + self.g.count - 1
        cdef bint after_relu = self.g.count > 0 and before.kind in (CONV, NORM) and before.relu
        cdef Step *step = self.add_pool(MAX_POOL, C, H, W, OH, OW, windows)
        if step.pool.KH * step.pool.KW > 256:
            raise NotImplementedError("windows of more than 256 pixels have no step of training")
        step.positions = self.g.values
        self.g.values += ceil_div(step.outputs, self.g.t.itemsize)
        step.relu_first = before.relu_later = after_relu

    def avg_pool2d(self, Py_ssize_t C, Py_ssize_t H, Py_ssize_t W, Py_ssize_t OH, Py_ssize_t OW, Windows windows,
                   bint count_padding, Py_ssize_t divisor):
        cdef Step *step = self.add_pool(AVERAGE_POOL, C, H, W, OH, OW, windows)
        step.pool.count_padding, step.pool.divisor = count_padding, divisor

    cdef Step *add_pool(self, Kind kind, Py_ssize_t C, Py_ssize_t H, Py_ssize_t W, Py_ssize_t OH, Py_ssize_t OW,
                        Windows windows) except NULL:
        cdef Step *step = self.add(kind, C * H * W, C * OH * OW, False)
        step.pool = describe(self.g.t, C, H, W, OH, OW, windows)
        return step

    def batch_norm(self, Py_ssize_t mean, Py_ssize_t var, Py_ssize_t w, Py_ssize_t b, Py_ssize_t C, Py_ssize_t P,
                   double momentum, double eps):
        """Normalise C planes of P elements by the batch's moments. `mean` and `var` are places of parameters too."""
        cdef Step *step = self.add(NORM, C * P, C * P, False)
        self.learn(step, w, b, C, C)
        step.mean, step.var, step.channels, step.momentum, step.eps = mean, var, C, momentum, eps
        step.work, step.saved = 0, self.statistics
        self.statistics += 2 * C

    def dropout(self, Py_ssize_t size, Py_ssize_t n, uint64_t threshold, double scale):
        """Drop some of `size` elements, always n neighbours together. Returns the place of the dropout's key."""
        cdef Step *step = self.add(DROP, size, size, False)
        step.drop.t, step.drop.n, step.drop.threshold, step.drop.scale = self.g.t, n, threshold, scale
        return self.g.count - 1

    def set_key(self, Py_ssize_t place, uint64_t stream, uint64_t step):
        """Set the key of the dropout at this place, for the next run."""
        self.steps[place].drop.stream, self.steps[place].drop.step = stream, step

    def fuse_relu(self):
        """Let the last step apply a ReLU while it stores its output. False if it cannot."""
        cdef Step *last = self.steps + self.g.count - 1
        if self.g.count == 0 or last.kind not in (LINEAR, CONV, NORM):
            return False
        last.relu = True
        return True

    def map(self, Py_ssize_t function, Py_ssize_t size, double a=0, double b=0, Py_ssize_t row=0):
        """A function by its place in FNN_FUNCTIONS, for `size` elements. A function of rows has no training step."""
        if row:
            raise NotImplementedError("a function of rows has no step of training")
        cdef bint sees_y = (<bytes> self.g.t.functions[function].name) in SEEN_IN_OUTPUT
        cdef bint after_linear = self.g.count > 0 and self.steps[self.g.count - 1].kind == LINEAR
        cdef Step *step = self.add(MAP, size, size,
                                   sees_y and after_linear and not self.steps[self.g.count - 1].relu)
        step.function, step.sees_y = function, sees_y
        step.settings[0], step.settings[1] = a, b

    def cross_entropy(self, int64_t ignored, double smoothing, bint mean):
        """End with the cross-entropy of the last step's output (N, K) and int64 labels (N,)."""
        self.g.loss = CROSS_ENTROPY
        self.g.divisor = 0 if mean else 1
        self.g.scores = describe_scores(self.g.t, self.g.N, self.g.outputs, 0, ignored, smoothing)

    def mse_loss(self, bint mean):
        """End with the squared error of the last step's output and targets of its shape."""
        self.g.loss = SQUARED_ERROR
        self.g.divisor = self.g.N * self.g.outputs if mean else 1
        self.g.power[0], self.g.power[1], self.g.power[2], self.g.power[3] = INFINITY, 1, INFINITY, 0

    def settle(self, Learnt learnt):
        """End the list: decide all that follows from the shapes, and lay the buffers out."""
        cdef Call *g = &self.g
        cdef Py_ssize_t i, slots, partial
        g.first = g.count
        for i in range(g.count - 1, -1, -1):
            if wanted(learnt, self.steps[i].weight) or wanted(learnt, self.steps[i].bias):
                g.first = i
        g.learnt, g.at = learnt.elements, learnt.at
        self.grouped = by_groups(g)
        if not self.grouped:
            cut(g)
        self.small = Memory(g.chunks * sizeof(double) + (g.widest + g.group) * sizeof(Py_ssize_t)
                            + self.statistics * g.t.itemsize)
        g.statistics = self.small.start + g.chunks * sizeof(double) + (g.widest + g.group) * sizeof(Py_ssize_t)
        g.losses = <double *> self.small.start
        if self.grouped:
            self.lay_rows_out()
        g.slot_bytes = memory_of_groups(g) if self.grouped else memory_of_whole(g)
        slots = (g.workers if g.chunks > 1 else 1) * g.slot_bytes
        partial = ceil_div(g.learnt * g.t.itemsize, <Py_ssize_t> 64) * 64
        self.memory = Memory(slots + (g.chunks - 1) * partial)
        if self.grouped:
            memset(self.memory.start, 0, slots)  # because vectors also read beyond the last example
        g.memory, g.partials = self.memory.start, self.memory.start + slots

    cdef void lay_rows_out(self) noexcept:
        """Fill the table of rows, for groups whose values lie element by element."""
        cdef Call *g = &self.g
        cdef Py_ssize_t i
        if g.loss == CROSS_ENTROPY:
            g.scores = describe_scores(g.t, g.N, g.outputs, g.ld, g.scores.ignored, g.scores.smoothing)
        g.offsets = <Py_ssize_t *> (self.small.start + g.chunks * sizeof(double))
        for i in range(g.widest):
            g.offsets[i] = i * g.ld
        for i in range(g.group):
            g.offsets[g.widest + i] = i * g.outputs

    def holds(self):
        """Whether the tier and the number of threads are still those that the plan was made for."""
        return self.g.t == tiles(self.is_double) and self.g.workers == threads()

    def run(self, x, target, y, Learnt learnt, Update update, bint changes):
        """Return the loss of x and target, which are contiguous, and give the parameters their gradients.

        With `changes`, update the parameters too. y = the scores, unless it is None. Returns None, and changes nothing,
        if the parameters are not those that the plan was made for, or if a label is not a class.
        """
        cdef Py_buffer views[3]
        cdef bint enough, known
        cdef double loss = 0
        if not learnt.look(True):
            return None
        PyObject_GetBuffer(x, &views[0], PyBUF_SIMPLE)
        PyObject_GetBuffer(target, &views[1], PyBUF_SIMPLE)
        self.g.x, self.g.target, self.g.y = <char *> views[0].buf, <char *> views[1].buf, NULL
        if y is not None:
            PyObject_GetBuffer(y, &views[2], PyBUF_SIMPLE | PyBUF_WRITABLE)
            self.g.y = <char *> views[2].buf
            PyBuffer_Release(&views[2])
        with nogil:
            known, enough = self.go(learnt.starts, learnt.to, &loss)
            if known and enough:
                update.go(learnt, self.g.partials, self.g.chunks, changes, self.g.workers)
        PyBuffer_Release(&views[0])
        PyBuffer_Release(&views[1])
        if not enough:
            raise MemoryError("no memory for the workspace of a training step")
        if not known:
            return None
        learnt.give(changes)
        return loss

    cdef (bint, bint) go(self, void **parameters, char **gradients, double *loss) noexcept nogil:
        """Whether all labels are known, and whether there is enough memory."""
        cdef Call *g = &self.g
        cdef double divisor = g.divisor
        cdef Py_ssize_t i
        cdef bint enough = True
        g.parameters, g.gradients = parameters, gradients
        if g.loss == CROSS_ENTROPY:
            g.scores.labels = <const int64_t *> g.target
            look_at_labels(&g.scores)
            if not g.scores.known:
                return False, True
            g.divisor = g.scores.mass if divisor == 0 else divisor
        if self.grouped:
            run_groups(g)
        else:
            run_whole(g)
            enough = g.enough
        for i in range(g.chunks):
            loss[0] += g.losses[i]
        loss[0] /= g.divisor
        g.divisor = divisor
        return True, enough


cdef inline bint wanted(Learnt learnt, Py_ssize_t place) noexcept:
    return place >= 0 and learnt.to[place] != NULL
