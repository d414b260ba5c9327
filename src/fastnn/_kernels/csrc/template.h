/* One dtype of one tier: the vector types, then the families of primitives. Expects SUFFIX, real, integer, LANES. */
typedef real NAME(vec) __attribute__((vector_size(VECTOR)));
typedef integer NAME(ivec) __attribute__((vector_size(VECTOR)));
/* The same vectors at any address. */
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
/* mask ? a : b, for a mask of all ones or zeros in each lane */
INLINE vec NAME(choose)(ivec mask, vec a, vec b) { return (vec)((mask & (ivec)a) | (~mask & (ivec)b)); }
/* The first n lanes of memory, the others `fill`; and back. */
INLINE vec NAME(load_part)(const real *p, ptrdiff_t n, real fill) {
    vec v = NAME(splat)(fill);
    memcpy(&v, p, (size_t)n * sizeof(real));
    return v;
}
INLINE void NAME(store_part)(real *p, vec v, ptrdiff_t n) { memcpy(p, &v, (size_t)n * sizeof(real)); }
/* np.maximum(x, 0): NaN stays */
INLINE vec NAME(positive)(vec x) { return NAME(choose)(x <= NAME(splat)(0), NAME(splat)(0), x); }

INLINE real NAME(lane_sum)(vec v) {
    real part[LANES];
    memcpy(part, &v, sizeof v);
    UNROLL
    for (int width = LANES / 2; width; width /= 2)
        for (int i = 0; i < width; i++)
            part[i] += part[i + width];
    return part[0];
}
INLINE real NAME(lane_max)(vec v) {
    real most = v[0];
    for (int i = 1; i < LANES; i++)
        most = !(v[i] <= most) && most == most ? v[i] : most;
    return most;
}

#include "tile_sums.h"
#include "tile_matrix.h"
#include "tile_pool.h"
#include "tile_image.h"
#include "tile_math.h"
#include "tile_loss.h"
#include "tile_winograd.h"
#include "tile_norm.h"
#include "tile_local.h"
#include "tile_drop.h"
#include "tile_optim.h"

#undef vec
#undef ivec
#undef SUFFIX
#undef real
#undef integer
#undef LANES
