/* Normalisation; contracts in fnn.h. The elements of a channel are rows of at least a vector. In planes smaller than a
 * vector (`each`) they are the columns of a matrix. Moments are taken about a mean m that was rounded to `real`. The
 * sum of x - m is kept, and corrects both moments, so they are as exact as about the exact mean. See Chan, Golub and
 * LeVeque, "Algorithms for computing the sample variance", The American Statistician 37, 1983. */

INLINE vec NAME(keep)(ivec mask, vec v) { return (vec)(mask & (ivec)v); }
/* The gradient of a ReLU's input, from that of its output y. Without a ReLU y is NULL, and the gradient is dy. */
INLINE vec NAME(through_relu)(vec dy, const real *y, ptrdiff_t i) {
    return y ? NAME(keep)(NAME(load)(y + i) > NAME(splat)(0), dy) : dy;
}
INLINE vec NAME(load_columns)(const real *p, ptrdiff_t width) {
    return width == LANES ? NAME(load)(p) : NAME(load_part)(p, width, 0);
}
INLINE void NAME(store_columns)(real *p, vec v, ptrdiff_t width) {
    if (width == LANES)
        NAME(store)(p, v);
    else
        NAME(store_part)(p, v, width);
}
INLINE void NAME(store_doubles)(double *p, vec v, ptrdiff_t width) {
    for (ptrdiff_t j = 0; j < width; j++)
        p[j] = (double)v[j];
}
INLINE double NAME(total_of_4)(const vec *s) { return (double)NAME(lane_sum)((s[0] + s[1]) + (s[2] + s[3])); }

/* How many elements of a row lie before the first one whose place is a multiple of LANES. The row begins at place `at`
 * of its array, and has n elements. Short rows have too few vectors to gain by alignment. With 4 lanes and at = 6:
 *
 *      place   4 5 [6 7] 8 9 10 11 12 ...         head = 2: elements 0 and 1 come before place 8 */
INLINE ptrdiff_t NAME(head)(ptrdiff_t at, ptrdiff_t n) { return n >= 8 * LANES ? -at & (LANES - 1) : 0; }

/* DO(i, k, lanes) adds the vector at element i of a row to accumulator k < 4. `lanes` masks the lanes that count; ALL
 * are used in whole vectors, which are aligned with the array. The elements before and after them come from vectors
 * that overlap a whole one. There are four accumulators because an addition takes four cycles. Here are 13 elements
 * with 4 lanes and a head of 2, though a row with a head is longer in truth; x marks a lane that does not count:
 *
 *      element     0 1 2 3 4 5 6 7 8 9 10 11 12
 *      vectors     [0 1 x x]                        lanes < 2
 *                      [2 3 4 5] [6 7 8 9]          ALL
 *                                  [x  10 11 12]    lanes >= 1 */
#define ALL (~(ivec){0})
#define SUMMED (4 * 2 * SUM_TERMS * LANES) /* elements that the accumulators take before they are added to doubles */
#define EACH_VECTOR(at, n, DO)                                                                                     \
    do {                                                                                                           \
        ptrdiff_t i = NAME(head)(at, n);                                                                           \
        if (i)                                                                                                     \
            DO(0, 3, NAME(iota)() < (integer)i);                                                                   \
        for (; i + 4 * LANES <= (n); i += 4 * LANES) {                                                             \
            UNROLL for (int k = 0; k < 4; k++) DO(i + k * LANES, k, ALL);                                          \
        }                                                                                                          \
        UNROLL for (int k = 0; k < 3; k++) if (i + LANES <= (n)) {                                                 \
            DO(i, k, ALL);                                                                                         \
            i += LANES;                                                                                            \
        }                                                                                                          \
        if (i < (n))                                                                                               \
            DO((n)-LANES, 3, NAME(iota)() >= (integer)(LANES - (n) + i));                                          \
    } while (0)

/* DO(r, some, first, m) for blocks of at most SUMMED elements: `some` rows from r on, m elements of each from `first`
 * on. */
#define EACH_BLOCK(rows, n, DO)                                                                                    \
    do {                                                                                                           \
        const ptrdiff_t most = (n) < SUMMED ? SUMMED / (n) : 1;                                                    \
        for (ptrdiff_t r = 0; r < (rows); r += most)                                                               \
            for (ptrdiff_t first = 0; first < (n); first += SUMMED)                                                \
                DO(r, (rows) - r < most ? (rows) - r : most, first, (n) - first < SUMMED ? (n) - first : SUMMED);  \
    } while (0)

