from fastnn._kernels._conv_winograd cimport Outcome
from fastnn._kernels.conv_gradients cimport Gradients

# dw, which is wanted, and db if it is; 3 x 3, stride 1, padding up to 2.
cdef Outcome winograd_weight(const Gradients *a) noexcept nogil
