"""A training step as one call: its steps for inputs of one shape, planned once and run often."""
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.math cimport INFINITY
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy, memset

from fastnn._kernels._loss cimport describe_scores, look_at_labels
from fastnn._kernels._pick cimport Pick, describe_pick
from fastnn._kernels._plan_buffers cimport Memory, start
from fastnn._kernels._plan_train_groups cimport by_groups, memory_of_groups, run_groups
from fastnn._kernels._plan_train_learnt cimport Learnt, Update, wanted
from fastnn._kernels._plan_train_places cimport find_places, find_shared
from fastnn._kernels._plan_train_steps cimport (
    AVERAGE_POOL, CONV, CROSS_ENTROPY, DROP, JOIN, LINEAR, LOOKUP, MAP, MAX_POOL, NO_LOSS, NORM, PICK, PRELU,
    PRODUCT, RESAMPLE, ROW_NORM, SQUARED_ERROR, SUM, TRANSPOSED, Call, Kind, Step, have_pool
)
from fastnn._kernels._plan_train_whole cimport cut, memory_of_whole, run_backward, run_forward, run_whole
from fastnn._kernels._pool cimport Windows, describe
from fastnn._kernels._resample cimport MAXIMUM, describe_resample
from fastnn._kernels._table cimport allocate, release, threads, tiles
from fastnn._kernels.conv_shape cimport Geometry, conv_shape
from fastnn._kernels.fnn cimport ceil_div

SEEN_IN_OUTPUT = (b"relu", b"sigmoid", b"tanh")


