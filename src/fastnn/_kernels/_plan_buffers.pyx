"""Memory for the values that steps hand to later steps.

A value lives from the step that writes it to the last step that reads it. Values that do not live at the same time
share a buffer. A value that only its own stage reads has a LOCAL buffer, for one group of images. A value that a later
stage reads lies APART, in a buffer for all images. Here are a residual block and a pool in one stage, and a linear
layer in the next::

    step        reads   writes     lives while steps run      place
                                   0   1   2   3   4   5
    0 conv      INPUT   a          a---a---a---a              LOCAL 0
    1 conv+relu a       b              b---b                  LOCAL 1
    2 conv      b       c                  c---c              LOCAL 2    0 and 1 are still read
    3 add       c, a    d                      d---d          LOCAL 2    in place: c is read for the last time
    4 pool      d       e                          e---e      APART 0    another stage reads it
    5 linear    e       OUTPUT                                OUTPUT

An element-wise step writes in place if it is the last to read its input. If a group is one image, the parts of a join
are written straight to their places in the joined value (`parts_of_joins`).
"""
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer

from fastnn._kernels._plan_stages cimport Stage
from fastnn._kernels._plan_steps cimport APART, INPUT, JOIN, LOCAL, MAP, OUTPUT, PRODUCT, SUM, Place, Step
from fastnn._kernels._table cimport allocate, release
from fastnn._kernels.fnn cimport ceil_div


cdef class Memory:
    """A block of the caching allocator, which lives as long as this object."""

    def __cinit__(self, Py_ssize_t nbytes):
        self.start = <char *> allocate(nbytes)
        if self.start == NULL:
            raise MemoryError("no memory for the plan of a network")

    def __dealloc__(self):
        release(self.start)


cdef class Buffers:
    """Buffers for values. Values that are not needed at the same time share one."""

    def __cinit__(self):
        self.until, self.sizes = [], []

    cdef Py_ssize_t reserve(self, Py_ssize_t made, Py_ssize_t last, Py_ssize_t nbytes):
        """The number of a buffer of at least `nbytes` for a value that is written at `made` and read until `last`."""
        cdef Py_ssize_t i
        for i in range(len(self.until)):
            if self.until[i] < made:
                self.until[i], self.sizes[i] = last, max(self.sizes[i], nbytes)
                return i
        self.until.append(last)
        self.sizes.append(nbytes)
        return len(self.until) - 1

    cdef list starts(self):
        """The offset of each buffer, and as the last element the bytes of all buffers."""
        cdef Py_ssize_t nbytes, end = 0
        starts = [end]
        for nbytes in self.sizes:
            end += ceil_div(nbytes, LINE) * LINE
            starts.append(end)
        return starts


cdef list last_reads(const Step *steps, Py_ssize_t count):
    """The last step that reads each value, or the step that writes it if none reads it. Value 0 is the input."""
    cdef Py_ssize_t i
    cdef list last = list(range(-1, count))
    for i in range(count):
        last[steps[i].source] = i
        if steps[i].other >= 0:
            last[steps[i].other] = i
    return last


cdef Place value_of(const Step *steps, Py_ssize_t value, Py_ssize_t size) noexcept nogil:
    """The place of a value. Value 0 is the input, and value i + 1 is the output of step i."""
    return steps[value - 1].y if value > 0 else Place(INPUT, 0, size)


