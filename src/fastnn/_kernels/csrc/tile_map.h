/* Functions element by element, y = f(x; a, b), and their backwards. Their list and contract are in fnn.h.
 * Comparisons are written so that NaN stays where it does in PyTorch. */
#define FORWARD(name) INLINE vec NAME(name##_at)(vec x, vec a, vec b)
#define BACKWARD(name, seen) INLINE vec NAME(name##_back)(vec dy, vec seen, vec a, vec b)
#define WHERE(condition, yes, no) NAME(choose)(condition, yes, no)
#define ZERO NAME(splat)(0)

FORWARD(relu) { return NAME(positive)(x); }
BACKWARD(relu, y) { return WHERE(y > ZERO, dy, ZERO); }

FORWARD(sigmoid) { return NAME(sigmoid_of)(x); }
BACKWARD(sigmoid, y) { return dy * (y * (1 - y)); }

FORWARD(tanh) { return NAME(tanh_of)(x); }
BACKWARD(tanh, y) { return dy * (1 - y * y); }

FORWARD(leaky_relu) { return WHERE(x > ZERO, x, a * x); }
BACKWARD(leaky_relu, x) { return WHERE(x > ZERO, dy, a * dy); }

FORWARD(elu) { return WHERE(x > ZERO, b * x, a * NAME(expm1)(x)); }
BACKWARD(elu, x) { return dy * WHERE(x > ZERO, b, a * NAME(exp)(x)); }

/* max(x, 0) - |x| tail equals x times the distribution at x, and loses no digits on either side of 0. At minus
 * infinity the result is the limit, 0. */
FORWARD(gelu) {
    vec s = NAME(size_of)(x), less = s * NAME(normal_tail)(s);
    return NAME(positive)(x) - WHERE(s > TAIL_MOST, ZERO, less);
}
BACKWARD(gelu, x) {
    vec s = NAME(size_of)(x), tail = NAME(normal_tail)(s), slope = s * NAME(normal_density)(s);
    vec below = WHERE(s > TAIL_MOST, ZERO, tail) - WHERE(s > DENSITY_MOST, ZERO, slope); /* the slope at -|x| */
    return dy * WHERE(x < ZERO, below, 1 - below);
}

/* (1 + tanh(u))/2 is sigmoid(2 u) */
#define GELU_SCALE (real)1.5957691216057308 /* 2 sqrt(2/pi) */
#define GELU_CUBIC (real)0.044715
FORWARD(gelu_tanh) { return x * NAME(sigmoid_of)(GELU_SCALE * (x + GELU_CUBIC * x * x * x)); }
BACKWARD(gelu_tanh, x) {
    vec s = NAME(sigmoid_of)(GELU_SCALE * (x + GELU_CUBIC * x * x * x));
    return dy * (s + x * (s * (1 - s)) * (GELU_SCALE * (1 + 3 * GELU_CUBIC * x * x)));
}

FORWARD(silu) { return x * NAME(sigmoid_of)(x); }
BACKWARD(silu, x) {
    vec s = NAME(sigmoid_of)(x);
    return dy * (s * (1 + x * (1 - s)));
}

/* a is beta, b the threshold */
FORWARD(softplus) {
    vec z = a * x;
    vec rest = NAME(log1p)(NAME(exp)(-NAME(size_of)(z)));
    return WHERE(z > b, x, (NAME(positive)(z) + rest) * (1 / a));
}
BACKWARD(softplus, x) { return WHERE(a * x > b, dy, dy * NAME(sigmoid_of)(a * x)); }

FORWARD(hardtanh) { return WHERE(x < a, a, WHERE(x > b, b, x)); }
BACKWARD(hardtanh, x) { return WHERE((x > a) & (x < b), dy, ZERO); }

FORWARD(hardswish) {
    vec gate = x + 3;
    gate = WHERE(gate < ZERO, ZERO, WHERE(gate > NAME(splat)(6), NAME(splat)(6), gate));
    return x * (gate * (real)(1.0 / 6));
}
BACKWARD(hardswish, x) {
    vec slope = x * (real)(1.0 / 3) + (real)0.5;
    return WHERE(x >= NAME(splat)(3), dy, WHERE(x <= NAME(splat)(-3), ZERO, dy * slope));
}

FORWARD(relu6) { return WHERE(x > NAME(splat)(6), NAME(splat)(6), NAME(positive)(x)); }
BACKWARD(relu6, x) { return WHERE((x > ZERO) & (x < NAME(splat)(6)), dy, ZERO); }

