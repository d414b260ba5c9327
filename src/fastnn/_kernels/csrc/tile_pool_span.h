/* The pooling rows with vectors of SPAN lanes. EVEN is the shuffle that takes every second element of two vectors.
 * The second vector starts one element early, so that nothing beyond the last window is read. ZIP_LOW and ZIP_HIGH
 * interleave the elements of two vectors. */
typedef real SPAN_NAME(span) __attribute__((vector_size(SPAN * sizeof(real))));
typedef real SPAN_NAME(uspan) __attribute__((vector_size(SPAN * sizeof(real)), aligned(sizeof(real)), may_alias));
typedef integer SPAN_NAME(ispan) __attribute__((vector_size(SPAN * sizeof(real))));
typedef uint8_t SPAN_NAME(bytes) __attribute__((vector_size(SPAN)));
typedef int32_t SPAN_NAME(words) __attribute__((vector_size(SPAN * 4)));
#define span SPAN_NAME(span)
#define ispan SPAN_NAME(ispan)

INLINE span SPAN_NAME(strided)(const real *p, ptrdiff_t stride) {
    if (stride == 1)
        return *(const SPAN_NAME(uspan) *)p;
#if SPAN > 1
    if (stride == 2) {
        span low = *(const SPAN_NAME(uspan) *)p, high = *(const SPAN_NAME(uspan) *)(p + SPAN - 1);
        return __builtin_shufflevector(low, high, EVEN);
    }
#endif
    span v;
    for (int i = 0; i < SPAN; i++)
        v[i] = p[i * stride];
    return v;
}

/* SPAN bytes as integers. An intrinsic, because GCC 12 makes long code of __builtin_convertvector here. */
INLINE ispan SPAN_NAME(widen)(const uint8_t *p) {
#if SPAN == 16 && defined(__AVX512F__)
    return (ispan)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
#elif SPAN == 8 && LANES == VECTOR / 4 && defined(__AVX2__)
    return (ispan)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
#else
    ispan v;
    UNROLL
    for (int i = 0; i < SPAN; i++)
        v[i] = p[i];
    return v;
#endif
}

/* Loops over the vectors of a row of n windows. The last one ends with the row. */
#define SPANS_OF(j, n) for (ptrdiff_t j = 0; j < n; j = j + SPAN < n && j + 2 * SPAN > n ? n - SPAN : j + SPAN)
#define SPANS(j) SPANS_OF(j, n)

static void SPAN_NAME(strided_copy)(real *dst, ptrdiff_t dst_step, const real *src, ptrdiff_t src_step,
                                    ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t n) {
    for (ptrdiff_t r = 0; r < rows; r++, dst += dst_step, src += src_step)
        SPANS(j) {
            span v = SPAN_NAME(strided)(src + j * stride, stride);
            memcpy(dst + j, &v, sizeof v);
        }
}

/* Prefetches memory for windows further on. The amount is that of one vector of windows at stride 2 both ways, which
 * read four new elements each. */
INLINE void SPAN_NAME(ask_ahead)(const real *corner) {
    for (size_t line = 0; line < 4 * SPAN * sizeof(real); line += 64)
        __builtin_prefetch((const char *)corner + ASKED_AHEAD + line, 0, 2);
}

/* A mask where `value` is greater than `most`, or is the first NaN. */
INLINE ispan SPAN_NAME(better)(span value, span most) { return ~(value <= most) & (most == most); }

INLINE span SPAN_NAME(larger)(span value, span most) {
    ispan better = SPAN_NAME(better)(value, most);
    return (span)((better & (ispan)value) | (~better & (ispan)most));
}

