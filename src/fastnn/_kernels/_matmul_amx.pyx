"""Large products of float32 on matrix tiles: both operands are split into parts of bfloat16 first (`csrc/amx.c`)."""
from libc.stdint cimport uint32_t
from libc.string cimport memcpy

from fastnn._kernels._table cimport allocate, parallel, release, threads
from fastnn._kernels.fnn cimport FNN_ACCUMULATE, FNN_BLOCK, FNN_RELU, ceil_div, fits, fnn_tiles

cdef enum:
    DEPTH = 256   # of a block: 48 KB of parts
    PANELS = 8    # blocks of b in a chunk, which stay in the second-level cache
    PARTS = 6     # bytes of an element's three parts
    SPLIT = 64    # multiply-adds of an element that make up for splitting it
    LONG = 64     # steps of k, from which rounding them up to whole blocks wastes at most a third
    LEAST = 0x0c800000  # bits of 2^-102, and of 2^126: where no part of a float is lost or overflows
    MOST = 0x7e800000

cdef double LARGEST = 2.0 ** 120  # product, so that a sum of many does not overflow


cdef struct Range:
    uint32_t least, most  # bits of the smallest |x| but 0, and of the largest


cdef struct Operand:
    const char *x
    Py_ssize_t length, step, k_step  # rows of a, or columns of b
    Py_ssize_t blocks
    char *parts                      # of (blocks, depth) for each depth
    Range *ranges                    # of each block


cdef struct Product:
    fnn_tiles *t
    Py_ssize_t K, width              # blocks of b in a chunk
    Operand a, b
    char *c
    const char *bias
    bint relu


cdef inline char *block_at(const Operand *o, Py_ssize_t K, Py_ssize_t k, Py_ssize_t block) noexcept nogil:
    """The parts of a block from k on, k being a multiple of DEPTH."""
    cdef Py_ssize_t depth = ceil_div(min(<Py_ssize_t> DEPTH, K - k), FNN_BLOCK) * FNN_BLOCK
    return o.parts + (k * o.blocks + block * depth) * FNN_BLOCK * PARTS


cdef void split_block(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Product *p = <const Product *> job
    cdef bint columns = chunk >= p.a.blocks
    cdef const Operand *o = &p.b if columns else &p.a
    cdef Py_ssize_t block = chunk - p.a.blocks if columns else chunk, first = block * FNN_BLOCK, k
    cdef Range *seen = &o.ranges[block]
    seen.least, seen.most = MOST, 0
    for k from 0 <= k < p.K by DEPTH:
        p.t.split(block_at(o, p.K, k, block), o.x + (first * o.step + k * o.k_step) * p.t.itemsize, o.step, o.k_step,
                  min(<Py_ssize_t> FNN_BLOCK, o.length - first), min(<Py_ssize_t> DEPTH, p.K - k), columns,
                  &seen.least, &seen.most)


cdef void multiply_blocks(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Product *p = <const Product *> job
    cdef Py_ssize_t size = p.t.itemsize, M = p.a.length, N = p.b.length
    cdef Py_ssize_t first = chunk * p.width, n = first * FNN_BLOCK, cols = min(N - n, p.width * FNN_BLOCK), k, m, block
    cdef int flags
    if p.bias != NULL:
        for m in range(M):
            memcpy(p.c + (m * N + n) * size, p.bias + n * size, cols * size)
    for k from 0 <= k < p.K by DEPTH:
        flags = (FNN_ACCUMULATE if k or p.bias != NULL else 0) | (FNN_RELU if p.relu and k + DEPTH >= p.K else 0)
        for block in range(p.a.blocks):
            m = block * FNN_BLOCK
            p.t.product(min(<Py_ssize_t> FNN_BLOCK, M - m), cols, min(<Py_ssize_t> DEPTH, p.K - k),
                        block_at(&p.a, p.K, k, block), block_at(&p.b, p.K, k, first), p.c + (m * N + n) * size, N,
                        flags)


cdef Operand describe(const void *x, Py_ssize_t length, Py_ssize_t step, Py_ssize_t k_step) noexcept nogil:
    cdef Operand o
    o.x, o.length, o.step, o.k_step, o.blocks = <const char *> x, length, step, k_step, ceil_div(length, FNN_BLOCK)
    return o


cdef Range widest(const Operand *o) noexcept nogil:
    cdef Range all = o.ranges[0]
    cdef Py_ssize_t block
    for block in range(1, o.blocks):
        all.least = min(all.least, o.ranges[block].least)
        all.most = max(all.most, o.ranges[block].most)
    return all


cdef inline double magnitude(uint32_t bits) noexcept nogil:
    cdef float x
    memcpy(&x, &bits, sizeof(x))
    return x


cdef bint is_whole(Range a, Range b) noexcept nogil:
    """Whether all parts, and all products of parts that count, are there: see `split` in fnn.h."""
    return (min(a.least, b.least) >= LEAST and max(a.most, b.most) <= MOST
            and magnitude(a.least) * magnitude(b.least) >= magnitude(LEAST)
            and magnitude(a.most) * magnitude(b.most) <= LARGEST)


cdef bint is_for_tiles(fnn_tiles *t, Py_ssize_t M, Py_ssize_t N, Py_ssize_t K) noexcept nogil:
    return t.product != NULL and K >= LONG and <double> M * N >= SPLIT * (<double> M + N)


cdef bint gemm_on_tiles(fnn_tiles *t, Py_ssize_t M, Py_ssize_t N, Py_ssize_t K, const void *a, Py_ssize_t a_row,
                        Py_ssize_t a_col, const void *b, Py_ssize_t b_row, Py_ssize_t b_col, void *c,
                        const void *bias, bint relu) noexcept nogil:
    cdef Product p
    cdef int workers = threads()
    cdef Py_ssize_t depth = ceil_div(K, FNN_BLOCK) * FNN_BLOCK, blocks
    cdef bint done = False
    p.t, p.K, p.c, p.bias, p.relu = t, K, <char *> c, <const char *> bias, relu
    p.a, p.b = describe(a, M, a_row, a_col), describe(b, N, b_col, b_row)
    p.width = max(1, min(<Py_ssize_t> PANELS, p.b.blocks // (4 * workers)))
    blocks = p.a.blocks + p.b.blocks
    if not fits(<double> blocks * FNN_BLOCK * depth * PARTS):
        return False
    p.a.parts = <char *> allocate(blocks * FNN_BLOCK * depth * PARTS)
    p.a.ranges = <Range *> allocate(blocks * sizeof(Range))
    if p.a.parts != NULL and p.a.ranges != NULL:
        p.b.parts = p.a.parts + p.a.blocks * FNN_BLOCK * depth * PARTS
        p.b.ranges = p.a.ranges + p.a.blocks
        parallel(split_block, &p, blocks, workers, (<double> M + N) * K)
        done = is_whole(widest(&p.a), widest(&p.b))
        if done:
            parallel(multiply_blocks, &p, ceil_div(p.b.blocks, p.width), workers, <double> M * N * K / 16)
    release(p.a.parts)
    release(p.a.ranges)
    return done
