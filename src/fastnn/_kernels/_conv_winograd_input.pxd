from fastnn._kernels.conv_gradients cimport Gradients

# dx of a plain convolution with kernels of 3 x 3 or 5 x 5, with `a.bias` and `a.flags`. `spoilt` (N) tells of which
# images what was written is not what the definition says. False when there is no memory.
cdef bint winograd_input(const Gradients *a, char *spoilt) noexcept nogil
