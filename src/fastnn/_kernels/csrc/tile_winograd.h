/* Winograd's minimal filtering on tiles of 6 x 6 inputs, by 36 products. F(4 x 4, 3 x 3) makes 4 x 4 outputs of a 3 x 3
 * correlation instead of by 144 products, F(2 x 2, 5 x 5) 2 x 2 outputs of a 5 x 5 correlation instead of by 100. See
 * Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016. The polynomials are evaluated at 0, a,
 * -a, b, -b and infinity with a = 2/3 and b = 3/2. Since a*b = 1, the transforms stay cheap. The rounding error is a
 * quarter of that with the usual points 0, 1, -1, 2, -2. A transform runs over one dimension at a time, and lanes are
 * channels. docs/dev/winograd.md has an example in one dimension; contracts in fnn.h. */
#define WINO_A ((real)(2.0 / 3.0))
#define WINO_B ((real)1.5)
#define WINO_A2 (WINO_A * WINO_A)
#define WINO_B2 (WINO_B * WINO_B)
#define WINO_SUM (WINO_A2 + WINO_B2)
#define WINO_TILE(taps) (7 - (taps)) /* outputs of a tile, each way */

/* The weights of the sums at -a, a and at -b, b: of the transform of the kernels, or none. */
#define WINO_AT_A (1 / (2 * WINO_A2 * (WINO_A2 - WINO_B2)))
#define WINO_AT_B (1 / (2 * WINO_B2 * (WINO_B2 - WINO_A2)))

/* B^T d: six values of six inputs. Value i goes to v[i*step], and likewise in the transforms below. */
INLINE void NAME(wino_in)(const vec *d, vec *v, ptrdiff_t step) {
    vec even_a = d[4] - WINO_B2 * d[2], odd_a = WINO_A * d[3] - WINO_B * d[1];
    vec even_b = d[4] - WINO_A2 * d[2], odd_b = WINO_B * d[3] - WINO_A * d[1];
    v[0] = d[0] - WINO_SUM * d[2] + d[4];
    v[step] = even_a + odd_a;
    v[2 * step] = even_a - odd_a;
    v[3 * step] = even_b + odd_b;
    v[4 * step] = even_b - odd_b;
    v[5 * step] = d[1] - WINO_SUM * d[3] + d[5];
}

/* Its transpose: B v */
INLINE void NAME(wino_back)(const vec *v, vec *d, ptrdiff_t step) {
    vec sum_a = v[1] + v[2], odd_a = v[1] - v[2];
    vec sum_b = v[3] + v[4], odd_b = v[3] - v[4];
    d[0] = v[0];
    d[step] = v[5] - WINO_B * odd_a - WINO_A * odd_b;
    d[2 * step] = -WINO_SUM * v[0] - WINO_B2 * sum_a - WINO_A2 * sum_b;
    d[3 * step] = WINO_A * odd_a + WINO_B * odd_b - WINO_SUM * v[5];
    d[4 * step] = v[0] + sum_a + sum_b;
    d[5 * step] = v[5];
}

/* Six values of a polynomial of n coefficients, 2 to 5: A y with weights of 1, and G g. */
INLINE void NAME(wino_values)(const vec *c, const int n, const real at_a, const real at_b, vec *v, ptrdiff_t step) {
    vec even_a = at_a * c[0], odd_a = at_a * WINO_A * c[1];
    vec even_b = at_b * c[0], odd_b = at_b * WINO_B * c[1];
    if (n > 2) {
        even_a += at_a * WINO_A2 * c[2];
        even_b += at_b * WINO_B2 * c[2];
    }
    if (n > 3) {
        odd_a += at_a * WINO_A * WINO_A2 * c[3];
        odd_b += at_b * WINO_B * WINO_B2 * c[3];
    }
    if (n > 4) {
        even_a += at_a * WINO_A2 * WINO_A2 * c[4];
        even_b += at_b * WINO_B2 * WINO_B2 * c[4];
    }
    v[0] = c[0];
    v[step] = even_a + odd_a;
    v[2 * step] = even_a - odd_a;
    v[3 * step] = even_b + odd_b;
    v[4 * step] = even_b - odd_b;
    v[5 * step] = c[n - 1];
}

