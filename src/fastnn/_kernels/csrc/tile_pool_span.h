/* One vector width of the pooling rows. Expects SPAN lanes and EVEN, the shuffle that takes every second element of
 * two vectors of which the second starts one element early (so that nothing beyond the last window is read). */
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

INLINE void SPAN_NAME(maxpool)(const real *x, ptrdiff_t W, ptrdiff_t kh, ptrdiff_t kw, ptrdiff_t stride, ptrdiff_t n,
                               real *y, void *positions, int wide, ptrdiff_t first, ptrdiff_t row_step) {
    for (ptrdiff_t j = 0; j < n; j = j + SPAN < n && j + 2 * SPAN > n ? n - SPAN : j + SPAN) {
        const real *corner = x + j * stride;
        span most = SPAN_NAME(strided)(corner, stride);
        ispan place = (integer)first - (ispan){0};
        for (ptrdiff_t i = 0; i < kh; i++)
            for (ptrdiff_t c = i ? 0 : 1; c < kw; c++) {
                span value = SPAN_NAME(strided)(corner + i * W + c, stride);
                /* greater, or the first NaN */
                ispan better = ~(value <= most) & (most == most);
                ispan here = (integer)(first + i * row_step + c) - (ispan){0};
                most = (span)((better & (ispan)value) | (~better & (ispan)most));
                place = (better & here) | (~better & place);
            }
        memcpy(y + j, &most, sizeof most);
        if (positions && wide) {
            SPAN_NAME(words) narrow = __builtin_convertvector(place, SPAN_NAME(words));
            memcpy((int32_t *)positions + j, &narrow, sizeof narrow);
        } else if (positions) {
            SPAN_NAME(bytes) narrow = __builtin_convertvector(place, SPAN_NAME(bytes));
            memcpy((uint8_t *)positions + j, &narrow, sizeof narrow);
        }
    }
}

INLINE void SPAN_NAME(avgpool)(const real *x, ptrdiff_t W, ptrdiff_t kh, ptrdiff_t kw, ptrdiff_t stride, ptrdiff_t n,
                               real *y, ptrdiff_t divisor) {
    for (ptrdiff_t j = 0; j < n; j = j + SPAN < n && j + 2 * SPAN > n ? n - SPAN : j + SPAN) {
        span total = {0};
        for (ptrdiff_t i = 0; i < kh; i++)
            for (ptrdiff_t c = 0; c < kw; c++)
                total += SPAN_NAME(strided)(x + j * stride + i * W + c, stride);
        total /= (real)divisor;
        memcpy(y + j, &total, sizeof total);
    }
}

#undef span
#undef ispan
#undef SPAN
#undef EVEN
