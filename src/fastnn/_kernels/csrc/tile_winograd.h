/* Winograd's minimal filtering F(4 x 4, 3 x 3): 4 x 4 outputs of a 3 x 3 correlation from 6 x 6 inputs by 36 products
 * instead of 144. See Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016. The polynomials are
 * evaluated at 0, a, -a, b, -b and infinity with a = 2/3 and b = 3/2. Since a*b = 1, the transforms stay cheap. The
 * rounding error is a quarter of that with the usual points 0, 1, -1, 2, -2. A transform runs over one dimension at a
 * time, and lanes are channels. docs/dev/winograd.md has an example in one dimension; contracts in fnn.h. */
#define WINO_A ((real)(2.0 / 3.0))
#define WINO_B ((real)1.5)
#define WINO_A2 (WINO_A * WINO_A)
#define WINO_B2 (WINO_B * WINO_B)

/* B^T d: six values of six inputs. Value i goes to v[i*step], and likewise in the transforms below. */
INLINE void NAME(wino_in)(const vec *d, vec *v, ptrdiff_t step) {
    vec even_a = d[4] - WINO_B2 * d[2], odd_a = WINO_A * d[3] - WINO_B * d[1];
    vec even_b = d[4] - WINO_A2 * d[2], odd_b = WINO_B * d[3] - WINO_A * d[1];
    v[0] = d[0] - (WINO_A2 + WINO_B2) * d[2] + d[4];
    v[step] = even_a + odd_a;
    v[2 * step] = even_a - odd_a;
    v[3 * step] = even_b + odd_b;
    v[4 * step] = even_b - odd_b;
    v[5 * step] = d[1] - (WINO_A2 + WINO_B2) * d[3] + d[5];
}

/* A^T m: four outputs of six products. */
INLINE void NAME(wino_out)(const vec *m, vec *y, ptrdiff_t step) {
    vec sum_a = m[1] + m[2], difference_a = m[1] - m[2];
    vec sum_b = m[3] + m[4], difference_b = m[3] - m[4];
    y[0] = m[0] + sum_a + sum_b;
    y[step] = WINO_A * difference_a + WINO_B * difference_b;
    y[2 * step] = WINO_A2 * sum_a + WINO_B2 * sum_b;
    y[3 * step] = WINO_A * WINO_A2 * difference_a + WINO_B * WINO_B2 * difference_b + m[5];
}

/* G g: six values of three weights. */
INLINE void NAME(wino_filter)(const vec *g, vec *u, ptrdiff_t step) {
    const real at_a = 1 / (2 * WINO_A2 * (WINO_A2 - WINO_B2)), at_b = 1 / (2 * WINO_B2 * (WINO_B2 - WINO_A2));
    vec even_a = at_a * (g[0] + WINO_A2 * g[2]), odd_a = at_a * WINO_A * g[1];
    vec even_b = at_b * (g[0] + WINO_B2 * g[2]), odd_b = at_b * WINO_B * g[1];
    u[0] = g[0];
    u[step] = even_a + odd_a;
    u[2 * step] = even_a - odd_a;
    u[3 * step] = even_b + odd_b;
    u[4 * step] = even_b - odd_b;
    u[5 * step] = g[2];
}

/* The transposes of the last two, for the gradient of the weights. A y makes six values of the gradients of four
 * pixels. G^T u makes the gradients of three taps of six sums. */
INLINE void NAME(wino_spread)(const vec *y, vec *v, ptrdiff_t step) {
    vec even_a = y[0] + WINO_A2 * y[2], odd_a = WINO_A * y[1] + WINO_A * WINO_A2 * y[3];
    vec even_b = y[0] + WINO_B2 * y[2], odd_b = WINO_B * y[1] + WINO_B * WINO_B2 * y[3];
    v[0] = y[0];
    v[step] = even_a + odd_a;
    v[2 * step] = even_a - odd_a;
    v[3 * step] = even_b + odd_b;
    v[4 * step] = even_b - odd_b;
    v[5 * step] = y[3];
}
INLINE void NAME(wino_gather)(const vec *u, vec *g, ptrdiff_t step) {
    const real at_a = 1 / (2 * WINO_A2 * (WINO_A2 - WINO_B2)), at_b = 1 / (2 * WINO_B2 * (WINO_B2 - WINO_A2));
    vec sum_a = at_a * (u[1] + u[2]), sum_b = at_b * (u[3] + u[4]);
    g[0] = u[0] + sum_a + sum_b;
    g[step] = at_a * WINO_A * (u[1] - u[2]) + at_b * WINO_B * (u[3] - u[4]);
    g[2 * step] = WINO_A2 * sum_a + WINO_B2 * sum_b + u[5];
}