/* Its transpose, n sums of six values: A^T m with weights of 1, and G^T u. */
INLINE void NAME(wino_sums)(const vec *v, const int n, const real at_a, const real at_b, vec *c, ptrdiff_t step) {
    vec sum_a = at_a * (v[1] + v[2]), odd_a = at_a * WINO_A * (v[1] - v[2]);
    vec sum_b = at_b * (v[3] + v[4]), odd_b = at_b * WINO_B * (v[3] - v[4]);
    c[0] = v[0] + sum_a + sum_b;
    c[step] = odd_a + odd_b;
    if (n > 2)
        c[2 * step] = WINO_A2 * sum_a + WINO_B2 * sum_b;
    if (n > 3)
        c[3 * step] = WINO_A2 * odd_a + WINO_B2 * odd_b;
    if (n > 4)
        c[4 * step] = WINO_A2 * WINO_A2 * sum_a + WINO_B2 * WINO_B2 * sum_b;
    c[(n - 1) * step] += v[5];
}

/* Some tiles of a row at a time: they overlap, and the transforms of their columns are made once. */
#define WINO_COLUMNS 20
INLINE void NAME(wino_image_of)(const int taps, void *values, ptrdiff_t step, const void *pixels, ptrdiff_t row_step,
                                ptrdiff_t col_step, ptrdiff_t channels, ptrdiff_t tiles) {
    const int tile = WINO_TILE(taps), most = (WINO_COLUMNS - 4) / tile;
    vec columns[6 * WINO_COLUMNS];
    for (ptrdiff_t c = 0; c < channels; c += LANES) {
        for (ptrdiff_t first = 0; first < tiles; first += most) {
            ptrdiff_t n = tiles - first < most ? tiles - first : most;
            const real *p = (const real *)pixels + first * tile * col_step + c;
            for (ptrdiff_t j = 0; j < n * tile + taps - 1; j++) {
                vec d[6];
                UNROLL
                for (int i = 0; i < 6; i++)
                    d[i] = NAME(load)(p + i * row_step + j * col_step);
                NAME(wino_in)(d, columns + 6 * j, 1);
            }
            for (ptrdiff_t t = 0; t < n; t++) {
                real *to = (real *)values + (first + t) * col_step + c;
                UNROLL
                for (int i = 0; i < 6; i++) {
                    vec d[6], v[6];
                    UNROLL
                    for (int j = 0; j < 6; j++)
                        d[j] = columns[6 * (t * tile + j) + i];
                    NAME(wino_in)(d, v, 1);
                    UNROLL
                    for (int j = 0; j < 6; j++)
                        NAME(store)(to + (6 * i + j) * step, v[j]);
                }
            }
        }
    }
}
static void NAME(wino_image)(int taps, void *values, ptrdiff_t step, const void *pixels, ptrdiff_t row_step,
                             ptrdiff_t col_step, ptrdiff_t channels, ptrdiff_t tiles) {
    if (taps == 3)
        NAME(wino_image_of)(3, values, step, pixels, row_step, col_step, channels, tiles);
    else
        NAME(wino_image_of)(5, values, step, pixels, row_step, col_step, channels, tiles);
}

/* The output pixels of a tile, act(bias + ...), whose columns are transformed already. */
INLINE void NAME(wino_pixels)(const int taps, const vec *half, real *p, ptrdiff_t row_step, ptrdiff_t col_step,
                              vec bias, int flags, vec *spoilt) {
    const int tile = WINO_TILE(taps);
    UNROLL
    for (int i = 0; i < tile; i++) {
        vec y[4];
        NAME(wino_sums)(half + 6 * i, tile, 1, 1, y, 1);
        if (i == 0 || i == tile - 1) /* every product is in one of the corners */
            *spoilt += 0 * (y[0] + y[tile - 1]);
        UNROLL
        for (int j = 0; j < tile; j++) {
            vec value = y[j] + bias;
            if (flags & FNN_RELU)
                value = NAME(positive)(value);
            NAME(store)(p + i * row_step + j * col_step, value);
        }
    }
}

