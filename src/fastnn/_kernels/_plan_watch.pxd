# What a plan was made from, and whether it has changed since.
from cpython.ref cimport PyObject

from fastnn._kernels._plan_buffers cimport Memory

cdef class Unchanged:
    cdef list modules, names, values
    cdef Memory places
    cdef PyObject **had  # name and value of each attribute, NULL as the value of one in `but`, and NULL after a module

cdef class Weights:
    cdef list parameters, keepers, seals, copies
    cdef Memory places
    cdef void **starts
    cdef dict packed  # by the places of weight and bias and by the way
