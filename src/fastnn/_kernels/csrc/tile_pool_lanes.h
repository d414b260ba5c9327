/* Pools of up to LANES planes at once, one in each lane; contracts in fnn.h. Here every pixel of a window is a whole
 * vector, whatever its size, stride and padding. This serves planes whose rows are shorter than a vector, and windows
 * that tile_pool_span.h cannot take in vectors. The planes are transposed first:
 *
 *      plane 0   a0 a1 a2 ...                 pixel 0   a0 b0 c0 ...
 *      plane 1   b0 b1 b2 ...      <->        pixel 1   a1 b1 c1 ...
 *      plane 2   c0 c1 c2 ...                 pixel 2   a2 b2 c2 ...
 */

/* DO(j, width) for blocks of `width` of the n pixels, from j on. Blocks have LANES pixels, and the last may overlap the
 * block before it. With fewer than LANES pixels there is one block of n. */
#define EACH_PIXELS(n, DO)                                                                                         \
    do {                                                                                                           \
        for (ptrdiff_t j = 0; j + LANES <= (n); j = j + LANES < (n) && j + 2 * LANES > (n) ? (n)-LANES : j + LANES) \
            DO(j, LANES);                                                                                          \
        if ((n) < LANES)                                                                                           \
            DO(0, n);                                                                                              \
    } while (0)

INLINE void NAME(planes_in)(vec *pixels, const real *x, ptrdiff_t planes, ptrdiff_t n) {
    vec v[LANES];
#define BLOCK(j, width)                                                                                            \
    {                                                                                                              \
        UNROLL for (int i = 0; i < LANES; i++)                                                                     \
            v[i] = i >= planes          ? NAME(splat)(0)                                                           \
                   : (width) == LANES ? NAME(load)(x + i * n + (j))                                                  \
                                        : NAME(load_part)(x + i * n, width, 0);                                    \
        NAME(transpose_block)(v);                                                                                  \
        UNROLL for (int i = 0; i < LANES; i++) if (i < (width)) pixels[(j) + i] = v[i];                            \
    }
    EACH_PIXELS(n, BLOCK);
#undef BLOCK
}

INLINE void NAME(planes_out)(real *y, ptrdiff_t step, const vec *pixels, ptrdiff_t planes, ptrdiff_t n) {
    vec v[LANES];
#define BLOCK(j, width)                                                                                            \
    {                                                                                                              \
        UNROLL for (int i = 0; i < LANES; i++) v[i] = i < (width) ? pixels[(j) + i] : NAME(splat)(0);              \
        NAME(transpose_block)(v);                                                                                  \
        UNROLL for (int i = 0; i < LANES; i++) if (i < planes) {                                                   \
            if ((width) == LANES || (step == n && i * n + LANES <= planes * n)) /* as in places_out */                  \
                NAME(store)(y + i * step + (j), v[i]);                                                                  \
            else                                                                                                   \
                NAME(store_part)(y + i * step, v[i], width);                                                          \
        }                                                                                                          \
    }
    EACH_PIXELS(n, BLOCK);
#undef BLOCK
}

/* Bytes as integers; see `widen` in tile_pool_span.h */
INLINE ivec NAME(wide_places)(const uint8_t *p) {
#if LANES == 16
    return (ivec)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
#elif LANES == 8 && VECTOR == 64
    return (ivec)_mm512_cvtepu8_epi64(_mm_loadl_epi64((const __m128i *)p));
#elif LANES == 8
    return (ivec)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
#else
    ivec v;
    UNROLL
    for (int i = 0; i < LANES; i++)
        v[i] = p[i];
    return v;
#endif
}

typedef uint8_t NAME(places) __attribute__((vector_size(LANES)));
INLINE void NAME(places_in)(ivec *pixels, const uint8_t *positions, ptrdiff_t planes, ptrdiff_t n) {
    vec v[LANES];
#define BLOCK(j, width)                                                                                            \
    {                                                                                                              \
        for (int i = 0; i < LANES; i++) {                                                                          \
            uint8_t some[LANES] = {0};                                                                             \
            if (i < planes && ((width) == LANES || i * n + LANES <= planes * n))                                    \
                memcpy(some, positions + i * n + (j), LANES);                                                        \
            else if (i < planes)                                                                                   \
                memcpy(some, positions + i * n, (size_t)(width));                                                  \
            v[i] = (vec)NAME(wide_places)(some);                                                                   \
        }                                                                                                          \
        NAME(transpose_block)(v);                                                                                  \
        UNROLL for (int i = 0; i < LANES; i++) if (i < (width)) pixels[(j) + i] = (ivec)v[i];                      \
    }
    EACH_PIXELS(n, BLOCK);
#undef BLOCK
}