INLINE int NAME(wino_result_of)(const int taps, void *pixels, ptrdiff_t row_step, ptrdiff_t col_step,
                                const void *products, ptrdiff_t step, ptrdiff_t channels, const void *bias, int flags) {
    const int tile = WINO_TILE(taps);
    vec spoilt = NAME(splat)(0);
    for (ptrdiff_t c = 0; c < channels; c += LANES) {
        const real *m = (const real *)products + c;
        vec half[24];
        UNROLL
        for (int j = 0; j < 6; j++) {
            vec column[6];
            UNROLL
            for (int i = 0; i < 6; i++)
                column[i] = NAME(load)(m + (6 * i + j) * step);
            NAME(wino_sums)(column, tile, 1, 1, half + j, 6);
        }
        NAME(wino_pixels)(taps, half, (real *)pixels + c, row_step, col_step,
                          bias ? NAME(load)((const real *)bias + c) : NAME(splat)(0), flags, &spoilt);
    }
    real total = NAME(lane_sum)(spoilt);
    return total == 0;
}
static int NAME(wino_result)(int taps, void *pixels, ptrdiff_t row_step, ptrdiff_t col_step, const void *products,
                             ptrdiff_t step, ptrdiff_t channels, const void *bias, int flags) {
    if (taps == 3)
        return NAME(wino_result_of)(3, pixels, row_step, col_step, products, step, channels, bias, flags);
    return NAME(wino_result_of)(5, pixels, row_step, col_step, products, step, channels, bias, flags);
}

INLINE void NAME(wino_weights_of)(const int taps, void *values, ptrdiff_t step, const void *w, ptrdiff_t w_step,
                                  ptrdiff_t rows) {
    real room[25 * LANES] = {0};
    ptrdiff_t places[25];
    for (int k = 0; k < taps * taps; k++)
        places[k] = k * LANES;
    for (ptrdiff_t m = 0; m < rows; m += LANES) {
        vec g[25], half[30], u[36];
        if (rows - m < LANES)
            memset(room, 0, sizeof(room));
        NAME(transpose)(room, places, (const real *)w + m * w_step, w_step, rows - m < LANES ? rows - m : LANES,
                        taps * taps);
        UNROLL
        for (int k = 0; k < taps * taps; k++)
            g[k] = NAME(load)(room + k * LANES);
        UNROLL
        for (int i = 0; i < taps; i++)
            NAME(wino_values)(g + taps * i, taps, WINO_AT_A, WINO_AT_B, half + i, taps);
        UNROLL
        for (int j = 0; j < 6; j++)
            NAME(wino_values)(half + taps * j, taps, WINO_AT_A, WINO_AT_B, u + j, 6);
        UNROLL
        for (int k = 0; k < 36; k++)
            NAME(store)((real *)values + k * step + m, u[k]);
    }
}
static void NAME(wino_weights)(int taps, void *values, ptrdiff_t step, const void *w, ptrdiff_t w_step,
                               ptrdiff_t rows) {
    if (taps == 3)
        NAME(wino_weights_of)(3, values, step, w, w_step, rows);
    else
        NAME(wino_weights_of)(5, values, step, w, w_step, rows);
}

INLINE void NAME(wino_gradient_of)(const int taps, void *values, ptrdiff_t step, const void *pixels, ptrdiff_t row_step,
                                   ptrdiff_t col_step, ptrdiff_t channels) {
    const int tile = WINO_TILE(taps);
    for (ptrdiff_t c = 0; c < channels; c += LANES) {
        const real *p = (const real *)pixels + c;
        vec half[24];
        UNROLL
        for (int i = 0; i < tile; i++) {
            vec y[4];
            UNROLL
            for (int j = 0; j < tile; j++)
                y[j] = NAME(load)(p + i * row_step + j * col_step);
            NAME(wino_values)(y, tile, 1, 1, half + i, tile); /* transposed: half[tile*j + i] */
        }
        UNROLL
        for (int j = 0; j < 6; j++) {
            vec v[6];
            NAME(wino_values)(half + tile * j, tile, 1, 1, v, 1);
            UNROLL
            for (int i = 0; i < 6; i++)
                NAME(store)((real *)values + (6 * i + j) * step + c, v[i]);
        }
    }
}
static void NAME(wino_gradient)(int taps, void *values, ptrdiff_t step, const void *pixels, ptrdiff_t row_step,
                                ptrdiff_t col_step, ptrdiff_t channels) {
    if (taps == 3)
        NAME(wino_gradient_of)(3, values, step, pixels, row_step, col_step, channels);
    else
        NAME(wino_gradient_of)(5, values, step, pixels, row_step, col_step, channels);
}

