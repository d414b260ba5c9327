from fastnn._kernels.conv_gradients cimport Gradients
from fastnn._kernels.conv_output cimport Output
from fastnn._kernels.conv_shape cimport ConvShape
from fastnn._kernels.fnn cimport fnn_tiles

# Whether all that a vector of images needs stays in the cache.
cdef bint fits_side_by_side(fnn_tiles *t, const ConvShape *s) noexcept nogil

# Write all of y, or of dx, as `winograd` and `winograd_input` do. An inf or NaN sets `spoilt` (N) for all images of its
# vector, whose pixels are not valid then. False when there is no memory.
cdef bint winograd_side_by_side(const Output *g, char *spoilt) noexcept nogil
cdef bint winograd_input_side_by_side(const Gradients *a, char *spoilt) noexcept nogil
