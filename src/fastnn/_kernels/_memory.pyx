"""Memory of arrays from the caching allocator."""
from cpython.buffer cimport PyBuffer_FillInfo

cdef object Dtype, ndarray, small  # C variables: under the stable ABI, looking up a name costs much of a call
from numpy import dtype as Dtype
from numpy import empty as small
from numpy import ndarray

from fastnn._kernels._table cimport allocate, release
from fastnn._kernels.fnn cimport fits


cdef enum:
    SMALL = 1024  # bytes: up to here NumPy keeps blocks itself, and an array over a `Block` takes three times as long


cdef class Block:
    """`nbytes` bytes of the caching allocator, 64-byte aligned and not initialised; released when no array views them.

    `empty` sets the fields, because Python arguments would cost more than all the rest.
    """

    cdef void *start
    cdef Py_ssize_t nbytes

    def __dealloc__(self):
        release(self.start)

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self.start, self.nbytes, 0, flags)


def empty(tuple shape, dtype):
    """An array that is not initialised, in C order. From 1024 bytes on it is 64-byte aligned, from the allocator."""
    cdef double nbytes
    cdef Block block
    if not isinstance(dtype, Dtype):
        dtype = Dtype(dtype)
    nbytes = <Py_ssize_t> dtype.itemsize
    for length in shape:
        nbytes *= <double> length  # a double, because a C integer could overflow
    if nbytes < SMALL:
        return small(shape, dtype)
    if not fits(nbytes):
        raise MemoryError(f"no memory for an array of {nbytes:.0f} bytes")
    block = Block.__new__(Block)
    block.nbytes = <Py_ssize_t> nbytes
    block.start = allocate(block.nbytes)
    if block.start == NULL:
        raise MemoryError(f"no memory for an array of {block.nbytes} bytes")
    return ndarray(shape, dtype, block)
