from fastnn._kernels._conv cimport Conv
from fastnn._kernels.gradients cimport Gradients
from fastnn._kernels.way cimport Way

cdef Way forward_way(const Conv *g, bint packed) noexcept nogil
cdef Way input_way(const Gradients *a) noexcept nogil
cdef Way weight_way(const Gradients *a) noexcept nogil
# The convolution of dy with the kernel turned round, which is the input gradient at stride 1; without its weights.
cdef Conv turned(const Gradients *a) noexcept nogil
