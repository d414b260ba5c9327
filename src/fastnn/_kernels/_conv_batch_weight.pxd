from fastnn._kernels.conv_gradients cimport Gradients

# dw, and db unless it is NULL. False when there is no memory.
cdef bint batch_weight(const Gradients *a) noexcept nogil