INLINE void SPAN_NAME(maxpool_rows)(const real *x, ptrdiff_t W, ptrdiff_t kh, ptrdiff_t kw, ptrdiff_t sh, ptrdiff_t sw,
                                    ptrdiff_t dh, ptrdiff_t dw, ptrdiff_t rows, ptrdiff_t n, real *y,
                                    ptrdiff_t y_step, void *positions, int wide, ptrdiff_t first,
                                    ptrdiff_t row_step) {
    for (ptrdiff_t r = 0; r < rows; r++)
        SPANS(j) {
            const real *corner = x + r * sh * W + j * sw;
            SPAN_NAME(ask_ahead)(corner);
            span most = SPAN_NAME(strided)(corner, sw);
            ispan place = (integer)first - (ispan){0};
            for (ptrdiff_t i = 0; i < kh; i++)
                for (ptrdiff_t c = i ? 0 : 1; c < kw; c++) {
                    span value = SPAN_NAME(strided)(corner + i * dh * W + c * dw, sw);
                    ispan better = SPAN_NAME(better)(value, most);
                    ispan here = (integer)(first + i * row_step + c) - (ispan){0};
                    most = (span)((better & (ispan)value) | (~better & (ispan)most));
                    place = (better & here) | (~better & place);
                }
            memcpy(y + r * y_step + j, &most, sizeof most);
            if (positions && wide) {
                SPAN_NAME(words) narrow = __builtin_convertvector(place, SPAN_NAME(words));
                memcpy((int32_t *)positions + r * y_step + j, &narrow, sizeof narrow);
            } else if (positions) {
                SPAN_NAME(bytes) narrow = __builtin_convertvector(place, SPAN_NAME(bytes));
                memcpy((uint8_t *)positions + r * y_step + j, &narrow, sizeof narrow);
            }
        }
}

/* Maxima without positions: first those of the columns of some rows of windows, then those of the windows. Several
 * rows of columns are written before they are read, because a read that spans two fresh stores would wait for them. */
INLINE void SPAN_NAME(maxima)(const real *x, ptrdiff_t W, ptrdiff_t kh, ptrdiff_t kw, ptrdiff_t sh, ptrdiff_t sw,
                              ptrdiff_t dh, ptrdiff_t dw, ptrdiff_t rows, ptrdiff_t n, real *y, ptrdiff_t y_step) {
    real columns[COLUMNS];
    ptrdiff_t width = (n - 1) * sw + (kw - 1) * dw + 1;
    for (ptrdiff_t first = 0, last; first < rows; first = last) {
        last = first + COLUMNS / width < rows ? first + COLUMNS / width : rows;
        real *at = columns;
        for (ptrdiff_t r = first; r < last; r++, at += width)
            SPANS_OF(j, width) {
                const real *top = x + r * sh * W + j;
                SPAN_NAME(ask_ahead)(top);
                span most = SPAN_NAME(strided)(top, 1);
                for (ptrdiff_t i = 1; i < kh; i++)
                    most = SPAN_NAME(larger)(SPAN_NAME(strided)(top + i * dh * W, 1), most);
                memcpy(at + j, &most, sizeof most);
            }
        at = columns;
        for (ptrdiff_t r = first; r < last; r++, at += width)
            SPANS(j) {
                span most = SPAN_NAME(strided)(at + j * sw, sw);
                for (ptrdiff_t c = 1; c < kw; c++)
                    most = SPAN_NAME(larger)(SPAN_NAME(strided)(at + j * sw + c * dw, sw), most);
                memcpy(y + r * y_step + j, &most, sizeof most);
            }
    }
}

/* Common windows have constant sizes here, so that loops over them unroll. */
static void SPAN_NAME(maxpool)(const real *x, ptrdiff_t W, ptrdiff_t kh, ptrdiff_t kw, ptrdiff_t sh, ptrdiff_t sw,
                               ptrdiff_t dh, ptrdiff_t dw, ptrdiff_t rows, ptrdiff_t n, real *y, ptrdiff_t y_step,
                               void *positions, int wide, ptrdiff_t first, ptrdiff_t row_step) {
    int dense = dh == 1 && dw == 1;
    if (!positions && kh * kw > 4 && (n - 1) * sw + (kw - 1) * dw < COLUMNS) {
        if (dense && kh == 3 && kw == 3 && sw == 2)
            SPAN_NAME(maxima)(x, W, 3, 3, sh, 2, 1, 1, rows, n, y, y_step);
        else
            SPAN_NAME(maxima)(x, W, kh, kw, sh, sw, dh, dw, rows, n, y, y_step);
    } else if (dense && kh == 2 && kw == 2 && sw == 2)
        SPAN_NAME(maxpool_rows)(x, W, 2, 2, sh, 2, 1, 1, rows, n, y, y_step, positions, wide, first, row_step);
    else if (dense && kh == 3 && kw == 3 && sw == 2)
        SPAN_NAME(maxpool_rows)(x, W, 3, 3, sh, 2, 1, 1, rows, n, y, y_step, positions, wide, first, row_step);
    else
        SPAN_NAME(maxpool_rows)(x, W, kh, kw, sh, sw, dh, dw, rows, n, y, y_step, positions, wide, first, row_step);
}

