/* Losses; contracts in fnn.h. */

/* log(1 + u) for u >= -1. `lost` corrects for the rounding of 1 + u. */
INLINE vec NAME(log1p_of)(vec u) {
    vec w = 1 + u, lost = (u - (w - 1)) / w, y = NAME(log_of)(w);
    return NAME(choose)(lost == lost, y + lost, y);
}

INLINE vec NAME(sign)(vec x) {
    return NAME(choose)(x > NAME(splat)(0), NAME(splat)(1), NAME(choose)(x < NAME(splat)(0), NAME(splat)(-1), x));
}
INLINE vec NAME(at_least)(vec x, real least) { return NAME(choose)(x < NAME(splat)(least), NAME(splat)(least), x); }

/* exp of any number. Above 0 it is the square of 1/exp(-t/2), which overflows only where exp(t) does. */
INLINE vec NAME(exp_of)(vec t) {
    ivec above = t > NAME(splat)(0);
    vec e = NAME(exp)(NAME(choose)(above, (real)-0.5 * t, t)), root = 1 / e;
    return NAME(choose)(above, root * root, e);
}

INLINE vec NAME(distance_of)(vec x, vec t, vec q, const real *p) {
    vec d = x - t, a = NAME(size_of)(d);
    return NAME(choose)(a < NAME(splat)(p[0]), p[1] * d * d, p[2] * (a - p[3]));
}
INLINE vec NAME(distance_slope_of)(vec x, vec t, vec q, const real *p) {
    vec d = x - t;
    return NAME(choose)(NAME(size_of)(d) < NAME(splat)(p[0]), 2 * p[1] * d, p[2] * NAME(sign)(d));
}

INLINE vec NAME(bce_of)(vec x, vec t, vec q, const real *p) {
    vec yes = NAME(at_least)(NAME(log_of)(x), -100), no = NAME(at_least)(NAME(log1p_of)(-x), -100);
    ivec inside = (t >= NAME(splat)(0)) & (t <= NAME(splat)(1)); /* where x is outside, a logarithm is NaN by itself */
    return NAME(choose)(inside, (t - 1) * no - t * yes, NAME(splat)((real)NAN));
}
INLINE vec NAME(bce_slope_of)(vec x, vec t, vec q, const real *p) {
    return (x - t) / NAME(at_least)(x * (1 - x), (real)1e-12);
}

INLINE vec NAME(bce_logits_of)(vec x, vec t, vec q, const real *p) {
    vec e = NAME(log1p)(NAME(exp)(-NAME(size_of)(x)));
    return q * t * (NAME(positive)(-x) + e) + (1 - t) * (NAME(positive)(x) + e);
}
INLINE vec NAME(bce_logits_slope_of)(vec x, vec t, vec q, const real *p) {
    ivec negative = x < NAME(splat)(0);
    vec e = NAME(exp)(-NAME(size_of)(x)), likely = 1 / (1 + e), other = e * likely;
    return (1 - t) * NAME(choose)(negative, other, likely) - q * t * NAME(choose)(negative, likely, other);
}

INLINE vec NAME(kl_of)(vec x, vec t, vec q, const real *p) {
    return NAME(choose)(t == NAME(splat)(0), t, t * NAME(log_of)(t)) - t * x;
}
INLINE vec NAME(kl_slope_of)(vec x, vec t, vec q, const real *p) { return -t; }
INLINE vec NAME(kl_log_of)(vec x, vec t, vec q, const real *p) { return NAME(exp_of)(t) * (t - x); }
INLINE vec NAME(kl_log_slope_of)(vec x, vec t, vec q, const real *p) { return -NAME(exp_of)(t); }

