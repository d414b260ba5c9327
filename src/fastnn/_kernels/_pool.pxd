# Forward pooling, for the plans of whole networks.
from fastnn._kernels.fnn cimport fnn_tiles

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


# The pooling of so many planes; x and y are missing yet, and so are the places of maxima, which need not be wanted, and
# how an average counts.
cdef Pool describe(fnn_tiles *t, Py_ssize_t planes, Py_ssize_t H, Py_ssize_t W, Py_ssize_t OH, Py_ssize_t OW,
                   Py_ssize_t KH, Py_ssize_t KW, Py_ssize_t SH, Py_ssize_t SW, Py_ssize_t PH, Py_ssize_t PW,
                   Py_ssize_t DH, Py_ssize_t DW) noexcept nogil
cdef void maxpool(Pool *g, int workers) noexcept nogil
cdef void avgpool(Pool *g, int workers) noexcept nogil
