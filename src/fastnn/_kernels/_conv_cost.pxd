# What the ways of a convolution cost, for `_conv_ways` to compare, and how images side by side are multiplied.
from fastnn._kernels.conv_shape cimport ConvShape
from fastnn._kernels.conv_way cimport Way
from fastnn._kernels.fnn cimport fnn_tiles

# In nanoseconds, near enough for a comparison.
cdef double forward_cost(fnn_tiles *t, const ConvShape *s, Way way) noexcept nogil
cdef double input_cost(fnn_tiles *t, const ConvShape *s, Way way) noexcept nogil
cdef double weight_cost(fnn_tiles *t, const ConvShape *s, Way way) noexcept nogil

# Whether images are the lanes of tiles, and outputs their rows, in the ways of _conv_batch.
cdef bint images_in_lanes(fnn_tiles *t, const ConvShape *s, bint gradient) noexcept nogil
# Of a convolution whose groups have one input and one output channel, by the way of this name.
cdef double taps_cost(fnn_tiles *t, const ConvShape *s) noexcept nogil
cdef double depthwise_cost(fnn_tiles *t, const ConvShape *s) noexcept nogil
# The gradients of a depthwise convolution in lanes, and y or the gradients of one by rows.
cdef double plane_lanes_cost(fnn_tiles *t, const ConvShape *s) noexcept nogil
cdef double plane_rows_cost(fnn_tiles *t, const ConvShape *s, bint gradients) noexcept nogil
