# Depthwise convolution by rows of the planes, which stay as they are.
from fastnn._kernels.conv_gradients cimport Gradients
from fastnn._kernels.conv_output cimport Output
from fastnn._kernels.conv_shape cimport ConvShape
from fastnn._kernels.fnn cimport fnn_tiles

# Whether the functions below can serve a shape: one channel of a group on both sides, and the kernels they know.
cdef bint rows_may_serve(fnn_tiles *t, const ConvShape *s) noexcept nogil
# The whole output. False when there is no memory.
cdef bint depthwise_by_rows(const Output *g, int workers) noexcept nogil
# The gradients that are wanted. False when there is no memory.
cdef bint depthwise_gradients_by_rows(const Gradients *a, int workers) noexcept nogil
