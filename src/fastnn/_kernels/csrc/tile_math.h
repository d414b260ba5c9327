/* Activations and softmax; contracts in fnn.h.
 *
 * The one transcendental function is expm1 on (-inf, 0]: sigmoid, tanh and softmax need no other argument, and there it
 * cannot overflow. Cody-Waite reduction t = n*ln2 + r, |r| <= ln2/2, then the Taylor series of expm1(r), whose next
 * term is below a tenth of an ulp. Results near or below the smallest normal number are 0. */
#define IS_DOUBLE (sizeof(real) == 8)

/* exp(t) = scale*(1 + fraction) for t <= 0; NaN stays NaN */
INLINE void NAME(exp_parts)(vec t, vec *scale, vec *fraction) {
    const real lowest = IS_DOUBLE ? (real)-708.0 : (real)-87.0;
    const real magic = IS_DOUBLE ? (real)6755399441055744.0 : (real)12582912.0; /* 1.5 * 2^mantissa bits: rounds */
    const real ln2_high = IS_DOUBLE ? (real)0x1.62e42feep-1 : (real)0x1.62e4p-1;
    const real ln2_low = IS_DOUBLE ? (real)0x1.a39ef35793c76p-33 : (real)0x1.7f7d1cp-20;
    const int mantissa = IS_DOUBLE ? 52 : 23, bias = IS_DOUBLE ? 1023 : 127;
    ivec vanishing = t < NAME(splat)(lowest);
    t = NAME(choose)(vanishing, NAME(splat)(lowest), t);
    vec shifted = t * (real)1.4426950408889634 + magic;
    vec n = shifted - magic;
    vec r = (t - n * ln2_high) - n * ln2_low;
    /* expm1(r) = r + r^2 (1/2! + r (1/3! + ...)) */
    vec series = NAME(splat)(0);
    if (IS_DOUBLE) {
        series = series + (real)(1.0 / 6227020800.0);
        series = series * r + (real)(1.0 / 479001600.0);
        series = series * r + (real)(1.0 / 39916800.0);
        series = series * r + (real)(1.0 / 3628800.0);
        series = series * r + (real)(1.0 / 362880.0);
        series = series * r + (real)(1.0 / 40320.0);
    }
    series = series * r + (real)(1.0 / 5040.0);
    series = series * r + (real)(1.0 / 720.0);
    series = series * r + (real)(1.0 / 120.0);
    series = series * r + (real)(1.0 / 24.0);
    series = series * r + (real)(1.0 / 6.0);
    series = series * r + (real)0.5;
    *fraction = r + r * r * series;
    *scale = (vec)(~vanishing & ((ivec)shifted - (ivec)NAME(splat)(magic) + (integer)bias) << mantissa);
}

INLINE vec NAME(exp)(vec t) {
    vec scale, fraction;
    NAME(exp_parts)(t, &scale, &fraction);
    return scale + scale * fraction;
}

INLINE vec NAME(expm1)(vec t) {
    vec scale, fraction;
    NAME(exp_parts)(t, &scale, &fraction);
    return scale * fraction + (scale - 1);
}

INLINE vec NAME(sigmoid_of)(vec x) {
    ivec negative = x < NAME(splat)(0);
    vec e = NAME(exp)(NAME(choose)(negative, x, -x));
    return NAME(choose)(negative, e, NAME(splat)(1)) / (1 + e);
}

INLINE vec NAME(tanh_of)(vec x) {
    ivec negative = x < NAME(splat)(0);
    vec e = NAME(expm1)(2 * NAME(choose)(negative, x, -x));
    vec magnitude = -e / (2 + e);
    return NAME(choose)(negative, -magnitude, magnitude);
}

INLINE vec NAME(relu_slope)(vec dy, vec y) { return NAME(choose)(y > NAME(splat)(0), dy, NAME(splat)(0)); }
INLINE vec NAME(sigmoid_slope)(vec dy, vec y) { return dy * (y * (1 - y)); }
INLINE vec NAME(tanh_slope)(vec dy, vec y) { return dy * (1 - y * y); }

/* y[i] = f(x[i]) and dx[i] = f(dy[i], y[i]) over n elements */
#define UNARY(name, f)                                                                                             \
    static void NAME(name)(const void *x_, void *y_, ptrdiff_t n) {                                                \
        const real *x = x_;                                                                                        \
        real *y = y_;                                                                                              \
        ptrdiff_t i = 0;                                                                                           \
        for (; i + LANES <= n; i += LANES)                                                                         \
            NAME(store)(y + i, NAME(f)(NAME(load)(x + i)));                                                        \
        if (i < n)                                                                                                 \
            NAME(store_part)(y + i, NAME(f)(NAME(load_part)(x + i, n - i, 0)), n - i);                             \
    }
