/* Depthwise convolution of one plane by rows, with K x K kernels at stride S; contracts in fnn.h.
 *
 * Nothing is transposed or copied: lanes are neighbouring outputs of a row, and padding is what masks leave out. A tile
 * has 4 output rows. A row of the image is loaded once for all output rows that see it. Here are K = 3 and S = 1, with
 * the kernel row that each output row multiplies:
 *
 *      image row     h    h+1   h+2   h+3   h+4   h+5
 *      output row r  0     1     2
 *             r + 1        0     1     2
 *             r + 2              0     1     2
 *             r + 3                    0     1     2
 *
 * For S = 2 two vectors of a row are parted into even and odd columns. Further columns of the kernel are these, one
 * lane down. The last lanes then lack pixels, so a block has fewer outputs than lanes: for K = 3 and 4 lanes, 3 outputs.
 *
 *      row                 a b c d   e f g h
 *      kernel column 0     a c e g
 *      kernel column 1     b d f h
 *      kernel column 2     c e g .
 *
 * The gradient of the image at stride 2 goes the other way. Pixels of even and of odd columns are two sums, which are
 * zipped. Padded row 2*u meets the even rows of the kernel at dy's rows u, u - 1, ...; row 2*u + 1 meets the odd ones. */
#define MAX_K 5
#define AHEAD 512 /* elements of a plane that are prefetched: hardware sees no pattern in short rows */

#if LANES == 16
#define DOWN 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 15
#elif LANES == 8
#define DOWN 1, 2, 3, 4, 5, 6, 7, 7
#elif LANES == 4
#define DOWN 1, 2, 3, 3
#else
#define DOWN 1, 1
#endif

INLINE ptrdiff_t NAME(lane)(ptrdiff_t n) { return n < 0 ? 0 : n > LANES ? LANES : n; }

/* Lanes from <= i < to of p, and zeros in the others. Only these lanes are read. */
INLINE vec NAME(load_between)(const real *p, ptrdiff_t from, ptrdiff_t to) {
    from = NAME(lane)(from);
    to = NAME(lane)(to);
#if defined(__AVX512F__)
    const unsigned mask = ((1u << to) - 1) & ~((1u << from) - 1);
    if (sizeof(real) == 4)
        return (vec)_mm512_maskz_loadu_ps((__mmask16)mask, p);
    return (vec)_mm512_maskz_loadu_pd((__mmask8)mask, p);
#elif defined(__AVX2__)
    const ivec mask = (NAME(iota)() >= (integer)from - (ivec){0}) & NAME(first)(to);
    return sizeof(real) == 4 ? (vec)_mm256_maskload_ps((const float *)p, (__m256i)mask)
                             : (vec)_mm256_maskload_pd((const double *)p, (__m256i)mask);
#else
    vec v = {0};
    for (ptrdiff_t i = from; i < to; i++)
        v[i] = p[i];
    return v;
#endif
}

INLINE void NAME(fetch_ahead)(const real *p, const int S) {
    __builtin_prefetch(p + AHEAD, 0, 3);
    if (S == 2 && VECTOR == 64)
        __builtin_prefetch(p + LANES + AHEAD, 0, 3);
}

/* The pixels that n outputs meet at each column of the kernel. Lanes left <= i < right of p are inside the row. */
INLINE void NAME(row_columns)(vec *columns, const int K, const int S, const int edge, const real *p, ptrdiff_t left,
                              ptrdiff_t right, ptrdiff_t n) {
    if (S == 1) {
        UNROLL
        for (int c = 0; c < K; c++)
            columns[c] = edge ? NAME(load_between)(p + c, left - c, right - c < n ? right - c : n) : NAME(load)(p + c);
        return;
    }
    columns[0] = edge ? NAME(load_between)(p, left, right) : NAME(load)(p);
    columns[1] = edge ? NAME(load_between)(p + LANES, left - LANES, right - LANES) : NAME(load)(p + LANES);
    NAME(part_vectors)(columns);
    UNROLL
    for (int c = 2; c < K; c++)
        columns[c] = __builtin_shufflevector(columns[c - 2], columns[c - 2], DOWN);
}

