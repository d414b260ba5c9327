/* Softmax and its logarithm of one row of n classes, or of columns, and their backwards; contracts in fnn.h. */

/* The largest element; NaN is ignored here, and shows in the sum of exponentials. Four maxima take turns, because
 * one alone would wait for its own result at each step. */
INLINE real NAME(row_max)(const real *x, ptrdiff_t n) {
    const vec lowest = NAME(splat)(-(real)INFINITY);
    vec most[4] = {lowest, lowest, lowest, lowest};
    ptrdiff_t i = 0;
    while (i + 4 * LANES <= n)
        UNROLL
        for (int k = 0; k < 4; k++, i += LANES)
            most[k] = NAME(larger)(NAME(load)(x + i), most[k]);
    for (; i + LANES <= n; i += LANES)
        most[0] = NAME(larger)(NAME(load)(x + i), most[0]);
    if (i < n)
        most[1] = NAME(larger)(NAME(load_part)(x + i, n - i, -(real)INFINITY), most[1]);
    return NAME(lane_max)(NAME(larger)(NAME(larger)(most[0], most[1]), NAME(larger)(most[2], most[3])));
}

INLINE real NAME(few_exp)(const real *x, real most, real *y, ptrdiff_t n) {
    vec total = NAME(splat)(0);
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vec e = NAME(exp)(NAME(load)(x + i) - most);
        total += e;
        if (y)
            NAME(store)(y + i, e);
    }
    if (i < n) {
        vec e = NAME(exp)(NAME(load_part)(x + i, n - i, -(real)INFINITY) - most);
        total += NAME(choose)(NAME(first)(n - i), e, NAME(splat)(0)); /* padding is NaN too where a row is -inf */
        if (y)
            NAME(store_part)(y + i, e, n - i);
    }
    return NAME(lane_sum)(total);
}

/* y = exp(x - most), unless y is NULL; returns the sum. */
INLINE real NAME(row_exp)(const real *x, real most, real *y, ptrdiff_t n) {
    const ptrdiff_t block = 4 * SUM_TERMS * LANES;
    double total = 0;
    if (n <= block)
        return NAME(few_exp)(x, most, y, n);
    for (ptrdiff_t i = 0; i < n; i += block)
        total += (double)NAME(few_exp)(x + i, most, y ? y + i : NULL, n - i < block ? n - i : block);
    return (real)total;
}

#define PART(p) NAME(load_part)((p) + i, left, 0)
INLINE real NAME(few_products)(const real *a, const real *b, ptrdiff_t n) {
    vec total[4] = {{0}, {0}, {0}, {0}};
    ptrdiff_t i = 0, left = LANES;
    while (i + 4 * LANES <= n)
        UNROLL
        for (int k = 0; k < 4; k++, i += LANES)
            total[k] += b ? PART(a) * PART(b) : PART(a);
    for (; i < n; i += LANES) {
        left = n - i < LANES ? n - i : LANES;
        total[0] += b ? PART(a) * PART(b) : PART(a);
    }
    return NAME(lane_sum)((total[0] + total[1]) + (total[2] + total[3]));
}

/* The sum of a, or of a*b if b is not NULL; four sums take turns, as four maxima do above. */
INLINE real NAME(row_sum)(const real *a, const real *b, ptrdiff_t n) {
    const ptrdiff_t block = 4 * SUM_TERMS * LANES;
    double total = 0;
    if (n <= block)
        return NAME(few_products)(a, b, n);
    for (ptrdiff_t i = 0; i < n; i += block)
        total += (double)NAME(few_products)(a + i, b ? b + i : NULL, n - i < block ? n - i : block);
    return (real)total;
}

/* y = f over n elements; f is an expression in i and `left` */
#define ROW_STORE(y, f)                                                                                            \
    {                                                                                                              \
        ptrdiff_t i = 0, left = LANES;                                                                             \
        for (; i + LANES <= n; i += LANES)                                                                         \
            NAME(store)((y) + i, f);                                                                               \
        left = n - i;                                                                                              \
        if (left)                                                                                                  \
            NAME(store_part)((y) + i, f, left);                                                                    \
    }

static void NAME(softmax)(const void *x, void *y_, ptrdiff_t n, const double *settings) {
    real *y = y_;
    real most = NAME(row_max)(x, n), total = NAME(row_exp)(x, most, y, n), share = 1 / total;
    ROW_STORE(y, PART(y) * share)
}

static void NAME(softmax_backward)(const void *dy_, const void *y_, void *dx_, ptrdiff_t n, const double *settings) {
    const real *dy = dy_, *y = y_;
    real *dx = dx_, inner = NAME(row_sum)(dy, y, n);
    ROW_STORE(dx, PART(y) * (PART(dy) - inner))
}

