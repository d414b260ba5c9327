"""A whole network in eval mode as one call: its steps for inputs of one shape, planned once and run often.

A `Plan` holds what shapes decide, `Weights` what the parameters hold, prepared for it.
"""
cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.dict cimport PyDict_Next
from cpython.ref cimport PyObject
from libc.string cimport memcpy

from fastnn._kernels._activation cimport Sum, add_up, describe_map
from fastnn._kernels._matmul cimport describe_linear
from fastnn._kernels._plan_steps cimport (
    APART, AVERAGE_POOL, CONV, INPUT, JOIN, LINEAR, LOCAL, MAP, MAX_POOL, NORM, OUTPUT, PRELU, RESAMPLE, SUM, Kind,
    Place, Step, forget, pack, settle, take
)
from fastnn._kernels._pool cimport Windows, describe
from fastnn._kernels._resample cimport describe_resample
from fastnn._kernels._table cimport allocate, parallel, release, threads, tiles
from fastnn._kernels.conv_shape cimport Geometry, conv_shape
from fastnn._kernels.fnn cimport FNN_RELU, ceil_div, fnn_tiles

cdef enum:
    CACHE_BYTES = 524288  # of what goes into a step and comes out of it, for a group of images
    LINE = 64             # bytes of a cache line


cdef class Memory:
    """Some bytes of the caching allocator."""

    cdef char *start

    def __cinit__(self, Py_ssize_t nbytes):
        self.start = <char *> allocate(nbytes)
        if self.start == NULL:
            raise MemoryError("no memory for the plan of a network")

    def __dealloc__(self):
        release(self.start)


# ---- What must not change ------------------------------------------------------------------------------------------

cdef class Unchanged:
    """True as long as the modules have the attributes that they had: the same objects under all names but `but`.

    What they had is compared by addresses, which lists keep from being given to something else: where CPython has but
    its stable ABI, a list's element costs more than the comparison.
    """

    cdef list modules, names, values
    cdef Memory places
    cdef PyObject **had  # name and value of each attribute, NULL as the value of one in `but`, and NULL after a module

    def __cinit__(self, modules, but):
        cdef Py_ssize_t at = 0
        cdef list names, values
        self.modules = list(modules)
        attributes = [vars(m).copy() for m in self.modules]  # other threads may add to them meanwhile
        self.names = [list(those) for those in attributes]
        self.values = [[None if n in but else value for n, value in those.items()] for those in attributes]
        self.places = Memory(sum([2 * len(names) + 1 for names in self.names]) * sizeof(void *))
        self.had = <PyObject **> self.places.start
        for names, values in zip(self.names, self.values):
            for name, value in zip(names, values):
                self.had[at], self.had[at + 1] = <PyObject *> name, NULL if name in but else <PyObject *> value
                at += 2
            self.had[at] = NULL
            at += 1

    def __bool__(self):
        cdef PyObject **had = self.had
        cdef PyObject *name
        cdef PyObject *value
        cdef Py_ssize_t at
        cdef dict attributes
        for module in self.modules:
            attributes, at = module.__dict__, 0
            with cython.critical_section(attributes):
                while PyDict_Next(attributes, &at, &name, &value):
                    if name != had[0] or value != had[1] and had[1] != NULL:
                        return False
                    had += 2
            if had[0] != NULL:
                return False
            had += 1
        return True


cdef class Weights:
    """Where the arrays of some parameters lie, and what steps have packed of them.

    Made of what `Parameter.sealed` gives for each, and of the arrays as a kernel can read them: themselves, or copies.
    The arrays themselves are not kept, but what keeps them is, or `sealed` could not tell that nobody else has them.
    """

    cdef list parameters, keepers, seals, copies
    cdef Memory places
    cdef void **starts
    cdef dict packed  # by the places of weight and bias and by the way

    def __cinit__(self, list parameters, list sealed, list readable):
        cdef Py_ssize_t i
        cdef Py_buffer buffer
        self.parameters = parameters
        self.keepers = [keeper for keeper, _ in sealed]
        self.seals = [seal for _, seal in sealed]
        self.copies = [copy for (keeper, _), copy in zip(sealed, readable) if copy is not keeper[0]]
        self.packed = {}
        self.places = Memory(len(parameters) * sizeof(void *))
        self.starts = <void **> self.places.start
        for i in range(len(parameters)):
            PyObject_GetBuffer(readable[i], &buffer, PyBUF_SIMPLE)
            self.starts[i] = buffer.buf
            PyBuffer_Release(&buffer)

    def __bool__(self):
        """Whether no parameter can have changed."""
        cdef Py_ssize_t i
        for i in range(len(self.parameters)):
            if self.seals[i] is None or self.parameters[i]._seal is not self.seals[i]:
                return False
        return True


