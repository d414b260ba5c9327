# The parameters that a training step changes, their gradients, and the rules that they are changed by.
from fastnn._kernels._plan_buffers cimport Memory
from fastnn._kernels.fnn cimport fnn_tiles

cdef enum:
    FACTORS = 10  # of a rule, at most
    KEPT = 3      # arrays that a rule keeps of a parameter, at most

cdef struct Piece:
    Py_ssize_t parameter, first, count  # elements
    Py_ssize_t rule                     # among those of the update, or -1
    char *kept[KEPT]                    # from the parameter's first element on, or NULL

cdef struct Rule:
    int kind
    double factors[FACTORS]

cdef class Learnt:
    cdef readonly list parameters
    cdef list keepers, gradients, shapes
    cdef Memory places
    cdef void **starts
    cdef char **to            # where the gradients lie, or NULL
    cdef Py_ssize_t *at       # elements of the gradients before it
    cdef Py_ssize_t count, elements
    cdef bint owns
    cdef fnn_tiles *t
    cdef int begin(self, Py_ssize_t i) except -1
    cdef bint is_alone(self, Py_ssize_t i)
    cdef bint look(self, bint begins) except -1
    cdef int give(self, bint changed) except -1

cdef class Update:
    cdef Memory pieces, rules
    cdef Py_ssize_t count
    cdef list kept
    # Add up the gradients of chunks, `partials` having those of all but the first, and apply the rules if `changes`.
    cdef void go(self, Learnt learnt, const char *partials, Py_ssize_t chunks, bint changes, int workers) noexcept nogil
