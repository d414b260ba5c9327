"""Large products of float32 on matrix tiles. Pieces of the operands are split into bfloat16 (`csrc/amx.c`).

docs/dev/amx.md has an example.
"""
from libc.stdint cimport uint32_t
from libc.string cimport memcpy

from fastnn._kernels._table cimport allocate, parallel, release, threads
from fastnn._kernels.fnn cimport FNN_ACCUMULATE, FNN_BLOCK, FNN_RELU, ceil_div, fnn_fetch, fnn_tiles, split_at
from fastnn._kernels.matrix cimport Matrix

cdef enum:
    DEPTH = 128   # steps of k in a piece: the parts of a block (24 KB) stay in the first-level cache
    PANELS = 48   # blocks of b in a piece: their parts (1.2 MB) stay in the second-level cache
    PARTS = 6     # bytes of the three parts of an element
    SPLIT = 56    # multiply-adds for each element that is split: with fewer, splitting costs more than the tiles save
    LONG = 32     # the least steps of k: tiles would pad shorter products to 32
    LEAST = 0x0c800000  # the bits of 2^-102: below, a part of a float would be lost
    MOST = 0x7e800000   # the bits of 2^126: above, a part would overflow

cdef double LARGEST = 2.0 ** 120  # the largest product of two elements, so that long sums do not overflow


cdef struct Range:
    uint32_t least, most  # the bits of the smallest |x| above 0, and of the largest |x|


cdef struct Operand:
    const char *x
    Py_ssize_t length, step, k_step  # rows of a, or columns of b
    Py_ssize_t blocks
    bint even                        # rows of a are cut evenly, because the time of an instruction grows with its rows
    Range *ranges                    # for each chunk, the range of the elements that it has split


cdef struct Product:
    fnn_tiles *t
    Py_ssize_t K
    Py_ssize_t col_parts             # a chunk is one part of the columns and
    Py_ssize_t row_parts             # one part of the rows
    Operand a, b
    char *parts                      # for each thread: the parts of a block of a, then those of a piece of b
    char *c
    const char *bias
    bint relu


cdef inline Py_ssize_t begin_of(const Operand *o, Py_ssize_t block) noexcept nogil:
    return split_at(o.length, o.blocks, block) if o.even else min(o.length, block * FNN_BLOCK)


cdef inline Py_ssize_t depth_at(const Product *p, Py_ssize_t k) noexcept nogil:
    return min(<Py_ssize_t> DEPTH, p.K - k)


cdef inline void split(const Product *p, const Operand *o, char *parts, Py_ssize_t k, Py_ssize_t block, bint columns,
                       Range *seen) noexcept nogil:
    """Split one block of an operand, at the steps from k on."""
    cdef Py_ssize_t first = begin_of(o, block)
    p.t.split(parts, o.x + (first * o.step + k * o.k_step) * p.t.itemsize, o.step, o.k_step,
              begin_of(o, block + 1) - first, depth_at(p, k), columns, &seen.least, &seen.most)


cdef inline void fetch(const Product *p, const Operand *o, Py_ssize_t k, Py_ssize_t block) noexcept nogil:
    """Prefetch the memory that `split` will read. Its rows lie apart, so the CPU does not prefetch them by itself."""
    cdef Py_ssize_t first = begin_of(o, block), rows = begin_of(o, block + 1) - first
    cdef Py_ssize_t depth = depth_at(p, k), step = o.step, i
    if o.k_step != 1:
        rows, depth, step = depth, rows, o.k_step
    for i in range(rows):
        fnn_fetch(o.x + (first * o.step + k * o.k_step + i * step) * p.t.itemsize, depth * p.t.itemsize)