/* Adds the sum of x - about to *rest, and the sum of its squares to *squares. Prefetches the elements that are read
 * next, which lie `ahead` elements further on. */
INLINE void NAME(squares_about)(const real *x, ptrdiff_t at, ptrdiff_t rows, ptrdiff_t step, ptrdiff_t n, real about,
                                ptrdiff_t ahead, double *rest, double *squares) {
    vec t[4] = {0}, q[4] = {0};
    for (ptrdiff_t r = 0; r < rows; r++) {
        const real *row = x + at + r * step;
#define SUM(i, k, lanes)                                                                                           \
    {                                                                                                              \
        vec d = NAME(keep)(lanes, NAME(load)(row + (i)) - about);                                                  \
        t[k] += d;                                                                                                 \
        q[k] += d * d;                                                                                             \
        __builtin_prefetch(row + ahead + (i));                                                                     \
    }
        EACH_VECTOR(at + r * step, n, SUM);
#undef SUM
    }
    *rest += NAME(total_of_4)(t);
    *squares += NAME(total_of_4)(q);
}

INLINE void NAME(moments_together)(const real *x, ptrdiff_t at, ptrdiff_t rows, ptrdiff_t step, ptrdiff_t n,
                                   double *mean, double *m2) {
    const double count = (double)rows * (double)n;
    double rest = 0, squares = 0;
    vec s[4] = {0};
    for (ptrdiff_t r = 0; r < rows; r++) {
        const real *row = x + at + r * step;
#define SUM(i, k, lanes)                                                                                           \
    {                                                                                                              \
        s[k] += NAME(keep)(lanes, NAME(load)(row + (i)));                                                          \
    }
        EACH_VECTOR(at + r * step, n, SUM);
#undef SUM
    }
    const real about = (real)(NAME(total_of_4)(s) / count);
#define SQUARES(r, some, first, m)                                                                                 \
    NAME(squares_about)(x, at + (r)*step + (first), some, step, m, about, rows * step, &rest, &squares)
    EACH_BLOCK(rows, n, SQUARES);
#undef SQUARES
    rest /= count;
    *mean = about - about == 0 ? (double)about + rest : (double)about; /* an infinite mean has no correction */
    *m2 = squares - count * rest * rest;
}

/* The moments of a row of any length. Its blocks are joined one after another (Chan, Golub and LeVeque 1983). A block
 * is short enough to be read the second time from the first-level cache. */
static void NAME(moments_of_row)(const real *x, ptrdiff_t at, ptrdiff_t n, double *mean, double *m2) {
    const ptrdiff_t block = FNN_NORM_BLOCK;
    ptrdiff_t m = n < 2 * block ? n : block;
    NAME(moments_together)(x, at, 1, m, m, mean, m2);
    for (ptrdiff_t seen = m; seen < n; seen += m) {
        double mean_of, m2_of, share;
        m = n - seen < 2 * block ? n - seen : block;
        NAME(moments_together)(x, at + seen, 1, m, m, &mean_of, &m2_of);
        share = (double)m / (double)(seen + m);
        mean_of -= *mean;
        *mean += mean_of * share;
        *m2 += m2_of + mean_of * mean_of * share * (double)seen;
    }
}

/* The moments of each of some vectors of columns. Rows of a matrix may be a power of two apart, and then push each
 * other out of the cache. So the second pass reads a copy. */
