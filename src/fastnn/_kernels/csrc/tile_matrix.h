/* The panel tile, and other primitives of matrix products, convolutions and gradients; the dot tile is in tile_dot.h.
 * docs/dev/matrix-products.md draws both; the contracts are in fnn.h. */

/* Vector v of row m of a tile, to its place in c. */
INLINE void NAME(panel_store)(vec value, real *cm, const int m, const int v, ptrdiff_t cols, const real *bias,
                              int flags) {
    ptrdiff_t left = cols - v * LANES;
    if (flags & FNN_ACCUMULATE)
        value += left >= LANES ? NAME(load)(cm + v * LANES) : NAME(load_part)(cm + v * LANES, left, 0);
    if (bias && flags & FNN_BIAS_OF_COLUMNS)
        value += left >= LANES ? NAME(load)(bias + v * LANES) : NAME(load_part)(bias + v * LANES, left, 0);
    else if (bias)
        value += bias[m];
    if (flags & FNN_RELU)
        value = NAME(positive)(value);
    if (left >= LANES)
        NAME(store)(cm + v * LANES, value);
    else
        NAME(store_part)(cm + v * LANES, value, left);
}

/* ---- panel: rank-one updates. Each k loads PANEL_VECTORS vectors of b, and broadcasts an element of a for each row. -
 * All of c stays in registers while k runs. With AVX-512, 14 rows x 2 vectors of 16 floats take 28 of the 32 registers.
 * Two more hold b, and one holds an element of a. Here are 3 rows x 2 vectors of 4 floats in step k:
 *
 *                          b + koff[k]      [ b0 b1 b2 b3 ] [ b4 b5 b6 b7 ]     2 loads
 *
 *      a + k * a_depth             a0   ->  [ c0 c1 c2 c3 ] [ c4 c5 c6 c7 ]     c += a0 * b
 *                      + a_row     a1   ->  [ ........... ] [ ........... ]     c += a1 * b
 *                      + 2*a_row   a2   ->  [ ........... ] [ ........... ]     c += a2 * b
 *
 * So for 14 rows, 2 loads and 14 broadcasts feed 28 multiply-adds. c is stored once, after the last k. */
#define AHEAD_DEPTH 8 /* with fewer steps, the stores come before their lines could */
INLINE void NAME(panel_tile)(const int rows, const int vectors, ptrdiff_t cols, ptrdiff_t segments, ptrdiff_t depth,
                             const real *a, const ptrdiff_t *starts, ptrdiff_t a_row, ptrdiff_t a_depth,
                             const real *b, const ptrdiff_t *koff, real *c, ptrdiff_t ldc, const real *bias, int flags,
                             const real *next) {
    vec acc[PANEL_ROWS][PANEL_VECTORS];
    UNROLL
    for (int m = 0; m < rows; m++)
        UNROLL
        for (int v = 0; v < vectors; v++)
            acc[m][v] = NAME(splat)(0);
    /* A store to memory that is not in the cache reads its line first. With some steps there is time for it. */
    if (segments > 1 || depth >= AHEAD_DEPTH) {
        UNROLL
        for (int m = 0; m < rows; m++) {
            UNROLL
            for (int v = 0; v < vectors * VECTOR; v += 64)
                __builtin_prefetch((const char *)(c + m * ldc) + v, 1, 3);
            __builtin_prefetch(c + m * ldc + vectors * LANES - 1, 1, 3);
        }
    }
    for (ptrdiff_t s = 0; s < segments; s++, koff += depth) {
        const real *as = starts ? a + starts[s] : a;
        for (ptrdiff_t k = 0; k < depth; k++, as += a_depth) {
            const real *bk = b + koff[k];
            __builtin_prefetch(next + koff[k], 0, 2);
            vec bv[PANEL_VECTORS];
            UNROLL
            for (int v = 0; v < vectors; v++)
                bv[v] = NAME(load)(bk + v * LANES);
            UNROLL
            for (int m = 0; m < rows; m++) {
                vec am = NAME(splat)(as[m * a_row]);
                UNROLL
                for (int v = 0; v < vectors; v++)
                    acc[m][v] += am * bv[v];
            }
        }
    }
    /* Most tiles are whole, and write what they sum. If sums are short, each test of a store counts. */
    if (cols == vectors * LANES && !(flags & FNN_ACCUMULATE) && (!bias || flags & FNN_BIAS_OF_COLUMNS)) {
        vec plus[PANEL_VECTORS];
        UNROLL
        for (int v = 0; v < vectors; v++)
            plus[v] = bias ? NAME(load)(bias + v * LANES) : NAME(splat)(0);
        UNROLL
        for (int m = 0; m < rows; m++)
            UNROLL
            for (int v = 0; v < vectors; v++) {
                vec value = acc[m][v] + plus[v];
                NAME(store)(c + m * ldc + v * LANES, flags & FNN_RELU ? NAME(positive)(value) : value);
            }
        return;
    }
    UNROLL
    for (int m = 0; m < rows; m++)
        UNROLL
        for (int v = 0; v < vectors; v++)
            NAME(panel_store)(acc[m][v], c + m * ldc, m, v, cols, bias, flags);
}

