# The sizes of a convolution, which all its kernels share, and functions of these sizes alone.
from fastnn._kernels.fnn cimport reach

# An entry point gets `ConvGeometry` of `_validate` as this tuple: KH, KW, SH, SW, PH, PW, DH, DW, G.
ctypedef (Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t,
          Py_ssize_t) Geometry

cdef struct ConvShape:
    Py_ssize_t N
    Py_ssize_t C, O    # input and output channels of one group
    Py_ssize_t H, W, OH, OW
    Py_ssize_t KH, KW, SH, SW
    Py_ssize_t PH, PW  # padding above and on the left; the output's size implies the padding below and on the right
    Py_ssize_t DH, DW
    Py_ssize_t G       # groups


cdef inline ConvShape conv_shape(Py_ssize_t N, Py_ssize_t C, Py_ssize_t H, Py_ssize_t W, Py_ssize_t O, Py_ssize_t OH,
                                 Py_ssize_t OW, Geometry geometry) noexcept nogil:
    """The shape, from the channels C and O of all groups together."""
    cdef ConvShape s
    s.KH, s.KW, s.SH, s.SW, s.PH, s.PW, s.DH, s.DW, s.G = geometry
    s.N, s.C, s.H, s.W, s.O, s.OH, s.OW = N, C // s.G, H, W, O // s.G, OH, OW
    return s


cdef inline bint is_pointwise(const ConvShape *s) noexcept nogil:
    """The kernel is 1 x 1, and both maps have one size.

    Their sizes may differ even here: a transposed convolution with output padding has a larger output.
    """
    return s.KH == s.KW == s.SH == s.SW == 1 and s.PH == s.PW == 0 and s.H == s.OH and s.W == s.OW


cdef inline ConvShape turned(const ConvShape *s) noexcept nogil:
    """The shape of the convolution that computes dx at stride 1: dy with each kernel turned by half a turn."""
    cdef ConvShape f = s[0]
    f.C, f.H, f.W, f.O, f.OH, f.OW, f.SH, f.SW = s.O, s.OH, s.OW, s.C, s.H, s.W, 1, 1
    f.PH, f.PW = reach(s.KH, s.DH) - 1 - s.PH, reach(s.KW, s.DW) - 1 - s.PW
    return f