INLINE void NAME(moments_apart)(const real *x, ptrdiff_t rows, ptrdiff_t step, int vectors, ptrdiff_t width,
                                double *mean, double *m2) {
    vec copy[FNN_NORM_ROWS][4], s[4] = {0}, t[4] = {0}, q[4] = {0};
    for (ptrdiff_t r = 0; r < rows; r++) {
        UNROLL for (int k = 0; k < vectors; k++) s[k] += copy[r][k] =
            NAME(load_columns)(x + r * step + k * LANES, width);
    }
    UNROLL for (int k = 0; k < vectors; k++) s[k] /= (real)rows;
    for (ptrdiff_t r = 0; r < rows; r++) {
        UNROLL for (int k = 0; k < vectors; k++) {
            vec d = copy[r][k] - s[k];
            t[k] += d;
            q[k] += d * d;
        }
    }
    UNROLL for (int k = 0; k < vectors; k++) {
        vec left = t[k] / (real)rows;
        NAME(store_doubles)(m2 + k * LANES, q[k] - (real)rows * left * left, width);
        for (ptrdiff_t j = 0; j < width; j++)
            mean[k * LANES + j] = s[k][j] - s[k][j] == 0 ? (double)s[k][j] + (double)left[j] : (double)s[k][j];
    }
}

#include "tile_norm_wide.h"

/* DO(j, vectors, width) for strips of the n columns of a matrix, from column `done` on. A strip begins at column j and
 * has `vectors` vectors of `width` columns. The last strip may overlap the strip before it. */
#define EACH_STRIP(done, n, DO)                                                                                    \
    do {                                                                                                           \
        ptrdiff_t j = done;                                                                                        \
        for (; j + 4 * LANES <= (n); j += 4 * LANES)                                                               \
            DO(j, 4, LANES);                                                                                       \
        for (; j + LANES <= (n); j += LANES)                                                                       \
            DO(j, 1, LANES);                                                                                       \
        if (j < (n) && j > 0)                                                                                      \
            DO((n)-LANES, 1, LANES);                                                                               \
        else if (j < (n))                                                                                          \
            DO(0, 1, n);                                                                                           \
    } while (0)

static void NAME(norm_moments)(const void *x_, ptrdiff_t at, ptrdiff_t rows, ptrdiff_t step, ptrdiff_t n, int each,
                               double *mean, double *m2) {
    const real *x = x_;
    if (!each && rows == 1) {
        NAME(moments_of_row)(x, at, n, mean, m2);
        return;
    }
    if (!each) {
        NAME(moments_together)(x, at, rows, step, n, mean, m2);
        return;
    }
    ptrdiff_t done = 0;
#define MOMENTS(j, m) NAME(moments_wide)(x + at + (j), rows, step, m, mean + (j), m2 + (j))
    EACH_RUN(n, done, MOMENTS);
#undef MOMENTS
#define MOMENTS(j, vectors, width) NAME(moments_apart)(x + at + (j), rows, step, vectors, width, mean + (j), m2 + (j))
    EACH_STRIP(done, n, MOMENTS);
#undef MOMENTS
}

/* DO(j, width) for the vectors of a row of n elements that begins at place `at`. A vector has `width` elements from j
 * on. The first and the last may overlap their neighbours; the others are aligned. A `narrow` row is shorter than a
 * vector, and is taken at once. */
#define EACH_COLUMNS(at, n, narrow, DO)                                                                            \
    do {                                                                                                           \
        if (narrow) {                                                                                              \
            DO(0, n);                                                                                              \
            break;                                                                                                 \
        }                                                                                                          \
        ptrdiff_t j = NAME(head)(at, n);                                                                           \
        if (j)                                                                                                     \
            DO(0, LANES);                                                                                          \
        for (; j + LANES <= (n); j += LANES)                                                                       \
            DO(j, LANES);                                                                                          \
        if (j < (n))                                                                                               \
            DO((n)-LANES, LANES);                                                                                  \
    } while (0)

INLINE void NAME(apply_as)(const real *x, real *y, ptrdiff_t at, ptrdiff_t rows, ptrdiff_t step, ptrdiff_t n,
                           int each, int narrow, const real *means, const real *scales, const real *shifts, int relu) {
    vec mean = NAME(splat)(*means), scale = NAME(splat)(*scales), shift = NAME(splat)(*shifts);
    for (ptrdiff_t r = 0; r < rows; r++, at += step) {
        const real *from = x + at;
        real *to = y + at;
#define APPLY(i, width)                                                                                            \
    {                                                                                                              \
        if (each) {                                                                                                \
            mean = NAME(load_columns)(means + (i), width);                                                         \
            scale = NAME(load_columns)(scales + (i), width);                                                       \
            shift = NAME(load_columns)(shifts + (i), width);                                                       \
        }                                                                                                          \
        vec v = (NAME(load_columns)(from + (i), width) - mean) * scale + shift;                                    \
        NAME(store_columns)(to + (i), relu ? NAME(positive)(v) : v, width);                                        \
    }
        EACH_COLUMNS(at, n, narrow, APPLY);
#undef APPLY
    }
}

