# The gradients of pools, for the plan of a training step. They read the output's gradient from g.y, and write the
# input's gradient to g.x. False when there is no memory.
from fastnn._kernels._pool cimport Pool

cdef bint max_pool_gradient(Pool *g) noexcept nogil
cdef bint average_pool_gradient(Pool *g) noexcept nogil
