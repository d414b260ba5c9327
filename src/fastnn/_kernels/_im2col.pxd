# Patches as columns, and frames around images, for the plans of whole networks.
from fastnn._kernels.fnn cimport fnn_tiles

cdef struct Patches:
    fnn_tiles *t
    Py_ssize_t H, W, KH, KW, OH, OW, SH, SW, PH, PW, DH, DW
    char *image   # one plane for each chunk: N*C of them
    char *cols    # KH*KW rows of OH*OW for each plane


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


# Windows over planes (H, W), of which `image` and `cols` are missing yet.
cdef Patches describe_patches(fnn_tiles *t, Py_ssize_t H, Py_ssize_t W, Py_ssize_t KH, Py_ssize_t KW, Py_ssize_t SH,
                              Py_ssize_t SW, Py_ssize_t PH, Py_ssize_t PW, Py_ssize_t DH, Py_ssize_t DW) noexcept nogil
cdef void unfold_planes(Patches *g, Py_ssize_t planes, int workers) noexcept nogil
cdef void fold_planes(Patches *g, Py_ssize_t planes, int workers) noexcept nogil
# target (planes, OH, OW) = source (planes, H, W) in a frame. False when there is no memory.
cdef bint frame_planes(Frames *g, Py_ssize_t planes, int workers) noexcept nogil
