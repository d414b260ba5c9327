from fastnn._kernels._conv cimport Conv
from fastnn._kernels.conv_gradients cimport Gradients
from fastnn._kernels.conv_way cimport Way

cdef bint is_pointwise(Py_ssize_t KH, Py_ssize_t KW, Py_ssize_t SH, Py_ssize_t SW, Py_ssize_t PH, Py_ssize_t PW,
                       bint same_size) noexcept nogil
cdef Way forward_way(const Conv *g, bint packed) noexcept nogil
cdef Way input_way(const Gradients *a) noexcept nogil
cdef Way weight_way(const Gradients *a) noexcept nogil
# The convolution of dy with the kernel turned round, which is the input gradient at stride 1; without its weights.
cdef Conv turned(const Gradients *a) noexcept nogil
