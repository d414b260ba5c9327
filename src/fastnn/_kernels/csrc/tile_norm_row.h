/* Normalisation of a row by its own moments, as in layer norm, with a weight and a bias for each element; contracts in
 * fnn.h. Part of tile_norm.h, whose macros and sums it uses. */

/* The moments of a row that is shorter than a vector. */
INLINE void NAME(moments_of_few)(const real *x, ptrdiff_t n, double *mean, double *m2) {
    double total = 0, squares = 0;
    for (ptrdiff_t i = 0; i < n; i++)
        total += (double)x[i];
    total /= (double)n;
    for (ptrdiff_t i = 0; i < n; i++)
        squares += ((double)x[i] - total) * ((double)x[i] - total);
    *mean = total;
    *m2 = squares;
}

static void NAME(norm_row)(const void *x_, void *y_, ptrdiff_t at, ptrdiff_t n, const void *w_, const void *b_,
                           double eps, double *mean, double *var) {
    const real *x = x_, *w = w_, *b = b_;
    real *y = y_;
    double m2;
    if (n < LANES)
        NAME(moments_of_few)(x + at, n, mean, &m2);
    else
        NAME(moments_of_row)(x, at, n, mean, &m2);
    *var = m2 < 0 ? 0 : m2 / (double)n; /* rounding can leave a 0 slightly below 0; NaN stays */
    const real about = (real)*mean, scale = (real)(1 / sqrt(*var + eps));
    const real *from = x + at;
    real *to = y + at;
    if (n < LANES) {
        for (ptrdiff_t i = 0; i < n; i++)
            to[i] = (from[i] - about) * scale * w[i] + b[i];
        return;
    }
#define APPLY(i, width)                                                                                            \
    NAME(store)(to + (i), (NAME(load)(from + (i)) - about) * scale * NAME(load)(w + (i)) + NAME(load)(b + (i)))
    EACH_COLUMNS(at, n, 0, APPLY);
#undef APPLY
}

/* Adds a row, or a block of one, to the sums of dy*w and dy*w*h, and to dw and db. It has at least a vector. */
INLINE void NAME(add_row_sums)(const real *dy, const real *x, const real *w, real *dw, real *db, ptrdiff_t at,
                               ptrdiff_t n, real mean, real invstd, double *total, double *slope) {
    vec s[4] = {0}, q[4] = {0};
#define SUM(i, k, lanes)                                                                                           \
    {                                                                                                              \
        vec g = NAME(load)(dy + (i)), h = (NAME(load)(x + (i)) - mean) * invstd, each = g * NAME(load)(w + (i));   \
        s[k] += NAME(keep)(lanes, each);                                                                           \
        q[k] += NAME(keep)(lanes, each * h);                                                                       \
        NAME(store)(dw + (i), NAME(load)(dw + (i)) + NAME(keep)(lanes, g * h));                                    \
        NAME(store)(db + (i), NAME(load)(db + (i)) + NAME(keep)(lanes, g));                                        \
    }
    EACH_VECTOR(at, n, SUM);
#undef SUM
    *total += NAME(total_of_4)(s);
    *slope += NAME(total_of_4)(q);
}

static void NAME(norm_row_backward)(const void *dy_, const void *x_, void *dx_, ptrdiff_t at, ptrdiff_t n,
                                    const void *w_, double mean_, double invstd_, void *dw_, void *db_) {
    const real *dy = (const real *)dy_ + at, *x = (const real *)x_ + at, *w = w_;
    const real mean = (real)mean_, invstd = (real)invstd_;
    real *dx = dx_ ? (real *)dx_ + at : NULL, *dw = dw_, *db = db_;
    double total = 0, slope = 0;
    for (ptrdiff_t i = 0; i < n && n < LANES; i++) {
        real h = (x[i] - mean) * invstd;
        total += (double)(dy[i] * w[i]);
        slope += (double)(dy[i] * w[i] * h);
        dw[i] += dy[i] * h;
        db[i] += dy[i];
    }
    for (ptrdiff_t i = 0; i < n && n >= LANES; i += SUMMED)
        NAME(add_row_sums)(dy + i, x + i, w + i, dw + i, db + i, at + i, n - i < SUMMED ? n - i : SUMMED, mean, invstd,
                           &total, &slope);
    if (!dx)
        return;
    const real shift = (real)(invstd_ * total / (double)n);
    const real tilt = (real)(invstd_ * slope / (double)n);
    if (n < LANES) {
        for (ptrdiff_t i = 0; i < n; i++)
            dx[i] = (dy[i] * w[i] * invstd - shift) - (x[i] - mean) * invstd * tilt;
        return;
    }
#define BACK(i, width)                                                                                             \
    NAME(store)                                                                                                    \
    (dx + (i), (NAME(load)(dy + (i)) * NAME(load)(w + (i)) * invstd - shift) -                                     \
                   (NAME(load)(x + (i)) - mean) * invstd * tilt)
    EACH_COLUMNS(at, n, 0, BACK);
#undef BACK
}