/* LANES integers as bytes */
INLINE void NAME(narrow_places)(uint8_t *p, ivec v) {
#if LANES == 16
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8((__m512i)v));
#elif LANES == 8 && VECTOR == 64
    _mm_storel_epi64((__m128i *)p, _mm512_cvtepi64_epi8((__m512i)v));
#elif LANES == 8
    __m128i words = _mm_packs_epi32(_mm256_castsi256_si128((__m256i)v), _mm256_extracti128_si256((__m256i)v, 1));
    _mm_storel_epi64((__m128i *)p, _mm_packus_epi16(words, words));
#else
    NAME(places) narrow = __builtin_convertvector(v, NAME(places));
    memcpy(p, &narrow, LANES);
#endif
}

/* Bytes of planes that follow one another. Those of the next plane are written over what is too many. */
INLINE void NAME(places_out)(uint8_t *positions, const ivec *pixels, ptrdiff_t planes, ptrdiff_t n) {
    vec v[LANES];
    uint8_t bytes[LANES];
#define BLOCK(j, width)                                                                                            \
    {                                                                                                              \
        UNROLL for (int i = 0; i < LANES; i++) v[i] = i < (width) ? (vec)pixels[(j) + i] : NAME(splat)(0);         \
        NAME(transpose_block)(v);                                                                                  \
        for (int i = 0; i < LANES; i++) if (i < planes) {                                                          \
            if ((width) == LANES || i * n + LANES <= planes * n)                                                   \
                NAME(narrow_places)(positions + i * n + (j), (ivec)v[i]);                                          \
            else {                                                                                                 \
                NAME(narrow_places)(bytes, (ivec)v[i]);                                                            \
                memcpy(positions + i * n, bytes, (size_t)(width));                                                 \
            }                                                                                                      \
        }                                                                                                          \
    }
    EACH_PIXELS(n, BLOCK);
#undef BLOCK
}

/* Runs DO for each window. DO may use o, the number of the window; `corner`, its first pixel inside the image; and `kh`
 * and `kw`, the rows and columns of it that are inside. */
#define EACH_WINDOW(w, DO)                                                                                         \
    do {                                                                                                           \
        ptrdiff_t o = 0;                                                                                           \
        for (const fnn_span *row = (w)->rows; row < (w)->rows + (w)->OH; row++)                                    \
            for (const fnn_span *column = (w)->columns; column < (w)->columns + (w)->OW; column++, o++) {          \
                const ptrdiff_t corner = row->start * (w)->W + column->start, kh = row->count, kw = column->count; \
                DO;                                                                                                \
            }                                                                                                      \
    } while (0)

/* Takes the next value of a window. A value that is greater than *most, or is the first NaN, replaces *most, and `here`
 * replaces *at. Intrinsics, because compilers keep the masks in whole vectors, which is several times slower. */
INLINE void NAME(take_larger)(vec value, ivec here, vec *most, ivec *at, int placed) {
#if LANES == 16
    __mmask16 better = _mm512_cmp_ps_mask((__m512)*most, (__m512)*most, _CMP_ORD_Q);
    better = _mm512_mask_cmp_ps_mask(better, (__m512)value, (__m512)*most, _CMP_NLE_UQ);
    *most = (vec)_mm512_mask_mov_ps((__m512)*most, better, (__m512)value);
    if (placed)
        *at = (ivec)_mm512_mask_mov_epi32((__m512i)*at, better, (__m512i)here);
#else
    ivec better = ~(value <= *most) & (*most == *most);
    *most = NAME(choose)(better, value, *most);
    if (placed)
        *at = (ivec)NAME(choose)(better, (vec)here, (vec)*at);
#endif
}

/* pixel + given in the lanes where place is `here`; pixel in the others */
INLINE vec NAME(add_where)(vec pixel, vec given, ivec place, ivec here) {
#if LANES == 16
    __mmask16 chosen = _mm512_cmpeq_epi32_mask((__m512i)place, (__m512i)here);
    return (vec)_mm512_mask_add_ps((__m512)pixel, chosen, (__m512)pixel, (__m512)given);
#else
    return pixel + (vec)((place == here) & (ivec)given);
#endif
}

INLINE void NAME(window_max)(const fnn_windows *w, const vec *pixels, ptrdiff_t corner, ptrdiff_t kh, ptrdiff_t kw,
                             ptrdiff_t first, vec *y, ivec *place, int placed) {
    const vec *top = pixels + corner;
    vec most = *top;
    ivec at = (integer)first - (ivec){0};
    for (ptrdiff_t i = 0; i < kh; i++, top += w->DH * w->W) {
        ivec here = (integer)(first + i * w->KW) - (ivec){0};
        for (ptrdiff_t c = 0; c < kw; c++, here += 1)
            NAME(take_larger)(top[c * w->DW], here, &most, &at, placed);
    }
    *y = most;
    if (placed)
        *place = at;
}

