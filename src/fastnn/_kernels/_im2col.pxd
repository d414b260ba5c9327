# Patches as columns, and frames around images, for the plans of whole networks.
from fastnn._kernels.conv_shape cimport ConvShape, Geometry
from fastnn._kernels.fnn cimport fnn_tiles

cdef struct Patches:
    fnn_tiles *t
    ConvShape shape  # of one plane
    char *image      # one plane for each chunk: N*C of them
    char *cols       # KH*KW rows of OH*OW for each plane


# What a frame is filled with; `BORDERS` has them by their names.
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
    Py_ssize_t *rows     # of each row of the framed image, where it comes from; -1: zeros
    Py_ssize_t *columns


# The patches of planes (H, W) as a convolution of one channel takes them; `image` and `cols` are missing yet.
cdef Patches describe_patches(fnn_tiles *t, Py_ssize_t H, Py_ssize_t W, Geometry geometry) noexcept nogil
cdef void unfold_planes(Patches *g, Py_ssize_t planes, int workers) noexcept nogil
cdef void fold_planes(Patches *g, Py_ssize_t planes, int workers) noexcept nogil
# target (planes, OH, OW) = source (planes, H, W) in a frame. False when there is no memory.
cdef bint frame_planes(Frames *g, Py_ssize_t planes, int workers) noexcept nogil
