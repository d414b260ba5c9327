/* Rules of optimisers in place, and the norms and clamps of gradients; contracts in fnn.h. Which optional arrays and
 * terms a rule has is constant in its loop. A term whose factor is 0 is left out, because 0 * inf is not 0. */
#define ROOT(x) (sizeof(real) == 8 ? (real)sqrt((double)(x)) : (real)sqrtf((float)(x)))
#define DIRECTION(p, g) (decays ? sign * (g) + decay * (p) : sign * (g))
/* f with its last two arguments as constants */
#define WITH_CONSTANTS(f, first, second, ...)                                                                      \
    (first) ? (second) ? f(__VA_ARGS__, 1, 1) : f(__VA_ARGS__, 1, 0)                                               \
            : (second) ? f(__VA_ARGS__, 0, 1) : f(__VA_ARGS__, 0, 0)

INLINE void NAME(sgd_loop)(void *const *arrays, ptrdiff_t n, const double *c, int decays, int has_velocity) {
    real *restrict p = arrays[0], *restrict v = arrays[2];
    const real *restrict gradient = arrays[1];
    const real sign = (real)c[0], decay = (real)c[1], momentum = (real)c[2], fresh = (real)c[3], lr = (real)c[5];
    const int nesterov = c[4] != 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        real g = DIRECTION(p[i], gradient[i]);
        if (has_velocity) {
            v[i] = momentum * v[i] + fresh * g;
            g = nesterov ? g + momentum * v[i] : v[i];
        }
        p[i] -= lr * g;
    }
}

static void NAME(sgd)(void *const *arrays, ptrdiff_t n, const double *c) {
    WITH_CONSTANTS(NAME(sgd_loop), c[1] != 0, arrays[2] != NULL, arrays, n, c);
}

INLINE void NAME(adam_loop)(void *const *arrays, ptrdiff_t n, const double *c, int decays, int has_top) {
    real *restrict p = arrays[0], *restrict m = arrays[2], *restrict v = arrays[3], *restrict top = arrays[4];
    const real *restrict gradient = arrays[1];
    const real sign = (real)c[0], decay = (real)c[1], toward = (real)c[2], keep = (real)c[3], fresh = (real)c[4];
    const real shrink = (real)c[5], of_m = (real)c[6], of_g = (real)c[7], correction = (real)c[8], eps = (real)c[9];
    for (ptrdiff_t i = 0; i < n; i++) {
        const real g = DIRECTION(p[i], gradient[i]);
        m[i] += toward * (g - m[i]);
        real most = v[i] = keep * v[i] + fresh * (g * g);
        if (has_top)
            most = top[i] = most > top[i] || most != most ? most : top[i];
        p[i] = shrink * p[i] - (of_m * m[i] + of_g * g) / (correction * ROOT(most) + eps);
    }
}

static void NAME(adam)(void *const *arrays, ptrdiff_t n, const double *c) {
    WITH_CONSTANTS(NAME(adam_loop), c[1] != 0, arrays[4] != NULL, arrays, n, c);
}

INLINE void NAME(rmsprop_loop)(void *const *arrays, ptrdiff_t n, const double *c, int has_momentum, int centered) {
    real *restrict p = arrays[0], *restrict v = arrays[2], *restrict u = arrays[3], *restrict m = arrays[4];
    const real *restrict gradient = arrays[1];
    const real sign = (real)c[0], decay = (real)c[1], keep = (real)c[2], fresh = (real)c[3], eps = (real)c[4];
    const real momentum = (real)c[5], lr = (real)c[6];
    const int decays = c[1] != 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        const real g = DIRECTION(p[i], gradient[i]);
        real square = v[i] = keep * v[i] + fresh * (g * g);
        if (centered) {
            m[i] += fresh * (g - m[i]);
            square -= m[i] * m[i];
            square = square < 0 ? 0 : square;
        }
        real step = g / (ROOT(square) + eps);
        if (has_momentum)
            step = u[i] = momentum * u[i] + step;
        p[i] -= lr * step;
    }
}

static void NAME(rmsprop)(void *const *arrays, ptrdiff_t n, const double *c) {
    WITH_CONSTANTS(NAME(rmsprop_loop), arrays[3] != NULL, arrays[4] != NULL, arrays, n, c);
}
#undef ROOT
#undef DIRECTION
#undef WITH_CONSTANTS

static void NAME(scale)(void *const *arrays, ptrdiff_t n, const double *c) {
    real *x = arrays[0];
    const real factor = (real)c[0];
    for (ptrdiff_t i = 0; i < n; i++)
        x[i] *= factor;
}

static void NAME(clamp)(void *const *arrays, ptrdiff_t n, const double *c) {
    real *x = arrays[0];
    const real least = (real)c[0], most = (real)c[1];
    for (ptrdiff_t i = 0; i < n; i++)
        x[i] = x[i] < least ? least : x[i] > most ? most : x[i];
}

/* Adds `term` of every element into sixteen sums that take turns. */
#define SUMS 16
#define SUM_UP(term)                                                                                               \
    do {                                                                                                           \
        ptrdiff_t i = 0;                                                                                           \
        for (; i + SUMS <= n; i += SUMS)                                                                           \
            for (int j = 0; j < SUMS; j++) {                                                                       \
                const double a = fabs((double)x[i + j]);                                                           \
                sums[j] += term;                                                                                   \
            }                                                                                                      \
        for (int j = 0; i + j < n; j++) {                                                                          \
            const double a = fabs((double)x[i + j]);                                                               \
            sums[j] += term;                                                                                       \
        }                                                                                                          \
    } while (0)

/* The bits of magnitudes, read as integers, have the same order as the magnitudes, and NaN is above infinity. */
INLINE double NAME(largest)(const real *x, ptrdiff_t n) {
    const integer without_sign = (integer)(((uint64_t)1 << (8 * sizeof(real) - 1)) - 1);
    integer most = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        integer bits;
        memcpy(&bits, x + i, sizeof bits);
        bits &= without_sign;
        most = bits > most ? bits : most;
    }
    real found;
    memcpy(&found, &most, sizeof found);
    return (double)found;
}

static double NAME(power_sum)(const void *x_, ptrdiff_t n, double order) {
    const real *x = x_;
    double sums[SUMS] = {0};
    if (isinf(order))
        return NAME(largest)(x, n);
    if (order == 2)
        SUM_UP(a * a);
    else if (order == 1)
        SUM_UP(a);
    else
        SUM_UP(pow(a, order));
    for (int j = 1; j < SUMS; j++)
        sums[0] += sums[j];
    return sums[0];
}
#undef SUMS
#undef SUM_UP
