# A training step whose values lie as in the layers: by groups of examples, or over the whole batch.
from fastnn._kernels._plan_train_steps cimport Call

# Decide the sizes of chunks and groups.
cdef void cut(Call *g) noexcept nogil
# Bytes of a thread's memory.
cdef Py_ssize_t memory_of_whole(const Call *g) noexcept nogil
# Compute losses and gradients, as `run_groups` does. Sets `enough` to False when there is no memory.
cdef void run_whole(Call *g) noexcept nogil
# The halves of a step without a loss: the scores, to `y`; and back from their gradient.
cdef void run_forward(Call *g) noexcept nogil
cdef void run_backward(Call *g, const char *dy) noexcept nogil
