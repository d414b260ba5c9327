/* Pooling, a row of windows at a time; contracts in fnn.h. A row is cut into vectors of the widest kind that fits it (a
 * small map has fewer windows in a row than a register has lanes); the last vector ends with the row and may repeat
 * windows of the one before. Each width is one inclusion of tile_pool_span.h. */
#define SPAN_NAME(name) CONCAT(CONCAT(name, SPAN), SUFFIX)

#if LANES >= 16
#define SPAN 16
#define EVEN 0, 2, 4, 6, 8, 10, 12, 14, 17, 19, 21, 23, 25, 27, 29, 31
#include "tile_pool_span.h"
#endif
#if LANES >= 8
#define SPAN 8
#define EVEN 0, 2, 4, 6, 9, 11, 13, 15
#include "tile_pool_span.h"
#endif
#if LANES >= 4
#define SPAN 4
#define EVEN 0, 2, 5, 7
#include "tile_pool_span.h"
#endif
#if LANES >= 2
#define SPAN 2
#define EVEN 0, 3
#include "tile_pool_span.h"
#endif
#define SPAN 1
#include "tile_pool_span.h"

static void NAME(maxpool_row)(const void *x, ptrdiff_t W, ptrdiff_t kh, ptrdiff_t kw, ptrdiff_t stride, ptrdiff_t n,
                              void *y, void *positions, int wide, ptrdiff_t first, ptrdiff_t row_step) {
#if LANES >= 16
    if (n >= 16)
        CONCAT(maxpool_16, SUFFIX)(x, W, kh, kw, stride, n, y, positions, wide, first, row_step);
    else
#endif
#if LANES >= 8
    if (n >= 8)
        CONCAT(maxpool_8, SUFFIX)(x, W, kh, kw, stride, n, y, positions, wide, first, row_step);
    else
#endif
#if LANES >= 4
    if (n >= 4)
        CONCAT(maxpool_4, SUFFIX)(x, W, kh, kw, stride, n, y, positions, wide, first, row_step);
    else
#endif
    if (n >= 2)
        CONCAT(maxpool_2, SUFFIX)(x, W, kh, kw, stride, n, y, positions, wide, first, row_step);
    else
        CONCAT(maxpool_1, SUFFIX)(x, W, kh, kw, stride, n, y, positions, wide, first, row_step);
}

static void NAME(avgpool_row)(const void *x, ptrdiff_t W, ptrdiff_t kh, ptrdiff_t kw, ptrdiff_t stride, ptrdiff_t n,
                              void *y, ptrdiff_t divisor) {
#if LANES >= 16
    if (n >= 16)
        CONCAT(avgpool_16, SUFFIX)(x, W, kh, kw, stride, n, y, divisor);
    else
#endif
#if LANES >= 8
    if (n >= 8)
        CONCAT(avgpool_8, SUFFIX)(x, W, kh, kw, stride, n, y, divisor);
    else
#endif
#if LANES >= 4
    if (n >= 4)
        CONCAT(avgpool_4, SUFFIX)(x, W, kh, kw, stride, n, y, divisor);
    else
#endif
    if (n >= 2)
        CONCAT(avgpool_2, SUFFIX)(x, W, kh, kw, stride, n, y, divisor);
    else
        CONCAT(avgpool_1, SUFFIX)(x, W, kh, kw, stride, n, y, divisor);
}

static void NAME(maxunpool_2x2_row)(const void *dy_, const uint8_t *positions, void *dx_, ptrdiff_t W, ptrdiff_t n) {
    const real *dy = dy_;
    real *restrict upper = dx_, *restrict lower = upper + W;
    for (ptrdiff_t j = 0; j < n; j++) {
        upper[2 * j] = positions[j] == 0 ? dy[j] : 0;
        upper[2 * j + 1] = positions[j] == 1 ? dy[j] : 0;
        lower[2 * j] = positions[j] == 2 ? dy[j] : 0;
        lower[2 * j + 1] = positions[j] == 3 ? dy[j] : 0;
    }
}
