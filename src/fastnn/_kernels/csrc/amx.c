/* Products of float32 on AMX's matrix tiles, which multiply bfloat16 and add in float32. docs/dev/amx.md has an
 * example; the contracts are in fnn.h.
 *
 * A float32 x is the sum of three bfloat16: x0 is x rounded, x1 is x - x0 rounded, and x2 is x - x0 - x1.
 * Each has 8 of the 24 bits. A product of two bfloat16 is exact in float32. (x0 + x1 + x2)(y0 + y1 + y2) has nine
 * products; three are left out, which together are at most 2^-24 of the whole. The small products are added before
 * the large ones.
 *
 * A register holds 16 rows of 16 pairs of bfloat16. A register of a has rows of a, and a pair is two neighbours
 * along k. A register of b has pairs along k as rows, with one place for each column. A block of 32 rows or columns
 * is stored in the order of reading: part, then 32 steps of k, then the first 16 rows or columns and the other 16. */
#include "fnn.h"

#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
enum { TILE_ROW = 64, TILE_BYTES = 16 * TILE_ROW };
#define HIGH_HALF _mm512_set1_epi32((int)0xffff0000)

/* The shapes of registers: at most 16 rows of at most 64 bytes. An instruction takes as long as it has rows. */
typedef struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_shapes;

/* ---- Six tile instructions, and the conversion ---------------------------------------------------------------------- */
#if !defined(FNN_EMULATE_TILES)
/* 16 numbers as bfloat16 in the lower half, and 16 more in the upper half; rounded to nearest. Denormals become
 * zero. */
INLINE __m512i to_bfloat16(__m512 low, __m512 high) { return (__m512i)_mm512_cvtne2ps_pbh(high, low); }
#define tile_config _tile_loadconfig
#define tile_release _tile_release
#define tile_zero _tile_zero
#define tile_load _tile_loadd
#define tile_store _tile_stored
#define tile_multiply _tile_dpbf16ps
#else
/* The instructions in C, for CPUs without them, and for sanitizers, which then see what is read and written. Sums are
 * rounded to nearest, and denormals are zero, as in all kernels. */
static _Thread_local uint32_t tile_register[8][16][16];
static _Thread_local tile_shapes tile_shape;

INLINE __m512i rounded(__m512 x) { /* the upper 16 bits of each lane */
    __m512i odd = _mm512_srli_epi32((__m512i)x, 16) & _mm512_set1_epi32(1);
    return _mm512_srli_epi32(_mm512_add_epi32(_mm512_add_epi32((__m512i)x, _mm512_set1_epi32(0x7fff)), odd), 16);
}
INLINE __m512i to_bfloat16(__m512 low, __m512 high) {
    __m512i halves = _mm512_castsi256_si512(_mm512_cvtepi32_epi16(rounded(low)));
    return _mm512_inserti64x4(halves, _mm512_cvtepi32_epi16(rounded(high)), 1);
}

static void tile_config(const void *config) { memcpy(&tile_shape, config, sizeof tile_shape); }
static void tile_release(void) { memset(tile_register, 0xff, sizeof tile_register); } /* NaN */
static void tile_zero(int to) { memset(tile_register[to], 0, TILE_BYTES); }
static void tile_load(int to, const void *from, ptrdiff_t step) {
    for (int r = 0; r < tile_shape.rows[to]; r++)
        memcpy(tile_register[to][r], (const char *)from + r * step, TILE_ROW);
}
static void tile_store(int from, void *to, ptrdiff_t step) {
    for (int r = 0; r < tile_shape.rows[from]; r++)
        memcpy((char *)to + r * step, tile_register[from][r], TILE_ROW);
}
static void tile_multiply(int c, int a, int b) {
    for (int m = 0; m < tile_shape.rows[c]; m++) {
        __m512 first = _mm512_setzero_ps(), second = first;
        for (int k = 0; k < 16; k++) {
            __m512i x = _mm512_set1_epi32((int)tile_register[a][m][k]), y = _mm512_loadu_si512(tile_register[b][k]);
            first = _mm512_fmadd_ps((__m512)_mm512_slli_epi32(x, 16), (__m512)_mm512_slli_epi32(y, 16), first);
            second = _mm512_fmadd_ps((__m512)(x & HIGH_HALF), (__m512)(y & HIGH_HALF), second);
        }
        void *row = tile_register[c][m];
        _mm512_storeu_ps(row, _mm512_loadu_ps(row) + (first + second));
    }
}
#endif

/* ---- Splitting ----------------------------------------------------------------------------------------------------- */
INLINE __mmask16 first_lanes(ptrdiff_t n) { return (__mmask16)(n >= 16 ? 0xffff : n > 0 ? (1 << n) - 1 : 0); }
/* The first n of 16 elements, and zeros in the other lanes. */
INLINE __m512 load_first(const float *p, ptrdiff_t n) { return _mm512_maskz_loadu_ps(first_lanes(n), p); }