static void NAME(log_softmax)(const void *x_, void *y_, ptrdiff_t n, const double *settings) {
    const real *x = x_;
    real *y = y_;
    real most = NAME(row_max)(x, n), total = NAME(row_exp)(x, most, NULL, n);
    real log_total = IS_DOUBLE ? (real)log((double)total) : (real)logf((float)total);
    ROW_STORE(y, (PART(x) - most) - log_total)
}

static void NAME(log_softmax_backward)(const void *dy_, const void *y_, void *dx_, ptrdiff_t n,
                                       const double *settings) {
    const real *dy = dy_, *y = y_;
    real *dx = dx_, total = NAME(row_sum)(dy, NULL, n);
    ROW_STORE(dx, PART(dy) - NAME(exp)(PART(y)) * total)
}

#undef ROW_STORE
#undef PART

#define WIDE (VECTOR >= 64 ? 4 : 8) /* vectors of a strip whose sums need few registers: 256 bytes, or what fits */
#define WIDE_ROWS 64                /* from here on, wide strips of two arrays would leave the first-level cache */

/* Columns, in strips of up to WIDE vectors that are read several times while they are in a cache:
 *
 *        columns ->
 *      k [v0 v0 v0 v0|v1 v1 v1 v1|...]     row k of the strip; row k + 1 is `step` elements further on
 *      | [v0 v0 v0 v0|v1 v1 v1 v1|...]     lane i of vector v is one column, so no lane is ever added to another
 *
 * ROWS runs f for row k and vector v, where `at` is the offset of that vector. The last strip of all has one vector
 * of `width` lanes. */
#define ROWS(first, last, f)                                                                                       \
    for (ptrdiff_t k = (first); k < (last); k++)                                                                   \
        UNROLL                                                                                                     \
        for (int v = 0; v < vectors; v++) {                                                                        \
            const ptrdiff_t at = k * step + v * LANES;                                                             \
            f;                                                                                                     \
        }
#define AT(p) (width == LANES ? NAME(load)((p) + at) : NAME(load_part)((p) + at, width, 0))
#define PUT(p, value)                                                                                              \
    do {                                                                                                           \
        if (width == LANES)                                                                                        \
            NAME(store)((p) + at, value);                                                                          \
        else                                                                                                       \
            NAME(store_part)((p) + at, value, width);                                                              \
    } while (0)

/* total[v] = the sum over all rows of f, which adds to part[v]. Blocks of rows are added in double precision. */
#define SUM_COLUMNS(f)                                                                                             \
    do {                                                                                                           \
        double totals[WIDE * LANES] = {0};                                                                         \
        for (ptrdiff_t first = 0; first < n; first += SUM_ROWS) {                                                  \
            vec part[WIDE] = {{0}};                                                                                \
            ROWS(first, n - first < SUM_ROWS ? n : first + SUM_ROWS, f)                                            \
            UNROLL for (int v = 0; v < vectors; v++) {                                                             \
                total[v] = part[v];                                                                                \
                for (int i = 0; i < LANES && n > SUM_ROWS; i++)                                                    \
                    totals[v * LANES + i] += (double)part[v][i];                                                   \
            }                                                                                                      \
        }                                                                                                          \
        for (int v = 0; v < vectors && n > SUM_ROWS; v++)                                                          \
            for (int i = 0; i < LANES; i++)                                                                        \
                total[v][i] = (real)totals[v * LANES + i];                                                         \
    } while (0)

INLINE void NAME(softmax_strip)(const real *x, real *y, ptrdiff_t n, ptrdiff_t step, int vectors, ptrdiff_t width,
                                int logged) {
    vec most[WIDE], total[WIDE] = {{0}};
    UNROLL for (int v = 0; v < vectors; v++) most[v] = NAME(splat)(-(real)INFINITY);
    ROWS(0, n, most[v] = NAME(larger)(AT(x), most[v]))
    if (logged) {
        SUM_COLUMNS(part[v] += NAME(exp)(AT(x) - most[v]));
        UNROLL for (int v = 0; v < vectors; v++) total[v] = NAME(log_of)(total[v]);
        ROWS(0, n, PUT(y, (AT(x) - most[v]) - total[v]))
    } else {
        SUM_COLUMNS(vec e = NAME(exp)(AT(x) - most[v]); part[v] += e; PUT(y, e));
        UNROLL for (int v = 0; v < vectors; v++) total[v] = 1 / total[v];
        ROWS(0, n, PUT(y, AT(y) * total[v]))
    }
}

