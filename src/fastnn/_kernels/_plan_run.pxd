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
    char *apart   # buffers for what goes from stage to stage, for all images
    char *memory  # for each thread
    int workers   # that a step may use: 1 where groups go side by side
    bint enough


# The weights that the step needs packed, or NULL; other plans of these weights share them.
cdef char *packed_for(const Step *step, Weights weights, int workers) except? NULL
# Stage after stage. x is only read; `stage`, `workers` and `enough` are missing yet. False when there is no memory.
cdef bint run_stages(Run *r, const Stage *stages, Py_ssize_t count, int workers) noexcept nogil
