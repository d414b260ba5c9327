from fastnn._kernels.conv_gradients cimport Gradients

# Write dx, dw and db in one pass over dy, except those that are NULL. db needs dw. False when there is no memory.
cdef bint one_pass(const Gradients *a) noexcept nogil
