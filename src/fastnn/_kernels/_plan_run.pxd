# One call of a planned network.
from fastnn._kernels._plan_buffers cimport Memory
from fastnn._kernels._plan_stages cimport Stage
from fastnn._kernels._plan_steps cimport Step
from fastnn._kernels._plan_watch cimport Weights

cdef class Packed:
    cdef readonly Weights weights
    cdef Memory places
    cdef char **at

cdef struct Run:
    const Step *steps
    const Stage *stage
    Py_ssize_t N
    char *x
    char *y
    void **parameters
    char **packed
    char *apart   # buffers for the values that a later stage reads, for all images
    char *memory  # one workspace for each thread
    int workers   # threads that a step may use: 1 if several groups run at once
    bint enough   # no step lacked memory


# The packed weights of a step, or NULL if it needs none. All plans of `weights` share them.
cdef char *packed_for(const Step *step, Weights weights, int workers) except? NULL
# Run stage after stage. Does not write to x, and sets `stage`, `workers` and `enough`. False when there is no memory.
cdef bint run_stages(Run *r, const Stage *stages, Py_ssize_t count, int workers) noexcept nogil