static void NAME(norm_apply)(const void *x, void *y, ptrdiff_t at, ptrdiff_t rows, ptrdiff_t step, ptrdiff_t n,
                             int each, const void *mean, const void *scale, const void *shift, int flags) {
    int relu = flags & FNN_RELU;
    if (n < LANES)
        NAME(apply_as)(x, y, at, rows, step, n, 1, 1, mean, scale, shift, relu);
    else if (each)
        NAME(apply_as)(x, y, at, rows, step, n, 1, 0, mean, scale, shift, relu);
    else if (relu)
        NAME(apply_as)(x, y, at, rows, step, n, 0, 0, mean, scale, shift, 1);
    else
        NAME(apply_as)(x, y, at, rows, step, n, 0, 0, mean, scale, shift, 0);
}

INLINE void NAME(add_sums)(const real *dy, const real *x, const real *y, ptrdiff_t at, ptrdiff_t rows, ptrdiff_t step,
                           ptrdiff_t n, real mean, real invstd, double *total, double *slope) {
    vec s[4] = {0}, q[4] = {0};
    for (ptrdiff_t r = 0; r < rows; r++, at += step) {
        const real *dy_row = dy + at, *x_row = x + at, *y_row = y ? y + at : NULL;
#define SUM(i, k, lanes)                                                                                           \
    {                                                                                                              \
        vec g = NAME(keep)(lanes, NAME(through_relu)(NAME(load)(dy_row + (i)), y_row, i));                         \
        s[k] += g;                                                                                                 \
        q[k] += NAME(keep)(lanes, g * ((NAME(load)(x_row + (i)) - mean) * invstd));                                \
    }
        EACH_VECTOR(at, n, SUM);
#undef SUM
    }
    *total += NAME(total_of_4)(s);
    *slope += NAME(total_of_4)(q);
}

INLINE void NAME(sums_together)(const real *dy, const real *x, const real *y, ptrdiff_t at, ptrdiff_t rows,
                                ptrdiff_t step, ptrdiff_t n, real mean, real invstd, double *total, double *slope) {
    double of_g = 0, of_gh = 0;
#define SUMS(r, some, first, m)                                                                                    \
    NAME(add_sums)(dy, x, y, at + (r)*step + (first), some, step, m, mean, invstd, &of_g, &of_gh)
    EACH_BLOCK(rows, n, SUMS);
#undef SUMS
    *total = of_g;
    *slope = of_gh;
}

INLINE void NAME(sums_apart)(const real *dy, const real *x, const real *y, ptrdiff_t rows, ptrdiff_t step, int vectors,
                             ptrdiff_t width, const real *mean, const real *invstd, double *total, double *slope) {
    vec about[4], times[4], s[4] = {0}, q[4] = {0};
    UNROLL for (int k = 0; k < vectors; k++) {
        about[k] = NAME(load_columns)(mean + k * LANES, width);
        times[k] = NAME(load_columns)(invstd + k * LANES, width);
    }
    for (ptrdiff_t r = 0; r < rows; r++) {
        UNROLL for (int k = 0; k < vectors; k++) {
            ptrdiff_t at = r * step + k * LANES;
            vec g = NAME(load_columns)(dy + at, width);
            if (y)
                g = NAME(keep)(NAME(load_columns)(y + at, width) > NAME(splat)(0), g);
            s[k] += g;
            q[k] += g * ((NAME(load_columns)(x + at, width) - about[k]) * times[k]);
        }
    }
    UNROLL for (int k = 0; k < vectors; k++) {
        NAME(store_doubles)(total + k * LANES, s[k], width);
        NAME(store_doubles)(slope + k * LANES, q[k], width);
    }
}

