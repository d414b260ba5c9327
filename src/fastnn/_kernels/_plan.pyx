"""A whole network in eval mode as one call: its steps for inputs of one shape, planned once and run often.

A `Plan` holds all that follows from shapes. `Weights` holds the addresses of the parameters, and `Packed` the packed
weights. Each job has a file, and a file imports only from files above it::

    _plan_steps     one step of any kind: how it calls its kernel
    _plan_stages    groups of images that go through several steps
    _plan_buffers   lifetimes of values, and where they lie
    _plan_watch     changes of layers and parameters
    _plan_run       one call: stage after stage, group after group
    _plan           the list of steps, as the layers write it down
"""
cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.string cimport memcpy

from fastnn._kernels._activation cimport describe_map
from fastnn._kernels._im2col cimport Border, Frames, Patches, describe_patches
from fastnn._kernels._localnorm cimport describe_local
from fastnn._kernels._matmul cimport describe_linear
from fastnn._kernels._pick cimport Pick, describe_pick
from fastnn._kernels._plan_buffers cimport LINE, place
from fastnn._kernels._plan_run cimport Packed, Run, packed_for, run_stages
from fastnn._kernels._plan_stages cimport Stage, into_stages
from fastnn._kernels._plan_steps cimport (
    APART, AVERAGE_POOL, CONV, FOLD, FRAME, JOIN, LINEAR, LOCAL, LOCAL_NORM, LOOKUP, MAP, MAX_POOL, NORM, OUTPUT, PICK,
    PRELU, PRODUCT, RESAMPLE, ROW_NORM, SUM, TRANSPOSED, UNFOLD, Kind, Step, forget, settle
)
from fastnn._kernels._plan_watch cimport Weights
from fastnn._kernels._pool cimport Windows, describe
from fastnn._kernels._resample cimport describe_resample
from fastnn._kernels._table cimport allocate, release, threads, tiles
from fastnn._kernels.conv_gradients cimport Gradients
from fastnn._kernels.conv_shape cimport ConvShape, Geometry, conv_shape
from fastnn._kernels.fnn cimport FNN_RELU, ceil_div, fnn_tiles

cdef object empty, ndarray  # C variables: under the stable ABI, looking up a name costs much of a call
from numpy import ndarray

from fastnn._kernels._memory import empty


