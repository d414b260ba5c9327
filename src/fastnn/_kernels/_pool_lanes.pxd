# Pools of as many planes at once as a vector has lanes.
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
    Py_ssize_t total        # planes
    fnn_windows w           # the caller sets all but the spans
    Py_ssize_t size[2]      # of windows, rows first; 0 for adaptive ones
    Py_ssize_t stride[2]
    Py_ssize_t padding[2]
    bint count_padding      # of the average: whether pixels of the padding count
    Py_ssize_t divisor      # of the average: of all windows, or 0: each has its own
    const char *x           # (H, W), or in a backward the gradient (OH, OW)
    char *y
    char *positions         # of maxima, or NULL
    Py_ssize_t group        # planes of a chunk
    char *room              # for each thread
    Py_ssize_t room_step    # bytes


# Runs a pool if that pays; returns False if it does not, or if there is no memory, and nothing was done then.
cdef bint run_lanes(Lanes *g, int workers) noexcept nogil
# Where the windows along one axis lie: rows of them (axis 0) or columns (axis 1).
cdef void place_windows(const Lanes *g, int axis, Py_ssize_t size, Py_ssize_t outputs, fnn_span *spans) noexcept nogil
