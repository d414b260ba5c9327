/* One dtype of one tier: the vector types, then the families of primitives. Expects SUFFIX, real, integer,
 * unsigned_integer, LANES. */
typedef real NAME(vec) __attribute__((vector_size(VECTOR)));
typedef integer NAME(ivec) __attribute__((vector_size(VECTOR)));
typedef unsigned_integer NAME(bits) __attribute__((vector_size(VECTOR))); /* unsigned, so overflow is defined */
/* The same vector, loaded from or stored to any address. */
typedef real NAME(uvec) __attribute__((vector_size(VECTOR), aligned(sizeof(real)), may_alias));
#define vec NAME(vec)
#define ivec NAME(ivec)

INLINE vec NAME(load)(const real *p) { return *(const NAME(uvec) *)p; }
INLINE void NAME(store)(real *p, vec v) { *(NAME(uvec) *)p = v; }
INLINE vec NAME(splat)(real s) { return s - (vec){0}; }
INLINE ivec NAME(iota)(void) {
    integer lane[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    ivec v;
    memcpy(&v, lane, sizeof v);
    return v;
}
/* mask ? a : b in each lane; the mask is all ones or all zeros there */
INLINE vec NAME(choose)(ivec mask, vec a, vec b) { return (vec)((mask & (ivec)a) | (~mask & (ivec)b)); }
/* A mask of the first n lanes. */
INLINE ivec NAME(first)(ptrdiff_t n) { return NAME(iota)() < (integer)n - (ivec){0}; }
/* Load the first n lanes and set the others to `fill`; store the first n lanes. AVX has masks for this. A copy of n
 * elements is slow, and would dominate short rows. */
#if defined(__AVX512F__)
INLINE vec NAME(load_part)(const real *p, ptrdiff_t n, real fill) {
    vec v = NAME(splat)(fill);
    if (sizeof(real) == 4)
        return (vec)_mm512_mask_loadu_ps((__m512)v, (__mmask16)((1u << n) - 1), p);
    return (vec)_mm512_mask_loadu_pd((__m512d)v, (__mmask8)((1u << n) - 1), p);
}
INLINE void NAME(store_part)(real *p, vec v, ptrdiff_t n) {
    if (sizeof(real) == 4)
        _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
    else
        _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), (__m512d)v);
}
#else
INLINE vec NAME(load_part)(const real *p, ptrdiff_t n, real fill) {
#if defined(__AVX2__)
    ivec mask = NAME(first)(n);
    vec v = sizeof(real) == 4 ? (vec)_mm256_maskload_ps((const float *)p, (__m256i)mask)
                              : (vec)_mm256_maskload_pd((const double *)p, (__m256i)mask);
    return NAME(choose)(mask, v, NAME(splat)(fill));
#else
    vec v = NAME(splat)(fill);
    memcpy(&v, p, (size_t)n * sizeof(real));
    return v;
#endif
}
#if defined(__AVX2__)
/* In halves: AVX has a masked store, but it is slow on processors of AMD, and so is a copy of n elements. */
INLINE void NAME(store_part)(real *p, vec v, ptrdiff_t n) {
    __m256i whole = (__m256i)v;
    __m128i part = _mm256_castsi256_si128(whole);
    char *to = (char *)p;
    if (n >= LANES) {
        NAME(store)(p, v);
        return;
    }
    n *= (ptrdiff_t)sizeof(real);
    if (n & 16) {
        _mm_storeu_si128((__m128i *)to, part);
        part = _mm256_extracti128_si256(whole, 1);
        to += 16;
    }
    if (n & 8) {
        _mm_storel_epi64((__m128i *)to, part);
        part = _mm_unpackhi_epi64(part, part);
        to += 8;
    }
    if (sizeof(real) == 4 && n & 4)
        _mm_storeu_si32(to, part);
}
#else
INLINE void NAME(store_part)(real *p, vec v, ptrdiff_t n) { memcpy(p, &v, (size_t)n * sizeof(real)); }
#endif
#endif
/* np.maximum(x, 0): NaN stays */
INLINE vec NAME(positive)(vec x) { return NAME(choose)(x <= NAME(splat)(0), NAME(splat)(0), x); }

#define IS_DOUBLE (sizeof(real) == 8)

#include "tile_sums.h"
#include "tile_matrix.h"
#include "tile_dot.h"
#include "tile_pool.h"
#include "tile_image.h"
#include "tile_pool_lanes.h"
#include "tile_depthwise.h"
#include "tile_depthwise_rows.h"
#include "tile_math.h"
#include "tile_map.h"
#include "tile_softmax.h"
#include "tile_loss.h"
#include "tile_winograd.h"
#include "tile_norm.h"
#include "tile_local.h"
#include "tile_drop.h"
#include "tile_optim.h"

#undef IS_DOUBLE
#undef vec
#undef ivec
#undef SUFFIX
#undef real
#undef integer
#undef unsigned_integer
#undef LANES