#define BINARY(name, f)                                                                                            \
    static void NAME(name)(const void *dy_, const void *y_, void *dx_, ptrdiff_t n) {                              \
        const real *dy = dy_, *y = y_;                                                                             \
        real *dx = dx_;                                                                                            \
        ptrdiff_t i = 0;                                                                                           \
        for (; i + LANES <= n; i += LANES)                                                                         \
            NAME(store)(dx + i, NAME(f)(NAME(load)(dy + i), NAME(load)(y + i)));                                   \
        if (i < n)                                                                                                 \
            NAME(store_part)                                                                                       \
            (dx + i, NAME(f)(NAME(load_part)(dy + i, n - i, 0), NAME(load_part)(y + i, n - i, 0)), n - i);         \
    }
UNARY(relu, positive)
UNARY(sigmoid, sigmoid_of)
UNARY(tanh, tanh_of)
BINARY(relu_backward, relu_slope)
BINARY(sigmoid_backward, sigmoid_slope)
BINARY(tanh_backward, tanh_slope)
#undef UNARY
#undef BINARY

INLINE real NAME(row_max)(const real *x, ptrdiff_t n) {
    vec most = NAME(splat)(-(real)INFINITY);
    for (ptrdiff_t i = 0; i < n; i += LANES) {
        vec v = n - i >= LANES ? NAME(load)(x + i) : NAME(load_part)(x + i, n - i, -(real)INFINITY);
        most = NAME(choose)(~(v <= most) & (most == most), v, most);
    }
    return NAME(lane_max)(most);
}

/* y = exp(x - most), and the sum of it; y may be NULL */
INLINE real NAME(row_exp)(const real *x, real most, real *y, ptrdiff_t n) {
    vec total = NAME(splat)(0);
    for (ptrdiff_t i = 0; i < n; i += LANES) {
        ptrdiff_t left = n - i;
        if (left >= LANES) {
            vec e = NAME(exp)(NAME(load)(x + i) - most);
            total += e;
            if (y)
                NAME(store)(y + i, e);
        } else {
            vec e = NAME(exp)(NAME(load_part)(x + i, left, most) - most);
            vec counted = NAME(splat)(0);
            memcpy(&counted, &e, (size_t)left * sizeof(real));
            total += counted;
            if (y)
                NAME(store_part)(y + i, e, left);
        }
    }
    return NAME(lane_sum)(total);
}

static void NAME(softmax_row)(const void *x, void *y_, ptrdiff_t n) {
    real *y = y_;
    real most = NAME(row_max)(x, n), total = NAME(row_exp)(x, most, y, n);
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] /= total;
}

static void NAME(softmax_backward_row)(const void *dy_, const void *y_, void *dx_, ptrdiff_t n) {
    const real *dy = dy_, *y = y_;
    real *dx = dx_, inner = 0;
    for (ptrdiff_t i = 0; i < n; i++)
        inner += dy[i] * y[i];
    for (ptrdiff_t i = 0; i < n; i++)
        dx[i] = y[i] * (dy[i] - inner);
}

static void NAME(log_softmax_row)(const void *x_, void *y_, ptrdiff_t n) {
    const real *x = x_;
    real *y = y_;
    real most = NAME(row_max)(x, n), total = NAME(row_exp)(x, most, NULL, n);
    real log_total = IS_DOUBLE ? (real)log((double)total) : (real)logf((float)total);
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] = (x[i] - most) - log_total;
}

static void NAME(log_softmax_backward_row)(const void *dy_, const void *y_, void *dx_, ptrdiff_t n) {
    const real *dy = dy_, *y = y_;
    real *dx = dx_, total = 0;
    for (ptrdiff_t i = 0; i < n; i++)
        total += dy[i];
    for (ptrdiff_t i = 0; i < n; i += LANES) {
        ptrdiff_t left = n - i < LANES ? n - i : LANES;
        vec g = NAME(load_part)(dy + i, left, 0), e = NAME(load_part)(y + i, left, 0);
        NAME(store_part)(dx + i, g - NAME(exp)(e) * total, left);
    }
}
#undef IS_DOUBLE