cdef Py_ssize_t place_of_stage(Step *steps, Py_ssize_t count, const Stage *stages, Py_ssize_t s, list stage_of,
                               list last, Buffers apart, Py_ssize_t N) except -1:
    """Find a place for the output of each step of stage s. Returns the bytes of its LOCAL buffers.

    The offset of a value APART is the number of its buffer, until `place` knows where the buffers begin. The lifetime
    of a value APART counts whole stages, because other groups may still be in the stage that reads it.
    """
    cdef const Stage *stage = stages + s
    cdef Py_ssize_t i, whole, until, size = steps.t.itemsize
    cdef Step *step
    cdef Place source
    cdef Buffers local = Buffers()
    cdef list starts, parts = parts_of_joins(steps, count, stage, last)
    cdef dict joined = {}  # buffers of joins whose parts come first
    for i in range(stage.first, stage.last):
        step, until = steps + i, last[i + 1]
        source = value_of(steps, step.source, step.inputs)
        step.y = Place(LOCAL, 0, step.outputs)
        if parts[i] is not None:
            whole = parts[i][0]
            if whole not in joined:
                joined[whole] = local.reserve(i, last[whole + 1], steps[whole].outputs * size)
            step.y.offset = joined[whole]
        elif i == count - 1:
            step.y.where = OUTPUT
        elif stage_of[until] != s:
            step.y.where = APART
            step.y.offset = apart.reserve(s, stage_of[until], N * step.outputs * size)
        elif (source.where == LOCAL and last[step.source] == i and step.other != step.source
              and step.kind in (MAP, SUM, PRODUCT)):
            step.y.offset = source.offset
            local.until[source.offset] = until
        else:
            step.y.offset = local.reserve(i, until, stage.group * step.outputs * size)
    starts = local.starts()
    for i in range(stage.first, stage.last):
        if steps[i].y.where == LOCAL:
            steps[i].y.offset = starts[steps[i].y.offset] + (parts[i][1] * size if parts[i] else 0)
    return starts[len(starts) - 1]


cdef Py_ssize_t place(Step *steps, Py_ssize_t count, Stage *stages, Py_ssize_t stage_count, Py_ssize_t N) except -1:
    cdef Py_ssize_t i
    cdef Buffers apart = Buffers()
    cdef list starts, stage_of = [], last = last_reads(steps, count)
    for i in range(stage_count):
        stage_of += [i] * (stages[i].last - stages[i].first)
    for i in range(stage_count):
        stages[i].between = place_of_stage(steps, count, stages, i, stage_of, last, apart, N)
    starts = apart.starts()
    for i in range(count):
        if steps[i].y.where == APART:
            steps[i].y.offset = starts[steps[i].y.offset]
        steps[i].x = value_of(steps, steps[i].source, steps[i].inputs)
        steps[i].b = value_of(steps, steps[i].other, steps[i].others)
    return starts[len(starts) - 1]


cdef list parts_of_joins(Step *steps, Py_ssize_t count, const Stage *stage, list last):
    """For each step (join, element), if it writes straight to the joined value, from this element on; else None.

    A group must be one image, or the parts of two images would not be neighbours. Then the join has nothing left to do,
    and counts as its own first part. Joins of joins share one value. For cat(cat(a, b), c) with 2, 3 and 4 elements::

        a a b b b c c c c      a: (outer, 0)   b: (outer, 2)   inner: (outer, 0)   c: (outer, 5)   outer: (outer, 0)
    """
    cdef Py_ssize_t j, offset
    cdef Step *step
    cdef list parts = [None] * count
    if stage.group > 1:
        return parts
    for j in range(min(stage.last, count - 1) - 1, stage.first - 1, -1):  # the plan's last step writes to OUTPUT
        step = steps + j
        if step.kind != JOIN or step.count > 1 or step.source == step.other or last[j + 1] >= stage.last:
            continue
        if min(step.source, step.other) <= stage.first or last[step.source] != j or last[step.other] != j:
            continue
        whole, offset = parts[j] or (j, 0)
        step.joined = True
        parts[j] = parts[step.source - 1] = whole, offset
        parts[step.other - 1] = whole, offset + step.inputs
    return parts


cdef char *start(array, bint writes) except? NULL:
    """Where a contiguous array begins; its owner keeps it."""
    cdef Py_buffer view
    PyObject_GetBuffer(array, &view, PyBUF_SIMPLE | PyBUF_WRITABLE if writes else PyBUF_SIMPLE)
    PyBuffer_Release(&view)
    return <char *> view.buf
