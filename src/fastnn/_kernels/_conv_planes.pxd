# Convolution forward over unfolded planes, 1 x 1 over the image itself, and sums of shifted planes.
from fastnn._kernels.conv_output cimport Output
from fastnn._kernels.conv_shape cimport ConvShape
from fastnn._kernels.conv_way cimport Way
from fastnn._kernels.fnn cimport fnn_tiles

# A band of output rows of one group of an image, unfolded: planes [kw][c][phase][rows][OW]. The .pyx file draws them.
cdef struct Unfolded:
    fnn_tiles *t
    ConvShape shape    # C: the channels that are unfolded at a time
    Py_ssize_t phases  # of the rows that a kernel spans, among the rows at stride SH
    Py_ssize_t plane   # elements of a plane: the rows of the band, and those that lower kernel rows see

cdef struct Planes:
    const Output *g
    Unfolded unfolded
    Py_ssize_t depth        # C * KH * KW
    Py_ssize_t blocks       # of the output channels of a group
    Py_ssize_t band, bands  # output rows of a chunk, and such bands of a group of an image
    Py_ssize_t parts        # of the blocks, each a chunk of its own in every band
    bint pointwise          # 1 x 1, stride 1: an image is its own unfolded plane, and is read where it lies
    bint taps               # too few outputs for tiles: weights are not packed
    Py_ssize_t *koff        # where the run of each patch element begins among the planes
    Py_ssize_t *w_offsets   # k * (O // blocks), then k * (O // blocks + 1): where the packed weights' rows start
    Py_ssize_t planes_step
    # memory of the caller:
    char *weights           # (depth, rows) for each group, for each block; or NULL for `taps`
    char *planes            # for each thread


# The whole convolution by one of the ways of this file. Padding may be negative: those pixels are left out. False when
# there is no memory.
cdef bint convolve_by_planes(const Output *g, Way way) noexcept nogil

# Its parts. `prepare_planes` decides what follows from the shape, and allocates tables that `forget_planes` releases;
# False when there is no memory. `pack_planes` makes `weights` (G * O * depth elements) of w, but not for `taps`.
# `run_planes` needs the weights, and `planes` (workers * planes_step bytes).
cdef bint prepare_planes(Planes *p, const Output *g, Way way, int workers) noexcept nogil
cdef void pack_planes(const Planes *p, int workers) noexcept nogil
cdef void run_planes(const Planes *p, int workers) noexcept nogil
cdef void forget_planes(Planes *p) noexcept nogil

# Fill the planes for the output rows oh0 .. oh0 + band, of channels x (C, H, W) of an image.
cdef void unfold(const Unfolded *u, char *planes, const char *x, Py_ssize_t oh0, Py_ssize_t band) noexcept nogil
# Where among the planes the run of each patch element (c, kh, kw) begins.
cdef void patch_rows(const Unfolded *u, Py_ssize_t *offsets) noexcept nogil
