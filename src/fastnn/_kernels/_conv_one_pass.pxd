from fastnn._kernels.conv_gradients cimport Gradients

# All the gradients that are wanted, in one pass over dy; db only together with dw. False when there is no memory.
cdef bint one_pass(const Gradients *a) noexcept nogil
