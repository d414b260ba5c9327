from fastnn._kernels._conv_winograd cimport Outcome
from fastnn._kernels.conv_gradients cimport Gradients

# Write dw, which must not be NULL, and db unless it is NULL, for 3 x 3 at stride 1 with padding up to 2.
cdef Outcome winograd_weight(const Gradients *a) noexcept nogil