#define PANEL_CASE(r)                                                                                              \
    case r:                                                                                                        \
        if (cols > LANES)                                                                                          \
            NAME(panel_tile)(r, 2, cols, segments, depth, a, starts, a_row, a_depth, b, koff, c, ldc, bias, flags, \
                             next);                                                                                \
        else                                                                                                       \
            NAME(panel_tile)(r, 1, cols, segments, depth, a, starts, a_row, a_depth, b, koff, c, ldc, bias, flags, \
                             next);                                                                                \
        break;

INLINE void NAME(panel_of)(ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t segments, ptrdiff_t depth, const real *a,
                           const ptrdiff_t *starts, ptrdiff_t a_row, ptrdiff_t a_depth, const real *b,
                           const ptrdiff_t *koff, real *c, ptrdiff_t ldc, const real *bias, int flags,
                           const real *next) {
    switch (rows) {
        PANEL_CASE(1) PANEL_CASE(2) PANEL_CASE(3) PANEL_CASE(4) PANEL_CASE(5) PANEL_CASE(6)
#if PANEL_ROWS >= 12
        PANEL_CASE(7) PANEL_CASE(8) PANEL_CASE(9) PANEL_CASE(10) PANEL_CASE(11) PANEL_CASE(12)
#endif
#if PANEL_ROWS >= 14
        PANEL_CASE(13) PANEL_CASE(14)
#endif
    }
}

static void NAME(panel)(ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t segments, ptrdiff_t depth, const void *a,
                        const ptrdiff_t *starts, ptrdiff_t a_row, ptrdiff_t a_depth, const void *b,
                        const ptrdiff_t *koff, void *c, ptrdiff_t ldc, const void *bias, int flags, const void *next) {
    if (next == NULL)
        next = b; /* b is in the cache already, and the loop needs no branch */
    if (a_row == 1) /* the loop is faster with a step that the compiler knows */
        NAME(panel_of)(rows, cols, segments, depth, a, starts, 1, a_depth, b, koff, c, ldc, bias, flags, next);
    else
        NAME(panel_of)(rows, cols, segments, depth, a, starts, a_row, a_depth, b, koff, c, ldc, bias, flags, next);
}

/* ---- panel_row: one row times a packed panel, which comes from memory and is read once. Neighbouring k have sums of their
 * own: a single sum would wait for the multiply-add before it. ----------------------------------------------------- */
#define CHAINS 4
INLINE void NAME(panel_row_of)(const int vectors, ptrdiff_t cols, ptrdiff_t depth, const real *a, const real *b,
                               real *c, const real *bias, int flags) {
    vec acc[CHAINS][PANEL_VECTORS];
    ptrdiff_t k = 0;
    UNROLL
    for (int i = 0; i < CHAINS; i++)
        UNROLL
        for (int v = 0; v < vectors; v++)
            acc[i][v] = NAME(splat)(0);
    for (; k + CHAINS <= depth; k += CHAINS, b += CHAINS * PANEL_VECTORS * LANES) {
        UNROLL
        for (int i = 0; i < CHAINS; i++)
            UNROLL
            for (int v = 0; v < vectors; v++)
                acc[i][v] += NAME(splat)(a[k + i]) * NAME(load)(b + (i * PANEL_VECTORS + v) * LANES);
    }
    for (; k < depth; k++, b += PANEL_VECTORS * LANES) {
        UNROLL
        for (int v = 0; v < vectors; v++)
            acc[0][v] += NAME(splat)(a[k]) * NAME(load)(b + v * LANES);
    }
    UNROLL
    for (int v = 0; v < vectors; v++) {
        for (int step = CHAINS / 2; step; step /= 2)
            for (int i = 0; i < step; i++)
                acc[i][v] += acc[i + step][v];
        NAME(panel_store)(acc[0][v], c, 0, v, cols, bias, flags | FNN_BIAS_OF_COLUMNS);
    }
}

static void NAME(panel_row)(ptrdiff_t cols, ptrdiff_t depth, const void *a, const void *b, void *c, const void *bias,
                            int flags) {
    if (cols > LANES)
        NAME(panel_row_of)(2, cols, depth, a, b, c, bias, flags);
    else
        NAME(panel_row_of)(1, cols, depth, a, b, c, bias, flags);
}
#undef CHAINS

