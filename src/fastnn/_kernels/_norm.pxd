# Batch normalisation, for plans.
from fastnn._kernels.direction cimport Direction
from fastnn._kernels.fnn cimport fnn_tiles

cdef struct Norm:
    fnn_tiles *t
    Direction direction
    Py_ssize_t N, C, P  # images, channels, elements of a plane
    Py_ssize_t columns  # columns of a channel: P with `each`, else 1
    bint each           # planes are shorter than a vector, so every column has moments of its own
    Py_ssize_t images, parts, blocks  # images of a block; parts of a plane; blocks of a channel
    Py_ssize_t group, cuts            # channels of a chunk; parts that the blocks of these channels are cut into
    const char *x
    const char *dy
    const char *relu   # the output of a ReLU, if dy is the gradient of that output; or NULL
    char *out          # y or dx, or NULL if the caller does not want it
    int flags
    double *first      # (blocks, C*columns): the means of blocks, or in the backward the sums of dy
    double *second     # (blocks, C*columns): sums of squares about these means, or sums of dy*(x - mean)*invstd
    double *numbers    # (3, C), workspace
    char *far          # (C,), in train mode: True if the squares of a channel leave the range of the dtype
    char *mean         # from here to slope (C*columns,) each: the arguments of the tiles
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
    bint training  # uses the moments of this batch, not the running ones
    bint looks     # reads the blocks once before it writes
    double momentum, eps


# Describes the normalisation of N images of C channels with planes of P elements. Everything but sizes is 0 or NULL.
cdef Norm describe_norm(fnn_tiles *t, Py_ssize_t N, Py_ssize_t C, Py_ssize_t P) noexcept nogil
cdef bint normalise(Norm *g, int workers) noexcept nogil  # False when there is no memory

# Parts of it, for a normalisation with a pool behind it. Working room, which the caller releases, or NULL:
cdef char *room_for(Norm *g) noexcept nogil
# sums over blocks of some channels; what the tiles need of these; and a channel whose squares leave the range of the
# dtype, written again.
cdef void collect(const Norm *g, Py_ssize_t c_from, Py_ssize_t c_to, Py_ssize_t b_from, Py_ssize_t b_to) noexcept nogil
cdef void numbers(const Norm *g, Py_ssize_t c_from, Py_ssize_t c_to) noexcept nogil
cdef void write_far_channel(const Norm *g, Py_ssize_t c, char *out) noexcept nogil
