/* The moments and sums of columns in wide matrices. Rows are read in the order of memory, up to four at a time, and the
 * sums stay in the first-level cache. The terms of a column are added in the same order as in strips. Part of
 * tile_norm.h. */
#define WIDE 512 /* columns whose sums stay in the first-level cache */
#define EACH_ROWS(rows, DO)                                                                                        \
    do {                                                                                                           \
        ptrdiff_t r = 0;                                                                                           \
        for (; r + 4 <= (rows); r += 4)                                                                            \
            DO(4);                                                                                                 \
        for (; r < (rows); r++)                                                                                    \
            DO(1);                                                                                                 \
    } while (0)

static void NAME(moments_wide)(const real *x, ptrdiff_t rows, ptrdiff_t step, ptrdiff_t n, double *mean, double *m2) {
    real s[WIDE] = {0}, t[WIDE] = {0}, q[WIDE] = {0};
#define TOTALS(some)                                                                                               \
    for (ptrdiff_t j = 0; j < n; j += LANES) {                                                                     \
        vec total = NAME(load)(s + j);                                                                             \
        UNROLL for (int k = 0; k < (some); k++) total += NAME(load)(x + (r + k) * step + j);                       \
        NAME(store)(s + j, total);                                                                                 \
    }
    EACH_ROWS(rows, TOTALS);
#undef TOTALS
    for (ptrdiff_t j = 0; j < n; j += LANES)
        NAME(store)(s + j, NAME(load)(s + j) / (real)rows);
#define SQUARES(some)                                                                                              \
    for (ptrdiff_t j = 0; j < n; j += LANES) {                                                                     \
        vec about = NAME(load)(s + j), rest = NAME(load)(t + j), squares = NAME(load)(q + j);                      \
        UNROLL for (int k = 0; k < (some); k++) {                                                                  \
            vec d = NAME(load)(x + (r + k) * step + j) - about;                                                    \
            rest += d;                                                                                             \
            squares += d * d;                                                                                      \
        }                                                                                                          \
        NAME(store)(t + j, rest);                                                                                  \
        NAME(store)(q + j, squares);                                                                               \
    }
    EACH_ROWS(rows, SQUARES);
#undef SQUARES
    for (ptrdiff_t j = 0; j < n; j++) {
        real left = t[j] / (real)rows;
        m2[j] = (double)(q[j] - (real)rows * left * left);
        mean[j] = s[j] - s[j] == 0 ? (double)s[j] + (double)left : (double)s[j];
    }
}

static void NAME(sums_wide)(const real *dy, const real *x, const real *y, ptrdiff_t rows, ptrdiff_t step, ptrdiff_t n,
                            const real *mean, const real *invstd, double *total, double *slope) {
    real s[WIDE] = {0}, q[WIDE] = {0};
#define SUMS(some)                                                                                                 \
    for (ptrdiff_t j = 0; j < n; j += LANES) {                                                                     \
        vec about = NAME(load)(mean + j), times = NAME(load)(invstd + j);                                          \
        vec of_g = NAME(load)(s + j), of_gh = NAME(load)(q + j);                                                   \
        UNROLL for (int k = 0; k < (some); k++) {                                                                  \
            const ptrdiff_t at = (r + k) * step + j;                                                               \
            vec g = NAME(through_relu)(NAME(load)(dy + at), y, at);                                                \
            of_g += g;                                                                                             \
            of_gh += g * ((NAME(load)(x + at) - about) * times);                                                   \
        }                                                                                                          \
        NAME(store)(s + j, of_g);                                                                                  \
        NAME(store)(q + j, of_gh);                                                                                 \
    }
    EACH_ROWS(rows, SUMS);
#undef SUMS
    for (ptrdiff_t j = 0; j < n; j++) {
        total[j] = (double)s[j];
        slope[j] = (double)q[j];
    }
}

/* DO(j, m) for runs of m columns from j on, in whole vectors, if the matrix has many columns (n). `done` counts the
 * columns that the runs took; strips take the rest. */
#define EACH_RUN(n, done, DO)                                                                                      \
    for (; (n) >= 8 * LANES && done + LANES <= (n); done += (n)-done < WIDE ? ((n)-done) / LANES * LANES : WIDE)   \
    DO(done, (n)-done < WIDE ? ((n)-done) / LANES * LANES : WIDE)
