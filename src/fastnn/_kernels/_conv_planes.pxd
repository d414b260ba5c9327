# Convolution forward over unfolded planes, 1 x 1 over the image itself, and sums of shifted planes.
from fastnn._kernels.conv_output cimport Output
from fastnn._kernels.conv_shape cimport ConvShape
from fastnn._kernels.conv_way cimport Way
from fastnn._kernels.fnn cimport fnn_tiles

# The unfolded planes [kw][c][phase][rows][OW] of one band of output rows, for one group of one image. The .pyx file
# draws them.
cdef struct Unfolded:
    fnn_tiles *t
    ConvShape shape    # its C counts the channels that are unfolded at a time
    Py_ssize_t phases  # how many different row % SH the rows under one kernel have
    Py_ssize_t plane   # elements of one phase of a plane: the rows of the band, and further rows that lower kh meet

cdef struct Planes:
    const Output *g
    Unfolded unfolded
    Py_ssize_t depth        # C * KH * KW
    Py_ssize_t blocks       # the blocks of mr output channels or fewer that a group has
    Py_ssize_t band, bands  # output rows of a band; bands of an image
    Py_ssize_t parts        # each band has this many chunks, and each chunk takes some of the blocks
    bint pointwise          # 1 x 1, stride 1: an image is its own unfolded plane, and is read where it lies
    bint taps               # too few outputs for tiles: weights are not packed
    Py_ssize_t *koff        # the place among the planes where the row of each patch element begins
    Py_ssize_t *w_offsets   # where packed weights of a patch element start: in short blocks, then in long ones
    Py_ssize_t planes_step  # bytes of one thread's planes
    # memory of the caller:
    char *weights           # (depth, rows) for each group and block; NULL for `taps`
    char *planes            # one workspace for each thread


# Write the whole output by one of the ways of this file. Negative padding leaves pixels of the border out. False when
# there is no memory.
cdef bint convolve_by_planes(const Output *g, Way way) noexcept nogil

# The parts of convolve_by_planes, for a plan. `prepare_planes` fills in the struct from the shape. It allocates tables,
# which `forget_planes` releases; False when there is no memory. `pack_planes` packs w into `weights`, which has
# G * O * depth elements; with `taps` there are none. `run_planes` needs the weights, and workers * planes_step bytes of
# `planes`.
cdef bint prepare_planes(Planes *p, const Output *g, Way way, int workers) noexcept nogil
cdef void pack_planes(const Planes *p, int workers) noexcept nogil
cdef void run_planes(const Planes *p, int workers) noexcept nogil
cdef void forget_planes(Planes *p) noexcept nogil

# Fill the planes of the output rows oh0 <= oh < oh0 + band, from the channels x (C, H, W) of one image.
cdef void unfold(const Unfolded *u, char *planes, const char *x, Py_ssize_t oh0, Py_ssize_t band) noexcept nogil
# Fill offsets[k]: the place among the planes where the row of patch element k begins, with the elements in the order
# (kh, kw, c), or (c, kh, kw).
cdef void patch_rows(const Unfolded *u, bint taps_first, Py_ssize_t *offsets) noexcept nogil
# How many channels the way PLANES unfolds at a time; it adds the products of the others.
cdef Py_ssize_t channels_together(fnn_tiles *t, const ConvShape *s) noexcept nogil