/* R rows of n outputs, of which the first `whole` may be stored as whole vectors. `at` is the column of the image that
 * the first output meets first. */
INLINE void NAME(rows_tile)(const int R, const int K, const int S, const int edge, const fnn_plane *d,
                            const real *const *lines, ptrdiff_t at, ptrdiff_t n, const vec *weights, vec start, real *y,
                            int whole, int flags) {
    vec acc[FNN_PLANE_ROWS], columns[MAX_K];
    UNROLL
    for (int r = 0; r < R; r++)
        acc[r] = start;
    UNROLL
    for (int i = 0; i < (R - 1) * S + K; i++) {
        if (i < R * S)
            NAME(fetch_ahead)(lines[i] + at, S);
        NAME(row_columns)(columns, K, S, edge, lines[i] + at, -at, d->W - at, n);
        UNROLL
        for (int c = 0; c < K; c++) {
            UNROLL
            for (int r = 0; r < R; r++)
                if (i >= r * S && i - r * S < K)
                    acc[r] += weights[(i - r * S) * K + c] * columns[c];
        }
    }
    UNROLL
    for (int r = 0; r < R; r++) {
        const vec value = flags & FNN_RELU ? NAME(positive)(acc[r]) : acc[r];
        if (edge && r >= whole)
            NAME(store_part)(y + r * d->OW, value, n);
        else
            NAME(store)(y + r * d->OW, value);
    }
}

/* sums[k] += the products of R rows of n outputs at kernel element k, and sums[K*K] += dy. */
INLINE void NAME(weight_tile)(const int R, const int K, const int S, const int edge, const fnn_plane *d,
                              const real *const *lines, ptrdiff_t at, ptrdiff_t n, const real *dy, vec *sums) {
    vec given[FNN_PLANE_ROWS], columns[MAX_K];
    UNROLL
    for (int r = 0; r < R; r++) {
        given[r] = edge || S == 2 ? NAME(load_part)(dy + r * d->OW, n, 0) : NAME(load)(dy + r * d->OW);
        __builtin_prefetch(dy + r * d->OW + AHEAD, 0, 3);
    }
    sums[K * K] += R == 1 ? given[0] : (given[0] + given[1]) + (given[2] + given[3]);
    UNROLL
    for (int i = 0; i < (R - 1) * S + K; i++) {
        if (i < R * S)
            NAME(fetch_ahead)(lines[i] + at, S);
        NAME(row_columns)(columns, K, S, edge, lines[i] + at, -at, d->W - at, n);
        UNROLL
        for (int c = 0; c < K; c++) {
            /* 0 times a pixel that no output meets would be NaN if that pixel is infinite */
            const vec met = S == 2 ? NAME(choose)(NAME(first)(n), columns[c], (vec){0}) : columns[c];
            UNROLL
            for (int r = 0; r < R; r++)
                if (i >= r * S && i - r * S < K)
                    sums[(i - r * S) * K + c] += given[r] * met;
        }
    }
}

/* The rows of the image that windows of output rows r, ... meet: zeros above and below it. */
INLINE void NAME(find_lines)(const real **lines, const fnn_plane *d, const real *x, ptrdiff_t top, int count) {
    for (int i = 0; i < count; i++)
        lines[i] = top + i >= 0 && top + i < d->H ? x + (top + i) * d->W : (const real *)d->zeros;
}

/* Calls DO(R, edge) for the tiles of output rows first <= r < first + rows, of columns begin <= j < end. It may use r, j,
 * lines, at and n. */
#define EACH_TILE(DO)                                                                                              \
    for (ptrdiff_t r = first, R; r < first + rows; r += R) {                                                       \
        R = first + rows - r >= FNN_PLANE_ROWS ? FNN_PLANE_ROWS : 1;                                               \
        NAME(find_lines)(lines, d, x, r *S - d->PH, (int)(R - 1) * S + K);                                         \
        for (ptrdiff_t j = begin; j < end; j += step) {                                                            \
            const ptrdiff_t at = j * S - d->PW, n = end - j < step ? end - j : step;                               \
            const int inside = !HAS_MASKS && at >= 0 && at + span <= d->W && j + LANES <= d->OW;                   \
            if (R == 1 && inside)                                                                                  \
                DO(1, 0);                                                                                          \
            else if (R == 1)                                                                                       \
                DO(1, 1);                                                                                          \
            else if (inside)                                                                                       \
                DO(FNN_PLANE_ROWS, 0);                                                                             \
            else                                                                                                   \
                DO(FNN_PLANE_ROWS, 1);                                                                             \
        }                                                                                                          \
    }

