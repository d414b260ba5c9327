# A plane of gradients, as it is stored while windows add to it. It has the rows of dx and the padding above them. Each
# row has the columns of dx and the padding on the left. Columns are sorted by their phase column % SW, so the plane is
# (rows, SW, AW). Here is a row of seven columns at SW = 2, AW = 4, under three windows of KW = 3:
#
#     columns   0 1 2 3 4 5 6       windows   ow = 0: 0 1 2    ow = 1: 2 3 4    ow = 2: 4 5 6
#     stored    0 2 4 6 | 1 3 5 -
#     kw = 0    ^ ^ ^                         columns 0 2 4, of ow = 0 1 2
#     kw = 1              ^ ^ ^               columns 1 3 5
#     kw = 2      ^ ^ ^                       columns 2 4 6
#
# The columns that one kw meets are neighbours at every stride. So a whole row of outputs is added at a time.
from fastnn._kernels.fnn cimport fnn_tiles


cdef inline Py_ssize_t folded_at(Py_ssize_t row, Py_ssize_t column, Py_ssize_t SW, Py_ssize_t AW) noexcept nogil:
    return (row * SW + column % SW) * AW + column // SW


cdef inline void unfold_phases(fnn_tiles *t, char *dx, Py_ssize_t H, Py_ssize_t W, const char *folded, Py_ssize_t PH,
                               Py_ssize_t PW, Py_ssize_t SW, Py_ssize_t AW) noexcept nogil:
    """Write dx (H, W) from a folded plane: drop the padding, and put the columns back in order."""
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
