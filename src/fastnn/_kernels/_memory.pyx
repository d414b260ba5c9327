"""Memory of arrays from the caching allocator."""
from cpython.buffer cimport PyBuffer_FillInfo

cdef object Dtype, ndarray  # C variables: looking names up is a fifth of a call where CPython has but its stable ABI
from numpy import dtype as Dtype
from numpy import ndarray

from fastnn._kernels._table cimport allocate, release
from fastnn._kernels.fnn cimport fits


cdef class Block:
    """`nbytes` bytes of the caching allocator, 64-byte aligned, not initialised; back to it when nothing views them.

    `empty` fills it in: an argument in Python's hands would cost more than the rest.
    """

    cdef void *start
    cdef Py_ssize_t nbytes

    def __dealloc__(self):
        release(self.start)

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self.start, self.nbytes, 0, flags)


def empty(tuple shape, dtype):
    """An array from the caching allocator: C order, 64-byte aligned, not initialised."""
    cdef double nbytes
    cdef Block block
    if not isinstance(dtype, Dtype):
        dtype = Dtype(dtype)
    nbytes = <Py_ssize_t> dtype.itemsize
    for length in shape:
        nbytes *= <double> length  # which may be more than an integer of C holds
    if not fits(nbytes):
        raise MemoryError(f"no memory for an array of {nbytes:.0f} bytes")
    block = Block.__new__(Block)
    block.nbytes = <Py_ssize_t> nbytes
    block.start = allocate(block.nbytes)
    if block.start == NULL:
        raise MemoryError(f"no memory for an array of {block.nbytes} bytes")
    return ndarray(shape, dtype, block)
