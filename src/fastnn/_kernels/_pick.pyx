"""Elements of each example picked in a regular way, and put back: slices, parts of a split, axes in another order.

What is picked is a view: a start, and for each axis a length and a stride. The transposed columns 1 and 3 of a 2 x 4
example begin at element 1, with the axes (2, stride 2) and (2, stride 4)::

    . b . d        b f        element 1 + 2*i + 4*j of the example
    . f . h        d h        is element (i, j) of what is picked

Unfolding and pooling read elements several times; here each is read once at most, so the way back is an assignment.
"""
from libc.string cimport memset

from fastnn._kernels._table cimport parallel

ctypedef fused real:
    float
    double


cdef Pick describe_pick(fnn_tiles *t, Py_ssize_t size, Py_ssize_t start, tuple axes) except *:
    cdef Pick g
    cdef Py_ssize_t i
    g.t, g.size, g.start, g.axes, g.count, g.back = t, size, start, len(axes), 1, False
    g.whole = g.picked = NULL
    for i in range(g.axes):
        g.lengths[i], g.strides[i] = axes[i]
        g.count *= g.lengths[i]
    g.rest = g.count // (g.lengths[g.axes - 1] * g.lengths[g.axes - 2])
    return g


cdef void move_plane(const Pick *g, real *whole, real *picked) noexcept nogil:
    cdef Py_ssize_t rows = g.lengths[g.axes - 2], columns = g.lengths[g.axes - 1], i, j
    cdef Py_ssize_t row = g.strides[g.axes - 2], column = g.strides[g.axes - 1]
    if column == 1 and g.back:
        g.t.copy(whole, row, picked, columns, rows, columns)
    elif column == 1:
        g.t.copy(picked, columns, whole, row, rows, columns)
    elif g.back:
        for i in range(rows):
            for j in range(columns):
                whole[i * row + j * column] = picked[i * columns + j]
    else:
        for i in range(rows):
            for j in range(columns):
                picked[i * columns + j] = whole[i * row + j * column]


cdef void move_example(const Pick *g, real *whole, real *picked) noexcept nogil:
    """Plane after plane; `at` counts the axes before the planes' like the digits of a number."""
    cdef Py_ssize_t at[MOST_AXES]
    cdef Py_ssize_t plane = g.count // g.rest, i, axis
    memset(at, 0, sizeof(at))
    if g.back and g.count < g.size:
        memset(whole, 0, g.size * sizeof(real))
    whole += g.start
    for i in range(g.rest):
        move_plane(g, whole, picked + i * plane)
        axis = g.axes - 3
        while axis >= 0:
            at[axis] += 1
            whole += g.strides[axis]
            if at[axis] < g.lengths[axis]:
                break
            whole -= at[axis] * g.strides[axis]
            at[axis] = 0
            axis -= 1


cdef void pick_example(void *job, Py_ssize_t example, int slot) noexcept nogil:
    cdef const Pick *g = <const Pick *> job
    if g.t.itemsize == sizeof(float):
        move_example(g, <float *> g.whole + example * g.size, <float *> g.picked + example * g.count)
    else:
        move_example(g, <double *> g.whole + example * g.size, <double *> g.picked + example * g.count)


cdef void pick(Pick *g, Py_ssize_t n, int workers) noexcept nogil:
    parallel(pick_example, g, n, workers, 2.0 * n * (g.size if g.back else g.count))
