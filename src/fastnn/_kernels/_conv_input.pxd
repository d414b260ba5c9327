from fastnn._kernels.conv_gradients cimport Gradients

# Write dx, which must not be NULL. False when there is no memory.
cdef bint input_gradient(const Gradients *a) noexcept nogil
