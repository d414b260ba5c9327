/* Pooling by rows of windows; contracts in fnn.h. A row is cut into vectors of SPAN windows. SPAN is the widest that
 * fits, because a row of a small map has fewer windows than a register has lanes. The last vector ends with the row,
 * and may compute windows of the vector before it again. Each SPAN is one inclusion of tile_pool_span.h. */
#define SPAN_NAME(name) CONCAT(CONCAT(name, SPAN), SUFFIX)
#define ASKED_AHEAD 4096 /* bytes between the memory in use and the memory that is prefetched */
#define COLUMNS 1024     /* columns whose maxima or sums stay in the first-level cache */
#define LARGE_WINDOW 16  /* pixels of a window, from which columns are summed first */

/* The gradient that window j gives to the pixel at `place` of the window. There is no branch, because no CPU could
 * predict it. */
INLINE real NAME(given)(const real *src, const uint8_t *places, ptrdiff_t j, int place) {
    integer bits;
    real value;
    memcpy(&bits, src + j, sizeof bits);
    bits &= places ? -(integer)(places[j] == place) : -1;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#if LANES >= 16
#define SPAN 16
#define EVEN 0, 2, 4, 6, 8, 10, 12, 14, 17, 19, 21, 23, 25, 27, 29, 31
#define ZIP_LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define ZIP_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#include "tile_pool_span.h"
#endif
#if LANES >= 8
#define SPAN 8
#define EVEN 0, 2, 4, 6, 9, 11, 13, 15
#define ZIP_LOW 0, 8, 1, 9, 2, 10, 3, 11
#define ZIP_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#include "tile_pool_span.h"
#endif
#if LANES >= 4
#define SPAN 4
#define EVEN 0, 2, 5, 7
#define ZIP_LOW 0, 4, 1, 5
#define ZIP_HIGH 2, 6, 3, 7
#include "tile_pool_span.h"
#endif
#if LANES >= 2
#define SPAN 2
#define EVEN 0, 3
#define ZIP_LOW 0, 2
#define ZIP_HIGH 1, 3
#include "tile_pool_span.h"
#endif
#define SPAN 1
#include "tile_pool_span.h"

/* Calls the function with the widest SPAN that n windows fill. */
#define POOL_WIDEST(name, ...)                                                                                     \
    do {                                                                                                           \
        POOL_IF_16(name, __VA_ARGS__)                                                                              \
        POOL_IF_8(name, __VA_ARGS__)                                                                               \
        POOL_IF_4(name, __VA_ARGS__)                                                                               \
        if (n >= 2)                                                                                                \
            CONCAT(name##_2, SUFFIX)(__VA_ARGS__);                                                                 \
        else                                                                                                       \
            CONCAT(name##_1, SUFFIX)(__VA_ARGS__);                                                                 \
    } while (0)
#define POOL_IF(span, name, ...)                                                                                   \
    if (n >= span)                                                                                                 \
        CONCAT(name##_##span, SUFFIX)(__VA_ARGS__);                                                                \
    else
#if LANES >= 16
#define POOL_IF_16(...) POOL_IF(16, __VA_ARGS__)
#else
#define POOL_IF_16(...)
#endif
#if LANES >= 8
#define POOL_IF_8(...) POOL_IF(8, __VA_ARGS__)
#else
#define POOL_IF_8(...)
#endif
#if LANES >= 4
#define POOL_IF_4(...) POOL_IF(4, __VA_ARGS__)
#else
#define POOL_IF_4(...)
#endif

static void NAME(maxpool)(const void *x, ptrdiff_t W, ptrdiff_t kh, ptrdiff_t kw, ptrdiff_t sh, ptrdiff_t sw,
                          ptrdiff_t dh, ptrdiff_t dw, ptrdiff_t rows, ptrdiff_t n, void *y, ptrdiff_t y_step,
                          void *positions, int wide, ptrdiff_t first, ptrdiff_t row_step) {
    POOL_WIDEST(maxpool, x, W, kh, kw, sh, sw, dh, dw, rows, n, y, y_step, positions, wide, first, row_step);
}

INLINE void NAME(sums_of_columns)(const real *columns, ptrdiff_t sw, ptrdiff_t kw, ptrdiff_t n, real *y, real share) {
    for (ptrdiff_t j = 0; j < n; j++, columns += sw) {
        real total = 0;
        if (kw > SUM_ROWS)
            total = (real)NAME(sum_of_long_row)(columns, kw);
        UNROLL
        for (ptrdiff_t c = 0; c < kw && kw <= SUM_ROWS; c++)
            total += columns[c];
        y[j] = total * share;
    }
}

/* Averages of large windows: first the sums of columns, in whole vectors, then the sums of windows. */
static void NAME(large_averages)(const real *x, ptrdiff_t W, ptrdiff_t kh, ptrdiff_t kw, ptrdiff_t sh, ptrdiff_t sw,
                                 ptrdiff_t rows, ptrdiff_t n, real *y, ptrdiff_t y_step, ptrdiff_t divisor) {
    real columns[COLUMNS];
    const real share = 1 / (real)divisor;
    ptrdiff_t width = (n - 1) * sw + kw;
    for (ptrdiff_t r = 0; r < rows; r++, x += sh * W, y += y_step) {
        if (kh > SUM_ROWS) {
            memset(columns, 0, (size_t)width * sizeof(real));
            NAME(sum_rows)(columns, x, W, kh, width);
        }
        for (ptrdiff_t j = 0; j < width && kh <= SUM_ROWS; j += LANES) {
            vec total = NAME(splat)(0);
            if (width - j >= LANES) {
                for (ptrdiff_t i = 0; i < kh; i++)
                    total += NAME(load)(x + i * W + j);
                NAME(store)(columns + j, total);
            } else {
                for (ptrdiff_t i = 0; i < kh; i++)
                    total += NAME(load_part)(x + i * W + j, width - j, 0);
                NAME(store_part)(columns + j, total, width - j);
            }
        }
        switch (kw) { /* loops of a known length unroll */
            case 4: NAME(sums_of_columns)(columns, sw, 4, n, y, share); break;
            case 5: NAME(sums_of_columns)(columns, sw, 5, n, y, share); break;
            default: NAME(sums_of_columns)(columns, sw, kw, n, y, share);
        }
    }
}

/* Averages of windows whose row has more than COLUMNS columns, one window at a time. */
static void NAME(wide_averages)(const real *x, ptrdiff_t W, ptrdiff_t kh, ptrdiff_t kw, ptrdiff_t sh, ptrdiff_t sw,
                                ptrdiff_t rows, ptrdiff_t n, real *y, ptrdiff_t y_step, ptrdiff_t divisor) {
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t j = 0; j < n; j++) {
            double total = 0;
            for (ptrdiff_t i = 0; i < kh; i++)
                total += NAME(sum_of_long_row)(x + (r * sh + i) * W + j * sw, kw);
            y[r * y_step + j] = (real)(total / (double)divisor);
        }
}

static void NAME(avgpool)(const void *x, ptrdiff_t W, ptrdiff_t kh, ptrdiff_t kw, ptrdiff_t sh, ptrdiff_t sw,
                          ptrdiff_t rows, ptrdiff_t n, void *y, ptrdiff_t y_step, ptrdiff_t divisor) {
    if (kh * kw < LARGE_WINDOW)
        POOL_WIDEST(avgpool, x, W, kh, kw, sh, sw, rows, n, y, y_step, divisor);
    else if (kw > COLUMNS)
        NAME(wide_averages)(x, W, kh, kw, sh, sw, rows, n, y, y_step, divisor);
    else
        for (ptrdiff_t j = 0, some = (COLUMNS - kw) / sw + 1; j < n; j += some)
            NAME(large_averages)((const real *)x + j * sw, W, kh, kw, sh, sw, rows, n - j < some ? n - j : some,
                                 (real *)y + j, y_step, divisor);
}

static void NAME(unpool_2x2)(const void *dy, const uint8_t *positions, void *dx, ptrdiff_t rows, ptrdiff_t n) {
    POOL_WIDEST(unpool_2x2, dy, positions, dx, rows, n);
}

static void NAME(unpool_3x3)(const void *dy, const uint8_t *positions, void *dx, ptrdiff_t rows, ptrdiff_t cols,
                             ptrdiff_t H, ptrdiff_t W, ptrdiff_t PH, ptrdiff_t PW, void *row) {
    ptrdiff_t n = cols - 1; /* windows but the first of a row, see unpool_row */
    POOL_WIDEST(unpool_3x3, dy, positions, dx, rows, cols, H, W, PH, PW, row);
}

static void NAME(byte_range)(const uint8_t *p, ptrdiff_t n, uint8_t *least_, uint8_t *most_) {
    uint8_t least = 255, most = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        least = p[i] < least ? p[i] : least;
        most = p[i] > most ? p[i] : most;
    }
    *least_ = least;
    *most_ = most;
}

/* dst[r*dst_step + j] = src[r*src_step + j*stride], r < rows, j < n */
static void NAME(strided_copy)(real *dst, ptrdiff_t dst_step, const real *src, ptrdiff_t src_step, ptrdiff_t stride,
                               ptrdiff_t rows, ptrdiff_t n) {
    if (n > 0)
        POOL_WIDEST(strided_copy, dst, dst_step, src, src_step, stride, rows, n);
}

static void NAME(zip)(void *dst, const void *even, const void *odd, ptrdiff_t n) {
    if (n > 0)
        POOL_WIDEST(zip_rows, dst, even, odd, n);
}

#undef POOL_WIDEST
#undef POOL_IF
#undef POOL_IF_16
#undef POOL_IF_8
#undef POOL_IF_4
#undef ASKED_AHEAD
#undef COLUMNS
