# Local response normalisation, for the plans of whole networks.
from fastnn._kernels.direction cimport Direction
from fastnn._kernels.fnn cimport fnn_tiles

cdef struct Local:
    fnn_tiles *t
    Direction direction
    Py_ssize_t C, P
    Py_ssize_t before, after  # channels of a window before and after its own channel
    Py_ssize_t width, strips  # pixels of a strip; strips of an image
    const char *x
    const char *dy
    char *out                 # y or dx
    char *workspace           # for each thread: terms of one pixel (C,), sums of a strip, its terms (C, width)
    Py_ssize_t workspace_step  # bytes of a workspace
    double alpha, beta, k     # alpha over the size of a window


# Describe a forward for images of C channels of P pixels, with a window of `size` channels. The caller sets x and out.
cdef Local describe_local(fnn_tiles *t, Py_ssize_t C, Py_ssize_t P, Py_ssize_t size, double alpha, double beta,
                          double k) noexcept nogil
# Normalise N images. False when there is no memory.
cdef bint normalise_locally(Local *g, Py_ssize_t N, int workers) noexcept nogil
