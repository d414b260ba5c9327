# The memory of arrays as entry points borrow it. Memoryviews would cost as much as all the rest of a small call.
from cpython.buffer cimport PyBUF_ND, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer

cdef enum:
    MOST_BUFFERS = 10

# Zero the count first, and give back in a `finally`.
cdef struct Buffers:
    Py_buffer each[MOST_BUFFERS]
    int count


cdef inline Py_buffer *borrow(Buffers *b, array, bint to_write) except NULL:
    """The buffer of a contiguous array."""
    PyObject_GetBuffer(array, &b.each[b.count], PyBUF_ND | PyBUF_WRITABLE if to_write else PyBUF_ND)
    b.count += 1
    return &b.each[b.count - 1]


cdef inline const char *reads(Buffers *b, array) except? NULL:
    """The address of a contiguous array; of None NULL."""
    if array is None:
        return NULL
    return <const char *> borrow(b, array, False).buf


cdef inline char *writes(Buffers *b, array) except? NULL:
    """As `reads`, for an array that will be written."""
    if array is None:
        return NULL
    return <char *> borrow(b, array, True).buf


cdef inline void give_back(Buffers *b) noexcept:
    for i in range(b.count):
        PyBuffer_Release(&b.each[i])


cdef inline bint is_double(const Py_buffer *buffer) noexcept:
    return buffer.itemsize == sizeof(double)
