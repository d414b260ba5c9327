"""What the ways of a convolution cost.

A cost counts the multiply-adds of vectors, with what tiles do not fill and with the padding that is multiplied; the
calls of tiles; and what is moved before and after: elements of unfolded or transposed images, and packed weights. The
factors are nanoseconds. They were fitted over random shapes on two tiers, each way by itself (see
docs/dev/measurements.md). Only a comparison of two ways means something.
"""
from fastnn._kernels._conv_winograd cimport VALUES, VIEW
from fastnn._kernels.conv_shape cimport ConvShape, is_pointwise, turned
from fastnn._kernels.conv_way cimport BATCH, FOLD, ONE_PASS, SIDE, SPREAD, TURNED, WINOGRAD, Way
from fastnn._kernels.fnn cimport FNN_PLANE_ROWS, ceil_div, fnn_tiles, reach

cdef enum:
    LATENCY = 4          # multiply-adds that a step of a tile takes at least; twice as many of narrower vectors
    PARTS = 8            # of a batch, whose sums of dw are added
    TAPS_BYTES = 24576   # unfolded planes of a band for `taps`
    NEAR_BYTES = 1 << 15  # of a plane: larger ones come from memory, faster if several are read at once, as in lanes
    FAR_BYTES = 1 << 20  # of images laid side by side, from which they come from the third-level cache

# The tiles of a product whose `columns` are in lanes.
cdef struct Tiles:
    Py_ssize_t count    # for one block of rows
    Py_ssize_t vectors  # of all of them
    Py_ssize_t blocks   # of rows