#define MAP(name, seen)                                                                                            \
    static void NAME(name)(const void *x_, void *y_, ptrdiff_t n, const double *settings) {                        \
        const vec a = NAME(splat)(settings ? (real)settings[0] : 0);                                                 \
        const vec b = NAME(splat)(settings ? (real)settings[1] : 0);                                               \
        const real *x = x_;                                                                                        \
        real *y = y_;                                                                                              \
        ptrdiff_t i = 0;                                                                                           \
        for (; i + LANES <= n; i += LANES)                                                                         \
            NAME(store)(y + i, NAME(name##_at)(NAME(load)(x + i), a, b));                                          \
        if (i < n)                                                                                                 \
            NAME(store_part)(y + i, NAME(name##_at)(NAME(load_part)(x + i, n - i, 0), a, b), n - i);               \
    }                                                                                                              \
    static void NAME(name##_backward)(const void *dy_, const void *seen_, void *dx_, ptrdiff_t n,                  \
                                      const double *settings) {                                                    \
        const vec a = NAME(splat)(settings ? (real)settings[0] : 0);                                                 \
        const vec b = NAME(splat)(settings ? (real)settings[1] : 0);                                               \
        const real *dy = dy_, *seen = seen_;                                                                       \
        real *dx = dx_;                                                                                            \
        ptrdiff_t i = 0;                                                                                           \
        for (; i + LANES <= n; i += LANES)                                                                         \
            NAME(store)(dx + i, NAME(name##_back)(NAME(load)(dy + i), NAME(load)(seen + i), a, b));                \
        if (i < n) {                                                                                               \
            vec g = NAME(load_part)(dy + i, n - i, 0), s = NAME(load_part)(seen + i, n - i, 0);                    \
            NAME(store_part)(dx + i, NAME(name##_back)(g, s, a, b), n - i);                                        \
        }                                                                                                          \
    }
MAP(relu, y)
MAP(sigmoid, y)
MAP(tanh, y)
MAP(leaky_relu, x)
MAP(elu, x)
MAP(gelu, x)
MAP(gelu_tanh, x)
MAP(silu, x)
MAP(softplus, x)
MAP(hardtanh, x)
MAP(hardswish, x)
MAP(relu6, x)

static void NAME(add_two)(const void *a_, const void *b_, void *y_, ptrdiff_t n, int relu) {
    const real *a = a_, *b = b_;
    real *y = y_;
    const vec least = NAME(splat)(relu ? 0 : -(real)INFINITY);
    for (ptrdiff_t i = 0; i < n; i += LANES) {
        ptrdiff_t left = n - i;
        vec sum = left < LANES ? NAME(load_part)(a + i, left, 0) + NAME(load_part)(b + i, left, 0)
                               : NAME(load)(a + i) + NAME(load)(b + i);
        sum = WHERE(sum <= least, least, sum);
        if (left < LANES)
            NAME(store_part)(y + i, sum, left);
        else
            NAME(store)(y + i, sum);
    }
}

static void NAME(multiply)(const void *a_, const void *b_, void *y_, ptrdiff_t n, int each) {
    const real *a = a_, *b = b_;
    real *y = y_;
    const vec one = NAME(splat)(b[0]);
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES)
        NAME(store)(y + i, NAME(load)(a + i) * (each ? NAME(load)(b + i) : one));
    if (i < n)
        NAME(store_part)(y + i, NAME(load_part)(a + i, n - i, 0) * (each ? NAME(load_part)(b + i, n - i, 0) : one), n - i);
}

static void NAME(prelu)(const void *x_, const void *w_, void *y_, ptrdiff_t planes, ptrdiff_t n, int each) {
    const real *x = x_, *w = w_;
    real *y = y_;
    for (ptrdiff_t p = 0; p < planes; p++, x += n, y += n) {
        vec slope = NAME(splat)(w[each ? 0 : p]);
        ptrdiff_t i = 0;
        for (; i + LANES <= n; i += LANES) {
            slope = each ? NAME(load)(w + i) : slope;
            NAME(store)(y + i, NAME(leaky_relu_at)(NAME(load)(x + i), slope, slope));
        }
        if (i < n) {
            slope = each ? NAME(load_part)(w + i, n - i, 0) : slope;
            NAME(store_part)(y + i, NAME(leaky_relu_at)(NAME(load_part)(x + i, n - i, 0), slope, slope), n - i);
        }
    }
}

static void NAME(prelu_backward)(const void *dy_, const void *x_, const void *w_, void *dx_, double *dw, ptrdiff_t n,
                                 int each) {
    const real *dy = dy_, *x = x_, *w = w_;
    real *dx = dx_;
    vec total = ZERO;
    for (ptrdiff_t i = 0; i < n; i += LANES) {
        ptrdiff_t left = n - i < LANES ? n - i : LANES;
        vec g = NAME(load_part)(dy + i, left, 0), v = NAME(load_part)(x + i, left, 0);
        if (dx) {
            vec slope = each ? NAME(load_part)(w + i, left, 0) : NAME(splat)(w[0]);
            NAME(store_part)(dx + i, NAME(leaky_relu_back)(g, v, slope, slope), left);
        }
        vec terms = WHERE(v > ZERO, ZERO, g * v);
        if (!each) {
            total += terms;
            if (dw && i / LANES % SUM_TERMS == SUM_TERMS - 1) {
                *dw += (double)NAME(lane_sum)(total);
                total = ZERO;
            }
        } else if (dw)
            for (ptrdiff_t j = 0; j < left; j++)
                dw[i + j] += terms[j];
    }
    if (!each && dw)
        *dw += (double)NAME(lane_sum)(total);
}

#undef FORWARD
#undef BACKWARD
#undef WHERE
#undef ZERO
#undef TAIL_MOST
#undef DENSITY_MOST
#undef GELU_SCALE
#undef GELU_CUBIC
#undef MAP
