# Products of rows with rows by dot tiles, for `_matmul`.
from fastnn._kernels.fnn cimport fnn_tiles

cdef struct Linear:
    fnn_tiles *t
    Py_ssize_t N, O, K
    const char *x
    const char *w
    const char *b
    char *y
    bint relu
    const char *packed   # w as `pack_linear` packs it, or NULL
    Py_ssize_t koff[16]  # j * K, for the columns of a dot tile

cdef struct DotTiles:
    bint turned          # the outputs are the rows of a tile, and the rows of x its columns
    Py_ssize_t rows      # of a tile
    double cost          # of all tiles, in multiply-adds of a vector

# The dot tiles that cost least for a layer; and y = act(x w^T + b) by them.
cdef DotTiles choose_dot_tiles(const Linear *g) noexcept nogil
cdef void linear_on_dot_tiles(const Linear *g, const DotTiles *way, int workers) noexcept nogil
