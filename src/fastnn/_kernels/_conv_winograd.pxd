from fastnn._kernels.conv_output cimport Output
from fastnn._kernels.fnn cimport fnn_tiles

cdef enum:
    VIEW = 6     # a tile has 6 x 6 input pixels
    VALUES = 36  # and 36 values for each channel
    LINE = 64    # bytes of a cache line

cdef enum Outcome:
    DONE
    NO_MEMORY
    NOT_FINITE  # some value was inf or NaN, and the results are not valid

# The products of the 36 values of some tiles: for each, (tiles, depth) by (depth, outputs).
cdef struct Products:
    fnn_tiles *t
    Py_ssize_t tiles             # there is room for
    Py_ssize_t depth, panels     # panels of nr outputs
    Py_ssize_t width, out_width  # elements from a tile to the next: depth and outputs in whole vectors
    Py_ssize_t step              # elements from the weights of a value to those of the next
    Py_ssize_t *koff             # d * nr
    char *weights                # (VALUES, step): of each value (panels, depth, nr)

cdef struct Winograd:
    const Output *g
    int taps                   # 3 or 5: the kernel is taps x taps
    Py_ssize_t tile            # a tile has tile x tile output pixels
    Py_ssize_t rows, cols      # rows and columns of tiles in an image
    Py_ssize_t images, band    # a chunk has `images` whole images, or `band` rows of tiles of one image
    Py_ssize_t bands           # bands of an image
    Py_ssize_t parts           # parts of the outputs; each has chunks of its own
    Py_ssize_t tiles           # the tiles that a chunk has room for, an odd number
    Py_ssize_t CL, OL, panels  # C and O up to whole vectors; panels of nr outputs
    Py_ssize_t step            # elements from the weights of a value to those of the next
    Py_ssize_t *places         # the place of each pixel of x among the pixels laid out
    Py_ssize_t *koff           # c * nr
    Py_ssize_t *planes         # o * OH*OW
    Py_ssize_t weights_size, pixels_size, values_size, workspace_step  # elements; the last in bytes
    # memory of the caller:
    char *weights              # (VALUES, step): of each value (panels, C, nr); and the bias (OL)
    char *workspace            # a flag line, pixels in and out, values (.., tiles, CL), products (.., OL) per thread
    char *spoilt               # (N): True where an image met inf or NaN


# Write the whole output, for 3 x 3 or 5 x 5 at stride 1 with less padding than the kernel has rows. An inf or NaN sets
# `spoilt` (N) for its image, whose pixels are not valid then. False when there is no memory.
cdef bint winograd(const Output *g, char *spoilt) noexcept nogil

# The parts of `winograd`, as in `_conv_planes`. `weights` has weights_size elements, and `workspace` has
# workers * workspace_step bytes.
cdef bint prepare_winograd(Winograd *p, const Output *g, int workers) noexcept nogil
cdef void pack_winograd(const Winograd *p, int workers) noexcept nogil
cdef void run_winograd(const Winograd *p, int workers) noexcept nogil
cdef void forget_winograd(Winograd *p) noexcept nogil

# Elements from the weights of a value to those of the next: an odd number of panel rows. Otherwise the 36 weights of
# a kernel could all fall into one set of the cache.
cdef Py_ssize_t step_of_weights(fnn_tiles *t, Py_ssize_t panels, Py_ssize_t depth) noexcept nogil
# How many tiles a chunk takes, so that their values and products stay in the cache. `width` counts the values and
# products that a tile has in each of the 36 planes.
cdef Py_ssize_t room_of_tiles(fnn_tiles *t, Py_ssize_t width) noexcept nogil
# The products of `tiles` tiles with the panels first <= panel < last of outputs.
cdef void multiply(const Products *p, const char *values, char *products, Py_ssize_t tiles, Py_ssize_t first,
                   Py_ssize_t last) noexcept nogil

# Each thread's workspace begins with a flag line, which says whether the thread has set its pixels to zero for this
# job. `renew` clears the flags. `zeroed` writes the zeros of `nbytes` at a thread's first call, and returns the pixels.
# Each thread writes its own zeros, because cache lines that another core has written are slow to reach.
cdef void renew(char *workspace, Py_ssize_t step, int workers) noexcept nogil
cdef char *zeroed(char *workspace, Py_ssize_t nbytes) noexcept nogil

# Lay out `rows` rows of an image x (C, H, W), from row `first` on, with the channels last. Pixel (r, c) of these rows
# goes to pixels + places[r*W + c]; rows are `line` elements apart. Rows outside the image become 0. Columns outside the
# image must be 0 already.
cdef void lay_out(fnn_tiles *t, char *pixels, const Py_ssize_t *places, Py_ssize_t line, const char *x, Py_ssize_t C,
                  Py_ssize_t H, Py_ssize_t W, Py_ssize_t first, Py_ssize_t rows) noexcept nogil

# The way back: some channels of some rows of pixels (rows, W), whose rows are `line` and whose pixels `step` apart. Row
# r of channel c goes to y + planes[c] + r*W.
cdef void bring_back(fnn_tiles *t, char *y, const Py_ssize_t *planes, const char *pixels, Py_ssize_t line,
                     Py_ssize_t step, Py_ssize_t first, Py_ssize_t last, Py_ssize_t rows, Py_ssize_t W) noexcept nogil