cdef class Plan:
    """The steps of a network for N inputs. Each kind of step has a method that adds one, and `settle` ends the list.

    Shapes and windows are as the kernels take them. `w` and `b` are places among the parameters, or -1 for none.
    """

    cdef fnn_tiles *t
    cdef int workers
    cdef bint is_double
    cdef Py_ssize_t N, count, room, stage_count
    cdef Step *steps
    cdef Stage *stage
    cdef Packed packed
    cdef Py_ssize_t current          # the value that the next step reads, as a `Step.source`
    cdef Py_ssize_t marked           # the number of steps when a value was last marked
    cdef Py_ssize_t memory, between  # bytes of the stages' memory, and of the buffers that lie APART

    def __cinit__(self, Py_ssize_t N, bint is_double):
        self.N, self.is_double = N, is_double
        self.t, self.workers = tiles(is_double), threads()
        self.count = self.room = self.stage_count = self.current = self.marked = 0
        self.steps, self.stage = NULL, NULL

    def __dealloc__(self):
        cdef Py_ssize_t i
        if self.stage != NULL:
            for i in range(self.count):
                forget(self.steps + i)
        release(self.steps)
        release(self.stage)

    def __len__(self):
        return self.count

    def stages(self):
        """The stages as (first step, step after the last one, images of a group)."""
        return [(self.stage[i].first, self.stage[i].last, self.stage[i].group) for i in range(self.stage_count)]

    def places(self):
        """The place of each step's output, as (kind of place, offset in bytes)."""
        names = {APART: "apart", LOCAL: "local", OUTPUT: "output"}
        return [(names[self.steps[i].y.where], self.steps[i].y.offset) for i in range(self.count)]

    cdef Step *add(self, Kind kind, Py_ssize_t inputs, Py_ssize_t outputs, Py_ssize_t count) except NULL:
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
        steps.kind, steps.t, steps.inputs, steps.outputs, steps.count = kind, self.t, inputs, outputs, count
        steps.weight = steps.bias = steps.mean = steps.var = steps.other = -1
        steps.source, steps.others, steps.conv.shape.G, steps.joined = self.current, 0, 0, False
        self.count += 1
        self.current = self.count
        return steps

    cdef Step *last_step(self) noexcept:
        """The step whose output the next step reads, if a ReLU may still change this output; else NULL."""
        return self.steps + self.count - 1 if self.current == self.count > self.marked else NULL

    def mark(self):
        """Mark the value that the next step reads, because a later step will read it again. Returns the value."""
        self.marked = self.count
        return self.current

    def go_back(self, Py_ssize_t value):
        self.current = value

    def is_whole(self):
        """Whether the next step would read the output of the last step."""
        return self.current == self.count

    def add_up(self, Py_ssize_t other, Py_ssize_t size):
        """The current value plus the value `other`, each of `size` elements."""
        cdef Step *step = self.add(SUM, size, size, size)
        step.other, step.others = other, size
        step.sum.t, step.sum.relu = self.t, False

    def multiply(self, Py_ssize_t other, Py_ssize_t rows, Py_ssize_t n):
        """The current value, `rows` of n elements, each row times an element of the value `other`."""
        cdef Step *step = self.add(PRODUCT, rows * n, rows * n, rows)
        step.other, step.others = other, rows

    def cat(self, Py_ssize_t before, Py_ssize_t rows, Py_ssize_t n, Py_ssize_t m):
        """Join each of `rows` rows: n elements of the value `before`, and then m elements of the current value."""
        cdef Py_ssize_t after = self.current
        cdef Step *step = self.add(JOIN, rows * n, rows * (n + m), rows)
        step.source, step.other, step.others = before, after, rows * m

    def conv2d(self, Py_ssize_t w, Py_ssize_t b, Py_ssize_t C, Py_ssize_t H, Py_ssize_t W, Py_ssize_t O, Py_ssize_t OH,
               Py_ssize_t OW, Geometry geometry):
        """C and O are the channels of all groups."""
        cdef Step *step = self.add(CONV, C * H * W, O * OH * OW, 1)
        step.weight, step.bias = w, b
        step.conv.t, step.conv.shape, step.conv.flags = self.t, conv_shape(self.N, C, H, W, O, OH, OW, geometry), 0

    def conv_transpose2d(self, Py_ssize_t w, Py_ssize_t b, Py_ssize_t C, Py_ssize_t H, Py_ssize_t W, Py_ssize_t O,
                         Py_ssize_t OH, Py_ssize_t OW, Geometry geometry):
        """From (C, H, W) to (O, OH, OW). C and O are the channels of all groups."""
        cdef Step *step = self.add(TRANSPOSED, C * H * W, O * OH * OW, 1)
        cdef Gradients *g = &step.transposed  # the input gradient of the convolution from (O, OH, OW) to (C, H, W)
        step.weight, step.bias = w, b
        g.t, g.shape, g.flags = self.t, conv_shape(self.N, O, OH, OW, C, H, W, geometry), 0
        g.x, g.dw, g.db = NULL, NULL, NULL

    cdef Step *add_pool(self, Kind kind, Py_ssize_t C, Py_ssize_t H, Py_ssize_t W, Py_ssize_t OH, Py_ssize_t OW,
                        Windows windows) except NULL:
        cdef Step *step = self.add(kind, C * H * W, C * OH * OW, C)
        step.pool = describe(self.t, C, H, W, OH, OW, windows)
        return step

    def max_pool2d(self, Py_ssize_t C, Py_ssize_t H, Py_ssize_t W, Py_ssize_t OH, Py_ssize_t OW, Windows windows):
        self.add_pool(MAX_POOL, C, H, W, OH, OW, windows)

    def avg_pool2d(self, Py_ssize_t C, Py_ssize_t H, Py_ssize_t W, Py_ssize_t OH, Py_ssize_t OW, Windows windows,
                   bint count_padding, Py_ssize_t divisor):
        cdef Step *step = self.add_pool(AVERAGE_POOL, C, H, W, OH, OW, windows)
        step.pool.count_padding, step.pool.divisor = count_padding, divisor

    def unfold(self, Py_ssize_t C, Py_ssize_t H, Py_ssize_t W, Geometry geometry):
        self.add_patches(UNFOLD, C, H, W, geometry)

    def fold(self, Py_ssize_t C, Py_ssize_t H, Py_ssize_t W, Geometry geometry):
        """From patches to planes (H, W)."""
        self.add_patches(FOLD, C, H, W, geometry)

    cdef int add_patches(self, Kind kind, Py_ssize_t C, Py_ssize_t H, Py_ssize_t W, Geometry geometry) except -1:
        cdef Patches patches = describe_patches(self.t, H, W, geometry)
        cdef const ConvShape *s = &patches.shape
        cdef Py_ssize_t pixels = C * H * W, columns = C * s.KH * s.KW * s.OH * s.OW
        cdef bint unfolds = kind == UNFOLD
        cdef Step *step = self.add(kind, pixels if unfolds else columns, columns if unfolds else pixels, C)
        step.patches = patches
        return 0

    def pad(self, Py_ssize_t C, Py_ssize_t H, Py_ssize_t W, Py_ssize_t OH, Py_ssize_t OW, Py_ssize_t top,
            Py_ssize_t left, int border):
        """Pad planes. `border` is a value of `_im2col.BORDERS`."""
        cdef Step *step = self.add(FRAME, C * H * W, C * OH * OW, C)
        cdef Frames *g = &step.frames
        g.t, g.H, g.W, g.OH, g.OW, g.top, g.left, g.border = self.t, H, W, OH, OW, top, left, <Border> border

    def pick(self, Py_ssize_t size, Py_ssize_t begin, tuple axes):
        """Pick elements of `size`, from `begin` on. An axis is how many, and how far from one another."""
        cdef Pick picked = describe_pick(self.t, size, begin, axes)
        cdef Step *step = self.add(PICK, size, picked.count, 1)
        step.picked = picked

    def embedding(self, Py_ssize_t w, Py_ssize_t count, Py_ssize_t D):
        """Rows of w (rows, D) for int64 indices, `count` in each input. Only the first step can be an embedding."""
        cdef Step *step = self.add(LOOKUP, count * 8 // self.t.itemsize, count * D, count)
        step.weight = w

    def resample(self, int kind, Py_ssize_t C, Py_ssize_t H, Py_ssize_t W, Py_ssize_t OH, Py_ssize_t OW,
                 bint align_corners, double scale_h, double scale_w):
        cdef Step *step = self.add(RESAMPLE, C * H * W, C * OH * OW, C)
        step.planes = describe_resample(self.t, kind, C, H, W, OH, OW)
        step.planes.align_corners, step.planes.scale_h, step.planes.scale_w = align_corners, scale_h, scale_w

    def linear(self, Py_ssize_t w, Py_ssize_t b, Py_ssize_t rows, Py_ssize_t I, Py_ssize_t O):
        """A linear layer for `rows` rows of each input, from I to O elements."""
        cdef Step *step = self.add(LINEAR, rows * I, rows * O, rows)
        step.weight, step.bias = w, b
        step.linear = describe_linear(self.t, rows, O, I, False)

    def batch_norm(self, Py_ssize_t mean, Py_ssize_t var, Py_ssize_t w, Py_ssize_t b, Py_ssize_t C, Py_ssize_t P,
                   double eps):
        """Normalise C planes of P elements. `mean` and `var` are places among the parameters too."""
        cdef Step *step = self.add(NORM, C * P, C * P, 1)
        step.weight, step.bias, step.mean, step.var = w, b, mean, var
        step.norm.C, step.norm.P, step.norm.eps, step.norm.flags = C, P, eps, 0

    def row_norm(self, Py_ssize_t w, Py_ssize_t b, rows, double eps):
        """`rows` is (count, G, S, P): each input has `count` arrays of G rows of S segments of P elements."""
        cdef Py_ssize_t count, G, S, P
        count, G, S, P = rows
        cdef Step *step = self.add(ROW_NORM, count * G * S * P, count * G * S * P, count)
        step.weight, step.bias = w, b
        step.rows.G, step.rows.S, step.rows.P, step.rows.eps = G, S, P, eps

    def local_response_norm(self, Py_ssize_t C, Py_ssize_t P, Py_ssize_t size, double alpha, double beta, double k):
        """Normalise C planes of P elements over `size` neighbouring channels."""
        cdef Step *step = self.add(LOCAL_NORM, C * P, C * P, 1)
        step.local = describe_local(self.t, C, P, size, alpha, beta, k)

    def fuse_relu(self):
        """Let the last step apply a ReLU while it stores its output. False if it cannot."""
        cdef Step *last = self.last_step()
        if last != NULL and last.kind == CONV:
            last.conv.flags |= FNN_RELU
        elif last != NULL and last.kind == TRANSPOSED:
            last.transposed.flags |= FNN_RELU
        elif last != NULL and last.kind == LINEAR:
            last.linear.relu = True
        elif last != NULL and last.kind == NORM:
            last.norm.flags |= FNN_RELU
        elif last != NULL and last.kind == SUM:
            last.sum.relu = True
        else:
            return False
        return True

    def map(self, Py_ssize_t function, Py_ssize_t size, double a=0, double b=0, Py_ssize_t row=0):
        """A function by its place in FNN_FUNCTIONS, for `size` elements. A function of rows takes rows of `row`."""
        cdef Step *step = self.add(MAP, size, size, size)
        step.map = describe_map(self.t, function, size, row, a, b)

    def prelu(self, Py_ssize_t w, Py_ssize_t C, Py_ssize_t P):
        """PReLU of C planes of P elements, with a slope w for each plane."""
        cdef Step *step = self.add(PRELU, C * P, C * P, 1)
        step.weight, step.prelu.C, step.prelu.P = w, C, P

    def settle(self):
        """End the list: cut the steps into stages, prepare every step, and place the values."""
        cdef Py_ssize_t s, i
        cdef Stage *stage
        cdef bint enough = True
        self.stage = <Stage *> allocate(self.count * sizeof(Stage))
        if self.stage == NULL:
            raise MemoryError("no memory for the plan of a network")
        self.stage_count = into_stages(self.steps, self.count, self.N, self.workers, self.stage)
        for s in range(self.stage_count):
            stage = self.stage + s
            for i in range(stage.first, stage.last):
                enough &= settle(self.steps + i, self.N, stage.group, self.workers if stage.group == self.N else 1)
                stage.memory = max(stage.memory, self.steps[i].workspace)
        self.between = place(self.steps, self.count, self.stage, self.stage_count, self.N)
        self.memory = 0
        for s in range(self.stage_count):
            stage = self.stage + s
            stage.memory = ceil_div(stage.memory + stage.between, LINE) * LINE
            self.memory = max(self.memory, stage.memory * (1 if stage.group == self.N else self.workers))
        if not enough:
            raise MemoryError("no memory for the plan of a network")

    cdef Packed weights_of(self, Weights weights):
        """The packed weights of all steps."""
        cdef Py_ssize_t i
        cdef Packed packed
        with cython.critical_section(self):
            packed = self.packed
        if packed is None or packed.weights is not weights:
            packed = Packed(weights, self.count)
            for i in range(self.count):
                packed.at[i] = packed_for(self.steps + i, weights, self.workers)
            self.keep(packed)  # only when it is complete, because other threads may take it at once
        return packed

    cdef void keep(self, Packed packed):
        with cython.critical_section(self):
            self.packed = packed

    def forget_weights(self):
        self.keep(None)

    def holds(self):
        """Whether the tier and the number of threads are still those that the plan was made for."""
        return self.holds_now()

    cdef bint holds_now(self) noexcept:
        return self.t == tiles(self.is_double) and self.workers == threads()

    def run(self, x, y, Weights weights):
        """y = the network's output for x. Both are contiguous."""
        cdef Py_buffer source
        PyObject_GetBuffer(x, &source, PyBUF_SIMPLE)
        try:
            self.run_from(<char *> source.buf, y, weights)
        finally:
            PyBuffer_Release(&source)

    cdef int run_from(self, char *x, y, Weights weights) except -1:
        cdef Py_buffer target
        cdef bint enough
        cdef Packed packed = self.weights_of(weights)
        PyObject_GetBuffer(y, &target, PyBUF_SIMPLE | PyBUF_WRITABLE)
        with nogil:
            enough = self.go(x, <char *> target.buf, weights.starts, packed.at)
        PyBuffer_Release(&target)
        if not enough:
            raise MemoryError("no memory for the workspace of a network")
        return 0

    cdef bint go(self, char *x, char *y, void **parameters, char **packed) noexcept nogil:
        cdef bint enough
        cdef char *memory = <char *> allocate(self.memory + self.between)
        cdef Run r
        if memory == NULL:
            return False
        r.steps, r.N, r.x, r.y, r.parameters, r.packed = self.steps, self.N, x, y, parameters, packed
        r.memory, r.apart = memory, memory + self.memory
        enough = run_stages(&r, self.stage, self.stage_count, self.workers)
        release(memory)
        return enough


cdef class Call:
    """The last call of a run, which the next one repeats if everything is as it was.

    The input has the shape and dtype of `x`, the output `shape` and `dtype`.
    """

    cdef Plan plan
    cdef Weights weights
    cdef tuple taken, shape
    cdef object kind, dtype

    def __cinit__(self, Plan plan, Weights weights, x, tuple shape, dtype):
        self.plan, self.weights, self.shape, self.dtype = plan, weights, shape, dtype
        self.taken, self.kind = x.shape, x.dtype

    def repeat(self, x):
        """The output for x; or None if x is no array like the last one, or if anything may have changed."""
        cdef Py_buffer source
        if type(x) is not ndarray or x.dtype is not self.kind or x.shape != self.taken:
            return None
        if not self.plan.holds_now() or not self.weights.hold():
            return None
        try:
            PyObject_GetBuffer(x, &source, PyBUF_SIMPLE)
        except (BufferError, ValueError):  # not contiguous; NumPy's error is the latter
            return None
        try:
            if <size_t> source.buf % <size_t> self.plan.t.itemsize:
                return None
            y = empty(self.shape, self.dtype)
            self.plan.run_from(<char *> source.buf, y, self.weights)
        finally:
            PyBuffer_Release(&source)
        return y