INLINE void NAME(softmax_strip_backward)(const real *dy, const real *y, real *dx, ptrdiff_t n, ptrdiff_t step,
                                         int vectors, ptrdiff_t width, int logged) {
    vec total[WIDE] = {{0}};
    if (logged) {
        SUM_COLUMNS(part[v] += AT(dy));
        ROWS(0, n, PUT(dx, AT(dy) - NAME(exp)(AT(y)) * total[v]))
    } else {
        SUM_COLUMNS(part[v] += AT(dy) * AT(y));
        ROWS(0, n, PUT(dx, AT(y) * (AT(dy) - total[v])))
    }
}

/* DO(j, vectors, width) for strips of columns from j on */
#define STRIPS(columns, wide, DO)                                                                                  \
    ptrdiff_t j = 0;                                                                                               \
    for (; (wide) && j + WIDE * LANES <= (columns); j += WIDE * LANES)                                             \
        DO(j, WIDE, LANES);                                                                                        \
    for (; j + 4 * LANES <= (columns); j += 4 * LANES)                                                             \
        DO(j, 4, LANES);                                                                                           \
    for (; j + LANES <= (columns); j += LANES)                                                                     \
        DO(j, 1, LANES);                                                                                           \
    if (j < (columns))                                                                                             \
        DO(j, 1, (columns)-j)

static void NAME(softmax_columns)(const void *x_, void *y_, ptrdiff_t columns, ptrdiff_t n, ptrdiff_t step,
                                  int logged) {
    const real *x = x_;
    real *y = y_;
#define STRIP(j, vectors, width)                                                                                   \
    do {                                                                                                           \
        if (logged)                                                                                                \
            NAME(softmax_strip)(x + (j), y + (j), n, step, vectors, width, 1);                                     \
        else                                                                                                       \
            NAME(softmax_strip)(x + (j), y + (j), n, step, vectors, width, 0);                                     \
    } while (0)
    STRIPS(columns, 0, STRIP);
#undef STRIP
}

static void NAME(softmax_columns_backward)(const void *dy_, const void *y_, void *dx_, ptrdiff_t columns, ptrdiff_t n,
                                           ptrdiff_t step, int logged) {
    const real *dy = dy_, *y = y_;
    real *dx = dx_;
#define STRIP(j, vectors, width)                                                                                   \
    do {                                                                                                           \
        if (logged)                                                                                                \
            NAME(softmax_strip_backward)(dy + (j), y + (j), dx + (j), n, step, vectors, width, 1);                 \
        else                                                                                                       \
            NAME(softmax_strip_backward)(dy + (j), y + (j), dx + (j), n, step, vectors, width, 0);                 \
    } while (0)
    STRIPS(columns, n < WIDE_ROWS, STRIP);
#undef STRIP
}

/* Short rows leave lanes empty, and each ends in sums over lanes. With a row in each lane, columns are vectors. */
static void NAME(softmax_short)(const void *x_, void *y_, ptrdiff_t rows, ptrdiff_t n, int logged) {
    const real *x = x_;
    real *y = y_;
    vec room[FNN_SHORT_ROW];
    for (ptrdiff_t r = 0; r < rows; r += LANES) {
        const ptrdiff_t some = rows - r < LANES ? rows - r : LANES;
        NAME(planes_in)(room, x + r * n, some, n);
        if (logged)
            NAME(softmax_strip)((real *)room, (real *)room, n, LANES, 1, LANES, 1);
        else
            NAME(softmax_strip)((real *)room, (real *)room, n, LANES, 1, LANES, 0);
        NAME(planes_out)(y + r * n, n, room, some, n);
    }
}

static void NAME(softmax_short_backward)(const void *dy_, const void *y_, void *dx_, ptrdiff_t rows, ptrdiff_t n,
                                         int logged) {
    const real *dy = dy_, *y = y_;
    real *dx = dx_;
    vec slopes[FNN_SHORT_ROW], room[FNN_SHORT_ROW];
    for (ptrdiff_t r = 0; r < rows; r += LANES) {
        const ptrdiff_t some = rows - r < LANES ? rows - r : LANES;
        NAME(planes_in)(slopes, dy + r * n, some, n);
        NAME(planes_in)(room, y + r * n, some, n);
        if (logged)
            NAME(softmax_strip_backward)((real *)slopes, (real *)room, (real *)slopes, n, LANES, 1, LANES, 1);
        else
            NAME(softmax_strip_backward)((real *)slopes, (real *)room, (real *)slopes, n, LANES, 1, LANES, 0);
        NAME(planes_out)(dx + r * n, n, slopes, some, n);
    }
}
#undef ROWS
#undef AT
#undef PUT
#undef SUM_COLUMNS
#undef STRIPS
#undef WIDE
#undef WIDE_ROWS
