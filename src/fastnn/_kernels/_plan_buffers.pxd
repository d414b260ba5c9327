# Memory for the values that steps hand to later steps.
from fastnn._kernels._plan_stages cimport Stage
from fastnn._kernels._plan_steps cimport Step

cdef enum:
    LINE = 64  # bytes of a cache line

# A block of the caching allocator, which lives as long as this object.
cdef class Memory:
    cdef char *start

# Buffers for values. Values that do not live at the same time share one.
cdef class Buffers:
    cdef list until, sizes
    cdef Py_ssize_t reserve(self, Py_ssize_t made, Py_ssize_t last, Py_ssize_t nbytes)
    cdef list starts(self)


# Find the places that each step reads and writes, for N images. Writes `between` of each stage. Returns the bytes of
# the buffers that lie APART.
cdef Py_ssize_t place(Step *steps, Py_ssize_t count, Stage *stages, Py_ssize_t stage_count, Py_ssize_t N) except -1
# Where a contiguous array begins; its owner keeps it.
cdef char *start(array, bint writes) except? NULL
