# The parameters that a training step changes, their gradients, and the optimiser's rules.
from fastnn._kernels._plan_buffers cimport Memory
from fastnn._kernels.fnn cimport fnn_tiles

cdef enum:
    FACTORS = 10  # the most factors of a rule
    KEPT = 3      # the most arrays that a rule keeps for a parameter

cdef struct Piece:
    Py_ssize_t parameter, first, count  # the piece is `count` elements of this parameter, from `first` on
    Py_ssize_t rule                     # the number of its rule in the update, or -1
    char *kept[KEPT]                    # the first element of each array that the rule keeps, or NULL

cdef struct Rule:
    int kind
    double factors[FACTORS]

cdef class Learnt:
    cdef readonly list parameters
    cdef list keepers, gradients, shapes
    cdef Memory places
    cdef void **starts
    cdef char **to            # the gradient of each parameter, or NULL
    cdef Py_ssize_t *at       # elements of the gradients before that of each parameter
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
    # Add the gradients in `partials`, which are those of all chunks except the first. Apply the rules if `changes`.
    cdef void go(self, Learnt learnt, const char *partials, Py_ssize_t chunks, bint changes, int workers) noexcept nogil


cdef inline bint wanted(Learnt learnt, Py_ssize_t place) noexcept:
    return place >= 0 and learnt.to[place] != NULL
