# The packed matrix product, for the kernels that stand on it.
from fastnn._kernels.fnn cimport fnn_tiles

# c (M, N) = a b, a (M, K) with element (m, k) at m*a_row + k*a_col, b (K, N) likewise, one of each pair of steps being
# 1; c in C order. Returns -1 when there is no memory for the packed panels (nothing is written then).
cdef int gemm(fnn_tiles *t, Py_ssize_t M, Py_ssize_t N, Py_ssize_t K, const void *a, Py_ssize_t a_row,
              Py_ssize_t a_col, const void *b, Py_ssize_t b_row, Py_ssize_t b_col, void *c) noexcept nogil
