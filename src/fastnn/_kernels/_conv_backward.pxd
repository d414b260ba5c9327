# The gradients of a convolution, for the plan of a training step.
from fastnn._kernels.conv_gradients cimport Gradients

# Write each gradient whose pointer is not NULL, by the way that suits it. False when there is no memory.
cdef bint gradients(const Gradients *a) noexcept nogil
# The same of a transposed convolution. `a` is of the convolution whose input gradient it is: a.dy is its input, a.x the
# gradient of its output, and a.dx and a.db are not used. dx and db as a.dw, or NULL.
cdef bint transposed_gradients(Gradients *a, char *dx, char *db) noexcept nogil
