# A factor of a matrix product. Its steps say whether it is transposed.
cdef struct Matrix:
    const char *start
    Py_ssize_t row, col  # elements from one row to the next, and from one column to the next


cdef inline Matrix matrix(const void *start, Py_ssize_t row, Py_ssize_t col) noexcept nogil:
    cdef Matrix m
    m.start, m.row, m.col = <const char *> start, row, col
    return m
