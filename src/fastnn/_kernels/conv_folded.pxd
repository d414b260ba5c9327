# A plane of gradients while windows add to it: its rows with the padding above, and in each row the columns with the
# padding left, sorted by their phase column % SW: (rows, SW, AW). Windows of neighbouring outputs are then neighbours,
# whatever the stride, so that whole rows are added at a time.
from fastnn._kernels.fnn cimport fnn_tiles


cdef inline Py_ssize_t folded_at(Py_ssize_t row, Py_ssize_t column, Py_ssize_t SW, Py_ssize_t AW) noexcept nogil:
    return (row * SW + column % SW) * AW + column // SW


cdef inline void unfold_phases(fnn_tiles *t, char *dx, Py_ssize_t H, Py_ssize_t W, const char *folded, Py_ssize_t PH,
                               Py_ssize_t PW, Py_ssize_t SW, Py_ssize_t AW) noexcept nogil:
    """dx (H, W) from a folded plane: without the padding, columns in their order again."""
    cdef Py_ssize_t size = t.itemsize, ih, iw, first
    if SW == 1:
        t.copy(dx, W, folded + folded_at(PH, PW, 1, AW) * size, AW, H, W)
        return
    for ih in range(PH, PH + H):
        first = 0
        if SW == 2:
            t.zip(dx, folded + folded_at(ih, PW, 2, AW) * size, folded + folded_at(ih, PW + 1, 2, AW) * size, W // 2)
            first = W // 2 * 2
        for iw in range(first, W):
            t.copy(dx + iw * size, 0, folded + folded_at(ih, PW + iw, SW, AW) * size, 0, 1, 1)
        dx += W * size
