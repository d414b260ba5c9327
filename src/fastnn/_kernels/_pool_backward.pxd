# The gradients of pools, for plans of training: of y, as x. False when there is no memory.
from fastnn._kernels._pool cimport Pool

cdef bint max_pool_gradient(Pool *g) noexcept nogil
cdef bint average_pool_gradient(Pool *g) noexcept nogil