INLINE __m512 to_float(__m256i bfloat16) { return (__m512)_mm512_slli_epi32(_mm512_cvtepu16_epi32(bfloat16), 16); }

/* Writes the three parts of 32 numbers, `step` apart. With `pairs`, number i of the first 16 stands beside number i
 * of the second 16; otherwise the numbers keep their order. */
INLINE void split_row(__m512 first, __m512 second, int pairs, __m512i *to, ptrdiff_t step) {
    const __m512i low = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i order = low | _mm512_slli_epi32(_mm512_add_epi32(low, _mm512_set1_epi32(16)), 16);
#pragma GCC unroll 3
    for (int part = 0; part < 3; part++) {
        __m512i both = to_bfloat16(first, second);
        to[part * step] = pairs ? _mm512_permutexvar_epi16(order, both) : both;
        first -= to_float(_mm512_castsi512_si256(both));
        second -= to_float(_mm512_extracti64x4_epi64(both, 1));
    }
}

/* Transposes 16 rows of 16 pairs. Each round interleaves row i of the upper half with row i of the lower half. */
INLINE void transpose(const __m512i *tile, __m512i *to) {
    const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
    __m512i now[16], next[16];
    memcpy(now, tile, sizeof now);
#pragma GCC unroll 4
    for (int round = 0; round < 4; round++) {
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            next[2 * i] = _mm512_permutex2var_epi32(now[i], low, now[i + 8]);
            next[2 * i + 1] = _mm512_permutex2var_epi32(now[i], high, now[i + 8]);
        }
        memcpy(now, next, sizeof now);
    }
    memcpy(to, now, sizeof now);
}

/* One half of a block at 32 steps of k. With `along`, the elements along k are contiguous; otherwise those of one k
 * are. */
INLINE void split_half(__m512i *to, ptrdiff_t part_step, const float *x, ptrdiff_t step, ptrdiff_t rows, ptrdiff_t depth,
                       int along, int columns, __m512i *low, __m512i *high) {
    const __m512i one = _mm512_set1_epi32(1);
    __m512i turned[3][16];
    __mmask16 begin = first_lanes(along ? depth : rows), end = first_lanes(depth - 16);
    for (int i = 0; i < 16; i++) {
        __m512 first, second;
        if (along) {
            first = _mm512_maskz_loadu_ps(i < rows ? begin : 0, x + i * step);
            second = _mm512_maskz_loadu_ps(i < rows ? end : 0, x + i * step + 16);
        } else {
            first = _mm512_maskz_loadu_ps(2 * i < depth ? begin : 0, x + 2 * i * step);
            second = _mm512_maskz_loadu_ps(2 * i + 1 < depth ? begin : 0, x + (2 * i + 1) * step);
        }
        __m512i size = _mm512_slli_epi32((__m512i)first, 1), other = _mm512_slli_epi32((__m512i)second, 1);
        *high = _mm512_max_epu32(*high, _mm512_max_epu32(size, other));
        *low = _mm512_min_epu32(*low, _mm512_min_epu32(_mm512_sub_epi32(size, one), _mm512_sub_epi32(other, one)));
        if (along == columns)
            split_row(first, second, !along, &turned[0][i], 16);
        else
            split_row(first, second, !along, to + i, part_step);
    }
    if (along == columns)
        for (int part = 0; part < 3; part++)
            transpose(turned[part], to + part * part_step);
}

void fnn_amx_split(void *parts, const void *x_, ptrdiff_t step, ptrdiff_t k_step, ptrdiff_t rows, ptrdiff_t depth,
                   int columns, uint32_t *least, uint32_t *most) {
    const float *x = x_;
    ptrdiff_t steps = (depth + FNN_BLOCK - 1) / FNN_BLOCK, part_step = steps * 32;
    __m512i low = _mm512_set1_epi32(-1), high = _mm512_setzero_si512(); /* `low` is of |x| - 1: 0 wraps to the largest */
    __m512i *to = parts;
    ptrdiff_t upper = columns ? 16 : (rows + 1) / 2;
    for (ptrdiff_t s = 0; s < steps; s++, depth -= FNN_BLOCK)
        for (int half = 0; half < 2; half++, to += 16) {
            ptrdiff_t r = half * upper, k = s * FNN_BLOCK, count = half || rows < upper ? rows - r : upper;
            if (k_step != 1)
                columns ? split_half(to, part_step, x + r + k * k_step, k_step, count, depth, 0, 1, &low, &high)
                        : split_half(to, part_step, x + r + k * k_step, k_step, count, depth, 0, 0, &low, &high);
            else if (columns)
                split_half(to, part_step, x + r * step + k, step, count, depth, 1, 1, &low, &high);
            else
                split_half(to, part_step, x + r * step + k, step, count, depth, 1, 0, &low, &high);
        }
    uint32_t lowest = _mm512_reduce_min_epu32(low) / 2 + 1, highest = _mm512_reduce_max_epu32(high) / 2;
    *least = lowest < *least ? lowest : *least;
    *most = highest > *most ? highest : *most;
}

