from fastnn._kernels.conv_gradients cimport Gradients

# Write dx, which must not be NULL. False when there is no memory.
cdef bint input_gradient(const Gradients *a) noexcept nogil
# flipped (G, C, O, KH, KW) = the kernels w (G, O, C, KH, KW) of each group, turned by half a turn.
cdef void turn_kernels(const Gradients *a, char *flipped) noexcept nogil
