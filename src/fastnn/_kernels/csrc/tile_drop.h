/* Dropout; contracts in fnn.h. */
static void NAME(drop)(const void *x_, void *y_, const uint32_t *words, uint32_t threshold, ptrdiff_t rows, ptrdiff_t n,
                       double scale_) {
    const real *restrict x = x_, scale = (real)scale_;
    real *restrict y = y_;
    for (ptrdiff_t r = 0; r < rows; r++, x += n, y += n) {
        if (words[r] >= threshold)
            for (ptrdiff_t j = 0; j < n; j++)
                y[j] = x[j] * scale;
        else
            memset(y, 0, (size_t)n * sizeof(real));
    }
}

/* x * scale where the bit of a lane is 1, else 0 */
INLINE vec NAME(where_kept)(vec x, real scale, unsigned bits) {
#if LANES == 16
    return (vec)_mm512_maskz_mul_ps((__mmask16)bits, (__m512)x, (__m512)NAME(splat)(scale));
#else
    ivec lane = NAME(iota)(), chosen;
    UNROLL for (int i = 0; i < LANES; i++) lane[i] = (integer)1 << i;
    chosen = (((integer)bits - (ivec){0}) & lane) != 0;
    return (vec)(chosen & (ivec)(x * scale));
#endif
}

static void NAME(drop_kept)(const void *x_, void *y_, const uint8_t *kept, ptrdiff_t n, double scale_) {
    const real *x = x_, scale = (real)scale_;
    real *y = y_;
    ptrdiff_t i = 0;
    for (; i + 16 <= n; i += 16, kept += 2) {
        unsigned bits = kept[0] | (unsigned)kept[1] << 8;
        UNROLL
        for (int j = 0; j < 16; j += LANES)
            NAME(store)(y + i + j, NAME(where_kept)(NAME(load)(x + i + j), scale, bits >> j));
    }
    for (int j = 0; i < n; i++, j++)
        y[i] = kept[j / 8] >> j % 8 & 1 ? x[i] * scale : 0;
}
