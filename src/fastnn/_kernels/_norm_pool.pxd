# Batch normalisation by the moments of the batch, with a max pool behind it, for plans of training.
from fastnn._kernels._norm cimport Norm
from fastnn._kernels._pool cimport Pool


# Whether both in one go are faster than one after the other.
cdef bint may_pool(const Norm *g, const Pool *pool) noexcept nogil
# pool.y and pool.positions of norm.x; `kept` gets the x of each maximum. False when there is no memory.
cdef bint normalise_and_pool(Norm *g, const Pool *pool, char *kept, int workers) noexcept nogil
# norm.out, dw and db of pool.y, the gradient behind the pool, and of pool.positions and `kept`.
cdef bint unpool_and_normalise(Norm *g, const Pool *pool, char *kept, int workers) noexcept nogil
