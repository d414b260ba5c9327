"""Large products of float32 on matrix tiles: operands are split into parts of bfloat16 (`csrc/amx.c`), a piece at a time."""
from libc.stdint cimport uint32_t
from libc.string cimport memcpy

from fastnn._kernels._table cimport allocate, parallel, release, threads
from fastnn._kernels.fnn cimport FNN_ACCUMULATE, FNN_BLOCK, FNN_RELU, ceil_div, fnn_fetch, fnn_tiles, split_at

cdef enum:
    STEP = 128    # of k, at a time: the 24 KB of a block's parts stay in the first-level cache
    DEPTH = 512   # of a piece of b, a multiple of it: c is written once for each
    PANELS = 12   # blocks in a piece: their 1.2 MB of parts stay in the second-level cache
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
    bint even                        # of equal size: rows of a, of which few take little time
    Range *ranges                    # of what each chunk has split


cdef struct Product:
    fnn_tiles *t
    Py_ssize_t K
    Py_ssize_t col_parts             # a chunk is one of them, for one part of the rows
    Py_ssize_t row_parts
    Operand a, b
    char *parts                      # for each thread: of a block of a, and of a piece of b
    char *c
    const char *bias
    bint relu


cdef inline Py_ssize_t begin_of(const Operand *o, Py_ssize_t block) noexcept nogil:
    return split_at(o.length, o.blocks, block) if o.even else min(o.length, block * FNN_BLOCK)


cdef inline void split(const Product *p, const Operand *o, char *parts, Py_ssize_t k, Py_ssize_t block, bint columns,
                       Range *seen) noexcept nogil:
    """One block of an operand, STEP of k."""
    cdef Py_ssize_t first = begin_of(o, block)
    p.t.split(parts, o.x + (first * o.step + k * o.k_step) * p.t.itemsize, o.step, o.k_step,
              begin_of(o, block + 1) - first, min(<Py_ssize_t> STEP, p.K - k), columns, &seen.least,
              &seen.most)


cdef inline void fetch(const Product *p, const Operand *o, Py_ssize_t k, Py_ssize_t block) noexcept nogil:
    """Ask for what `split` will read: its rows lie apart, and no CPU foresees them."""
    cdef Py_ssize_t first = begin_of(o, block), rows = begin_of(o, block + 1) - first
    cdef Py_ssize_t depth = min(<Py_ssize_t> STEP, p.K - k), step = o.step, i
    if o.k_step != 1:
        rows, depth, step = depth, rows, o.k_step
    for i in range(rows):
        fnn_fetch(o.x + (first * o.step + k * o.k_step + i * step) * p.t.itemsize, depth * p.t.itemsize)


cdef void multiply(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """Some columns of some rows: a piece of b is split, and then all blocks of a go past it."""
    cdef const Product *p = <const Product *> job
    cdef Py_ssize_t size = p.t.itemsize, N = p.b.length
    cdef Py_ssize_t col_part = chunk // p.row_parts, row_part = chunk % p.row_parts
    cdef Py_ssize_t b0 = split_at(p.b.blocks, p.col_parts, col_part), b1 = split_at(p.b.blocks, p.col_parts, col_part + 1)
    cdef Py_ssize_t a0 = split_at(p.a.blocks, p.row_parts, row_part), a1 = split_at(p.a.blocks, p.row_parts, row_part + 1)
    cdef Py_ssize_t n = b0 * FNN_BLOCK, cols = min(N, b1 * FNN_BLOCK) - n, k0, k, k1, m, block, depth
    cdef char *a_parts = p.parts + slot * (PANELS * DEPTH + STEP) * FNN_BLOCK * PARTS
    cdef char *b_parts = a_parts + STEP * FNN_BLOCK * PARTS
    cdef char *at
    p.a.ranges[chunk].least = p.b.ranges[chunk].least = MOST
    p.a.ranges[chunk].most = p.b.ranges[chunk].most = 0
    for k0 from 0 <= k0 < p.K by DEPTH:
        k1 = min(p.K, k0 + DEPTH)
        at = b_parts
        for k from k0 <= k < k1 by STEP:
            fetch(p, &p.b, k, b0)
            for block in range(b0, b1):
                if block + 1 < b1:
                    fetch(p, &p.b, k, block + 1)
                split(p, &p.b, at, k, block, True, &p.b.ranges[chunk])
                at += ceil_div(min(<Py_ssize_t> STEP, p.K - k), FNN_BLOCK) * FNN_BLOCK * FNN_BLOCK * PARTS
        for block in range(a0, a1):
            m = begin_of(&p.a, block)
            for k from k0 <= k < k1 by STEP:
                depth = min(<Py_ssize_t> STEP, p.K - k)
                split(p, &p.a, a_parts, k, block, False, &p.a.ranges[chunk])
                if k + STEP < k1:
                    fetch(p, &p.a, k + STEP, block)
                elif block + 1 < a1:
                    fetch(p, &p.a, k0, block + 1)
                p.t.product(begin_of(&p.a, block + 1) - m, cols, depth, a_parts,
                            b_parts + (k - k0) * (b1 - b0) * FNN_BLOCK * PARTS, p.c + (m * N + n) * size, N,
                            p.bias + n * size if p.bias != NULL and k == 0 else NULL,
                            (FNN_ACCUMULATE if k else 0) | (FNN_RELU if p.relu and k + depth == p.K else 0))


cdef Operand describe(const void *x, Py_ssize_t length, Py_ssize_t step, Py_ssize_t k_step,
                      bint even) noexcept nogil:
    cdef Operand o
    o.ranges, o.even = NULL, even
    o.x, o.length, o.step, o.k_step, o.blocks = <const char *> x, length, step, k_step, ceil_div(length, FNN_BLOCK)
    return o


cdef void cut(Product *p, int workers) noexcept nogil:
    """Chunks for all threads, with the least to split: rows are split once for each part of the columns, and so on."""
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
    cdef Py_ssize_t chunks
    cdef bint done = False
    p.t, p.K, p.c, p.bias, p.relu = t, K, <char *> c, <const char *> bias, relu
    p.a, p.b = describe(a, M, a_row, a_col, True), describe(b, N, b_col, b_row, False)
    cut(&p, workers)
    chunks = p.col_parts * p.row_parts
    p.parts = <char *> allocate(workers * (PANELS * DEPTH + STEP) * FNN_BLOCK * PARTS)
    p.a.ranges = <Range *> allocate(2 * chunks * sizeof(Range))
    if p.parts != NULL and p.a.ranges != NULL:
        p.b.ranges = p.a.ranges + chunks
        parallel(multiply, &p, chunks, workers, <double> M * N * K / 16)
        done = is_whole(widest(p.a.ranges, chunks), widest(p.b.ranges, chunks))
    release(p.parts)
    release(p.a.ranges)
    return done
