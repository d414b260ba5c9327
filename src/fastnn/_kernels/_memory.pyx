"""Memory of arrays from the caching allocator."""
from cpython.buffer cimport PyBuffer_FillInfo

from fastnn._kernels._table cimport allocate, release


cdef class Block:
    """`nbytes` bytes of the caching allocator, 64-byte aligned, not initialised; back to it when nothing views them."""

    cdef void *start
    cdef Py_ssize_t nbytes

    def __cinit__(self, Py_ssize_t nbytes):
        self.start = allocate(nbytes)
        self.nbytes = nbytes
        if self.start == NULL:
            raise MemoryError(f"no memory for an array of {nbytes} bytes")

    def __dealloc__(self):
        release(self.start)

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self.start, self.nbytes, 0, flags)