static void NAME(maxpool_lanes)(const fnn_windows *w, const void *x, void *y, uint8_t *positions, ptrdiff_t planes,
                                void *room) {
    vec *pixels = room, *out = pixels + w->H * w->W;
    ivec *places = (ivec *)(out + w->OH * w->OW);
    NAME(planes_in)(pixels, x, planes, w->H * w->W);
#define MAXIMUM(placed)                                                                                            \
    NAME(window_max)                                                                                               \
    (w, pixels, corner, kh, kw, row->skipped * w->KW + column->skipped, out + o, places + o, placed)
    if (positions)
        EACH_WINDOW(w, MAXIMUM(1));
    else
        EACH_WINDOW(w, MAXIMUM(0));
#undef MAXIMUM
    NAME(planes_out)(y, w->OH * w->OW, out, planes, w->OH * w->OW);
    if (positions)
        NAME(places_out)(positions, places, planes, w->OH * w->OW);
}

/* The sum of a window, in the order in which `avgpool` adds: row by row, but in large windows column by column. */
INLINE vec NAME(window_sum)(const vec *top, ptrdiff_t W, ptrdiff_t kh, ptrdiff_t kw) {
    vec total = {0};
    for (ptrdiff_t i = 0; i < kh && kh * kw < LARGE_WINDOW; i++)
        for (ptrdiff_t c = 0; c < kw; c++)
            total += top[i * W + c];
    for (ptrdiff_t c = 0; c < kw && kh * kw >= LARGE_WINDOW; c++) {
        vec column = {0};
        for (ptrdiff_t i = 0; i < kh; i++)
            column += top[i * W + c];
        total += column;
    }
    return total;
}

static void NAME(avgpool_lanes)(const fnn_windows *w, const void *x, void *y, ptrdiff_t planes, void *room) {
    vec *pixels = room, *out = pixels + w->H * w->W;
    ptrdiff_t area = 1;
    real share = 1;
    NAME(planes_in)(pixels, x, planes, w->H * w->W);
    EACH_WINDOW(w, {
        if (area != row->divisor * column->divisor) {
            area = row->divisor * column->divisor;
            share = 1 / (real)area;
        }
        out[o] = NAME(window_sum)(pixels + corner, w->W, kh, kw) * share;
    });
    NAME(planes_out)(y, w->OH * w->OW, out, planes, w->OH * w->OW);
}

static void NAME(maxpool_lanes_backward)(const fnn_windows *w, const void *dy, const uint8_t *positions, void *dx,
                                         ptrdiff_t planes, void *room) {
    vec *pixels = room, *gradients = pixels + w->H * w->W;
    ivec *places = (ivec *)(gradients + w->OH * w->OW);
    NAME(planes_in)(gradients, dy, planes, w->OH * w->OW);
    NAME(places_in)(places, positions, planes, w->OH * w->OW);
    memset(pixels, 0, (size_t)(w->H * w->W) * sizeof(vec));
    EACH_WINDOW(w, {
        const vec given = gradients[o];
        const ivec place = places[o];
        vec *top = pixels + corner;
        for (ptrdiff_t i = 0; i < kh; i++, top += w->DH * w->W) {
            ivec here = (integer)((row->skipped + i) * w->KW + column->skipped) - (ivec){0};
            for (ptrdiff_t c = 0; c < kw; c++, here += 1)
                top[c * w->DW] = NAME(add_where)(top[c * w->DW], given, place, here);
        }
    });
    NAME(planes_out)(dx, w->H * w->W, pixels, planes, w->H * w->W);
}

static void NAME(avgpool_lanes_backward)(const fnn_windows *w, const void *dy, void *dx, ptrdiff_t planes, void *room) {
    vec *pixels = room, *gradients = pixels + w->H * w->W;
    ptrdiff_t area = 1;
    real share = 1;
    NAME(planes_in)(gradients, dy, planes, w->OH * w->OW);
    memset(pixels, 0, (size_t)(w->H * w->W) * sizeof(vec));
    EACH_WINDOW(w, {
        if (area != row->divisor * column->divisor) {
            area = row->divisor * column->divisor;
            share = 1 / (real)area;
        }
        const vec given = gradients[o] * share;
        vec *top = pixels + corner;
        for (ptrdiff_t i = 0; i < kh; i++, top += w->W)
            for (ptrdiff_t c = 0; c < kw; c++)
                top[c] += given;
    });
    NAME(planes_out)(dx, w->H * w->W, pixels, planes, w->H * w->W);
}

#undef LARGE_WINDOW
