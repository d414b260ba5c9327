# A training step by groups of examples, which go forward and back through all steps while they are in the cache.
from fastnn._kernels._plan_train_steps cimport Call

# Return whether this way pays for the network. If so, decide the sizes of chunks and groups.
cdef bint by_groups(Call *g) noexcept nogil
# Bytes of a thread's memory.
cdef Py_ssize_t memory_of_groups(const Call *g) noexcept nogil
# Compute losses and gradients. The gradients of the first chunk go to `gradients`, those of the others to `partials`.
cdef void run_groups(Call *g) noexcept nogil