INLINE int NAME(wino_taps_of)(const int taps, void *dw, ptrdiff_t w_step, const void *sums, ptrdiff_t step,
                              ptrdiff_t rows) {
    vec spoilt = NAME(splat)(0);
    real room[25 * LANES];
    ptrdiff_t places[LANES];
    for (int lane = 0; lane < LANES; lane++)
        places[lane] = lane * w_step;
    for (ptrdiff_t m = 0; m < rows; m += LANES) {
        vec half[30];
        UNROLL
        for (int j = 0; j < 6; j++) {
            vec column[6];
            UNROLL
            for (int i = 0; i < 6; i++)
                column[i] = NAME(load)((const real *)sums + (6 * i + j) * step + m);
            NAME(wino_sums)(column, taps, WINO_AT_A, WINO_AT_B, half + j, 6);
        }
        UNROLL
        for (int i = 0; i < taps; i++) {
            vec g[5];
            NAME(wino_sums)(half + 6 * i, taps, WINO_AT_A, WINO_AT_B, g, 1);
            UNROLL
            for (int j = 0; j < taps; j++) {
                spoilt += 0 * g[j];
                NAME(store)(room + (taps * i + j) * LANES, g[j]);
            }
        }
        NAME(transpose)((real *)dw + m * w_step, places, room, LANES, taps * taps, rows - m < LANES ? rows - m : LANES);
    }
    real total = NAME(lane_sum)(spoilt);
    return total == 0;
}
static int NAME(wino_taps)(int taps, void *dw, ptrdiff_t w_step, const void *sums, ptrdiff_t step, ptrdiff_t rows) {
    if (taps == 3)
        return NAME(wino_taps_of)(3, dw, w_step, sums, step, rows);
    return NAME(wino_taps_of)(5, dw, w_step, sums, step, rows);
}

/* Adds pixels whose rows are turned back already. */
INLINE void NAME(wino_add)(const vec *columns, ptrdiff_t count, real *p, ptrdiff_t row_step, ptrdiff_t col_step,
                           vec *spoilt) {
    for (ptrdiff_t j = 0; j < count; j++) {
        vec d[6];
        NAME(wino_back)(columns + 6 * j, d, 1);
        *spoilt += 0 * (d[4] + d[5]); /* every product is in one of these */
        UNROLL
        for (int i = 0; i < 6; i++) {
            real *at = p + i * row_step + j * col_step;
            NAME(store)(at, NAME(load)(at) + d[i]);
        }
    }
}

INLINE int NAME(wino_spread_of)(const int taps, void *pixels, ptrdiff_t row_step, ptrdiff_t col_step,
                                const void *products, ptrdiff_t step, ptrdiff_t channels, ptrdiff_t tiles) {
    const int tile = WINO_TILE(taps), most = (WINO_COLUMNS - 4) / tile;
    vec columns[6 * WINO_COLUMNS], spoilt = NAME(splat)(0);
    for (ptrdiff_t c = 0; c < channels; c += LANES) {
        for (ptrdiff_t first = 0; first < tiles; first += most) {
            ptrdiff_t n = tiles - first < most ? tiles - first : most, count = n * tile + taps - 1;
            real *p = (real *)pixels + first * tile * col_step + c;
            for (ptrdiff_t j = 0; j < 6 * count; j++)
                columns[j] = NAME(splat)(0);
            for (ptrdiff_t t = 0; t < n; t++) {
                const real *m = (const real *)products + (first + t) * col_step + c;
                UNROLL
                for (int i = 0; i < 6; i++) {
                    vec v[6], d[6];
                    UNROLL
                    for (int j = 0; j < 6; j++)
                        v[j] = NAME(load)(m + (6 * i + j) * step);
                    NAME(wino_back)(v, d, 1);
                    UNROLL
                    for (int j = 0; j < 6; j++)
                        columns[6 * (t * tile + j) + i] += d[j];
                }
            }
            NAME(wino_add)(columns, count, p, row_step, col_step, &spoilt);
        }
    }
    real total = NAME(lane_sum)(spoilt);
    return total == 0;
}
static int NAME(wino_spread)(int taps, void *pixels, ptrdiff_t row_step, ptrdiff_t col_step, const void *products,
                             ptrdiff_t step, ptrdiff_t channels, ptrdiff_t tiles) {
    if (taps == 3)
        return NAME(wino_spread_of)(3, pixels, row_step, col_step, products, step, channels, tiles);
    return NAME(wino_spread_of)(5, pixels, row_step, col_step, products, step, channels, tiles);
}
#include "tile_winograd_side.h"
#undef WINO_COLUMNS
#undef WINO_A
#undef WINO_B
#undef WINO_A2
#undef WINO_B2
#undef WINO_SUM
#undef WINO_TILE
#undef WINO_AT_A
#undef WINO_AT_B
