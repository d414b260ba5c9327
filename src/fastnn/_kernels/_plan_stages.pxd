# Stages: runs of steps that a group of images goes through before the next group does.
from fastnn._kernels._plan_steps cimport Step

cdef struct Stage:
    Py_ssize_t first, last  # steps, the last one not included
    Py_ssize_t group        # of images that go through all of them, before the next group does
    Py_ssize_t between      # bytes of the buffers for what goes from step to step, for a group
    Py_ssize_t memory       # bytes of these and of the steps' workspace


# Cut the steps for N images into stages: writes their `first`, `last` and `group`. Returns how many there are.
cdef Py_ssize_t into_stages(const Step *steps, Py_ssize_t count, Py_ssize_t N, int workers,
                            Stage *stages) noexcept nogil