cdef void multiply(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """Some columns of some rows, DEPTH steps of k at a time. A piece of b is split; then every block of a meets it."""
    cdef const Product *p = <const Product *> job
    cdef Py_ssize_t size = p.t.itemsize, N = p.b.length
    cdef Py_ssize_t col_part = chunk // p.row_parts, row_part = chunk % p.row_parts
    cdef Py_ssize_t b0 = split_at(p.b.blocks, p.col_parts, col_part)
    cdef Py_ssize_t b1 = split_at(p.b.blocks, p.col_parts, col_part + 1)
    cdef Py_ssize_t a0 = split_at(p.a.blocks, p.row_parts, row_part)
    cdef Py_ssize_t a1 = split_at(p.a.blocks, p.row_parts, row_part + 1)
    cdef Py_ssize_t n = b0 * FNN_BLOCK, cols = min(N, b1 * FNN_BLOCK) - n, k, m, block, depth, bytes_of_block
    cdef char *a_parts = p.parts + slot * (PANELS + 1) * DEPTH * FNN_BLOCK * PARTS
    cdef char *b_parts = a_parts + DEPTH * FNN_BLOCK * PARTS
    cdef int flags
    p.a.ranges[chunk].least = p.b.ranges[chunk].least = MOST
    p.a.ranges[chunk].most = p.b.ranges[chunk].most = 0
    for k from 0 <= k < p.K by DEPTH:
        depth = depth_at(p, k)
        bytes_of_block = ceil_div(depth, FNN_BLOCK) * FNN_BLOCK * FNN_BLOCK * PARTS
        flags = (FNN_ACCUMULATE if k else 0) | (FNN_RELU if p.relu and k + depth == p.K else 0)
        fetch(p, &p.b, k, b0)
        for block in range(b0, b1):
            if block + 1 < b1:
                fetch(p, &p.b, k, block + 1)
            split(p, &p.b, b_parts + (block - b0) * bytes_of_block, k, block, True, &p.b.ranges[chunk])
        fetch(p, &p.a, k, a0)
        for block in range(a0, a1):
            m = begin_of(&p.a, block)
            split(p, &p.a, a_parts, k, block, False, &p.a.ranges[chunk])
            if block + 1 < a1:
                fetch(p, &p.a, k, block + 1)
            p.t.product(begin_of(&p.a, block + 1) - m, cols, depth, a_parts, b_parts, p.c + (m * N + n) * size, N,
                        p.bias + n * size if p.bias != NULL and k == 0 else NULL, flags)


cdef Operand describe(const char *x, Py_ssize_t length, Py_ssize_t step, Py_ssize_t k_step,
                      bint even) noexcept nogil:
    cdef Operand o
    o.ranges, o.even = NULL, even
    o.x, o.length, o.step, o.k_step, o.blocks = x, length, step, k_step, ceil_div(length, FNN_BLOCK)
    return o


cdef void cut(Product *p, int workers) noexcept nogil:
    """Choose the parts for all threads so that the fewest blocks are split.

    A block of a is split once for each part of the columns, and a block of b once for each part of the rows.
    """
    cdef Py_ssize_t cols, rows, least = ceil_div(p.b.blocks, PANELS), most = max(least, min(p.b.blocks, 2 * workers))
    cdef double cost, best = -1
    for cols in range(least, most + 1):
        rows = max(1, min(p.a.blocks, ceil_div(2 * workers, cols))) if workers > 1 else 1
        cost = <double> cols * p.a.blocks + <double> rows * p.b.blocks
        if best < 0 or cost < best:
            best, p.col_parts, p.row_parts = cost, cols, rows


cdef Range widest(const Range *ranges, Py_ssize_t chunks) noexcept nogil:
    cdef Range all = ranges[0]
    cdef Py_ssize_t chunk
    for chunk in range(1, chunks):
        all.least = min(all.least, ranges[chunk].least)
        all.most = max(all.most, ranges[chunk].most)
    return all


cdef inline double magnitude(uint32_t bits) noexcept nogil:
    cdef float x
    memcpy(&x, &bits, sizeof(x))
    return x


cdef bint is_whole(Range a, Range b) noexcept nogil:
    """Whether no part and no product is lost or overflows, by the bounds of `split` in fnn.h."""
    return (min(a.least, b.least) >= LEAST and max(a.most, b.most) <= MOST
            and magnitude(a.least) * magnitude(b.least) >= magnitude(LEAST)
            and magnitude(a.most) * magnitude(b.most) <= LARGEST)


cdef bint is_for_tiles(fnn_tiles *t, Py_ssize_t M, Py_ssize_t N, Py_ssize_t K) noexcept nogil:
    return t.product != NULL and K >= LONG and <double> M * N >= SPLIT * (<double> M + N)


cdef bint gemm_on_tiles(fnn_tiles *t, Py_ssize_t M, Py_ssize_t N, Py_ssize_t K, Matrix a, Matrix b, void *c,
                        const void *bias, bint relu) noexcept nogil:
    cdef Product p
    cdef int workers = threads()
    cdef Py_ssize_t chunks
    cdef bint done = False
    p.t, p.K, p.c, p.bias, p.relu = t, K, <char *> c, <const char *> bias, relu
    p.a, p.b = describe(a.start, M, a.row, a.col, True), describe(b.start, N, b.col, b.row, False)
    cut(&p, workers)
    chunks = p.col_parts * p.row_parts
    p.parts = <char *> allocate(workers * (PANELS + 1) * DEPTH * FNN_BLOCK * PARTS)
    p.a.ranges = <Range *> allocate(2 * chunks * sizeof(Range))
    if p.parts != NULL and p.a.ranges != NULL:
        p.b.ranges = p.a.ranges + chunks
        parallel(multiply, &p, chunks, workers, <double> M * N * K / 16)
        done = is_whole(widest(p.a.ranges, chunks), widest(p.b.ranges, chunks))
    release(p.parts)
    release(p.a.ranges)
    return done