INLINE void NAME(rows_of)(const int K, const int S, const fnn_plane *d, ptrdiff_t first, ptrdiff_t rows, const real *x,
                          const real *weight, vec start, real *y, int flags) {
    const ptrdiff_t step = S == 1 ? LANES : LANES - (K - 1) / 2, span = S == 1 ? LANES + K - 1 : 2 * LANES;
    const ptrdiff_t begin = 0, end = d->OW;
    const real *lines[(FNN_PLANE_ROWS - 1) * 2 + MAX_K];
    vec weights[MAX_K * MAX_K];
    UNROLL
    for (int k = 0; k < K * K; k++)
        weights[k] = NAME(splat)(weight[k]);
/* What a whole vector writes beyond its outputs is written again, by the next block or the next row. */
#define TILE(R, edge)                                                                                              \
    NAME(rows_tile)                                                                                                \
    (R, K, S, edge, d, lines, at, n, weights, start, y + r * d->OW + j,                                            \
     HAS_MASKS || j + LANES <= d->OW ? R * !HAS_MASKS                                                              \
     : d->OW <= step                 ? (int)(first + rows - r - LANES / d->OW - 1)                                 \
                                     : 0,                                                                          \
     flags)
    EACH_TILE(TILE)
#undef TILE
}

INLINE void NAME(weight_of)(const int K, const int S, const fnn_plane *d, ptrdiff_t first, ptrdiff_t rows,
                            ptrdiff_t begin, ptrdiff_t end, const real *x, const real *dy, real *totals) {
    const ptrdiff_t step = S == 1 ? LANES : LANES - (K - 1) / 2, span = S == 1 ? LANES + K - 1 : 2 * LANES;
    const real *lines[(FNN_PLANE_ROWS - 1) * 2 + MAX_K];
    vec sums[MAX_K * MAX_K + 1];
    UNROLL
    for (int k = 0; k <= K * K; k++)
        sums[k] = NAME(load)(totals + k * LANES);
#define TILE(R, edge) NAME(weight_tile)(R, K, S, edge, d, lines, at, n, dy + r * d->OW + j, sums)
    EACH_TILE(TILE)
#undef TILE
    UNROLL
    for (int k = 0; k <= K * K; k++)
        NAME(store)(totals + k * LANES, sums[k]);
}

/* Two rows of pixels: even[0] is the first one of the even row, or the row is NULL. `left` columns remain. `at` is the
 * column of dy that the first pixel meets, with half of the padding; `odd` says whether the padding is odd. */
INLINE void NAME(spread_tile)(const int K, const int odd, const int edge, const fnn_plane *d, const real *const *lines,
                              ptrdiff_t at, const vec *weights, real *even, real *other, ptrdiff_t left) {
    vec sums[2][2] = {{{0}}}, given[(MAX_K + 1) / 2];
    __builtin_prefetch(lines[0] + at + AHEAD, 0, 3);
    at += odd ? (3 - K) / 2 : (1 - K) / 2;
    UNROLL
    for (int i = 0; i < (K + 1) / 2; i++) {
        UNROLL
        for (int g = 0; g < (K + 1) / 2; g++)
            given[g] = edge ? NAME(load_between)(lines[i] + at + g, -at - g, d->OW - at - g)
                            : NAME(load)(lines[i] + at + g);
        UNROLL
        for (int c = 0; c < K; c++) {
            const int second = (c & 1) != odd, g = (odd + second - c - (odd ? 3 - K : 1 - K)) / 2;
            sums[0][second] += weights[2 * i * K + c] * given[g];
            if (2 * i + 1 < K)
                sums[1][second] += weights[(2 * i + 1) * K + c] * given[g];
        }
    }
    UNROLL
    for (int i = 0; i < 2; i++) {
        real *row = i ? other : even;
        if (row == NULL)
            continue;
        NAME(zip_vectors)(sums[i]);
        if (edge) {
            NAME(store_part)(row, sums[i][0], NAME(lane)(left));
            NAME(store_part)(row + LANES, sums[i][1], NAME(lane)(left - LANES));
        } else {
            NAME(store)(row, sums[i][0]);
            NAME(store)(row + LANES, sums[i][1]);
        }
    }
}

