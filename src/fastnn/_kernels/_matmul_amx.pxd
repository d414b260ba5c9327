# Products on matrix tiles, for `gemm`.
from fastnn._kernels.fnn cimport fnn_tiles
from fastnn._kernels.matrix cimport Matrix

# `is_for_tiles` says whether a product is faster on matrix tiles. `gemm_on_tiles` takes the arguments of `gemm`. It
# returns False, and c is not valid, in two cases: there is no memory for the parts, or splitting would lose digits.
cdef bint is_for_tiles(fnn_tiles *t, Py_ssize_t M, Py_ssize_t N, Py_ssize_t K) noexcept nogil
cdef bint gemm_on_tiles(fnn_tiles *t, Py_ssize_t M, Py_ssize_t N, Py_ssize_t K, Matrix a, Matrix b, void *c,
                        const void *bias, bint relu) noexcept nogil