cdef inline Tiles tiles_of(fnn_tiles *t, Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    cdef Tiles f
    cdef Py_ssize_t rest = columns % t.nr
    f.count = ceil_div(columns, t.nr)
    f.vectors = columns // t.nr * 2 + (2 if rest > t.lanes else 1 if rest else 0)
    f.blocks = ceil_div(rows, t.mr)
    return f


cdef inline double multiply_adds(fnn_tiles *t, Tiles f, Py_ssize_t rows, double depth) noexcept nogil:
    """Nanoseconds of all steps: a vector of 64 bytes takes about as long as two of 32."""
    cdef Py_ssize_t tiles = f.blocks * f.count
    if t.lanes * t.itemsize == 64:
        return 0.3 * depth * max(rows * f.vectors, LATENCY * tiles)
    return 0.165 * depth * max(rows * f.vectors, 2 * LATENCY * tiles)


cdef Py_ssize_t taps_inside(Py_ssize_t length, Py_ssize_t outputs, Py_ssize_t taps, Py_ssize_t stride,
                            Py_ssize_t padding, Py_ssize_t dilation) noexcept nogil:
    """Of all windows along one axis, together."""
    cdef Py_ssize_t k, first, end, total = 0
    for k in range(taps):
        first = ceil_div(padding - k * dilation, stride)
        end = min(outputs, ceil_div(length + padding - k * dilation, stride))
        total += max(<Py_ssize_t> 0, end - first)
    return total


cdef inline double all_taps(const ConvShape *s) noexcept nogil:
    return (<double> taps_inside(s.H, s.OH, s.KH, s.SH, s.PH, s.DH)
            * taps_inside(s.W, s.OW, s.KW, s.SW, s.PW, s.DW))


cdef double planes_cost(fnn_tiles *t, const ConvShape *s) noexcept nogil:
    cdef Py_ssize_t P = s.OH * s.OW, K = s.KH * s.KW, span = reach(s.KH, s.DH), copies = s.C * s.KW * min(s.SH, span)
    cdef Tiles f = tiles_of(t, s.O, P)
    cdef double image = 0.92 * multiply_adds(t, f, s.O, s.C * K) + 2.2 * f.blocks * f.count + 1.0 * s.O * f.vectors
    if not is_pointwise(s):
        image += copies * (13.7 + (s.OH + (span - 1) // s.SH) * (0.5 + 1.4 * s.OW / t.lanes))
    return s.G * (s.N * image + 0.3 * s.O * s.C * K)


cdef double taps_cost(fnn_tiles *t, const ConvShape *s) noexcept nogil:
    """Of a depthwise convolution by sums of shifted planes."""
    cdef bint wide = t.lanes * t.itemsize == 64
    cdef Py_ssize_t span = reach(s.KH, s.DH), copies = s.KW * min(s.SH, span), below = (span - 1) // s.SH
    cdef Py_ssize_t band = max(<Py_ssize_t> 1, TAPS_BYTES // max(<Py_ssize_t> 1, copies * s.OW * t.itemsize) - below)
    cdef double rows = s.OH + below * ceil_div(s.OH, band)
    return s.N * s.G * ((0.44 if wide else 0.24) * s.KH * s.KW * ceil_div(s.OH * s.OW, t.lanes)
                        + copies * (20 + rows * (0.6 + (1.2 if wide else 0.75) * s.OW / t.lanes)))


cdef double depthwise_cost(fnn_tiles *t, const ConvShape *s) noexcept nogil:
    """Of the same with channels in lanes."""
    cdef bint wide = t.lanes * t.itemsize == 64
    cdef double outputs = <double> s.OH * s.OW
    return ceil_div(s.N * s.G, t.lanes) * ((0.27 if wide else 0.15) * outputs * s.KH * s.KW
                                           + (2.0 if wide else 1.43) * (s.H * s.W + outputs) + 40)


cdef double plane_lanes_cost(fnn_tiles *t, const ConvShape *s) noexcept nogil:
    """Of both gradients with channels in lanes."""
    cdef bint wide = t.lanes * t.itemsize == 64
    cdef double outputs = <double> s.OH * s.OW
    return s.N * ceil_div(s.G, t.lanes) * ((1.2 if wide else 0.6) * outputs * s.KH * s.KW
                                           + (3.4 if wide else 2.0) * (2.0 * s.H * s.W + outputs))


cdef double rows_of_tiles(fnn_tiles *t, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t K,
                          Py_ssize_t stride) noexcept nogil:
    """Of one plane's tiles of `rows` x `columns` outputs: the rows beyond whole tiles are taken one by one."""
    cdef bint wide = t.lanes * t.itemsize == 64
    cdef Py_ssize_t outputs = t.lanes if stride == 1 else t.lanes - (K - 1) // 2
    cdef double row = 0.7 + 0.33 * K * K + (0.9 if stride == 2 else 0.0) if wide else 1.9 + 0.26 * K * K
    return (rows // FNN_PLANE_ROWS * FNN_PLANE_ROWS + 2.5 * (rows % FNN_PLANE_ROWS)) * ceil_div(columns, outputs) * row


cdef double plane_rows_cost(fnn_tiles *t, const ConvShape *s, bint gradients) noexcept nogil:
    """Of y, or of both gradients, of a depthwise convolution by rows."""
    cdef double plane
    if s.KH == 1:
        return s.N * s.G * (14 + 2.0 * ceil_div(s.OH * s.OW, t.lanes))
    plane = 8 + rows_of_tiles(t, s.OH, s.OW, s.KH, s.SH)
    if gradients:
        plane += 20 + 4.0 * s.KH * s.KH + (0.8 if s.KH == 5 else 0.0) * plane
        plane += (rows_of_tiles(t, s.H, s.W, s.KH, 1) if s.SH == 1
                  else ceil_div(s.H, 2) * ceil_div(s.W, 2 * t.lanes) * 0.9 * s.KH * s.KH)
    elif s.SH == 2 and t.lanes * t.itemsize == 64 and s.H * s.W * t.itemsize > NEAR_BYTES:
        plane *= 3
    return s.N * s.G * plane


cdef double winograd_cost(fnn_tiles *t, const ConvShape *s) noexcept nogil:
    cdef Py_ssize_t tile = VIEW + 1 - s.KH
    cdef double tiles = <double> s.N * ceil_div(s.OH, tile) * ceil_div(s.OW, tile)
    cdef Py_ssize_t of_c = ceil_div(s.C, t.lanes), of_o = ceil_div(s.O, t.lanes)
    return VALUES * (tiles * (s.C * of_o * (0.42 if t.lanes * t.itemsize == 64 else 0.135) + 2.4 * (of_c + of_o))
                     + 0.3 * s.C * s.O)


cdef double side_cost(fnn_tiles *t, const ConvShape *s, bint gradient) noexcept nogil:
    """Of Winograd's way with images side by side."""
    cdef Py_ssize_t tile = VIEW + 1 - s.KH, tiles = ceil_div(s.OH, tile) * ceil_div(s.OW, tile)
    cdef Py_ssize_t ins = s.O if gradient else s.C, outs = s.C if gradient else s.O
    cdef bint wide = t.lanes * t.itemsize == 64
    cdef double products = VALUES * <double> ins * outs * (0.3 if wide else 0.165 * (1.35 + 0.006 * ins))
    cdef double transforms = (72 if s.KH == 3 else 47) * ins + 62 * outs
    if not gradient:
        transforms = (102 if s.KH == 3 else 80) * ins + 5 * outs
    transforms *= 1 if wide else 0.65
    return (ceil_div(s.N, t.lanes) * (tiles * (products + transforms)
                                      + 1.5 * (s.C * s.H * s.W + s.O * s.OH * s.OW)) + 30.0 * s.C * s.O + 7000)


cdef double fold_cost(fnn_tiles *t, const ConvShape *s) noexcept nogil:
    """Of dx by gradients of patches, in one pass with dw or not."""
    cdef Py_ssize_t patch = s.C * s.KH * s.KW
    cdef Tiles f = tiles_of(t, patch, s.OH * s.OW)
    cdef double image = multiply_adds(t, f, patch, s.O) + 6.0 * f.blocks * f.count + 1.1 * patch * f.vectors
    if not is_pointwise(s):
        image += patch * (5.5 + 0.5 * s.OH)
    return s.G * (s.N * image + 0.1 * s.O * patch)


cdef double pixels_cost(fnn_tiles *t, const ConvShape *s) noexcept nogil:
    cdef Py_ssize_t M = s.KW * s.C, P = s.OH * s.OW
    cdef Tiles f = tiles_of(t, M, s.O)
    cdef double image = s.KH * (1.1 * multiply_adds(t, f, M, P) + s.OH * f.blocks * f.count)
    image += 0.5 * P * f.vectors + 2.75 * s.H * s.W * ceil_div(s.C, t.lanes)
    return s.G * (s.N * image + 0.05 * min(s.N, <Py_ssize_t> PARTS) * s.O * s.C * s.KH * s.KW)


cdef double dots_cost(fnn_tiles *t, const ConvShape *s) noexcept nogil:
    """Of dw in one pass with dx or alone."""
    cdef Py_ssize_t patch = s.C * s.KH * s.KW, span = reach(s.KH, s.DH), sums = t.dot_m * t.dot_n
    cdef double tiles = <double> ceil_div(patch, t.dot_n) * ceil_div(s.O, t.dot_m)
    cdef double image = tiles * (15 + (0.41 if t.lanes * t.itemsize == 64 else 0.22) * sums
                                 * ceil_div(s.OH * s.OW, t.lanes))
    if not is_pointwise(s):
        image += 0.6 * s.C * s.KW * min(s.SH, span) * (s.OH + (span - 1) // s.SH)
    return s.G * (s.N * image + 0.7 * min(s.N, <Py_ssize_t> PARTS) * s.O * patch)


cdef double lanes_cost(fnn_tiles *t, const ConvShape *s, bint gradient) noexcept nogil:
    """Of a product for each output, with images in lanes."""
    cdef Py_ssize_t C = s.O if gradient else s.C, O = s.C if gradient else s.O
    cdef Py_ssize_t pixels = s.OH * s.OW if gradient else s.H * s.W, P = s.H * s.W if gradient else s.OH * s.OW
    cdef Tiles f = tiles_of(t, O, s.N)
    cdef double cost = multiply_adds(t, f, O, all_taps(s) * C)
    if C * pixels * t.lanes * t.itemsize > FAR_BYTES:
        cost *= 1.6
    return s.G * (cost + 10.0 * P * f.blocks * f.count + 2.1 * f.vectors * (C * pixels + O * P)
                  + 0.4 * s.C * s.O * s.KH * s.KW)


cdef double rows_cost(fnn_tiles *t, const ConvShape *s, bint gradient) noexcept nogil:
    """Of a product for each output, with images as rows."""
    cdef Py_ssize_t C = s.O if gradient else s.C, O = s.C if gradient else s.O
    cdef Py_ssize_t pixels = s.OH * s.OW if gradient else s.H * s.W, P = s.H * s.W if gradient else s.OH * s.OW
    cdef Tiles f = tiles_of(t, s.N, O)
    return s.G * (multiply_adds(t, f, s.N, all_taps(s) * C) + 12.0 * P * f.blocks * f.count + 2.0 * P * s.N * f.vectors
                  + 2.1 * f.blocks * C * pixels + 0.3 * C * s.KH * s.KW * ceil_div(O, t.lanes) * t.lanes)


cdef double batch_weight_cost(fnn_tiles *t, const ConvShape *s) noexcept nogil:
    cdef bint x_in_lanes = s.C * ceil_div(s.O, t.lanes) > s.O * ceil_div(s.C, t.lanes)
    cdef Py_ssize_t rows = s.O if x_in_lanes else s.C, P = s.OH * s.OW, K = s.KH * s.KW
    cdef Py_ssize_t in_lanes = s.H * s.W if x_in_lanes else P, in_rows = P if x_in_lanes else s.H * s.W
    cdef Tiles f = tiles_of(t, rows, s.C if x_in_lanes else s.O)
    cdef double taps = all_taps(s), parts = min(s.N, <Py_ssize_t> PARTS)
    cdef double moved = ceil_div(in_lanes, t.lanes) * f.vectors + ceil_div(in_rows, t.lanes) * f.blocks
    return s.G * (1.1 * multiply_adds(t, f, rows, taps * s.N) + 2.3 * s.N * t.lanes * moved
                  + parts * (4.5 * K * f.blocks * f.count + 0.13 * K * s.C * s.O))


cdef double forward_cost(fnn_tiles *t, const ConvShape *s, Way way) noexcept nogil:
    if way == BATCH:
        return min(lanes_cost(t, s, False), rows_cost(t, s, False))
    if way == SIDE:
        return side_cost(t, s, False)
    return winograd_cost(t, s) if way == WINOGRAD else planes_cost(t, s)


cdef double input_cost(fnn_tiles *t, const ConvShape *s, Way way) noexcept nogil:
    cdef ConvShape f
    if way == BATCH:
        return min(lanes_cost(t, s, True), rows_cost(t, s, True))
    if way == FOLD or way == ONE_PASS:
        return fold_cost(t, s)
    if way == SPREAD:
        return winograd_cost(t, s)
    if way == SIDE:
        return side_cost(t, s, True)
    f = turned(s)
    return winograd_cost(t, &f) if way == WINOGRAD else planes_cost(t, &f)


cdef double weight_cost(fnn_tiles *t, const ConvShape *s, Way way) noexcept nogil:
    cdef ConvShape f
    if way == TURNED:
        f = turned(s)
        return pixels_cost(t, &f)
    if way == BATCH:
        return batch_weight_cost(t, s)
    if way == WINOGRAD:
        return winograd_cost(t, s)
    return dots_cost(t, s) if way == ONE_PASS else pixels_cost(t, s)


cdef bint images_in_lanes(fnn_tiles *t, const ConvShape *s, bint gradient) noexcept nogil:
    return lanes_cost(t, s, gradient) < rows_cost(t, s, gradient)
