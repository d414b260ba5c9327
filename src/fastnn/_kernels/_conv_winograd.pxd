from fastnn._kernels._conv cimport Conv
from fastnn._kernels.fnn cimport fnn_tiles

cdef enum:
    TILE = 4     # output pixels of a tile, each way
    VALUES = 36  # of a tile

cdef enum Outcome:
    DONE
    NO_MEMORY
    NOT_FINITE  # inf or NaN somewhere: what was written is not what the definition says

# 3 x 3, stride 1, padding up to 2.
cdef Outcome winograd(const Conv *g) noexcept nogil

# Some rows of an image x (C, H, W), from row `first` on, pixel by pixel: pixel (r, c) goes to pixels + places[r*W + c],
# rows are `line` apart. Rows outside the image become 0; columns outside are to be 0 already.
cdef void lay_out(fnn_tiles *t, char *pixels, const Py_ssize_t *places, Py_ssize_t line, const char *x, Py_ssize_t C,
                  Py_ssize_t H, Py_ssize_t W, Py_ssize_t first, Py_ssize_t rows) noexcept nogil