/* ---- Multiplying: sums in registers 0 to 3, 32 rows of a in 4 and 5, 32 columns of b in 6 and 7 --------------------- */
#define LOAD_PART(x, part, first, second)                                                                           \
    tile_load(first, x + ((part * steps + s) * 2) * TILE_BYTES, TILE_ROW);                                          \
    tile_load(second, x + ((part * steps + s) * 2 + 1) * TILE_BYTES, TILE_ROW)
#define LOAD_A(part) LOAD_PART(a, part, 4, 5)
#define LOAD_B(part) LOAD_PART(b, part, 6, 7)
#define ADD_PRODUCTS                                                                                                \
    tile_multiply(0, 4, 6);                                                                                         \
    tile_multiply(1, 4, 7);                                                                                         \
    tile_multiply(2, 5, 6);                                                                                         \
    tile_multiply(3, 5, 7)

/* Stores the rows first .. last of the sums to c, at most 32 columns. */
INLINE void finish(float (*sums)[FNN_BLOCK], ptrdiff_t first, ptrdiff_t last, ptrdiff_t cols, float *c, ptrdiff_t ldc,
                   const float *bias, int flags) {
    for (ptrdiff_t j = 0; j < FNN_BLOCK; j += 16) {
        __mmask16 here = first_lanes(cols - j);
        __m512 start = bias ? _mm512_maskz_loadu_ps(here, bias + j) : _mm512_setzero_ps();
        for (ptrdiff_t m = first; m < last; m++) {
            float *to = c + m * ldc + j;
            __m512 value = _mm512_load_ps(&sums[m][j]) + start;
            if (flags & FNN_ACCUMULATE)
                value += _mm512_maskz_loadu_ps(here, to);
            if (flags & FNN_RELU) /* NaN stays */
                value = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(value, _mm512_setzero_ps(), _CMP_NLE_UQ), value);
            _mm512_mask_storeu_ps(to, here, value);
        }
    }
}

/* The sums of one block are stored while the tiles multiply the next block: other units of the core do the storing. */
void fnn_amx_product(ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t depth, const void *a_, const void *b_, void *c_,
                     ptrdiff_t ldc, const void *bias_, int flags) {
    const char *a = a_, *b = b_;
    const float *bias = bias_;
    float *c = c_, sums[2][FNN_BLOCK][FNN_BLOCK] __attribute__((aligned(64)));
    ptrdiff_t steps = (depth + FNN_BLOCK - 1) / FNN_BLOCK, blocks = (cols + FNN_BLOCK - 1) / FNN_BLOCK;
    uint8_t upper = (uint8_t)((rows + 1) / 2), lower = (uint8_t)(rows / 2 > 0 ? rows / 2 : 1);
    const tile_shapes shapes = {.palette = 1,
                                .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
                                .rows = {upper, upper, lower, lower, upper, lower, 16, 16}};
    tile_config(&shapes);
    for (ptrdiff_t block = 0; block < blocks; block++, b += 3 * steps * 2 * TILE_BYTES) {
        ptrdiff_t before = (block - 1) * FNN_BLOCK;
        tile_zero(0);
        tile_zero(1);
        tile_zero(2);
        tile_zero(3);
        for (ptrdiff_t s = 0; s < steps; s++) {
            LOAD_A(2);
            LOAD_B(0);
            ADD_PRODUCTS;
            LOAD_A(1);
            ADD_PRODUCTS;
            LOAD_B(1);
            ADD_PRODUCTS;
            LOAD_A(0);
            ADD_PRODUCTS;
            LOAD_B(2);
            ADD_PRODUCTS;
            if (block)
                finish(sums[(block - 1) % 2], rows * s / steps, rows * (s + 1) / steps, FNN_BLOCK, c + before, ldc,
                       bias ? bias + before : NULL, flags);
        }
        for (ptrdiff_t s = 0; s < steps; s++) {
            LOAD_A(0);
            LOAD_B(0);
            ADD_PRODUCTS;
        }
        tile_store(0, &sums[block % 2][0][0], sizeof sums[0][0]);
        tile_store(1, &sums[block % 2][0][16], sizeof sums[0][0]);
        tile_store(2, &sums[block % 2][upper][0], sizeof sums[0][0]);
        tile_store(3, &sums[block % 2][upper][16], sizeof sums[0][0]);
    }
    tile_release();
    ptrdiff_t last = (blocks - 1) * FNN_BLOCK;
    finish(sums[(blocks - 1) % 2], 0, rows, cols - last, c + last, ldc, bias ? bias + last : NULL, flags);
}
