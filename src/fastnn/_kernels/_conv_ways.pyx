"""Chooses the way of each convolution and of its gradients. docs/dev/measurements.md has the figures."""
from fastnn._kernels._conv_cost cimport (
    depthwise_cost,
    forward_cost,
    input_cost,
    plane_lanes_cost,
    plane_rows_cost,
    taps_cost,
    weight_cost,
)
from fastnn._kernels._conv_lanes cimport lanes_may_serve
from fastnn._kernels._conv_planes cimport channels_together
from fastnn._kernels._conv_winograd cimport VALUES, VIEW
from fastnn._kernels._conv_winograd_side cimport fits_side_by_side
from fastnn._kernels._table cimport tiles
from fastnn._kernels.conv_shape cimport ConvShape, Geometry, conv_shape, is_pointwise, turned
from fastnn._kernels.conv_way cimport (
    BATCH,
    DEPTHWISE,
    FOLD,
    ONE_PASS,
    PIXELS,
    PLANES,
    POINTWISE,
    ROWS,
    SIDE,
    SPREAD,
    TAPS,
    TURNED,
    WINOGRAD,
    Way,
)
from fastnn._kernels.fnn cimport ceil_div, fnn_tiles, reach

cdef enum:
    BATCH_MAX_TAPS = 64        # of a kernel: tables grow with their square
    BATCH_MAX_BYTES = 1 << 21  # of a vector of images laid side by side

    ROWS_MIN_VECTOR = 32  # bytes: narrower vectors have no loads by masks

    TAPS_MAX_CHANNELS = 2     # input and output channels of a group: a tile would be nearly empty
    FEW_OUTPUTS = 8           # of a group: both gradients compare dy as an image with the ways below
    PLANES_MIN_CHANNELS = 8   # channels of dx as a convolution: fewer would fill too little of a tile

    ONE_PASS_MAX_PATCH = 32                 # elements of a patch: dx and dw in one pass over dy
    ONE_PASS_MIN_POINTWISE_MAP = 1024       # pixels of a map, for 1 x 1
    ONE_PASS_MAX_POINTWISE_DW = 1 << 20     # bytes of dw, for 1 x 1: dw has to stay in the cache
    ONE_PASS_MAX_DW_PATCH = 300             # elements of a patch, for dw without dx
    ONE_PASS_MIN_DW_MAP = 1024              # pixels of a map, for dw: with fewer, summing over lanes costs too much
    ONE_PASS_MIN_DW_MAP_FEW_OUTPUTS = 256   # the same for at most a vector of outputs: they half fill tiles of PIXELS

    WINOGRAD_MIN_CHANNELS = 5       # C*O / (C + O), or half a vector: the products outweigh the transforms of images
    WINOGRAD_MIN_TILES = 32         # tiles of a batch: the products outweigh the transform of the weights
    WINOGRAD_MIN_TILES_PACKED = 4   # tiles of a batch, if the weights are transformed already

    SIDE_MIN_CHANNELS_5x5 = 2  # C*O / (C + O), with images side by side

    # 5 x 5: multiply-adds of a vector that take as long as
    COST_OF_TILE = 300    # transforming a tile, for each vector of channels, before or after the products
    COST_OF_KERNEL = 10   # transforming a kernel

# 5 x 5 by a direct way: multiply-adds of Winograd's products that take as long as one of the definition, and as one
# channel's share of the patches. All costs were fitted over 300 random shapes on the tiers v3 and v4.
cdef double FORWARD = 0.95, FORWARD_PATCHES = 1.7
cdef double PLANES_INPUT = 0.85, PLANES_INPUT_PATCHES = 4.2
cdef double FOLD_INPUT = 1.0, FOLD_INPUT_PATCHES = 9.5
cdef double WEIGHT = 1.15, WEIGHT_PATCHES = 11.5

cdef double SIDE_MARGIN = 1.07  # images side by side are taken where their cost is clearly lower


