# Unfolding, folding and padding, for the plans of whole networks.
from fastnn._kernels.conv_shape cimport ConvShape, Geometry
from fastnn._kernels.fnn cimport fnn_tiles

cdef struct Patches:
    fnn_tiles *t
    ConvShape shape  # one plane as an image of one channel
    char *image      # planes (H, W)
    char *cols       # (KH*KW, OH*OW) for each plane


# The values of the pixels that padding adds. `BORDERS` has their names.
cdef enum Border:
    ZEROS
    REFLECT
    REPLICATE
    CIRCULAR

cdef struct Frames:
    fnn_tiles *t
    Py_ssize_t H, W, OH, OW, top, left
    Border border
    const char *source
    char *target
    Py_ssize_t *rows     # (OH): the row of the source that each row of the target copies; -1 for zeros
    Py_ssize_t *columns  # (OW): the same for columns


# The patches of planes (H, W). The caller sets `image` and `cols`.
cdef Patches describe_patches(fnn_tiles *t, Py_ssize_t H, Py_ssize_t W, Geometry geometry) noexcept nogil
# cols = the patches of `planes` planes; and image = the planes that col2im makes of cols.
cdef void unfold_planes(Patches *g, Py_ssize_t planes, int workers) noexcept nogil
cdef void fold_planes(Patches *g, Py_ssize_t planes, int workers) noexcept nogil
# target (planes, OH, OW) = source (planes, H, W), padded. False when there is no memory.
cdef bint frame_planes(Frames *g, Py_ssize_t planes, int workers) noexcept nogil