/* ---- taps: one row of c over all its columns, up to 8 vectors at a time. ----------------------------------------- */
INLINE void NAME(taps_block)(const int vectors, ptrdiff_t n, ptrdiff_t depth, const real *w, const real *x,
                             const ptrdiff_t *koff, real *y, const real *bias, int flags) {
    vec acc[8];
    UNROLL
    for (int v = 0; v < vectors; v++)
        acc[v] = NAME(splat)(0);
    for (ptrdiff_t k = 0; k < depth; k++) {
        vec wk = NAME(splat)(w[k]);
        const real *xk = x + koff[k];
        UNROLL
        for (int v = 0; v < vectors; v++)
            acc[v] += wk * (n >= LANES ? NAME(load)(xk + v * LANES) : NAME(load_part)(xk, n, 0));
    }
    UNROLL
    for (int v = 0; v < vectors; v++) {
        vec value = bias ? acc[v] + *bias : acc[v];
        if (flags & FNN_RELU)
            value = NAME(positive)(value);
        if (n >= LANES)
            NAME(store)(y + v * LANES, value);
        else
            NAME(store_part)(y, value, n);
    }
}

/* The last block ends with the row. It computes some columns of the block before it again. */
#define TAPS(vectors)                                                                                              \
    if (n >= (vectors) * LANES) {                                                                                  \
        for (ptrdiff_t j = 0; j < n; j += (vectors) * LANES) {                                                     \
            j = j + (vectors) * LANES > n ? n - (vectors) * LANES : j;                                             \
            NAME(taps_block)(vectors, LANES, depth, w, xs + j, koff, ys + j, bias, flags);                         \
        }                                                                                                          \
        return;                                                                                                    \
    }
static void NAME(taps)(ptrdiff_t n, ptrdiff_t depth, const void *w, const void *x, const ptrdiff_t *koff, void *y,
                       const void *bias, int flags) {
    const real *xs = x;
    real *ys = y;
    TAPS(8) TAPS(4) TAPS(2) TAPS(1)
    NAME(taps_block)(1, n, depth, w, xs, koff, ys, bias, flags);
}
#undef TAPS

#undef PANEL_CASE
#undef AHEAD_DEPTH

/* ---- One row of a product. ----------------------------------------------------------------------------------------- */
#define STREAMS 8 /* rows of b that are read at a time */

INLINE void NAME(row_steps)(const int steps, const real *a, ptrdiff_t a_step, const real *b, ptrdiff_t b_step, real *c,
                            ptrdiff_t cols) {
    ptrdiff_t j = 0, left;
    vec am[STREAMS], sum;
    UNROLL
    for (int i = 0; i < steps; i++)
        am[i] = NAME(splat)(a[i * a_step]);
    for (; j + LANES <= cols; j += LANES) {
        sum = NAME(load)(c + j);
        UNROLL
        for (int i = 0; i < steps; i++)
            sum += am[i] * NAME(load)(b + i * b_step + j);
        NAME(store)(c + j, sum);
    }
    if ((left = cols - j) > 0) {
        sum = NAME(load_part)(c + j, left, 0);
        UNROLL
        for (int i = 0; i < steps; i++)
            sum += am[i] * NAME(load_part)(b + i * b_step + j, left, 0);
        NAME(store_part)(c + j, sum, left);
    }
}

static void NAME(short_row)(const real *a, ptrdiff_t a_step, const real *b, ptrdiff_t b_step, ptrdiff_t depth, real *c,
                            ptrdiff_t cols) {
    ptrdiff_t k = 0;
    for (; k + STREAMS <= depth; k += STREAMS)
        NAME(row_steps)(STREAMS, a + k * a_step, a_step, b + k * b_step, b_step, c, cols);
    for (; k < depth; k++)
        NAME(row_steps)(1, a + k * a_step, a_step, b + k * b_step, b_step, c, cols);
}

#define ROW_DEPTH 1024 /* terms of a block; the blocks of longer sums are added at the end */
#define ROW_COLS 1024  /* columns whose sums stay in the first-level cache */
static void NAME(row)(const void *a_, ptrdiff_t a_step, const void *b_, ptrdiff_t b_step, ptrdiff_t depth, void *c_,
                      ptrdiff_t cols) {
    const real *a = a_, *b = b_;
    real *c = c_, part[ROW_COLS];
    if (depth <= ROW_DEPTH) {
        NAME(short_row)(a, a_step, b, b_step, depth, c, cols);
        return;
    }
    for (ptrdiff_t j = 0; j < cols; j += ROW_COLS) {
        ptrdiff_t n = cols - j < ROW_COLS ? cols - j : ROW_COLS;
        for (ptrdiff_t k = 0; k < depth; k += ROW_DEPTH) {
            memset(part, 0, (size_t)n * sizeof(real));
            NAME(short_row)(a + k * a_step, a_step, b + k * b_step + j, b_step,
                            depth - k < ROW_DEPTH ? depth - k : ROW_DEPTH, part, n);
            for (ptrdiff_t i = 0; i < n; i++)
                c[j + i] += part[i];
        }
    }
}
#undef ROW_DEPTH
#undef ROW_COLS
#undef STREAMS