#define LOSS(name)                                                                                                 \
    static void NAME(name)(const void *x_, const void *t_, const void *q_, const void *factors_, const double *p_, \
                           double scale_, void *y_, ptrdiff_t n) {                                                 \
        const real *x = x_, *t = t_, *q = q_, *factors = factors_;                                                 \
        const real p[] = {(real)p_[0], (real)p_[1], (real)p_[2], (real)p_[3]}, scale = (real)scale_;               \
        const vec one = NAME(splat)(1);                                                                            \
        real *y = y_;                                                                                              \
        ptrdiff_t i = 0, left;                                                                                     \
        for (; i + LANES <= n; i += LANES) {                                                                       \
            vec v = NAME(name##_of)(NAME(load)(x + i), NAME(load)(t + i), q ? NAME(load)(q + i) : one, p) * scale; \
            NAME(store)(y + i, factors ? v * NAME(load)(factors + i) : v);                                         \
        }                                                                                                          \
        if ((left = n - i) > 0) {                                                                                  \
            vec v = NAME(name##_of)(NAME(load_part)(x + i, left, 0), NAME(load_part)(t + i, left, 0),              \
                                    q ? NAME(load_part)(q + i, left, 0) : one, p) * scale;                         \
            NAME(store_part)(y + i, factors ? v * NAME(load_part)(factors + i, left, 0) : v, left);                \
        }                                                                                                          \
    }
LOSS(distance)
LOSS(distance_slope)
LOSS(bce)
LOSS(bce_slope)
LOSS(bce_logits)
LOSS(bce_logits_slope)
LOSS(kl)
LOSS(kl_slope)
LOSS(kl_log)
LOSS(kl_log_slope)
#undef LOSS

/* The last `left` < LANES elements of a row, and `fill` in the other lanes. Most rows have a row behind them, and a
 * whole vector that reads into it is faster than a partial load. */
INLINE vec NAME(row_end)(const real *p, ptrdiff_t left, const real *end, real fill) {
    if (end - p < LANES)
        return NAME(load_part)(p, left, fill);
    return NAME(choose)(NAME(iota)() < (integer)left, NAME(load)(p), NAME(splat)(fill));
}

static void NAME(softmax_rows)(const void *x_, const void *factor_, void *y_, ptrdiff_t rows, ptrdiff_t n, void *most_,
                               void *log_total_) {
    const real *x = x_, *factor = factor_, *end = x + rows * n, lowest = -(real)INFINITY;
    real *y = y_, *y_end = y + rows * n, *most = most_, share[LANES];
    const ptrdiff_t whole = n - n % LANES;
    vec part[LANES];
    for (ptrdiff_t r = 0; r < LANES; r++) {
        vec largest = NAME(splat)(lowest);
        if (r < rows) {
            const real *row = x + r * n;
            for (ptrdiff_t i = 0; i < whole; i += LANES)
                largest = NAME(larger)(NAME(load)(row + i), largest);
            if (whole < n)
                largest = NAME(larger)(NAME(row_end)(row + whole, n - whole, end, lowest), largest);
        }
        part[r] = largest;
    }
    NAME(store)(most, NAME(lane_maxes)(part));
    const int is_long = n > 4 * SUM_TERMS * LANES; /* then each row is summed alone, in blocks */
    for (ptrdiff_t r = 0; r < LANES && is_long; r++)
        share[r] = r < rows ? NAME(row_exp)(x + r * n, most[r], y ? y + r * n : NULL, n) : 0;
    for (ptrdiff_t r = 0; r < LANES && !is_long; r++) {
        vec total = NAME(splat)(0);
        if (r < rows) {
            const real *row = x + r * n;
            real *out = y + r * n;
            for (ptrdiff_t i = 0; i < whole; i += LANES) {
                vec e = NAME(exp)(NAME(load)(row + i) - most[r]);
                total += e;
                if (y)
                    NAME(store)(out + i, e);
            }
            if (whole < n) {
                vec e = NAME(exp)(NAME(row_end)(row + whole, n - whole, end, lowest) - most[r]);
                total += e;
                if (y && y_end - (out + whole) >= LANES)
                    NAME(store)(out + whole, e); /* reaches into the next row, which is written after this one */
                else if (y)
                    NAME(store_part)(out + whole, e, n - whole);
            }
        }
        part[r] = total;
    }
    vec totals = is_long ? NAME(load)(share) : NAME(lane_sums)(part);
    NAME(store)(log_total_, NAME(log_of)(totals));
    if (!y)
        return;
    NAME(store)(share, 1 / totals);
    for (ptrdiff_t r = 0; r < rows; r++) {
        const real times = factor[r] * share[r];
        for (ptrdiff_t i = r * n; i < (r + 1) * n; i++)
            y[i] *= times;
    }
}

static void NAME(softmax_places)(const void *x_, const void *factor_, void *y_, ptrdiff_t places, ptrdiff_t n,
                                 ptrdiff_t step, void *most, void *log_total) {
    const real *x = x_;
    const ptrdiff_t whole = places == LANES;
    real *y = y_;
    vec largest = NAME(splat)(-(real)INFINITY), total = NAME(splat)(0);
    double totals[LANES] = {0};
    for (ptrdiff_t k = 0; k < n; k++) {
        const real *scores = x + k * step;
        largest = NAME(larger)(whole ? NAME(load)(scores) : NAME(load_part)(scores, places, 0), largest);
    }
    for (ptrdiff_t k = 0; k < n; k++) {
        const real *scores = x + k * step;
        vec e = NAME(exp)((whole ? NAME(load)(scores) : NAME(load_part)(scores, places, 0)) - largest);
        total += e;
        if (y && whole)
            NAME(store)(y + k * step, e);
        else if (y)
            NAME(store_part)(y + k * step, e, places);
        if (n > SUM_ROWS && (k % SUM_ROWS == SUM_ROWS - 1 || k == n - 1)) {
            for (int j = 0; j < LANES; j++)
                totals[j] += (double)total[j];
            total = NAME(splat)(0);
        }
    }
    for (int j = 0; j < LANES && n > SUM_ROWS; j++)
        total[j] = (real)totals[j];
    NAME(store)(most, largest);
    NAME(store)(log_total, NAME(log_of)(total));
    if (!y)
        return;
    vec times = (whole ? NAME(load)(factor_) : NAME(load_part)(factor_, places, 0)) / total;
    for (ptrdiff_t k = 0; k < n; k++) {
        real *out = y + k * step;
        if (whole)
            NAME(store)(out, NAME(load)(out) * times);
        else
            NAME(store_part)(out, NAME(load_part)(out, places, 0) * times, places);
    }
}
