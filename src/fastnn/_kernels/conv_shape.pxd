# The sizes of a convolution, for all of its kernels, and what follows from sizes alone.
from fastnn._kernels.fnn cimport reach

# `ConvGeometry` of `_validate` as an entry point gets it: KH, KW, SH, SW, PH, PW, DH, DW, G.
ctypedef (Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t,
          Py_ssize_t) Geometry

cdef struct ConvShape:
    Py_ssize_t N
    Py_ssize_t C, O    # channels of one group: of the input and of the output
    Py_ssize_t H, W, OH, OW
    Py_ssize_t KH, KW, SH, SW
    Py_ssize_t PH, PW  # above and on the left; the size of the output says what is below and on the right
    Py_ssize_t DH, DW
    Py_ssize_t G       # groups


cdef inline ConvShape conv_shape(Py_ssize_t N, Py_ssize_t C, Py_ssize_t H, Py_ssize_t W, Py_ssize_t O, Py_ssize_t OH,
                                 Py_ssize_t OW, Geometry geometry) noexcept nogil:
    """C and O are the channels of all groups."""
    cdef ConvShape s
    s.KH, s.KW, s.SH, s.SW, s.PH, s.PW, s.DH, s.DW, s.G = geometry
    s.N, s.C, s.H, s.W, s.O, s.OH, s.OW = N, C // s.G, H, W, O // s.G, OH, OW
    return s


cdef inline bint is_pointwise(const ConvShape *s) noexcept nogil:
    """1 x 1, and both maps of one size: the output padding of a transposed convolution may add to one of them."""
    return s.KH == s.KW == s.SH == s.SW == 1 and s.PH == s.PW == 0 and s.H == s.OH and s.W == s.OW


cdef inline ConvShape turned(const ConvShape *s) noexcept nogil:
    """Of the convolution of dy with the kernel turned round, which is the input gradient at stride 1."""
    cdef ConvShape f = s[0]
    f.C, f.H, f.W, f.O, f.OH, f.OW, f.SH, f.SW = s.O, s.OH, s.OW, s.C, s.H, s.W, 1, 1
    f.PH, f.PW = reach(s.KH, s.DH) - 1 - s.PH, reach(s.KW, s.DW) - 1 - s.PW
    return f
