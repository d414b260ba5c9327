/* Winograd's products and results at once, for images side by side: a vector has an image in each lane, and the weights
 * are the same for all of them. So the products need no matrices in memory. Six of the 36 are taken at a time, a
 * column or a row of the tile, for up to WINO_OUTS outputs. For 2 outputs and 3 of the 6 values:
 *
 *      input c             u00 u01   u10 u11   u20 u21      weights: values, then outputs
 *      v0  v1  v2          m[0][0] += u00 * v0    m[0][1] += u10 * v1    m[0][2] += u20 * v2
 *      vectors of images   m[1][0] += u01 * v0    m[1][1] += u11 * v1    m[1][2] += u21 * v2
 *
 * The 24 sums of 4 outputs stay in registers while c runs. With 16 registers, three values are taken at a time.
 * Contracts in fnn.h. */
#define OUTS WINO_OUTS(LANES)

/* m[o][i] = the sum over inputs of u * v, for every `apart`-th of the 36 values. */
INLINE void NAME(side_six)(const fnn_side *s, const int outs, const int apart, const real *values, const real *weights,
                           vec m[OUTS][6]) {
    UNROLL
    for (int first = 0; first < 6; first += WINO_AT_ONCE) {
        const real *v = values + first * apart * s->step, *u = weights + first * apart * OUTS;
        vec sums[OUTS][WINO_AT_ONCE];
        UNROLL
        for (int o = 0; o < outs; o++)
            UNROLL
            for (int i = 0; i < WINO_AT_ONCE; i++)
                sums[o][i] = NAME(splat)(0);
        for (ptrdiff_t c = 0; c < s->ins; c++, v += s->in_step, u += 36 * OUTS) {
            UNROLL
            for (int i = 0; i < WINO_AT_ONCE; i++) {
                vec value = NAME(load)(v + i * apart * s->step);
                UNROLL
                for (int o = 0; o < outs; o++)
                    sums[o][i] += NAME(splat)(u[i * apart * OUTS + o]) * value;
            }
        }
        UNROLL
        for (int o = 0; o < outs; o++)
            UNROLL
            for (int i = 0; i < WINO_AT_ONCE; i++)
                m[o][first + i] = sums[o][i];
    }
}

INLINE int NAME(side_result_of)(const fnn_side *s, const int taps, const int outs, real *pixels, const real *values,
                                const real *weights, const real *bias, int flags) {
    const int tile = WINO_TILE(taps);
    vec spoilt = NAME(splat)(0), m[OUTS][6], half[OUTS][24];
    for (ptrdiff_t t = s->tiles - 1; t >= 0; t--) { /* what a tile writes beyond its row, the next ones overwrite */
        for (int j = 0; j < 6; j++) {
            NAME(side_six)(s, outs, 6, values + j * s->step + t * LANES, weights + j * OUTS, m);
            UNROLL
            for (int o = 0; o < outs; o++)
                NAME(wino_sums)(m[o], tile, 1, 1, half[o] + j, 6);
        }
        for (int o = 0; o < outs; o++)
            NAME(wino_pixels)(taps, half[o], pixels + o * s->plane + t * tile * LANES, s->row_step, LANES,
                              NAME(splat)(bias ? bias[o] : 0), flags, &spoilt);
    }
    real total = NAME(lane_sum)(spoilt);
    return total == 0;
}

INLINE int NAME(side_spread_of)(const fnn_side *s, const int taps, const int outs, real *pixels, const real *values,
                                const real *weights) {
    const int tile = WINO_TILE(taps);
    vec spoilt = NAME(splat)(0), m[OUTS][6], columns[OUTS][6 * (4 * FNN_SIDE_TILES + 2)];
    ptrdiff_t count = s->tiles * tile + taps - 1;
    for (int o = 0; o < outs; o++)
        for (ptrdiff_t j = 0; j < 6 * count; j++)
            columns[o][j] = NAME(splat)(0);
    for (ptrdiff_t t = 0; t < s->tiles; t++) {
        for (int i = 0; i < 6; i++) {
            NAME(side_six)(s, outs, 1, values + 6 * i * s->step + t * LANES, weights + 6 * i * OUTS, m);
            UNROLL
            for (int o = 0; o < outs; o++) {
                vec d[6];
                NAME(wino_back)(m[o], d, 1);
                UNROLL
                for (int j = 0; j < 6; j++)
                    columns[o][6 * (t * tile + j) + i] += d[j];
            }
        }
    }
    for (int o = 0; o < outs; o++)
        NAME(wino_add)(columns[o], count, pixels + o * s->plane, s->row_step, LANES, &spoilt);
    real total = NAME(lane_sum)(spoilt);
    return total == 0;
}

/* For each number of outputs, and both sizes of kernels. */
#define SIDE_OUTS(DO) DO(1) DO(2) DO(3) DO(4)
#define SIDE_CASE(n)                                                                                               \
    if (outs == n && n <= OUTS)                                                                                    \
        return s->taps == 3 ? NAME(side_result_of)(s, 3, n <= OUTS ? n : 1, pixels, values, weights, bias, flags)   \
                            : NAME(side_result_of)(s, 5, n <= OUTS ? n : 1, pixels, values, weights, bias, flags);
static int NAME(side_result)(const fnn_side *s, int outs, void *pixels, const void *values, const void *weights,
                             const void *bias, int flags) {
    SIDE_OUTS(SIDE_CASE)
    return 0;
}
#undef SIDE_CASE
#define SIDE_CASE(n)                                                                                               \
    if (outs == n && n <= OUTS)                                                                                    \
        return s->taps == 3 ? NAME(side_spread_of)(s, 3, n <= OUTS ? n : 1, pixels, values, weights)                \
                            : NAME(side_spread_of)(s, 5, n <= OUTS ? n : 1, pixels, values, weights);
static int NAME(side_spread)(const fnn_side *s, int outs, void *pixels, const void *values, const void *weights) {
    SIDE_OUTS(SIDE_CASE)
    return 0;
}
#undef SIDE_CASE
#undef SIDE_OUTS
#undef OUTS