static void NAME(wino_image)(void *values, ptrdiff_t step, const void *pixels, ptrdiff_t row_step, ptrdiff_t col_step,
                             ptrdiff_t channels) {
    for (ptrdiff_t c = 0; c < channels; c += LANES) {
        const real *p = (const real *)pixels + c;
        vec d[36], half[36];
        UNROLL
        for (int i = 0; i < 6; i++) {
            UNROLL
            for (int j = 0; j < 6; j++)
                d[6 * i + j] = NAME(load)(p + i * row_step + j * col_step);
            NAME(wino_in)(d + 6 * i, half + i, 6); /* transposed: half[6*j + i] */
        }
        UNROLL
        for (int j = 0; j < 6; j++) {
            vec v[6];
            NAME(wino_in)(half + 6 * j, v, 1);
            UNROLL
            for (int i = 0; i < 6; i++)
                NAME(store)((real *)values + (6 * i + j) * step + c, v[i]);
        }
    }
}

static int NAME(wino_result)(void *pixels, ptrdiff_t row_step, ptrdiff_t col_step, const void *products,
                             ptrdiff_t step, ptrdiff_t channels, const void *bias, int flags) {
    vec spoilt = NAME(splat)(0);
    for (ptrdiff_t c = 0; c < channels; c += LANES) {
        const real *m = (const real *)products + c;
        real *p = (real *)pixels + c;
        vec b = bias ? NAME(load)((const real *)bias + c) : NAME(splat)(0);
        vec half[24];
        UNROLL
        for (int j = 0; j < 6; j++) {
            vec column[6];
            UNROLL
            for (int i = 0; i < 6; i++)
                column[i] = NAME(load)(m + (6 * i + j) * step);
            NAME(wino_out)(column, half + j, 6);
        }
        UNROLL
        for (int i = 0; i < 4; i++) {
            vec y[4];
            NAME(wino_out)(half + 6 * i, y, 1);
            if (i == 0 || i == 3) /* every product is in one of the corners */
                spoilt += 0 * (y[0] + y[3]);
            UNROLL
            for (int j = 0; j < 4; j++) {
                vec value = y[j] + b;
                if (flags & FNN_RELU)
                    value = NAME(positive)(value);
                NAME(store)(p + i * row_step + j * col_step, value);
            }
        }
    }
    real total = NAME(lane_sum)(spoilt);
    return total == 0;
}

static void NAME(wino_weights)(void *values, ptrdiff_t step, const void *w, ptrdiff_t w_step, ptrdiff_t tap_step,
                               ptrdiff_t rows) {
    for (ptrdiff_t m = 0; m < rows; m += LANES) {
        vec g[9], half[18], u[36];
        for (int k = 0; k < 9; k++) {
            g[k] = NAME(splat)(0);
            for (ptrdiff_t lane = 0; lane < LANES && m + lane < rows; lane++)
                g[k][lane] = ((const real *)w)[(m + lane) * w_step + k * tap_step];
        }
        UNROLL
        for (int i = 0; i < 3; i++)
            NAME(wino_filter)(g + 3 * i, half + i, 3);
        UNROLL
        for (int j = 0; j < 6; j++)
            NAME(wino_filter)(half + 3 * j, u + j, 6);
        UNROLL
        for (int k = 0; k < 36; k++)
            NAME(store)((real *)values + k * step + m, u[k]);
    }
}

static void NAME(wino_gradient)(void *values, ptrdiff_t step, const void *pixels, ptrdiff_t row_step,
                                ptrdiff_t col_step, ptrdiff_t channels) {
    for (ptrdiff_t c = 0; c < channels; c += LANES) {
        const real *p = (const real *)pixels + c;
        vec half[24];
        UNROLL
        for (int i = 0; i < 4; i++) {
            vec y[4];
            UNROLL
            for (int j = 0; j < 4; j++)
                y[j] = NAME(load)(p + i * row_step + j * col_step);
            NAME(wino_spread)(y, half + i, 4); /* transposed: half[4*j + i] */
        }
        UNROLL
        for (int j = 0; j < 6; j++) {
            vec v[6];
            NAME(wino_spread)(half + 4 * j, v, 1);
            UNROLL
            for (int i = 0; i < 6; i++)
                NAME(store)((real *)values + (6 * i + j) * step + c, v[i]);
        }
    }
}

static int NAME(wino_taps)(void *dw, ptrdiff_t w_step, ptrdiff_t tap_step, const void *sums, ptrdiff_t step,
                           ptrdiff_t rows) {
    vec spoilt = NAME(splat)(0);
    for (ptrdiff_t m = 0; m < rows; m += LANES) {
        vec half[18];
        UNROLL
        for (int j = 0; j < 6; j++) {
            vec column[6];
            UNROLL
            for (int i = 0; i < 6; i++)
                column[i] = NAME(load)((const real *)sums + (6 * i + j) * step + m);
            NAME(wino_gather)(column, half + j, 6);
        }
        for (int i = 0; i < 3; i++) {
            vec g[3];
            NAME(wino_gather)(half + 6 * i, g, 1);
            for (int j = 0; j < 3; j++) {
                spoilt += 0 * g[j];
                for (ptrdiff_t lane = 0; lane < LANES && m + lane < rows; lane++)
                    ((real *)dw)[(m + lane) * w_step + (3 * i + j) * tap_step] = g[j][lane];
            }
        }
    }
    real total = NAME(lane_sum)(spoilt);
    return total == 0;
}
