/* Local response normalisation; contracts in fnn.h. These are plain loops, which compilers turn into vector code,
 * square roots included. */
#define ROOT(v) (sizeof(real) == 8 ? (real)sqrt((double)(v)) : (real)sqrtf((float)(v)))
#define POWER(v) (sizeof(real) == 8 ? (real)pow((double)(v), beta) : (real)powf((float)(v), (float)beta))

static void NAME(local_squares)(const void *x_, ptrdiff_t step, ptrdiff_t rows, void *sums_, ptrdiff_t n) {
    const real *restrict x = x_;
    real *restrict sums = sums_;
    for (ptrdiff_t j = 0; j < n; j++)
        sums[j] = x[j] * x[j];
    for (ptrdiff_t r = 1; r < rows; r++)
        for (ptrdiff_t j = 0; j < n; j++)
            sums[j] += x[r * step + j] * x[r * step + j];
}

/* While 1/FAR <= d <= FAR, products with powers of d neither overflow nor vanish. */
#define FAR (IS_DOUBLE ? (real)1e150 : (real)1e15)

static int NAME(local_scale)(const void *g_, const void *x_, const void *sums_, void *y_, void *terms_, ptrdiff_t n,
                              double alpha_, double beta, double k_) {
    const real *g = g_, *x = x_;
    const real *restrict sums = sums_;
    real *restrict y = y_, *restrict terms = terms_;
    const real alpha = (real)alpha_, k = (real)k_;
    integer far = 0;
#define SCALE(power)                                                                                               \
    for (ptrdiff_t j = 0; j < n; j++) {                                                                            \
        real d = k + alpha * sums[j];                                                                              \
        far |= !(d <= FAR && d >= 1 / FAR);                                                                        \
        y[j] = g[j] / (power);                                                                                     \
    }
    if (beta == 0.75) /* AlexNet's exponent: square roots are faster than a power */
        SCALE(ROOT(d) * ROOT(ROOT(d)))
    else
        SCALE(POWER(d))
#undef SCALE
    if (terms)
        for (ptrdiff_t j = 0; j < n; j++)
            terms[j] = y[j] * x[j] / (k + alpha * sums[j]);
    return !far;
}

static void NAME(local_spread)(void *dx_, const void *x_, const void *sums_, ptrdiff_t n, double factor_) {
    const real *restrict x = x_, *restrict sums = sums_;
    real *restrict dx = dx_;
    const real factor = (real)factor_;
    for (ptrdiff_t j = 0; j < n; j++)
        dx[j] -= factor * x[j] * sums[j];
}
#undef FAR
#undef ROOT
#undef POWER
