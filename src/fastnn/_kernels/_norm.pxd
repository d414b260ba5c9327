# Batch normalisation, for the plans of whole networks.
from fastnn._kernels.direction cimport Direction
from fastnn._kernels.fnn cimport fnn_tiles

cdef struct Norm:
    fnn_tiles *t
    Direction direction
    Py_ssize_t N, C, P  # images, channels, elements of a plane
    Py_ssize_t columns  # of a channel: its P columns are kept apart where planes are small, else 1
    bint each           # columns are kept apart
    Py_ssize_t images, parts, blocks  # of a block; of a plane; of a channel
    Py_ssize_t group, cuts            # channels of a chunk, cuts through the blocks of a chunk
    const char *x
    const char *dy
    const char *relu   # output of a ReLU that dy has yet to go back through, or NULL
    char *out          # y or dx, or NULL if it is not wanted
    int flags
    double *first      # blocks x (C * columns): the means of the blocks, or the sums of dy
    double *second     # ..., and their sums of squares about them, or the sums of dy * (x - mean)
    double *numbers    # 3 x C, while they are worked out
    char *far          # C, in train mode: whether the squares of a channel leave the range of the dtype
    char *mean         # C * columns each, what the tiles take
    char *invstd
    char *scale
    char *shift
    char *slope
    const char *weight  # (C,), or NULL
    const char *bias
    char *running_mean
    char *running_var
    char *saved_mean
    char *saved_invstd
    char *dw
    char *db
    bint training  # with the moments of this batch, else with given ones
    bint looks     # at the blocks before it writes
    double momentum, eps


# The normalisation of N images of C channels with planes of P elements; all but sizes is missing yet, or NULL.
cdef Norm describe_norm(fnn_tiles *t, Py_ssize_t N, Py_ssize_t C, Py_ssize_t P) noexcept nogil
cdef bint normalise(Norm *g, int workers) noexcept nogil  # False when there is no memory
