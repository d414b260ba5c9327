from fastnn._kernels.conv_output cimport Output
from fastnn._kernels.fnn cimport fnn_tiles

cdef enum:
    TILE = 4     # output pixels of a tile, each way
    VALUES = 36  # of a tile
    LINE = 64    # bytes of a cache line

cdef enum Outcome:
    DONE
    NO_MEMORY
    NOT_FINITE  # inf or NaN somewhere: what was written is not what the definition says

cdef struct Winograd:
    const Output *g
    Py_ssize_t rows, cols      # of tiles, of an image
    Py_ssize_t images, band    # of a chunk: some images, or some rows of tiles of one
    Py_ssize_t bands           # of an image
    Py_ssize_t parts           # of the outputs, a chunk each
    Py_ssize_t tiles           # of a chunk, at most; odd
    Py_ssize_t CL, OL, panels  # C and O in whole vectors; panels of nr outputs
    Py_ssize_t *places         # of the pixels of x among those laid out
    Py_ssize_t *koff           # c * nr
    Py_ssize_t *planes         # o * OH*OW
    Py_ssize_t weights_size, pixels_size, values_size, workspace_step  # elements; the last in bytes
    # memory of the caller:
    char *weights              # (VALUES, panels, C, nr), and the bias (OL)
    char *workspace            # for each thread: a line, pixels in and out, values (.., tiles, CL), products (.., OL)
    char *spoilt               # for each image: whether it met inf or NaN


# 3 x 3, stride 1, padding up to 2. `spoilt` (N) tells of which images what was written is not what the definition says,
# because there was inf or NaN. False when there is no memory.
cdef bint winograd(const Output *g, char *spoilt) noexcept nogil

# Its parts, as in `_conv_planes`: `weights` has weights_size elements, `workspace` workers * workspace_step bytes.
cdef bint prepare_winograd(Winograd *p, const Output *g, int workers) noexcept nogil
cdef void pack_winograd(const Winograd *p, int workers) noexcept nogil
cdef void run_winograd(const Winograd *p, int workers) noexcept nogil
cdef void forget_winograd(Winograd *p) noexcept nogil

# The line at the beginning of each thread's workspace tells whether what follows is as it was or zeros, as far as these
# are asked for. `renew` begins anew; each thread then writes the zeros itself, for lines that another core has written
# are far away.
cdef void renew(char *workspace, Py_ssize_t step, int workers) noexcept nogil
cdef char *zeroed(char *workspace, Py_ssize_t nbytes) noexcept nogil

# Some rows of an image x (C, H, W), from row `first` on, pixel by pixel: pixel (r, c) goes to pixels + places[r*W + c],
# rows are `line` apart. Rows outside the image become 0; columns outside are to be 0 already.
cdef void lay_out(fnn_tiles *t, char *pixels, const Py_ssize_t *places, Py_ssize_t line, const char *x, Py_ssize_t C,
                  Py_ssize_t H, Py_ssize_t W, Py_ssize_t first, Py_ssize_t rows) noexcept nogil
