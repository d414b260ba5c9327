from fastnn._kernels.conv_shape cimport ConvShape
from fastnn._kernels.conv_way cimport Way
from fastnn._kernels.fnn cimport fnn_tiles

cdef Way forward_way(fnn_tiles *t, const ConvShape *s, bint packed) noexcept nogil
cdef Way input_way(fnn_tiles *t, const ConvShape *s) noexcept nogil
cdef Way weight_way(fnn_tiles *t, const ConvShape *s) noexcept nogil
cdef bint rows_pay_for_gradients(fnn_tiles *t, const ConvShape *s) noexcept nogil
