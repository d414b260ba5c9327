# Stages: neighbouring steps that a group of images goes through before the next group does.
from fastnn._kernels._plan_steps cimport Step

cdef struct Stage:
    Py_ssize_t first, last  # the steps first <= i < last
    Py_ssize_t group        # images of a group
    Py_ssize_t between      # bytes of the LOCAL buffers of a group
    Py_ssize_t memory       # bytes of these buffers and of the steps' workspace


# Cut the steps for N images into stages. Writes their `first`, `last` and `group`, and returns the number of stages.
cdef Py_ssize_t into_stages(const Step *steps, Py_ssize_t count, Py_ssize_t N, int workers,
                            Stage *stages) noexcept nogil
