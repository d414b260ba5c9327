# A training step that goes step after step over the whole batch.
from fastnn._kernels._plan_train_steps cimport Call

# Bytes of `memory`.
cdef Py_ssize_t memory_of_whole(const Call *g) noexcept nogil
# Losses and gradients. False when there is no memory.
cdef bint run_whole(Call *g) noexcept nogil
# Chunks of the loss.
cdef Py_ssize_t loss_chunks(const Call *g) noexcept nogil
