# Products on matrix tiles, for `gemm`, whose arguments they take.
from fastnn._kernels.fnn cimport fnn_tiles
from fastnn._kernels.matrix cimport Matrix

# Whether a product is faster on matrix tiles; and the product. It returns False, and c is not valid, when there is no
# memory for the parts, or when the values cannot be split without loss.
cdef bint is_for_tiles(fnn_tiles *t, Py_ssize_t M, Py_ssize_t N, Py_ssize_t K) noexcept nogil
cdef bint gemm_on_tiles(fnn_tiles *t, Py_ssize_t M, Py_ssize_t N, Py_ssize_t K, Matrix a, Matrix b, void *c,
                        const void *bias, bint relu) noexcept nogil