cdef class Packed:
    """Packed weights for each step of a plan, NULL where it needs none."""

    cdef readonly Weights weights
    cdef Memory places
    cdef char **at

    def __cinit__(self, Weights weights, Py_ssize_t steps):
        self.weights, self.places = weights, Memory(steps * sizeof(char *))
        self.at = <char **> self.places.start


cdef char *packed_for(const Step *step, Weights weights, int workers) except? NULL:
    """The weights that the step needs packed; other plans share them."""
    cdef Memory memory
    if step.packed == 0:
        return NULL
    key = step.weight, step.bias, step.by_winograd, step.conv.shape.G
    memory = weights.packed.get(key)
    if memory is None:
        memory = Memory(step.packed)
        pack(step, weights.starts, memory.start, workers)
        memory = weights.packed.setdefault(key, memory)  # another thread's, if it was first: one of them is kept
    return memory.start


# ---- What shapes decide --------------------------------------------------------------------------------------------

cdef struct Stage:
    Py_ssize_t first, last  # steps, the last one not included
    Py_ssize_t group        # of images that go through all of them, before the next group does
    Py_ssize_t between      # bytes of the buffers for what goes from step to step, for a group
    Py_ssize_t memory       # bytes of these and of the steps' workspace

cdef struct Run:
    const Step *steps
    const Stage *stage
    Py_ssize_t N
    char *x
    char *y
    void **parameters
    char **packed
    char *apart   # buffers for all images
    char *memory  # for each thread
    int workers
    bint enough


cdef inline char *address(const Run *r, const Place *place, Py_ssize_t n, char *memory, Py_ssize_t size) noexcept nogil:
    """Where a value lies for the images from n on."""
    if place.where == LOCAL:
        return memory + place.offset
    return (r.x if place.where == INPUT else r.y if place.where == OUTPUT else r.apart) + place.offset + (
        n * place.size * size)


cdef void put_together(const Step *step, Py_ssize_t images, const char *x, const char *b, char *y,
                       int workers) noexcept nogil:
    """y = x + b, or x and b joined, for some images."""
    cdef Py_ssize_t n = step.inputs // step.count, m = step.others // step.count, rows = images * step.count
    cdef Sum sum
    if step.kind == SUM:
        sum = step.sum
        sum.total, sum.a, sum.b, sum.y = rows, x, b, y
        add_up(&sum, workers)
    else:
        step.t.copy(y, n + m, x, n, rows, n)
        step.t.copy(y + n * step.t.itemsize, n + m, b, m, rows, m)


