/* Dropout from random words; the contract is in fnn.h. */
static void NAME(drop)(const void *x_, void *y_, const uint32_t *words, uint32_t threshold, ptrdiff_t rows, ptrdiff_t n,
                       double scale_) {
    const real *restrict x = x_, scale = (real)scale_;
    real *restrict y = y_;
    if (n == 1) {
        for (ptrdiff_t i = 0; i < rows; i++)
            y[i] = words[i] >= threshold ? x[i] * scale : 0;
        return;
    }
    for (ptrdiff_t r = 0; r < rows; r++, x += n, y += n) {
        if (words[r] >= threshold)
            for (ptrdiff_t j = 0; j < n; j++)
                y[j] = x[j] * scale;
        else
            memset(y, 0, (size_t)n * sizeof(real));
    }
}
