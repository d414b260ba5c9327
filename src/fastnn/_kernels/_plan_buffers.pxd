# Memory for the values that go from step to step.
from fastnn._kernels._plan_stages cimport Stage
from fastnn._kernels._plan_steps cimport Step

cdef enum:
    LINE = 64  # bytes of a cache line

# Some bytes of the caching allocator.
cdef class Memory:
    cdef char *start

# Memory for values, some of which share it: those that do not live at the same time.
cdef class Buffers:
    cdef list until, sizes
    cdef Py_ssize_t reserve(self, Py_ssize_t made, Py_ssize_t last, Py_ssize_t nbytes)
    cdef list starts(self)


# Find a place for what each step reads and writes, of N images; writes `between` of the stages. Returns the bytes of
# the buffers for what goes from stage to stage.
cdef Py_ssize_t place(Step *steps, Py_ssize_t count, Stage *stages, Py_ssize_t stage_count, Py_ssize_t N) except -1