cdef class TrainingPlan:
    """The steps of a network and its loss for N examples.

    Each kind of step has a method that adds one, and `settle` ends the list. Sizes are those of one example. `w` and
    `b` are places among the parameters, or -1 for none.
    """

    cdef Call g
    cdef bint is_double, grouped
    cdef Py_ssize_t room, statistics  # steps that there is memory for; elements that all normalisations save
    cdef Py_ssize_t current, marked   # the value that the next step begins with; steps when a value was last marked
    cdef Memory memory, small
    cdef object weights               # of the classes

    def __cinit__(self, Py_ssize_t N, Py_ssize_t inputs, bint is_double):
        self.is_double = is_double
        self.g.t, self.g.workers, self.g.steps = tiles(is_double), threads(), NULL
        self.g.N, self.g.inputs, self.g.outputs = N, inputs, inputs
        self.statistics = self.room = self.current = self.marked = 0
        self.g.count, self.g.widest, self.g.most_learnt = 0, inputs, 0
        self.g.loss, self.g.to_x = NO_LOSS, NULL

    def __dealloc__(self):
        release(self.g.steps)

    def __len__(self):
        return self.g.count

    def __getattr__(self, step):
        """Steps without a method here have no training step."""
        raise NotImplementedError(f"{step} has no step of training")

    def sizes(self):
        """The examples of a group, and of a chunk, and the elements of an example's values and gradients."""
        return self.g.group, self.g.chunk, self.g.values - self.g.inputs

    cdef int have_room(self) except -1:
        """For another step."""
        cdef Step *steps
        if self.g.count < self.room:
            return 0
        steps = <Step *> allocate(2 * (self.room + 8) * sizeof(Step))
        if steps == NULL:
            raise MemoryError("no memory for the plan of a network")
        if self.g.count:
            memcpy(steps, self.g.steps, self.g.count * sizeof(Step))
        release(self.g.steps)
        self.g.steps, self.room = steps, 2 * (self.room + 8)
        return 0

    cdef Step *add(self, Kind kind, Py_ssize_t inputs, Py_ssize_t outputs, Py_ssize_t count,
                   bint in_place=False) except NULL:
        cdef Step *step
        self.have_room()
        step = self.g.steps + self.g.count
        step.kind, step.inputs, step.outputs, step.count = kind, inputs, outputs, count
        step.source, step.other, step.others = self.current, -1, 0
        step.weight = step.bias = -1
        step.weights = step.biases = step.kept = 0
        step.work = 0
        step.relu = step.relu_first = step.relu_later = step.sees_y = step.goes_back = False
        step.settings[0] = step.settings[1] = 0
        step.in_place = in_place
        self.g.widest = max(self.g.widest, outputs)
        self.g.outputs = outputs
        self.g.count += 1
        self.current = self.g.count
        return step

    cdef Step *last_step(self) noexcept:
        """The step whose output the next one begins with, if nobody else needs that output; or NULL."""
        return self.g.steps + self.g.count - 1 if self.current == self.g.count > self.marked else NULL

    def mark(self):
        """The value that the next step begins with; it is to be used again."""
        self.marked = self.g.count
        return self.current

    def go_back(self, Py_ssize_t value):
        self.current = value
        self.g.outputs = self.g.steps[value - 1].outputs if value else self.g.inputs

    def is_whole(self):
        """Whether the last step's output is what the next one would begin with."""
        return self.current == self.g.count

    def add_up(self, Py_ssize_t other, Py_ssize_t size):
        """Of `size` elements of an example."""
        cdef Step *step = self.add(SUM, size, size, 1)
        step.other, step.others = other, size

    def multiply(self, Py_ssize_t other, Py_ssize_t rows, Py_ssize_t n):
        """`rows` of an example, of n elements, each row times an element of the value `other`."""
        cdef Step *step = self.add(PRODUCT, rows * n, rows * n, rows)
        step.other, step.others = other, rows

    def cat(self, Py_ssize_t before, Py_ssize_t rows, Py_ssize_t n, Py_ssize_t m):
        """`rows` of an example, each n elements of the value `before`, and then m."""
        cdef Py_ssize_t after = self.current
        cdef Step *step = self.add(JOIN, rows * n, rows * (n + m), rows)
        step.source = before
        step.other, step.others = after, rows * m

    def linear(self, Py_ssize_t w, Py_ssize_t b, Py_ssize_t rows, Py_ssize_t I, Py_ssize_t O):
        """`rows` of an example."""
        cdef Step *step = self.add(LINEAR, rows * I, rows * O, rows)
        self.learn(step, w, b, O * I, O)
        step.work *= rows

    def embedding(self, Py_ssize_t w, Py_ssize_t count, Py_ssize_t rows, Py_ssize_t D, Py_ssize_t padding_idx):
        """The first step: of int64 indices, `count` of an example, each of which is a row of w (rows, D)."""
        cdef Step *step = self.add(LOOKUP, self.g.inputs, count * D, count)
        self.learn(step, w, -1, rows * D, 0)
        step.work, step.padding_idx = 0, padding_idx

    def row_norm(self, Py_ssize_t w, Py_ssize_t b, rows, double eps):
        """`rows`: how many such arrays in an example, and of each G, S and P as in `_rownorm`."""
        cdef Py_ssize_t count, G, S, P
        count, G, S, P = rows
        cdef Step *step = self.add(ROW_NORM, count * G * S * P, count * G * S * P, count)
        self.learn(step, w, b, G * S, G * S)
        step.work, step.rows.G, step.rows.S, step.rows.P, step.rows.eps = 0, G, S, P, eps
        step.kept = 2 * count * G

    def prelu(self, Py_ssize_t w, Py_ssize_t C, Py_ssize_t P):
        """P elements of a plane."""
        cdef Step *step = self.add(PRELU, C * P, C * P, 1)
        self.learn(step, w, -1, C, 0)
        step.work, step.channels = 0, C

    def resample(self, int kind, Py_ssize_t C, Py_ssize_t H, Py_ssize_t W, Py_ssize_t OH, Py_ssize_t OW,
                 bint align_corners, double scale_h, double scale_w):
        cdef Step *step = self.add(RESAMPLE, C * H * W, C * OH * OW, C)
        step.planes = describe_resample(self.g.t, kind, C, H, W, OH, OW)
        step.planes.align_corners, step.planes.scale_h, step.planes.scale_w = align_corners, scale_h, scale_w
        if kind == MAXIMUM:
            step.kept = step.outputs * sizeof(int64_t) // self.g.t.itemsize

    def conv2d(self, Py_ssize_t w, Py_ssize_t b, Py_ssize_t C, Py_ssize_t H, Py_ssize_t W, Py_ssize_t O, Py_ssize_t OH,
               Py_ssize_t OW, Geometry geometry):
        """C and O are the channels of all groups."""
        cdef Step *step = self.add(CONV, C * H * W, O * OH * OW, 1)
        step.conv = conv_shape(self.g.N, C, H, W, O, OH, OW, geometry)
        self.learn(step, w, b, O * step.conv.C * step.conv.KH * step.conv.KW, O)
        step.work *= OH * OW

    def conv_transpose2d(self, Py_ssize_t w, Py_ssize_t b, Py_ssize_t C, Py_ssize_t H, Py_ssize_t W, Py_ssize_t O,
                         Py_ssize_t OH, Py_ssize_t OW, Geometry geometry):
        cdef Step *step = self.add(TRANSPOSED, C * H * W, O * OH * OW, 1)
        step.conv = conv_shape(self.g.N, O, OH, OW, C, H, W, geometry)
        self.learn(step, w, b, C * step.conv.C * step.conv.KH * step.conv.KW, O)
        step.work *= H * W

    def pick(self, Py_ssize_t size, Py_ssize_t begin, tuple axes):
        """Pick elements of `size`, from `begin` on. An axis is how many, and how far from one another."""
        cdef Pick picked = describe_pick(self.g.t, size, begin, axes)
        cdef Step *step = self.add(PICK, size, picked.count, 1)
        step.picked = picked

    cdef void learn(self, Step *step, Py_ssize_t w, Py_ssize_t b, Py_ssize_t weights, Py_ssize_t biases) noexcept:
        step.weight, step.bias, step.weights, step.biases, step.work = w, b, weights, biases, weights
        self.g.most_learnt = max(self.g.most_learnt, weights + biases)

    def max_pool2d(self, Py_ssize_t C, Py_ssize_t H, Py_ssize_t W, Py_ssize_t OH, Py_ssize_t OW, Windows windows):
        cdef Step *step = self.last_step()
        cdef bint after_relu = step != NULL and step.kind in (CONV, TRANSPOSED, NORM, SUM) and step.relu
        if windows[0] * windows[1] > 256:
            raise NotImplementedError("windows of more than 256 pixels have no step of training")
        if (step == NULL or step.kind != NORM
                or not have_pool(&self.g, step, describe(self.g.t, C, H, W, OH, OW, windows))):
            step = self.add_pool(MAX_POOL, C, H, W, OH, OW, windows)
            step.relu_first = after_relu
            self.g.steps[self.g.count - 2].relu_later |= after_relu
        step.kept = ceil_div(step.outputs, self.g.t.itemsize)

    def avg_pool2d(self, Py_ssize_t C, Py_ssize_t H, Py_ssize_t W, Py_ssize_t OH, Py_ssize_t OW, Windows windows,
                   bint count_padding, Py_ssize_t divisor):
        cdef Step *step = self.add_pool(AVERAGE_POOL, C, H, W, OH, OW, windows)
        step.pool.count_padding, step.pool.divisor = count_padding, divisor

    cdef Step *add_pool(self, Kind kind, Py_ssize_t C, Py_ssize_t H, Py_ssize_t W, Py_ssize_t OH, Py_ssize_t OW,
                        Windows windows) except NULL:
        cdef Step *step = self.add(kind, C * H * W, C * OH * OW, C)
        step.pool = describe(self.g.t, C, H, W, OH, OW, windows)
        return step

    def batch_norm(self, Py_ssize_t mean, Py_ssize_t var, Py_ssize_t w, Py_ssize_t b, Py_ssize_t C, Py_ssize_t P,
                   double momentum, double eps):
        """Normalise C planes of P elements by the batch's moments. `mean` and `var` are places of parameters too."""
        cdef Step *step = self.add(NORM, C * P, C * P, 1)
        self.learn(step, w, b, C, C)
        step.mean, step.var, step.channels, step.momentum, step.eps = mean, var, C, momentum, eps
        step.work, step.saved = 0, self.statistics
        self.statistics += 2 * C

    def dropout(self, Py_ssize_t size, Py_ssize_t n, uint64_t threshold, double scale):
        """Drop some of `size` elements, always n neighbours together. Returns the place of the dropout's key."""
        cdef Step *step = self.add(DROP, size, size, 1)
        step.drop.t, step.drop.n, step.drop.threshold, step.drop.scale = self.g.t, n, threshold, scale
        return self.g.count - 1

    def set_key(self, Py_ssize_t place, uint64_t stream, uint64_t step):
        """Set the key of the dropout at this place, for the next run."""
        self.g.steps[place].drop.stream, self.g.steps[place].drop.step = stream, step

    def fuse_relu(self):
        """Let the last step apply a ReLU while it stores its output. False if it cannot."""
        cdef Step *last = self.last_step()
        if last == NULL or last.kind not in (LINEAR, CONV, TRANSPOSED, NORM, SUM):
            return False
        last.relu = True
        return True

    def map(self, Py_ssize_t function, Py_ssize_t size, double a=0, double b=0, Py_ssize_t row=0):
        """A function by its place in FNN_FUNCTIONS, for `size` elements, in rows of `row` if it is one of rows."""
        cdef bint sees_y = row > 0 or (<bytes> self.g.t.functions[function].name) in SEEN_IN_OUTPUT
        cdef Step *last = self.last_step()
        cdef bint in_place = sees_y and last != NULL and last.kind == LINEAR and not last.relu
        cdef Step *step = self.add(MAP, size, size, row, in_place)
        step.function, step.sees_y = function, sees_y
        step.settings[0], step.settings[1] = a, b

    def cross_entropy(self, int64_t ignored, double smoothing, bint mean, weight):
        """End with the cross-entropy of the last step's output (N, K), int64 labels (N,), and weight (K,) or None."""
        cdef Py_buffer view
        self.g.loss = CROSS_ENTROPY
        self.g.divisor = 0 if mean else 1
        self.g.scores = describe_scores(self.g.t, self.g.N, self.g.outputs, 0, ignored, smoothing)
        if weight is not None:
            PyObject_GetBuffer(weight, &view, PyBUF_SIMPLE)
            self.weights, self.g.scores.weight = weight, <const char *> view.buf
            PyBuffer_Release(&view)

    def mse_loss(self, bint mean):
        """End with the squared error of the last step's output and targets of its shape."""
        self.g.loss = SQUARED_ERROR
        self.g.divisor = self.g.N * self.g.outputs if mean else 1
        self.g.power[0], self.g.power[1], self.g.power[2], self.g.power[3] = INFINITY, 1, INFINITY, 0

    def settle(self, Learnt learnt, bint needs_dx):
        """End the list: decide all that follows from the shapes, and lay the buffers out. False if one has no use."""
        cdef Call *g = &self.g
        cdef Py_ssize_t i, slots, partial
        for i in range(g.count):
            g.steps[i].goes_back = wanted(learnt, g.steps[i].weight) or wanted(learnt, g.steps[i].bias)
        find_shared(g)
        if not self.is_whole() or not find_places(g, needs_dx):
            return False
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
        return True

    cdef void lay_rows_out(self) noexcept:
        """Fill the table of rows, for groups whose values lie element by element."""
        cdef Call *g = &self.g
        cdef Py_ssize_t i
        cdef const char *weight
        if g.loss == CROSS_ENTROPY:
            weight = g.scores.weight
            g.scores = describe_scores(g.t, g.N, g.outputs, g.ld, g.scores.ignored, g.scores.smoothing)
            g.scores.weight = weight
        g.offsets = <Py_ssize_t *> (self.small.start + g.chunks * sizeof(double))
        for i in range(g.widest):
            g.offsets[i] = i * g.ld
        for i in range(g.group):
            g.offsets[g.widest + i] = i * g.outputs

    def holds(self):
        """Whether the tier and the number of threads are still those that the plan was made for."""
        return self.g.t == tiles(self.is_double) and self.g.workers == threads()

    def forward(self, x, y, Learnt learnt):
        """The first half of a step without a loss: y = the scores of x, both contiguous; x is to stay as it is until
        the other half. False, and nothing has changed, where `learnt` is not what it was."""
        if not learnt.look(True):
            return False
        self.g.x, self.g.y, self.g.parameters = start(x, False), start(y, True), learnt.starts
        with nogil:
            run_forward(&self.g)
        self.check_memory()
        return True

    def backward(self, dy, dx, Learnt learnt):
        """The other half: gradients of the parameters, and dx unless it is None, of the gradient dy of the scores."""
        cdef const char *from_y = start(dy, False)
        if not learnt.look(False):
            raise RuntimeError("parameters were changed between the forward and the backward of a training step")
        self.g.to_x = start(dx, True) if dx is not None else NULL
        self.g.parameters, self.g.gradients = learnt.starts, learnt.to
        with nogil:
            run_backward(&self.g, from_y)
        self.check_memory()
        learnt.give(False)

    cdef int check_memory(self) except -1:
        if not self.g.enough:
            raise MemoryError("no memory for the workspace of a training step")
        return 0

    def run(self, x, target, y, dx, Learnt learnt, Update update, bint changes):
        """Return the loss of x and target, which are contiguous, and give the parameters their gradients.

        With `changes`, update the parameters too. y = the scores, and dx = the gradient of x, unless they are None.
        Returns None, and changes nothing, if the parameters are not those that the plan was made for, or if a label is
        not a class.
        """
        cdef bint known
        cdef double loss = 0
        if not learnt.look(True):
            return None
        self.g.x, self.g.target = start(x, False), start(target, False)
        self.g.y = start(y, True) if y is not None else NULL
        self.g.to_x = start(dx, True) if dx is not None else NULL
        self.g.enough = True
        with nogil:
            known = self.go(learnt.starts, learnt.to, &loss)
            if known and self.g.enough:
                update.go(learnt, self.g.partials, self.g.chunks, changes, self.g.workers)
        self.check_memory()
        if not known:
            return None
        learnt.give(changes)
        return loss

    cdef bint go(self, void **parameters, char **gradients, double *loss) noexcept nogil:
        """Whether all labels are known."""
        cdef Call *g = &self.g
        cdef double divisor = g.divisor
        cdef Py_ssize_t i
        g.parameters, g.gradients = parameters, gradients
        if g.loss == CROSS_ENTROPY:
            g.scores.labels = <const int64_t *> g.target
            look_at_labels(&g.scores)
            if not g.scores.known:
                return False
            g.divisor = g.scores.mass if divisor == 0 else divisor
        if self.grouped:
            run_groups(g)
        else:
            run_whole(g)
        for i in range(g.chunks):
            loss[0] += g.losses[i]
        loss[0] /= g.divisor
        g.divisor = divisor
        return True
