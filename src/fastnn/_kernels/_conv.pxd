# Forward convolution, for the kernels that stand on it.
from fastnn._kernels.fnn cimport fnn_tiles
from fastnn._kernels.conv_way cimport Way

cdef struct Conv:
    fnn_tiles *t
    Py_ssize_t N, C, H, W, O, KH, KW, OH, OW, SH, SW, PH, PW, DH, DW
    Py_ssize_t G            # groups; C and O are the channels of one of them
    const char *x           # (N, G*C, H, W)
    const char *w           # (G*O, C, KH, KW)
    const char *bias        # (G*O,), or NULL
    char *y                 # (N, G*O, OH, OW)
    int flags
    # planned:
    Py_ssize_t depth        # C * KH * KW
    Py_ssize_t blocks       # of the output channels of a group
    Py_ssize_t channels     # of a group of the input, unfolded at a time
    Py_ssize_t band, bands  # output rows of a chunk, and such bands of a group of an image
    Py_ssize_t parts        # of the blocks, each a chunk of its own in every band
    Py_ssize_t phases       # of the rows that a kernel spans, among the rows at stride SH
    bint pointwise          # 1 x 1, stride 1: an image is its own unfolded plane, and is read where it lies
    bint taps               # too few outputs for tiles: weights are not packed
    Py_ssize_t plane        # elements of an unfolded plane: the band's rows, and those that lower kernel rows see
    Py_ssize_t *koff        # of each patch row, among the planes [kw][c][phase][rows][OW]
    Py_ssize_t *w_offsets   # k * (O // blocks), then k * (O // blocks + 1): where the packed weights' rows start
    Py_ssize_t planes_step
    # memory of the caller:
    char *weights           # (depth, rows) for each group, for each block; or NULL for `taps`
    char *planes            # for each thread


# The convolution by the way that suits it. Padding may be negative: pixels are left out then. False when there is no
# memory.
cdef bint convolve(Conv *g) noexcept nogil

# What it consists of on the ways of this file. `plan_conv` decides what shapes decide, and allocates tables that
# `forget_conv` releases; False when there is no memory. `pack_conv` makes `weights` (G * O * depth elements) of w, but
# not for `taps`; `run_conv` needs these, and `planes` (workers * planes_step bytes).
cdef bint plan_conv(Conv *g, Way way, int workers) noexcept nogil
cdef void pack_conv(const Conv *g, int workers) noexcept nogil
cdef void run_conv(const Conv *g, int workers) noexcept nogil
cdef void forget_conv(Conv *g) noexcept nogil

# Those images once more, directly, that Winograd's way has spoilt. False when there is no memory.
cdef bint convolve_spoilt(const Conv *g, const char *spoilt) noexcept nogil

# The planes [kw][c][phase][rows][OW] of the output rows oh0 .. oh0 + band of a group x (C, H, W) of an image;
# and where in them the run of each patch element (c, kh, kw) starts. Both need the geometry, `phases` and `plane`.
cdef void unfold(const Conv *g, char *planes, const char *x, Py_ssize_t oh0, Py_ssize_t band) noexcept nogil
cdef void patch_rows(const Conv *g, Py_ssize_t *offsets) noexcept nogil
