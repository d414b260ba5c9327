# A linear layer, for plans.
from fastnn._kernels._matmul_dot cimport Linear
from fastnn._kernels.fnn cimport fnn_tiles

cdef struct Gradient:
    fnn_tiles *t
    Py_ssize_t N, O, I
    const char *dy
    const char *x
    const char *w
    char *dx  # these may be NULL
    char *dw
    char *db


# Describe a layer for N rows, without a bias. The caller sets x, w and y.
cdef Linear describe_linear(fnn_tiles *t, Py_ssize_t N, Py_ssize_t O, Py_ssize_t K, bint relu) noexcept nogil
# The bytes of packed weights, or 0 if packed weights are not faster. `pack_linear` packs g.w.
cdef Py_ssize_t packed_linear(const Linear *g) noexcept nogil
cdef void pack_linear(const Linear *g, char *packed) noexcept nogil
# y = act(x w^T + b). False when there is no memory.
cdef bint linear(Linear *g, int workers) noexcept nogil
# Write dx, dw and db, except those that are NULL. False when there is no memory.
cdef bint linear_gradients(const Gradient *g) noexcept nogil
