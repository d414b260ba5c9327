/* The dot tile: products of rows with rows. Both are contiguous, so nothing is packed. docs/dev/matrix-products.md draws
 * it; the contract is in fnn.h. */

/* One step of the tile at q. A masked load sets lanes to 0 before they are multiplied, because 0 * inf is not 0. */
#define DOT_STEP(LOAD)                                                                                             \
    do {                                                                                                           \
        vec am[FNN_DOT_ROWS];                                                                                      \
        UNROLL for (int m = 0; m < rows; m++) am[m] = LOAD(as[m]);                                                 \
        UNROLL for (int j = 0; j < columns; j++) {                                                                 \
            vec bj = LOAD(bs[j]);                                                                                  \
            IN_REGISTER(bj);                                                                                       \
            UNROLL for (int m = 0; m < rows; m++) acc[m][j] += am[m] * bj;                                         \
        }                                                                                                          \
    } while (0)
#define DOT_WHOLE(p) NAME(load)((p) + q)
#define DOT_MASKED(p) (vec)((ivec)NAME(load)((p) + q) & mask)
#define DOT_SHORT(p) NAME(load_part)((p), length, 0)

/* One row of sums, to its place; whole vectors, and by parts of them where masks are fast. */
#define DOT_LOAD(p) (HAS_MASKS ? NAME(load_part)(p, left, 0) : NAME(load)(p))
INLINE void NAME(dot_store)(const real *sums, const int columns, ptrdiff_t cols, real *c, const real *bias,
                            int flags) {
    ptrdiff_t j = 0;
    UNROLL
    for (; j < columns; j += LANES) {
        if (j >= cols || (!HAS_MASKS && j + LANES > cols))
            break;
        ptrdiff_t left = cols - j < LANES ? cols - j : LANES;
        vec value = DOT_LOAD(sums + j);
        if (flags & FNN_ACCUMULATE)
            value += DOT_LOAD(c + j);
        if (bias)
            value += DOT_LOAD(bias + j);
        if (flags & FNN_RELU)
            value = NAME(positive)(value);
        if (HAS_MASKS)
            NAME(store_part)(c + j, value, left);
        else
            NAME(store)(c + j, value);
    }
    UNROLL
    for (; j < columns; j++) {
        if (j >= cols)
            break;
        real value = sums[j];
        if (flags & FNN_ACCUMULATE)
            value += c[j];
        if (bias)
            value += bias[j];
        c[j] = (flags & FNN_RELU) && value <= 0 ? 0 : value;
    }
}
#undef DOT_LOAD

INLINE void NAME(dot_tile)(const int rows, const int columns, ptrdiff_t cols, ptrdiff_t length, const real *a,
                           ptrdiff_t lda, const real *b, const ptrdiff_t *koff, real *c, ptrdiff_t ldc,
                           const real *bias, int flags, const real *next) {
    vec acc[FNN_DOT_ROWS][FNN_DOT_COLS];
    UNROLL
    for (int m = 0; m < rows; m++)
        UNROLL
        for (int j = 0; j < columns; j++)
            acc[m][j] = NAME(splat)(0);
    /* Columns beyond the matrix repeat the last one; their sums are not stored. */
    const real *as[FNN_DOT_ROWS], *bs[FNN_DOT_COLS];
    UNROLL
    for (int m = 0; m < rows; m++)
        as[m] = a + m * lda;
    UNROLL
    for (int j = 0; j < columns; j++)
        bs[j] = b + koff[j < cols ? j : cols - 1];
    ptrdiff_t whole = length / LANES * LANES;
    for (ptrdiff_t q = 0; q < whole; q += LANES) {
        __builtin_prefetch(next + q, 0, 2);
        DOT_STEP(DOT_WHOLE);
    }
    if (whole < length && whole) {
        /* The last vector ends with the row, and its lanes that were added before are masked out. */
        ptrdiff_t q = length - LANES;
        ivec mask = NAME(iota)() >= (integer)(LANES - (length - whole)) - (ivec){0};
        DOT_STEP(DOT_MASKED);
    } else if (whole < length) {
        DOT_STEP(DOT_SHORT);
    }
    real sums[FNN_DOT_SUMS + LANES];
    UNROLL
    for (int first = 0; first < rows * columns; first += LANES) {
        vec group[LANES];
        UNROLL
        for (int i = 0; i < LANES; i++) {
            int at = first + i < rows * columns ? first + i : 0;
            group[i] = acc[at / columns][at % columns];
        }
        NAME(store)(sums + first, NAME(lane_sums)(group));
    }
    UNROLL
    for (int m = 0; m < rows; m++)
        NAME(dot_store)(sums + m * columns, columns, cols, c + m * ldc, bias, flags);
}

#define DOT_CASE(r, columns)                                                                                       \
    case r:                                                                                                        \
        NAME(dot_tile)(r, columns, cols, length, a, lda, b, koff, c, ldc, bias, flags, to_come);                   \
        break;

static void NAME(dot)(ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t length, const void *a, ptrdiff_t lda, const void *b,
                      const ptrdiff_t *koff, void *c, ptrdiff_t ldc, const void *bias, int flags, const void *next) {
    const void *to_come = next ? next : a;
    switch (rows) { DOT_TILES(DOT_CASE) }
}

/* Rows of so few elements that a row would fill a small part of a vector: compilers put a row in each lane. */
INLINE void NAME(short_dots_of)(ptrdiff_t n, const int length, const real *restrict x, const real *w,
                                real *restrict y, real bias, const int relu) {
    for (ptrdiff_t i = 0; i < n; i++) {
        real total = w[0] * x[i * length];
        UNROLL
        for (int k = 1; k < length; k++)
            total += w[k] * x[i * length + k];
        total += bias;
        y[i] = relu && total <= 0 ? 0 : total;
    }
}

#define SHORT_DOTS(length)                                                                                         \
    case length:                                                                                                   \
        if (flags & FNN_RELU)                                                                                      \
            NAME(short_dots_of)(n, length, x, w, y, bias ? *(const real *)bias : 0, 1);                            \
        else                                                                                                       \
            NAME(short_dots_of)(n, length, x, w, y, bias ? *(const real *)bias : 0, 0);                            \
        break;
static void NAME(short_dots)(ptrdiff_t n, ptrdiff_t length, const void *x, const void *w_, void *y, const void *bias,
                             int flags) {
    real w[FNN_SHORT_DOT] = {0};
    memcpy(w, w_, (size_t)length * sizeof(real));
    switch (length) { SHORT_DOTS(1) SHORT_DOTS(2) SHORT_DOTS(3) SHORT_DOTS(4) }
}
#undef SHORT_DOTS

#undef DOT_CASE
#undef DOT_STEP
#undef DOT_WHOLE
#undef DOT_MASKED
#undef DOT_SHORT
