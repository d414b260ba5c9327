# A training step by groups of examples, which go forward and back through all steps while they are in the cache.
from fastnn._kernels._plan_train_steps cimport Call

# Whether groups are worth while, and their sizes.
cdef bint by_groups(Call *g) noexcept nogil
# Bytes of `memory`.
cdef Py_ssize_t memory_of_groups(const Call *g) noexcept nogil
# Losses and gradients; those of all chunks but the first are left in `partials`.
cdef void run_groups(Call *g) noexcept nogil
