"""Patches as columns, and back: `im2col` and `col2im`."""
from libc.string cimport memset

from fastnn._kernels._table cimport parallel, threads, tiles
from fastnn._kernels.fnn cimport fnn_tiles

ctypedef fused real:
    float
    double

cdef struct Patches:
    fnn_tiles *t
    Py_ssize_t H, W, KH, KW, OH, OW, SH, SW, PH, PW, DH, DW
    char *image   # one plane for each chunk: N*C of them
    char *cols    # KH*KW rows of OH*OW for each plane


cdef void im2col_plane(void *job, Py_ssize_t plane, int slot) noexcept nogil:
    cdef const Patches *g = <const Patches *> job
    cdef Py_ssize_t kh, kw, size = g.t.itemsize
    for kh in range(g.KH):
        for kw in range(g.KW):
            g.t.unfold_plane(g.cols + ((plane * g.KH + kh) * g.KW + kw) * g.OH * g.OW * size, g.OH, g.OW,
                             g.image + plane * g.H * g.W * size, g.H, g.W, kh * g.DH - g.PH, g.SH,
                             kw * g.DW - g.PW, g.SW)


cdef void col2im_plane(void *job, Py_ssize_t plane, int slot) noexcept nogil:
    cdef const Patches *g = <const Patches *> job
    cdef Py_ssize_t kh, kw, size = g.t.itemsize
    memset(g.image + plane * g.H * g.W * size, 0, g.H * g.W * size)
    for kh in range(g.KH):
        for kw in range(g.KW):
            g.t.fold_plane(g.image + plane * g.H * g.W * size, g.H, g.W,
                           g.cols + ((plane * g.KH + kh) * g.KW + kw) * g.OH * g.OW * size, g.OH, g.OW,
                           kh * g.DH - g.PH, g.SH, kw * g.DW - g.PW, g.SW)


cdef Patches describe(fnn_tiles *t, Py_ssize_t H, Py_ssize_t W, Py_ssize_t KH, Py_ssize_t KW, Py_ssize_t SH,
                      Py_ssize_t SW, Py_ssize_t PH, Py_ssize_t PW, Py_ssize_t DH, Py_ssize_t DW) noexcept nogil:
    cdef Patches g
    g.t, g.H, g.W, g.KH, g.KW, g.SH, g.SW, g.PH, g.PW, g.DH, g.DW = t, H, W, KH, KW, SH, SW, PH, PW, DH, DW
    g.OH = (H + 2 * PH - DH * (KH - 1) - 1) // SH + 1
    g.OW = (W + 2 * PW - DW * (KW - 1) - 1) // SW + 1
    return g


def im2col(const real[:, :, :, ::1] x, real[:, :, ::1] cols, Py_ssize_t KH, Py_ssize_t KW, Py_ssize_t SH,
           Py_ssize_t SW, Py_ssize_t PH, Py_ssize_t PW, Py_ssize_t DH, Py_ssize_t DW):
    """cols (N, C*KH*KW, OH*OW) = the patches of x (N, C, H, W). Writes all of cols; no overlap. EXACT."""
    cdef Patches g = describe(tiles(real is double), x.shape[2], x.shape[3], KH, KW, SH, SW, PH, PW, DH, DW)
    g.image, g.cols = <char *> &x[0, 0, 0, 0], <char *> &cols[0, 0, 0]
    with nogil:
        parallel(im2col_plane, &g, x.shape[0] * x.shape[1], threads(),
                 <double> cols.shape[0] * cols.shape[1] * cols.shape[2])


def col2im(const real[:, :, ::1] cols, real[:, :, :, ::1] dx, Py_ssize_t KH, Py_ssize_t KW, Py_ssize_t SH,
           Py_ssize_t SW, Py_ssize_t PH, Py_ssize_t PW, Py_ssize_t DH, Py_ssize_t DW):
    """dx (N, C, H, W) = the sum of cols (N, C*KH*KW, OH*OW) where im2col took them from, in the order of (kh, kw).

    Writes all of dx; no overlap. EXACT: an ordered sum.
    """
    cdef Patches g = describe(tiles(real is double), dx.shape[2], dx.shape[3], KH, KW, SH, SW, PH, PW, DH, DW)
    g.image, g.cols = <char *> &dx[0, 0, 0, 0], <char *> &cols[0, 0, 0]
    with nogil:
        parallel(col2im_plane, &g, dx.shape[0] * dx.shape[1], threads(),
                 <double> cols.shape[0] * cols.shape[1] * cols.shape[2])
