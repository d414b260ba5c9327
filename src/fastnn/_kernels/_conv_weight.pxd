from fastnn._kernels.conv_gradients cimport Gradients

# Write dw, which must not be NULL, and db unless it is NULL. False when there is no memory.
cdef bint weight_gradient(const Gradients *a) noexcept nogil