INLINE void NAME(spread_of)(const int K, const int odd, const fnn_plane *d, const real *dy, const real *weight,
                            real *dx) {
    const real *lines[(MAX_K + 1) / 2];
    vec weights[MAX_K * MAX_K];
    UNROLL
    for (int k = 0; k < K * K; k++)
        weights[k] = NAME(splat)(weight[k]);
    for (ptrdiff_t u = d->PH / 2; 2 * u < d->PH + d->H; u++) {
        const ptrdiff_t h = 2 * u - d->PH;
        for (int i = 0; i < (K + 1) / 2; i++)
            lines[i] = u - i >= 0 && u - i < d->OH ? dy + (u - i) * d->OW : (const real *)d->zeros;
        for (ptrdiff_t j = 0; 2 * j < d->W; j += LANES) {
            const ptrdiff_t at = j + d->PW / 2, left = d->W - 2 * j;
            real *even = h < 0 ? NULL : dx + h * d->W + 2 * j;
            real *other = h + 1 < d->H ? dx + (h + 1) * d->W + 2 * j : NULL;
            if (!HAS_MASKS && at >= K / 2 && at + 1 + LANES <= d->OW && left >= 2 * LANES)
                NAME(spread_tile)(K, odd, 0, d, lines, at, weights, even, other, left);
            else
                NAME(spread_tile)(K, odd, 1, d, lines, at, weights, even, other, left);
        }
    }
}

static void NAME(plane_rows)(const fnn_plane *d, ptrdiff_t first, ptrdiff_t rows, const void *x, const void *weight,
                             const void *bias, void *y, int flags) {
    const vec start = NAME(splat)(bias ? *(const real *)bias : 0);
    if (d->K == 1)
        NAME(rows_of)(1, 1, d, first, rows, x, weight, start, y, flags);
    else if (d->K == 3 && d->stride == 1)
        NAME(rows_of)(3, 1, d, first, rows, x, weight, start, y, flags);
    else if (d->K == 3)
        NAME(rows_of)(3, 2, d, first, rows, x, weight, start, y, flags);
    else if (d->stride == 1)
        NAME(rows_of)(5, 1, d, first, rows, x, weight, start, y, flags);
    else
        NAME(rows_of)(5, 2, d, first, rows, x, weight, start, y, flags);
}

static void NAME(plane_weight)(const fnn_plane *d, ptrdiff_t first, ptrdiff_t rows, ptrdiff_t begin, ptrdiff_t end,
                               const void *x, const void *dy, void *sums) {
    if (d->K == 1)
        NAME(weight_of)(1, 1, d, first, rows, begin, end, x, dy, sums);
    else if (d->K == 3 && d->stride == 1)
        NAME(weight_of)(3, 1, d, first, rows, begin, end, x, dy, sums);
    else if (d->K == 3)
        NAME(weight_of)(3, 2, d, first, rows, begin, end, x, dy, sums);
    else if (d->stride == 1)
        NAME(weight_of)(5, 1, d, first, rows, begin, end, x, dy, sums);
    else
        NAME(weight_of)(5, 2, d, first, rows, begin, end, x, dy, sums);
}

static void NAME(plane_spread)(const fnn_plane *d, const void *dy, const void *weight, void *dx) {
    if (d->K == 3 && d->PW & 1)
        NAME(spread_of)(3, 1, d, dy, weight, dx);
    else if (d->K == 3)
        NAME(spread_of)(3, 0, d, dy, weight, dx);
    else if (d->PW & 1)
        NAME(spread_of)(5, 1, d, dy, weight, dx);
    else
        NAME(spread_of)(5, 0, d, dy, weight, dx);
}
#undef EACH_TILE
#undef MAX_K
#undef AHEAD
#undef DOWN
