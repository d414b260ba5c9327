# Pooling: the struct that both directions share, and the forward for the plans of whole networks.
from fastnn._kernels.buffers cimport Buffers
from fastnn._kernels.fnn cimport ceil_div, fnn_tiles

# An entry point gets `Windows` of `_validate` as this tuple: KH, KW, SH, SW, PH, PW, DH, DW.
ctypedef (Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t) Windows

cdef struct Pool:
    fnn_tiles *t
    Py_ssize_t H, W, OH, OW, KH, KW, SH, SW, PH, PW, DH, DW
    char *x           # planes (H, W), or their gradient
    char *y           # planes (OH, OW), or their gradient
    char *positions   # planes (OH, OW), or NULL
    int wide          # int32 positions, not uint8
    Py_ssize_t planes  # planes of a chunk
    Py_ssize_t total   # planes of all chunks
    bint count_padding               # average: pixels of the padding count too
    Py_ssize_t divisor               # average: the divisor of all windows; 0 if each window has its own
    bint side_by_side                # 2 x 2 windows that tile the plane: every pixel is in one window
    bint by_twos                     # 3 x 3 windows at stride 2: a row of pixels is in two rows of windows at most
    Py_ssize_t row_from, row_to      # output rows whose windows are inside the image
    Py_ssize_t column_from, column_to
    const Py_ssize_t *steps          # maximum's backward: elements from a window's corner to each position
    Py_ssize_t AH, AW                # average's backward: the plane being folded is (AH, SW, AW), see conv_folded.pxd
    char *workspace                  # for each thread: a row of pixels, shares of a plane, a plane being folded
    Py_ssize_t workspace_step        # bytes of a workspace


# Describe the pooling of `planes` planes. The caller sets x and y, `positions` to have them, and for an average
# count_padding and divisor.
cdef Pool describe(fnn_tiles *t, Py_ssize_t planes, Py_ssize_t H, Py_ssize_t W, Py_ssize_t OH, Py_ssize_t OW,
                   Windows windows) noexcept nogil
# The pooling of arrays: x (N, C, H, W) and y (N, C, OH, OW), or with `backward` their gradients.
cdef Pool borrow_planes(Buffers *b, large, small, bint backward, Windows windows) except *
# Run a pool or its gradient with planes in lanes. `kind` is one of `_pool_lanes`. False if lanes do not pay, or if
# there is no memory.
cdef bint in_lanes(const Pool *g, int kind, int workers) noexcept nogil
cdef void maxpool(Pool *g, int workers) noexcept nogil
cdef void avgpool(Pool *g, int workers) noexcept nogil


cdef inline Py_ssize_t chunks(const Pool *g) noexcept nogil:
    return ceil_div(g.total, g.planes)


cdef inline void span(Py_ssize_t o, Py_ssize_t K, Py_ssize_t S, Py_ssize_t P, Py_ssize_t D, Py_ssize_t size,
                      Py_ssize_t *start, Py_ssize_t *length, Py_ssize_t *skipped) noexcept nogil:
    """Clip window o along one axis: its first pixel inside the image, the number inside, and the number before it."""
    cdef Py_ssize_t first = o * S - P
    skipped[0] = ceil_div(-first, D)
    start[0] = first + skipped[0] * D
    length[0] = min(K - skipped[0], ceil_div(size - start[0], D))


cdef inline Py_ssize_t area(const Pool *g, Py_ssize_t oh, Py_ssize_t ow, Py_ssize_t kh,
                            Py_ssize_t kw) noexcept nogil:
    """The divisor of window (oh, ow) of an average, which has kh x kw pixels inside the image."""
    if g.divisor:
        return g.divisor
    if g.count_padding:
        return min(g.KH, g.H + 2 * g.PH - oh * g.SH) * min(g.KW, g.W + 2 * g.PW - ow * g.SW)
    return kh * kw