static void NAME(norm_sums)(const void *dy_, const void *x_, const void *y_, ptrdiff_t at, ptrdiff_t rows,
                            ptrdiff_t step, ptrdiff_t n, int each, const void *mean_, const void *invstd_,
                            double *total, double *slope) {
    const real *dy = dy_, *x = x_, *y = y_, *mean = mean_, *invstd = invstd_;
    if (!each && y)
        NAME(sums_together)(dy, x, y, at, rows, step, n, *mean, *invstd, total, slope);
    else if (!each)
        NAME(sums_together)(dy, x, NULL, at, rows, step, n, *mean, *invstd, total, slope);
    else {
        ptrdiff_t done = 0;
#define SUMS(j, m)                                                                                                 \
    NAME(sums_wide)                                                                                                \
    (dy + at + (j), x + at + (j), y ? y + at + (j) : NULL, rows, step, m, mean + (j), invstd + (j), total + (j),   \
     slope + (j))
        EACH_RUN(n, done, SUMS);
#undef SUMS
#define SUMS(j, vectors, width)                                                                                    \
    NAME(sums_apart)                                                                                               \
    (dy + at + (j), x + at + (j), y ? y + at + (j) : NULL, rows, step, vectors, width, mean + (j), invstd + (j),   \
     total + (j), slope + (j))
        EACH_STRIP(done, n, SUMS);
#undef SUMS
    }
}

INLINE void NAME(backward_as)(const real *dy, const real *x, const real *y, real *dx, ptrdiff_t at, ptrdiff_t rows,
                              ptrdiff_t step, ptrdiff_t n, int each, int narrow, const real *means,
                              const real *invstds, const real *scales, const real *shifts, const real *slopes) {
    vec mean = NAME(splat)(*means), scale = NAME(splat)(*scales), shift = NAME(splat)(*shifts);
    vec invstd = NAME(splat)(*invstds), slope = NAME(splat)(*slopes);
    for (ptrdiff_t r = 0; r < rows; r++, at += step) {
        const real *dy_row = dy + at, *x_row = x ? x + at : NULL, *y_row = y ? y + at : NULL;
        real *to = dx + at;
#define BACK(i, width)                                                                                             \
    {                                                                                                              \
        if (each) {                                                                                                \
            mean = NAME(load_columns)(means + (i), width);                                                         \
            invstd = NAME(load_columns)(invstds + (i), width);                                                     \
            scale = NAME(load_columns)(scales + (i), width);                                                       \
            shift = NAME(load_columns)(shifts + (i), width);                                                       \
            slope = NAME(load_columns)(slopes + (i), width);                                                       \
        }                                                                                                          \
        vec g = NAME(load_columns)(dy_row + (i), width);                                                           \
        if (y)                                                                                                     \
            g = NAME(keep)(NAME(load_columns)(y_row + (i), width) > NAME(splat)(0), g);                            \
        g *= scale;                                                                                                \
        if (x) /* in this order the compiler makes two fused operations */                                         \
            g = (g - shift) - (NAME(load_columns)(x_row + (i), width) - mean) * invstd * slope;                    \
        NAME(store_columns)(to + (i), g, width);                                                                   \
    }
        EACH_COLUMNS(at, n, narrow, BACK);
#undef BACK
    }
}

static void NAME(norm_backward)(const void *dy, const void *x, const void *y, void *dx, ptrdiff_t at, ptrdiff_t rows,
                                ptrdiff_t step, ptrdiff_t n, int each, const void *mean, const void *invstd,
                                const void *scale, const void *shift, const void *slope) {
    if (n < LANES)
        NAME(backward_as)(dy, x, y, dx, at, rows, step, n, 1, 1, mean, invstd, scale, shift, slope);
    else if (each)
        NAME(backward_as)(dy, x, y, dx, at, rows, step, n, 1, 0, mean, invstd, scale, shift, slope);
    else if (x && y)
        NAME(backward_as)(dy, x, y, dx, at, rows, step, n, 0, 0, mean, invstd, scale, shift, slope);
    else if (x)
        NAME(backward_as)(dy, x, NULL, dx, at, rows, step, n, 0, 0, mean, invstd, scale, shift, slope);
    else
        NAME(backward_as)(dy, NULL, y, dx, at, rows, step, n, 0, 0, mean, invstd, scale, shift, slope);
}

#include "tile_norm_row.h"

#undef EACH_BLOCK
#undef EACH_VECTOR
#undef EACH_STRIP
#undef EACH_RUN
#undef EACH_ROWS
#undef WIDE
#undef EACH_COLUMNS
#undef ALL
#undef SUMMED