cdef inline Py_ssize_t tiles_of(const ConvShape *s) noexcept nogil:
    """Winograd's, of an image; s.KH is 3 or 5."""
    cdef Py_ssize_t tile = VIEW + 1 - s.KH
    return ceil_div(s.OH, tile) * ceil_div(s.OW, tile)


cdef inline bint tiles_fit(const ConvShape *s) noexcept nogil:
    """A plain convolution with a square kernel; at most half of the tiles' area lies beyond the border."""
    cdef Py_ssize_t tile = VIEW + 1 - s.KH
    return (s.KH == s.KW and s.SH == s.SW == s.DH == s.DW == s.G == 1 and 0 <= s.PH < s.KH and 0 <= s.PW < s.KW
            and tiles_of(s) * tile * tile <= 2 * s.OH * s.OW)


cdef bint winograd_pays(fnn_tiles *t, const ConvShape *s, Py_ssize_t min_tiles) noexcept nogil:
    """Whether Winograd's way is faster for 3 x 3: enough channels on both sides, and enough tiles."""
    return (s.KH == 3 and tiles_fit(s) and s.N * tiles_of(s) >= min_tiles
            and s.C * s.O >= max(<Py_ssize_t> WINOGRAD_MIN_CHANNELS, t.lanes // 2) * (s.C + s.O))


cdef bint winograd_pays_5x5(fnn_tiles *t, const ConvShape *s, Py_ssize_t ins, Py_ssize_t outs,
                            double direct, bint packed=False) noexcept nogil:
    """Whether Winograd's way is faster for 5 x 5.

    `direct` is the cost of the direct way for one image, without its 25 taps and without vectors. The maps that are
    transformed have `ins` channels, and the products `outs`.
    """
    cdef double count, out_vectors = ceil_div(outs, t.lanes)
    if s.KH != 5 or not tiles_fit(s):
        return False
    count = s.N * tiles_of(s)
    return count >= (WINOGRAD_MIN_TILES_PACKED if packed else WINOGRAD_MIN_TILES) and (
        count * (VALUES * ins * out_vectors + COST_OF_TILE * (ceil_div(ins, t.lanes) + out_vectors))
        + (0 if packed else <double> COST_OF_KERNEL * s.C * s.O) < direct * s.N * s.KH * s.KW / t.lanes)


cdef bint planes_pay_for_input(const ConvShape *s) noexcept nogil:
    """A convolution of dy multiplies the zeros of a border too: dx may be an eighth larger than dy at most."""
    return (s.SH == s.SW == 1 and s.KH * s.KW > 1 and s.C >= PLANES_MIN_CHANNELS
            and 8 * s.H * s.W <= 9 * s.OH * s.OW)


cdef bint may_turn(const ConvShape *s) noexcept nogil:
    """Few outputs: with dy as the image of a convolution with turned kernels, the channels of x fill vectors."""
    cdef ConvShape f = turned(s)
    return s.SH == s.SW == 1 and s.O <= FEW_OUTPUTS and s.O < s.C and f.PH >= 0 and f.PW >= 0


cdef bint spread_pays(fnn_tiles *t, const ConvShape *s) noexcept nogil:
    cdef double direct = <double> s.OH * s.OW * s.C * (FOLD_INPUT * s.O + FOLD_INPUT_PATCHES)
    if planes_pay_for_input(s):
        direct = <double> s.H * s.W * s.O * (PLANES_INPUT * s.C + PLANES_INPUT_PATCHES)
    return winograd_pays_5x5(t, s, s.O, s.C, direct)


cdef bint one_pass_pays(fnn_tiles *t, const ConvShape *s) noexcept nogil:
    return (s.C * s.KH * s.KW <= ONE_PASS_MAX_PATCH
            or is_pointwise(s) and s.OH * s.OW >= ONE_PASS_MIN_POINTWISE_MAP
            and s.O * s.C * t.itemsize <= ONE_PASS_MAX_POINTWISE_DW)


cdef bint rows_may_serve(fnn_tiles *t, const ConvShape *s) noexcept nogil:
    """One channel of a group on both sides, and what _conv_rows serves."""
    if s.C != 1 or s.O != 1 or t.lanes * t.itemsize < ROWS_MIN_VECTOR:
        return False
    if s.KH == 1:
        return is_pointwise(s)
    return ((s.KH == 3 or s.KH == 5) and s.KW == s.KH and s.SH == s.SW and s.SH <= 2 and s.DH == s.DW == 1
            and 0 <= s.PH < s.KH and 0 <= s.PW < s.KW)


cdef Way forward_by_images(fnn_tiles *t, const ConvShape *s, bint packed) noexcept nogil:
    if winograd_pays(t, s, WINOGRAD_MIN_TILES_PACKED if packed else WINOGRAD_MIN_TILES):
        return WINOGRAD
    if winograd_pays_5x5(t, s, s.C, s.O, <double> s.OH * s.OW * s.C * (FORWARD * s.O + FORWARD_PATCHES), packed):
        return WINOGRAD
    if s.C > TAPS_MAX_CHANNELS or s.O > TAPS_MAX_CHANNELS:
        return POINTWISE if is_pointwise(s) and s.OH * s.OW >= t.nr else PLANES
    if s.C > 1 or s.O > 1 or is_pointwise(s):
        return TAPS
    if rows_may_serve(t, s) and plane_rows_cost(t, s, False) < min(depthwise_cost(t, s), taps_cost(t, s)):
        return ROWS
    return DEPTHWISE if depthwise_cost(t, s) < taps_cost(t, s) else TAPS


cdef Way input_directly(fnn_tiles *t, const ConvShape *s) noexcept nogil:
    cdef ConvShape f = turned(s)
    if s.G > 1 and s.C <= TAPS_MAX_CHANNELS and s.O <= TAPS_MAX_CHANNELS and s.SH == s.SW == 1:
        return TAPS
    if one_pass_pays(t, s):
        return ONE_PASS
    if spread_pays(t, s):
        return SPREAD
    if s.SH == s.SW == 1 and winograd_pays(t, &f, WINOGRAD_MIN_TILES):
        return WINOGRAD
    return PLANES if planes_pay_for_input(s) else FOLD


cdef Way input_by_images(fnn_tiles *t, const ConvShape *s) noexcept nogil:
    cdef Way way = input_directly(t, s)
    if (way == SPREAD or way == WINOGRAD or way == FOLD) and may_turn(s):
        return PLANES if input_cost(t, s, PLANES) < input_cost(t, s, way) else way
    return way


cdef Way weight_directly(fnn_tiles *t, const ConvShape *s) noexcept nogil:
    cdef ConvShape f = turned(s)
    f.OH, f.OW = s.OH, s.OW
    if one_pass_pays(t, s):
        return ONE_PASS
    if s.SH == s.SW == 1 and winograd_pays(t, &f, WINOGRAD_MIN_TILES):
        return WINOGRAD
    if winograd_pays_5x5(t, s, s.C, s.O, <double> s.OH * s.OW * s.C * (WEIGHT * s.O + WEIGHT_PATCHES)):
        return WINOGRAD
    if s.C * s.KH * s.KW <= ONE_PASS_MAX_DW_PATCH and s.OH * s.OW >= (
            ONE_PASS_MIN_DW_MAP_FEW_OUTPUTS if s.O <= t.lanes else ONE_PASS_MIN_DW_MAP):
        return ONE_PASS
    return PIXELS


cdef Way weight_by_images(fnn_tiles *t, const ConvShape *s) noexcept nogil:
    cdef Way way = weight_directly(t, s)
    return TURNED if may_turn(s) and weight_cost(t, s, TURNED) < weight_cost(t, s, way) else way


cdef bint batch_may_serve(fnn_tiles *t, const ConvShape *s) noexcept nogil:
    """Several images of small maps, few enough taps for its tables."""
    return (s.N > 1 and s.KH * s.KW <= BATCH_MAX_TAPS
            and max(s.C * s.H * s.W, s.O * s.OH * s.OW) * t.lanes * t.itemsize <= BATCH_MAX_BYTES)


cdef bint side_may_serve(fnn_tiles *t, const ConvShape *s) noexcept nogil:
    """A vector of images and more, of maps that stay in the cache, with enough channels and tiles."""
    return ((s.KH == 3 or s.KH == 5) and tiles_fit(s) and s.N >= t.lanes and s.N * tiles_of(s) >= WINOGRAD_MIN_TILES
            and s.C * s.O >= (WINOGRAD_MIN_CHANNELS if s.KH == 3 else SIDE_MIN_CHANNELS_5x5) * (s.C + s.O)
            and fits_side_by_side(t, s))


cdef Way forward_way(fnn_tiles *t, const ConvShape *s, bint packed) noexcept nogil:
    cdef Way way = forward_by_images(t, s, packed)
    # Plans keep the ways by images. These have the bits of BATCH, but for Winograd's, and for sums of several parts.
    if packed or way == TAPS or way == DEPTHWISE or way == ROWS:
        return way
    if (way != WINOGRAD and batch_may_serve(t, s) and channels_together(t, s) == s.C
            and forward_cost(t, s, BATCH) < forward_cost(t, s, way)):
        way = BATCH
    return SIDE if side_may_serve(t, s) and SIDE_MARGIN * forward_cost(t, s, SIDE) < forward_cost(t, s, way) else way


cdef Way input_way(fnn_tiles *t, const ConvShape *s) noexcept nogil:
    cdef Way way = input_by_images(t, s)
    if way == TAPS:
        return way
    if batch_may_serve(t, s) and input_cost(t, s, BATCH) < input_cost(t, s, way):
        way = BATCH
    return SIDE if side_may_serve(t, s) and SIDE_MARGIN * input_cost(t, s, SIDE) < input_cost(t, s, way) else way


cdef Way weight_way(fnn_tiles *t, const ConvShape *s) noexcept nogil:
    cdef Way way = weight_by_images(t, s)
    if not batch_may_serve(t, s):
        return way
    return BATCH if weight_cost(t, s, BATCH) < weight_cost(t, s, way) else way


cdef bint rows_pay_for_gradients(fnn_tiles *t, const ConvShape *s) noexcept nogil:
    return rows_may_serve(t, s) and (not lanes_may_serve(t, s) or plane_rows_cost(t, s, True) < plane_lanes_cost(t, s))


def ways(Py_ssize_t N, Py_ssize_t C, Py_ssize_t H, Py_ssize_t W, Py_ssize_t O, Geometry geometry, bint is_double=False,
         bint packed=False):
    """The names of the ways of y, dx and dw, for a convolution of this shape. C and O are the channels of all groups.

    `packed` says whether the weights of the forward are packed already.
    """
    cdef fnn_tiles *t = tiles(is_double)
    cdef ConvShape s = conv_shape(N, C, H, W, O, 0, 0, geometry)
    names = {PLANES: "planes", POINTWISE: "pointwise", TAPS: "taps", DEPTHWISE: "depthwise", ROWS: "rows",
             WINOGRAD: "winograd", SPREAD: "spread", SIDE: "side by side", ONE_PASS: "one pass", FOLD: "fold",
             PIXELS: "pixels", TURNED: "turned", BATCH: "batch"}
    s.OH = (H + 2 * s.PH - reach(s.KH, s.DH)) // s.SH + 1
    s.OW = (W + 2 * s.PW - reach(s.KW, s.DW)) // s.SW + 1
    if rows_pay_for_gradients(t, &s):
        return {"y": names[forward_way(t, &s, packed)], "dx": "rows", "dw": "rows"}
    return {"y": names[forward_way(t, &s, packed)], "dx": names[input_way(t, &s)], "dw": names[weight_way(t, &s)]}