cdef void go_through(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """The steps of a stage for one group of images."""
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
        elif not take(step, images, x, y, r.parameters, r.packed[i], memory + stage.between, r.workers):
            r.enough = False
            return


cdef class Buffers:
    """Memory for values, some of which share it: those that are not needed at the same time."""

    cdef list until, sizes

    def __cinit__(self):
        self.until, self.sizes = [], []

    cdef Py_ssize_t reserve(self, Py_ssize_t made, Py_ssize_t last, Py_ssize_t nbytes):
        """The number of a buffer of at least `nbytes` for a value that is made at one time and needed until another."""
        cdef Py_ssize_t i
        for i in range(len(self.until)):
            if self.until[i] < made:
                self.until[i], self.sizes[i] = last, max(self.sizes[i], nbytes)
                return i
        self.until.append(last)
        self.sizes.append(nbytes)
        return len(self.until) - 1

    cdef list starts(self):
        """Where the buffers begin, and at last the bytes of all of them."""
        cdef Py_ssize_t nbytes, end = 0
        starts = [end]
        for nbytes in self.sizes:
            end += ceil_div(nbytes, LINE) * LINE
            starts.append(end)
        return starts


cdef class Plan:
    """The steps of a network for N inputs; a method for each kind of step adds one, `settle` ends the list.

    Shapes and windows are the kernels'. `w` and `b` are places among the parameters, -1 for none.
    """

    cdef fnn_tiles *t
    cdef int workers
    cdef bint is_double
    cdef Py_ssize_t N, count, room, stage_count
    cdef Step *steps
    cdef Stage *stage
    cdef Packed packed
    cdef Py_ssize_t current          # the value that the next step begins with, as `Step.source`
    cdef Py_ssize_t marked           # steps there were when a value was last marked
    cdef Py_ssize_t memory, between  # bytes: of the stages; of the buffers for what goes from stage to stage

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
        """The stages as (first step, step after the last one, images that go through them together)."""
        return [(self.stage[i].first, self.stage[i].last, self.stage[i].group) for i in range(self.stage_count)]

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
        """The step whose output the next one begins with, if that output may be changed; or NULL."""
        return self.steps + self.count - 1 if self.current == self.count > self.marked else NULL

    def mark(self):
        """The value that the next step begins with; it is to be used again."""
        self.marked = self.count
        return self.current

    def go_back(self, Py_ssize_t value):
        self.current = value

    def is_whole(self):
        """Whether what the last step gives is what the next one would begin with."""
        return self.current == self.count

    def add_up(self, Py_ssize_t other, Py_ssize_t size):
        """Of `size` elements of an input."""
        cdef Step *step = self.add(SUM, size, size, size)
        step.other, step.others = other, size
        step.sum.t, step.sum.relu = self.t, False

    def cat(self, Py_ssize_t before, Py_ssize_t rows, Py_ssize_t n, Py_ssize_t m):
        """`rows` of an input, each n elements of the value `before`, and then m."""
        cdef Py_ssize_t after = self.current
        cdef Step *step = self.add(JOIN, rows * n, rows * (n + m), rows)
        step.source, step.other, step.others = before, after, rows * m

    def conv2d(self, Py_ssize_t w, Py_ssize_t b, Py_ssize_t C, Py_ssize_t H, Py_ssize_t W, Py_ssize_t O, Py_ssize_t OH,
               Py_ssize_t OW, Geometry geometry):
        """C and O are the channels of all groups."""
        cdef Step *step = self.add(CONV, C * H * W, O * OH * OW, 1)
        step.weight, step.bias = w, b
        step.conv.t, step.conv.shape, step.conv.flags = self.t, conv_shape(self.N, C, H, W, O, OH, OW, geometry), 0

    def max_pool2d(self, Py_ssize_t C, Py_ssize_t H, Py_ssize_t W, Py_ssize_t OH, Py_ssize_t OW, Windows windows):
        cdef Step *step = self.add(MAX_POOL, C * H * W, C * OH * OW, C)
        step.pool = describe(self.t, C, H, W, OH, OW, windows)

    def avg_pool2d(self, Py_ssize_t C, Py_ssize_t H, Py_ssize_t W, Py_ssize_t OH, Py_ssize_t OW, Windows windows,
                   bint count_padding, Py_ssize_t divisor):
        cdef Step *step = self.add(AVERAGE_POOL, C * H * W, C * OH * OW, C)
        step.pool = describe(self.t, C, H, W, OH, OW, windows)
        step.pool.count_padding, step.pool.divisor = count_padding, divisor

    def resample(self, int kind, Py_ssize_t C, Py_ssize_t H, Py_ssize_t W, Py_ssize_t OH, Py_ssize_t OW,
                 bint align_corners, double scale_h, double scale_w):
        cdef Step *step = self.add(RESAMPLE, C * H * W, C * OH * OW, C)
        step.planes = describe_resample(self.t, kind, C, H, W, OH, OW)
        step.planes.align_corners, step.planes.scale_h, step.planes.scale_w = align_corners, scale_h, scale_w

    def linear(self, Py_ssize_t w, Py_ssize_t b, Py_ssize_t rows, Py_ssize_t I, Py_ssize_t O):
        """`rows` of an input."""
        cdef Step *step = self.add(LINEAR, rows * I, rows * O, rows)
        step.weight, step.bias = w, b
        step.linear = describe_linear(self.t, rows, O, I, False)

    def batch_norm(self, Py_ssize_t mean, Py_ssize_t var, Py_ssize_t w, Py_ssize_t b, Py_ssize_t C, Py_ssize_t P,
                   double eps):
        """`mean` and `var` are places too. P elements of a plane."""
        cdef Step *step = self.add(NORM, C * P, C * P, 1)
        step.weight, step.bias, step.mean, step.var = w, b, mean, var
        step.norm.C, step.norm.P, step.norm.eps, step.norm.flags = C, P, eps, 0

    def fuse_relu(self):
        """A ReLU in the store of the step before; False if it has none."""
        cdef Step *last = self.last_step()
        if last != NULL and last.kind == CONV:
            last.conv.flags |= FNN_RELU
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
        """A function by its place, of `size` elements of an input, in rows of `row` if it is one of rows."""
        cdef Step *step = self.add(MAP, size, size, size)
        step.map = describe_map(self.t, function, size, row, a, b)

    def prelu(self, Py_ssize_t w, Py_ssize_t C, Py_ssize_t P):
        """P elements of a plane."""
        cdef Step *step = self.add(PRELU, C * P, C * P, 1)
        step.weight, step.prelu.C, step.prelu.P = w, C, P

    def settle(self):
        """Group the steps into stages, and let every step decide what shapes decide."""
        cdef Py_ssize_t i
        cdef Stage *stage
        cdef bint enough = True
        self.stage = <Stage *> allocate(self.count * sizeof(Stage))
        if self.stage == NULL:
            raise MemoryError("no memory for the plan of a network")
        for i in range(self.count):
            stage = self.stage + self.stage_count - 1
            if self.stage_count == 0 or self.group(i) != stage.group:
                stage += 1
                stage.first, stage.group, stage.memory = i, self.group(i), 0
                self.stage_count += 1
            stage.last = i + 1
            enough &= settle(self.steps + i, self.N, stage.group, self.workers if stage.group == self.N else 1)
            stage.memory = max(stage.memory, self.steps[i].workspace)
        self.place()
        self.memory = 0
        for i in range(self.stage_count):
            stage = self.stage + i
            stage.memory = ceil_div(stage.memory + stage.between, LINE) * LINE
            self.memory = max(self.memory, stage.memory * (1 if stage.group == self.N else self.workers))
        if not enough:
            raise MemoryError("no memory for the plan of a network")

    cdef int place(self) except -1:
        """Find a place for what every step gives: a buffer for a group of images where it does not leave its stage."""
        cdef Py_ssize_t i, s, size = self.t.itemsize
        cdef Stage *stage
        cdef Step *step
        cdef Place source
        cdef Buffers apart = Buffers(), local
        cdef list starts, parts, stage_of = [], last = list(range(-1, self.count))
        cdef dict joined = {}  # buffers of joins whose parts come first
        for s in range(self.stage_count):
            stage_of += [s] * (self.stage[s].last - self.stage[s].first)
        for i in range(self.count):
            last[self.steps[i].source] = i
            if self.steps[i].other >= 0:
                last[self.steps[i].other] = i
        for s in range(self.stage_count):
            stage, local = self.stage + s, Buffers()
            parts = self.parts_of_joins(stage, last)
            for i in range(stage.first, stage.last):
                step, until = self.steps + i, last[i + 1]
                source = self.steps[step.source - 1].y if step.source else Place(INPUT, 0, step.inputs)
                step.y = Place(LOCAL, 0, step.outputs)
                if parts[i] is not None:
                    whole = parts[i][0]
                    if whole not in joined:
                        joined[whole] = local.reserve(i, last[whole + 1], self.steps[whole].outputs * size)
                    step.y.offset = joined[whole]
                elif i == self.count - 1:
                    step.y.where = OUTPUT
                elif stage_of[until] != s:
                    step.y.where = APART
                    step.y.offset = apart.reserve(s, stage_of[until], self.N * step.outputs * size)
                elif (source.where == LOCAL and last[step.source] == i and step.other != step.source
                      and step.kind in (MAP, SUM)):
                    step.y.offset = source.offset
                    local.until[source.offset] = until
                else:
                    step.y.offset = local.reserve(i, until, stage.group * step.outputs * size)
            starts = local.starts()
            stage.between = starts[len(starts) - 1]
            for i in range(stage.first, stage.last):
                if self.steps[i].y.where == LOCAL:
                    self.steps[i].y.offset = starts[self.steps[i].y.offset] + (parts[i][1] * size if parts[i] else 0)
        starts = apart.starts()
        self.between = starts[len(starts) - 1]
        for i in range(self.count):
            step = self.steps + i
            if step.y.where == APART:
                step.y.offset = starts[step.y.offset]
            step.x = self.steps[step.source - 1].y if step.source else Place(INPUT, 0, step.inputs)
            step.b = self.steps[step.other - 1].y if step.other > 0 else Place(INPUT, 0, step.others)
        return 0

    cdef list parts_of_joins(self, Stage *stage, list last):
        """For each step that writes to its place in a join at once: of which join, and from which element on; or None.

        Such a join, which must be of single images, is its own first part, and has nothing left to do.
        """
        cdef Py_ssize_t j, offset
        cdef Step *step
        cdef list parts = [None] * self.count
        if stage.group > 1:
            return parts
        for j in range(min(stage.last, self.count - 1) - 1, stage.first - 1, -1):  # the last step's place is known
            step = self.steps + j
            if step.kind != JOIN or step.count > 1 or step.source == step.other or last[j + 1] >= stage.last:
                continue
            if min(step.source, step.other) <= stage.first or last[step.source] != j or last[step.other] != j:
                continue
            whole, offset = parts[j] or (j, 0)
            step.joined = True
            parts[j] = parts[step.source - 1] = whole, offset
            parts[step.other - 1] = whole, offset + step.inputs
        return parts

    cdef Py_ssize_t group(self, Py_ssize_t i) noexcept:
        """How many images take step i together: so many that what goes in and comes out stays in the cache, unless the
        group of the step before is about right. All of them from the first linear layer on, which reads more weights
        than images; and where there are too few images for groups to share among the threads."""
        cdef Py_ssize_t before = self.stage[self.stage_count - 1].group if i else 0, fitting
        if self.steps[i].kind == LINEAR or (i and before == self.N) or self.N < 2 * self.workers:
            return self.N
        fitting = CACHE_BYTES // (
            (self.steps[i].inputs + self.steps[i].others + self.steps[i].outputs) * self.t.itemsize)
        if i and before <= 4 * fitting and fitting < 4 * before:
            return before
        return max(<Py_ssize_t> 1, min(fitting, self.N // (2 * self.workers) if self.workers > 1 else self.N))

    cdef Packed weights_of(self, Weights weights):
        """What the steps need of these weights, packed."""
        cdef Py_ssize_t i
        cdef Packed packed
        with cython.critical_section(self):
            packed = self.packed
        if packed is None or packed.weights is not weights:
            packed = Packed(weights, self.count)
            for i in range(self.count):
                packed.at[i] = packed_for(self.steps + i, weights, self.workers)
            self.keep(packed)  # whole: other threads may take it at once
        return packed

    cdef void keep(self, Packed packed):
        with cython.critical_section(self):
            self.packed = packed

    def forget_weights(self):
        self.keep(None)

    def holds(self):
        """Whether it is for the tier and the number of threads that are in use."""
        return self.t == tiles(self.is_double) and self.workers == threads()

    def run(self, x, y, Weights weights):
        """y = the network's output for x, both contiguous."""
        cdef Py_buffer source, target
        cdef bint enough
        cdef Packed packed = self.weights_of(weights)
        PyObject_GetBuffer(x, &source, PyBUF_SIMPLE)
        try:
            PyObject_GetBuffer(y, &target, PyBUF_SIMPLE | PyBUF_WRITABLE)
            with nogil:
                enough = self.go(<char *> source.buf, <char *> target.buf, weights.starts, packed.at)
            PyBuffer_Release(&target)
        finally:
            PyBuffer_Release(&source)
        if not enough:
            raise MemoryError("no memory for the workspace of a network")

    cdef bint go(self, char *x, char *y, void **parameters, char **packed) noexcept nogil:
        """Stage after stage. x is only read."""
        cdef Py_ssize_t i
        cdef char *memory = <char *> allocate(self.memory + self.between)
        cdef Run r
        if memory == NULL:
            return False
        r.steps, r.N, r.x, r.y, r.parameters, r.packed = self.steps, self.N, x, y, parameters, packed
        r.memory, r.apart, r.enough = memory, memory + self.memory, True
        for i in range(self.stage_count):
            r.stage = self.stage + i
            if r.stage.group == self.N:
                r.workers = self.workers
                go_through(&r, 0, 0)
            else:
                r.workers = 1
                parallel(go_through, &r, ceil_div(self.N, r.stage.group), self.workers, <double> self.N * 1e6)
        release(memory)
        return r.enough
