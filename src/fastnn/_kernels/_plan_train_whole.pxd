# A training step whose values lie as the layers have them: by groups of examples, or over the whole batch.
from fastnn._kernels._plan_train_steps cimport Call

# Sizes of chunks and groups.
cdef void cut(Call *g) noexcept nogil
# Bytes of a thread's memory.
cdef Py_ssize_t memory_of_whole(const Call *g) noexcept nogil
# Losses and gradients; those of all chunks but the first are left in `partials`. `enough`: whether there was memory.
cdef void run_whole(Call *g) noexcept nogil
