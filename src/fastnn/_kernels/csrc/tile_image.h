/* Rows of an image with padding and stride: what convolution packs and im2col copies. Contracts in fnn.h. */

/* Output columns whose input column iw0 + j*step lies inside [0, W): [*from, *to). */
INLINE void NAME(inside)(ptrdiff_t cols, ptrdiff_t W, ptrdiff_t iw0, ptrdiff_t step, ptrdiff_t *from, ptrdiff_t *to) {
    ptrdiff_t lo = iw0 >= 0 ? 0 : (-iw0 + step - 1) / step;
    ptrdiff_t hi = iw0 >= W ? 0 : (W - iw0 + step - 1) / step;
    *from = lo < cols ? lo : cols;
    *to = hi < *from ? *from : hi < cols ? hi : cols;
}

/* Short rows are the usual case (maps of 8 or 16 columns): two overlapping moves of a fixed size, no loop, no call. */
#define MOVE(w)                                                                                                    \
    if (n >= (w)) {                                                                                                \
        real head[w], tail[w];                                                                                     \
        memcpy(head, s, sizeof head);                                                                              \
        memcpy(tail, s + n - (w), sizeof tail);                                                                    \
        memcpy(d, head, sizeof head);                                                                              \
        memcpy(d + n - (w), tail, sizeof tail);                                                                    \
        return;                                                                                                    \
    }
INLINE void NAME(copy_row)(real *d, const real *s, ptrdiff_t n) {
    if (n > LANES) {
        for (ptrdiff_t j = 0; j + LANES <= n; j += LANES)
            NAME(store)(d + j, NAME(load)(s + j));
        NAME(store)(d + n - LANES, NAME(load)(s + n - LANES));
        return;
    }
    MOVE(16) MOVE(8) MOVE(4) MOVE(2) MOVE(1)
}
#undef MOVE

#define CLEAR(w)                                                                                                   \
    if (n >= (w)) {                                                                                                \
        memset(d, 0, (w) * sizeof(real));                                                                          \
        memset(d + n - (w), 0, (w) * sizeof(real));                                                                \
        return;                                                                                                    \
    }
INLINE void NAME(clear_row)(real *d, ptrdiff_t n) {
    if (n > 16) {
        memset(d, 0, (size_t)n * sizeof(real));
        return;
    }
    CLEAR(8) CLEAR(4) CLEAR(2) CLEAR(1)
}
#undef CLEAR

static void NAME(unfold_plane)(void *dst, ptrdiff_t rows, ptrdiff_t cols, const void *src, ptrdiff_t H, ptrdiff_t W,
                               ptrdiff_t ih0, ptrdiff_t ih_step, ptrdiff_t iw0, ptrdiff_t iw_step) {
    real *d = dst;
    ptrdiff_t from, to;
    NAME(inside)(cols, W, iw0, iw_step, &from, &to);
    for (ptrdiff_t r = 0; r < rows; r++, d += cols) {
        ptrdiff_t ih = ih0 + r * ih_step;
        if (ih < 0 || ih >= H) {
            NAME(clear_row)(d, cols);
            continue;
        }
        const real *s = (const real *)src + ih * W + iw0;
        NAME(clear_row)(d, from);
        if (iw_step == 1)
            NAME(copy_row)(d + from, s + from, to - from);
        else
            for (ptrdiff_t j = from; j < to; j++)
                d[j] = s[j * iw_step];
        NAME(clear_row)(d + to, cols - to);
    }
}

static void NAME(fold_plane)(void *dst, ptrdiff_t H, ptrdiff_t W, const void *src, ptrdiff_t rows, ptrdiff_t cols,
                             ptrdiff_t ih0, ptrdiff_t ih_step, ptrdiff_t iw0, ptrdiff_t iw_step) {
    const real *s = src;
    ptrdiff_t from, to;
    NAME(inside)(cols, W, iw0, iw_step, &from, &to);
    for (ptrdiff_t r = 0; r < rows; r++, s += cols) {
        ptrdiff_t ih = ih0 + r * ih_step;
        if (ih < 0 || ih >= H)
            continue;
        real *d = (real *)dst + ih * W + iw0;
        for (ptrdiff_t j = from; j < to; j++)
            d[j * iw_step] += s[j];
    }
}

static void NAME(copy)(void *dst, ptrdiff_t dst_step, const void *src, ptrdiff_t src_step, ptrdiff_t rows,
                       ptrdiff_t cols) {
    for (ptrdiff_t i = 0; i < rows; i++)
        NAME(copy_row)((real *)dst + i * dst_step, (const real *)src + i * src_step, cols);
}
