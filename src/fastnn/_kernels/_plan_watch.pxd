# The modules and parameters that a plan was made from, and whether they have changed since.
from cpython.ref cimport PyObject

from fastnn._kernels._plan_buffers cimport Memory

cdef class Unchanged:
    cdef list modules, names, values
    cdef Memory places
    cdef PyObject **had  # name and value of each attribute, NULL as the value of a name in `but`, NULL after a module

cdef class Weights:
    cdef list parameters, keepers, seals, copies
    cdef Memory places
    cdef void **starts
    cdef dict packed  # packed weights; the key has the places of weight and bias, and the way

    cdef bint hold(self) except -1  # whether no parameter can have changed
