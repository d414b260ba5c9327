# Pooling: what both directions share, and the forward for the plans of whole networks.
from fastnn._kernels.buffers cimport Buffers
from fastnn._kernels.fnn cimport ceil_div, fnn_tiles

# `Windows` of `_validate` as an entry point gets it: KH, KW, SH, SW, PH, PW, DH, DW.
ctypedef (Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t) Windows

cdef struct Pool:
    fnn_tiles *t
    Py_ssize_t H, W, OH, OW, KH, KW, SH, SW, PH, PW, DH, DW
    char *x           # planes (H, W), or their gradient
    char *y           # planes (OH, OW), or their gradient
    char *positions   # planes (OH, OW), or NULL
    int wide          # int32 positions, not uint8
    Py_ssize_t planes  # of a chunk
    Py_ssize_t total
    bint count_padding               # of the average: whether pixels of the padding count
    Py_ssize_t divisor               # of the average: of all windows, or 0: each has its own
    bint side_by_side                # 2 x 2 windows that tile the plane: every pixel is in one window
    bint by_twos                     # 3 x 3 windows at stride 2: a row of pixels is in two rows of windows at most
    Py_ssize_t row_from, row_to      # output rows whose windows are inside the image
    Py_ssize_t column_from, column_to
    const Py_ssize_t *steps          # of the maximum's backward: from a window's corner to each of its places
    Py_ssize_t AH, AW                # of the average's backward: of a plane being folded
    char *workspace                  # for each thread: a row of pixels, shares of a plane, a plane being folded
    Py_ssize_t workspace_step        # bytes


# The pooling of `planes` planes. The caller adds x and y, the places of maxima if they are wanted, and how an average
# counts.
cdef Pool describe(fnn_tiles *t, Py_ssize_t planes, Py_ssize_t H, Py_ssize_t W, Py_ssize_t OH, Py_ssize_t OW,
                   Windows windows) noexcept nogil
# The same of arrays: x (N, C, H, W) and y (N, C, OH, OW), or with `backward` their gradients.
cdef Pool borrow_planes(Buffers *b, large, small, bint backward, Windows windows) except *
# Runs a pool or its gradient, of a kind of `_pool_lanes`, with planes in lanes. False where that does not pay, or if
# there is no memory.
cdef bint in_lanes(const Pool *g, int kind, int workers) noexcept nogil
cdef void maxpool(Pool *g, int workers) noexcept nogil
cdef void avgpool(Pool *g, int workers) noexcept nogil


cdef inline Py_ssize_t chunks(const Pool *g) noexcept nogil:
    return ceil_div(g.total, g.planes)


cdef inline void span(Py_ssize_t o, Py_ssize_t K, Py_ssize_t S, Py_ssize_t P, Py_ssize_t D, Py_ssize_t size,
                      Py_ssize_t *start, Py_ssize_t *length, Py_ssize_t *skipped) noexcept nogil:
    """Window o along one axis: its first pixel inside, how many are inside, how many come before."""
    cdef Py_ssize_t first = o * S - P
    skipped[0] = ceil_div(-first, D)
    start[0] = first + skipped[0] * D
    length[0] = min(K - skipped[0], ceil_div(size - start[0], D))


cdef inline Py_ssize_t area(const Pool *g, Py_ssize_t oh, Py_ssize_t ow, Py_ssize_t kh,
                            Py_ssize_t kw) noexcept nogil:
    """What the sum of a window of an average is divided by, if kh x kw of its pixels are inside."""
    if g.divisor:
        return g.divisor
    if g.count_padding:
        return min(g.KH, g.H + 2 * g.PH - oh * g.SH) * min(g.KW, g.W + 2 * g.PW - ow * g.SW)
    return kh * kw