INLINE void SPAN_NAME(avgpool_rows)(const real *x, ptrdiff_t W, ptrdiff_t kh, ptrdiff_t kw, ptrdiff_t sh, ptrdiff_t sw,
                                    ptrdiff_t rows, ptrdiff_t n, real *y, ptrdiff_t y_step, ptrdiff_t divisor) {
    const real share = 1 / (real)divisor;
    for (ptrdiff_t r = 0; r < rows; r++)
        SPANS(j) {
            const real *corner = x + r * sh * W + j * sw;
            SPAN_NAME(ask_ahead)(corner);
            span total = {0};
            for (ptrdiff_t i = 0; i < kh; i++)
                for (ptrdiff_t c = 0; c < kw; c++)
                    total += SPAN_NAME(strided)(corner + i * W + c, sw);
            total *= share;
            memcpy(y + r * y_step + j, &total, sizeof total);
        }
}

static void SPAN_NAME(avgpool)(const real *x, ptrdiff_t W, ptrdiff_t kh, ptrdiff_t kw, ptrdiff_t sh, ptrdiff_t sw,
                               ptrdiff_t rows, ptrdiff_t n, real *y, ptrdiff_t y_step, ptrdiff_t divisor) {
    if (kh == 2 && kw == 2 && sw == 2)
        SPAN_NAME(avgpool_rows)(x, W, 2, 2, sh, 2, rows, n, y, y_step, divisor);
    else if (kh == 3 && kw == 3 && sw == 2)
        SPAN_NAME(avgpool_rows)(x, W, 3, 3, sh, 2, rows, n, y, y_step, divisor);
    else
        SPAN_NAME(avgpool_rows)(x, W, kh, kw, sh, sw, rows, n, y, y_step, divisor);
}

INLINE void SPAN_NAME(zip)(span a, span b, real *out) {
#if SPAN > 1
    span low = __builtin_shufflevector(a, b, ZIP_LOW), high = __builtin_shufflevector(a, b, ZIP_HIGH);
    memcpy(out, &low, sizeof low);
    memcpy(out + SPAN, &high, sizeof high);
#else
    out[0] = a[0];
    out[1] = b[0];
#endif
}

static void SPAN_NAME(unpool_2x2)(const real *dy, const uint8_t *positions, real *dx, ptrdiff_t rows, ptrdiff_t n) {
    for (ptrdiff_t r = 0; r < rows; r++, dy += n, dx += 4 * n) {
        SPANS(j) {
            span g = *(const SPAN_NAME(uspan) *)(dy + j);
            if (!positions) {
                SPAN_NAME(zip)(g / 4, g / 4, dx + 2 * j);
                SPAN_NAME(zip)(g / 4, g / 4, dx + 2 * n + 2 * j);
                continue;
            }
            ispan place = SPAN_NAME(widen)(positions + r * n + j), bits = (ispan)g;
            SPAN_NAME(zip)((span)((place == 0) & bits), (span)((place == 1) & bits), dx + 2 * j);
            SPAN_NAME(zip)((span)((place == 2) & bits), (span)((place == 3) & bits), dx + 2 * n + 2 * j);
        }
    }
}

/* The gradients that SPAN windows give to their pixels at `place`. Without `placed`, every window gives to every
 * pixel. */
INLINE span SPAN_NAME(given)(const real *src, const uint8_t *places, int place, int placed) {
    ispan bits = (ispan)(span)*(const SPAN_NAME(uspan) *)src;
    return (span)(placed ? bits & (SPAN_NAME(widen)(places) == place) : bits);
}

/* The gradients of one row of pixels under 3 x 3 windows at stride 2. The n windows of row h have these pixels at
 * the positions first, first + 1 and first + 2. With has_above, the windows of row a have them at the positions 6, 7
 * and 8. */