INLINE void NAME(sum_few_rows)(real *d, const real *s, ptrdiff_t src_step, ptrdiff_t rows, ptrdiff_t cols) {
    ptrdiff_t j = 0;
    for (; j + 2 * LANES <= cols; j += 2 * LANES) {
        vec first = NAME(load)(d + j), second = NAME(load)(d + j + LANES);
        for (ptrdiff_t i = 0; i < rows; i++) {
            first += NAME(load)(s + i * src_step + j);
            second += NAME(load)(s + i * src_step + j + LANES);
        }
        NAME(store)(d + j, first);
        NAME(store)(d + j + LANES, second);
    }
    for (; j + LANES <= cols; j += LANES) {
        vec total = NAME(load)(d + j);
        for (ptrdiff_t i = 0; i < rows; i++)
            total += NAME(load)(s + i * src_step + j);
        NAME(store)(d + j, total);
    }
    for (; j < cols; j++)
        for (ptrdiff_t i = 0; i < rows; i++)
            d[j] += s[i * src_step + j];
}

#define SUM_COLS 256 /* columns whose totals stay in the first-level cache */
static void NAME(sum_rows)(void *dst, const void *src, ptrdiff_t src_step, ptrdiff_t rows, ptrdiff_t cols) {
    const real *s = src;
    real *d = dst, part[SUM_COLS];
    double total[SUM_COLS];
    if (rows <= SUM_ROWS) {
        NAME(sum_few_rows)(d, s, src_step, rows, cols);
        return;
    }
    for (ptrdiff_t j = 0; j < cols; j += SUM_COLS) {
        ptrdiff_t n = cols - j < SUM_COLS ? cols - j : SUM_COLS;
        for (ptrdiff_t c = 0; c < n; c++)
            total[c] = (double)d[j + c];
        for (ptrdiff_t i = 0; i < rows; i += SUM_ROWS) {
            memset(part, 0, (size_t)n * sizeof(real));
            NAME(sum_few_rows)(part, s + i * src_step + j, src_step, rows - i < SUM_ROWS ? rows - i : SUM_ROWS, n);
            for (ptrdiff_t c = 0; c < n; c++)
                total[c] += (double)part[c];
        }
        for (ptrdiff_t c = 0; c < n; c++)
            d[j + c] = (real)total[c];
    }
}
#undef SUM_COLS

INLINE vec NAME(sum_of_row)(const real *s, ptrdiff_t n) {
    vec acc[4] = {{0}, {0}, {0}, {0}};
    ptrdiff_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES)
        for (int u = 0; u < 4; u++)
            acc[u] += NAME(load)(s + i + u * LANES);
    for (; i + LANES <= n; i += LANES)
        acc[0] += NAME(load)(s + i);
    if (i < n)
        acc[3] += NAME(load_part)(s + i, n - i, 0);
    return (acc[0] + acc[1]) + (acc[2] + acc[3]);
}

static double NAME(sum_of_long_row)(const real *s, ptrdiff_t n) {
    const ptrdiff_t block = 4 * SUM_TERMS * LANES;
    double total = 0;
    for (ptrdiff_t i = 0; i < n; i += block)
        total += (double)NAME(lane_sum)(NAME(sum_of_row)(s + i, n - i < block ? n - i : block));
    return total;
}

static void NAME(sums)(double *totals, const void *src_, ptrdiff_t step, ptrdiff_t rows, ptrdiff_t n) {
    const real *src = src_;
    ptrdiff_t r = 0;
    if (n > 4 * SUM_TERMS * LANES) {
        for (; r < rows; r++)
            totals[r] += NAME(sum_of_long_row)(src + r * step, n);
        return;
    }
    for (; r + LANES <= rows; r += LANES) {
        vec v[LANES];
        for (int k = 0; k < LANES; k++)
            v[k] = NAME(sum_of_row)(src + (r + k) * step, n);
        real sums[LANES];
        NAME(store)(sums, NAME(lane_sums)(v));
        UNROLL for (int k = 0; k < LANES; k++) totals[r + k] += (double)sums[k];
    }
    for (; r < rows; r++)
        totals[r] += (double)NAME(lane_sum)(NAME(sum_of_row)(src + r * step, n));
}
