# Pools that take as many planes at once as a vector has lanes.
from libc.stdint cimport uint8_t

from fastnn._kernels.fnn cimport fnn_span, fnn_tiles, fnn_windows

cdef enum:
    MAXIMA
    AVERAGES
    MAXIMA_BACK
    AVERAGES_BACK

cdef struct Lanes:
    fnn_tiles *t
    int kind
    Py_ssize_t total        # planes of all chunks
    fnn_windows w           # the caller sets everything except the spans
    Py_ssize_t size[2]      # rows and columns of a window; 0 for the windows of adaptive pooling
    Py_ssize_t stride[2]    # of rows and of columns, and so is the padding
    Py_ssize_t padding[2]
    bint count_padding      # average: pixels of the padding count too
    Py_ssize_t divisor      # average: the divisor of all windows; 0 if each window has its own
    const char *x           # planes (H, W); in a backward the gradient (OH, OW)
    char *y                 # planes (OH, OW); in a backward the gradient (H, W)
    char *positions         # positions of maxima, or NULL
    Py_ssize_t group        # planes of a chunk
    char *room              # one workspace for each thread
    Py_ssize_t room_step    # bytes of a workspace


# Run a pool and return True. Return False, with nothing written, if lanes do not pay or there is no memory.
cdef bint run_lanes(Lanes *g, int workers) noexcept nogil
# Fill the spans of the windows along one axis: rows (axis 0) or columns (axis 1).
cdef void place_windows(const Lanes *g, int axis, Py_ssize_t size, Py_ssize_t outputs, fnn_span *spans) noexcept nogil