INLINE void SPAN_NAME(unpool_row)(real *dst, const real *a, const uint8_t *above, const real *h, const uint8_t *here,
                                  int first, ptrdiff_t n, int has_above, int placed) {
    for (int c = 0; c < 2; c++)
        dst[c] = (has_above ? NAME(given)(a, above, 0, 6 + c) : 0) + NAME(given)(h, here, 0, first + c);
    dst[2 * n] = (has_above ? NAME(given)(a, above, n - 1, 8) : 0) + NAME(given)(h, here, n - 1, first + 2);
    dst += 2;
    n--; /* the other windows, each with the pixel that it shares with the window before it */
    if (n > 0)
        SPANS(j) {
            span even = SPAN_NAME(given)(h + j, here + j, first + 2, placed);
            span odd = SPAN_NAME(given)(h + j + 1, here + j + 1, first + 1, placed);
            if (has_above) {
                even = SPAN_NAME(given)(a + j, above + j, 8, placed) +
                       SPAN_NAME(given)(a + j + 1, above + j + 1, 6, placed) + even;
                odd = SPAN_NAME(given)(a + j + 1, above + j + 1, 7, placed) + odd;
            }
            even += SPAN_NAME(given)(h + j + 1, here + j + 1, first, placed);
            SPAN_NAME(zip)(even, odd, dst + 2 * j);
        }
}

/* Row r of the padded plane meets the rows of windows r/2 and, if it is even, r/2 - 1. */
INLINE void SPAN_NAME(unpool_rows)(const real *dy, const uint8_t *positions, real *dx, ptrdiff_t rows, ptrdiff_t cols,
                                   ptrdiff_t H, ptrdiff_t W, ptrdiff_t PH, ptrdiff_t PW, real *row, int placed) {
    ptrdiff_t n = cols, covered = 2 * n + 1 - PW < W ? 2 * n + 1 - PW : W;
    int in_place = PW == 0 && covered == 2 * n + 1; /* else a row is made in `row`, with the padding */
    for (ptrdiff_t ih = 0; ih < H; ih++, dx += W) {
        ptrdiff_t oh = (ih + PH) / 2, odd = (ih + PH) % 2;
        real *dst = in_place ? dx : row;
        if (oh > rows || (oh == rows && odd)) { /* below all windows */
            memset(dx, 0, (size_t)W * sizeof(real));
            continue;
        }
        const real *h = dy + oh * n, *a = h - n;
        const uint8_t *here = placed ? positions + oh * n : positions, *above = placed ? here - n : positions;
        if (oh == rows)
            SPAN_NAME(unpool_row)(dst, a, above, a, above, 6, n, 0, placed);
        else if (odd || oh == 0)
            SPAN_NAME(unpool_row)(dst, a, above, h, here, odd ? 3 : 0, n, 0, placed);
        else
            SPAN_NAME(unpool_row)(dst, a, above, h, here, 0, n, 1, placed);
        if (!in_place)
            memcpy(dx, row + PW, (size_t)covered * sizeof(real));
        for (ptrdiff_t iw = covered; iw < W; iw++)
            dx[iw] = 0;
    }
}

static void SPAN_NAME(unpool_3x3)(const real *dy, const uint8_t *positions, real *dx, ptrdiff_t rows, ptrdiff_t cols,
                                  ptrdiff_t H, ptrdiff_t W, ptrdiff_t PH, ptrdiff_t PW, real *row) {
    if (positions)
        SPAN_NAME(unpool_rows)(dy, positions, dx, rows, cols, H, W, PH, PW, row, 1);
    else
        SPAN_NAME(unpool_rows)(dy, positions, dx, rows, cols, H, W, PH, PW, row, 0);
}

static void SPAN_NAME(zip_rows)(real *dst, const real *even, const real *odd, ptrdiff_t n) {
    SPANS(j)
    SPAN_NAME(zip)(*(const SPAN_NAME(uspan) *)(even + j), *(const SPAN_NAME(uspan) *)(odd + j), dst + 2 * j);
}

#undef SPANS
#undef SPANS_OF
#undef span
#undef ispan
#undef ZIP_LOW
#undef ZIP_HIGH
#undef SPAN
#undef EVEN
