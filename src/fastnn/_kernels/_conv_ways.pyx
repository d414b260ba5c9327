"""Which way serves which convolution: all the choices are here. HACKING.md has the figures behind them."""
from fastnn._kernels._conv cimport Conv
from fastnn._kernels._conv_winograd cimport TILE
from fastnn._kernels._table cimport tiles
from fastnn._kernels.fnn cimport ceil_div, reach
from fastnn._kernels.conv_gradients cimport Gradients
from fastnn._kernels.conv_way cimport FOLD, ONE_PASS, PIXELS, PLANES, POINTWISE, TAPS, WINOGRAD, Way

cdef enum:
    FEW = 32           # elements of a patch, up to which both gradients are made in one pass over dy
    LARGE_MAP = 1024   # pixels, from which they are for 1 x 1,
    DW_BYTES = 1 << 20  # if there are no more weights
    MAP = 256          # pixels, from which dw alone is made so for few outputs,
    SOME = 300         # for patches of up to so many elements
    THIN = 2           # channels of a group on both sides, up to which tiles are too empty
    CHANNELS = 5      # C*O / (C + O), or half a vector, from which Winograd's products outweigh its transforms
    TILES = 32         # of a batch, from which they outweigh the transform of the weights,
    FEW_TILES = 4      # and from which they do where the weights are transformed already


cdef bint is_pointwise(Py_ssize_t KH, Py_ssize_t KW, Py_ssize_t SH, Py_ssize_t SW, Py_ssize_t PH, Py_ssize_t PW,
                       bint same_size) noexcept nogil:
    """1 x 1, and both maps of one size: the output padding of a transposed convolution may add to one of them."""
    return KH == KW == SH == SW == 1 and PH == PW == 0 and same_size


cdef bint winograd_pays(const Conv *g, Py_ssize_t least) noexcept nogil:
    """Plain 3 x 3; enough channels on both sides, enough tiles, not too much of them beyond the border."""
    cdef Py_ssize_t count = ceil_div(g.OH, TILE) * ceil_div(g.OW, TILE)
    return (g.KH == g.KW == 3 and g.SH == g.SW == g.DH == g.DW == g.G == 1 and 0 <= g.PH <= 2 and 0 <= g.PW <= 2
            and g.C * g.O >= max(<Py_ssize_t> CHANNELS, g.t.lanes // 2) * (g.C + g.O) and g.N * count >= least
            and count * TILE * TILE <= 2 * g.OH * g.OW)


cdef bint one_pass_pays(const Gradients *a) noexcept nogil:
    return (a.C * a.KH * a.KW <= FEW
            or is_pointwise(a.KH, a.KW, a.SH, a.SW, a.PH, a.PW, a.H == a.OH and a.W == a.OW)
            and a.OH * a.OW >= LARGE_MAP and a.O * a.C * a.t.itemsize <= DW_BYTES)


cdef Conv turned(const Gradients *a) noexcept nogil:
    cdef Conv f
    f.t, f.N, f.C, f.H, f.W, f.O = a.t, a.N, a.O, a.OH, a.OW, a.C
    f.KH, f.KW, f.OH, f.OW, f.SH, f.SW, f.DH, f.DW, f.G = a.KH, a.KW, a.H, a.W, 1, 1, a.DH, a.DW, a.G
    f.PH, f.PW = reach(a.KH, a.DH) - 1 - a.PH, reach(a.KW, a.DW) - 1 - a.PW
    f.x, f.w, f.y, f.bias, f.flags = a.dy, NULL, a.dx, a.bias, a.flags
    return f


cdef Way forward_way(const Conv *g, bint packed) noexcept nogil:
    if winograd_pays(g, FEW_TILES if packed else TILES):
        return WINOGRAD
    if is_pointwise(g.KH, g.KW, g.SH, g.SW, g.PH, g.PW, g.H == g.OH and g.W == g.OW) and g.OH * g.OW >= g.t.nr:
        return POINTWISE
    return TAPS if g.C <= THIN and g.O <= THIN else PLANES


cdef Way input_way(const Gradients *a) noexcept nogil:
    cdef Conv f = turned(a)
    if a.G > 1 and a.C <= THIN and a.O <= THIN and a.SH == a.SW == 1:
        return TAPS
    if one_pass_pays(a):
        return ONE_PASS
    if a.SH == a.SW == 1 and winograd_pays(&f, TILES):
        return WINOGRAD
    # as a convolution, where that multiplies few zeros of a border and fills a tile
    if a.SH == a.SW == 1 and a.KH * a.KW > 1 and a.C >= 8 and 8 * a.H * a.W <= 9 * a.OH * a.OW:
        return PLANES
    return FOLD


cdef Way weight_way(const Gradients *a) noexcept nogil:
    cdef Conv f = turned(a)
    f.OH, f.OW = a.OH, a.OW
    if one_pass_pays(a):
        return ONE_PASS
    if a.SH == a.SW == 1 and winograd_pays(&f, TILES):
        return WINOGRAD
    # the rows of the product are long enough to be summed over their lanes, and few outputs leave the other way's
    # tiles half empty
    if a.C * a.KH * a.KW <= SOME and a.OH * a.OW >= (MAP if a.O <= a.t.lanes else LARGE_MAP):
        return ONE_PASS
    return PIXELS


def ways(Py_ssize_t N, Py_ssize_t C, Py_ssize_t H, Py_ssize_t W, Py_ssize_t O, Py_ssize_t KH, Py_ssize_t KW,
         Py_ssize_t SH=1, Py_ssize_t SW=1, Py_ssize_t PH=0, Py_ssize_t PW=0, Py_ssize_t DH=1, Py_ssize_t DW=1,
         Py_ssize_t G=1, bint is_double=False, bint packed=False):
    """The ways of y, dx and dw of a convolution of this shape (of G groups, C and O channels in all), by name.

    `packed`: where the weights of the forward are packed already.
    """
    cdef Conv g
    cdef Gradients a
    names = {PLANES: "planes", POINTWISE: "pointwise", TAPS: "taps", WINOGRAD: "winograd", ONE_PASS: "one pass",
             FOLD: "fold", PIXELS: "pixels"}
    g.t = a.t = tiles(is_double)
    g.N, g.C, g.H, g.W, g.O, g.KH, g.KW, g.G = N, C // G, H, W, O // G, KH, KW, G
    g.SH, g.SW, g.PH, g.PW, g.DH, g.DW = SH, SW, PH, PW, DH, DW
    a.N, a.C, a.H, a.W, a.O, a.KH, a.KW, a.G = g.N, g.C, H, W, g.O, KH, KW, G
    a.SH, a.SW, a.PH, a.PW, a.DH, a.DW = SH, SW, PH, PW, DH, DW
    g.OH = a.OH = (H + 2 * PH - reach(KH, DH)) // SH + 1
    g.OW = a.OW = (W + 2 * PW - reach(KW, DW)) // SW + 1
    a.dx = NULL
    return {"y": names[forward_way(&g, packed)], "dx": names[input_way(&a)], "dw": names[weight_way(&a)]}
