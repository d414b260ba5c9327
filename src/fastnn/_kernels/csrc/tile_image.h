/* Moving data: rows of an image with padding and stride, rows of a matrix, and transposition. Contracts in fnn.h. */

/* Output columns whose input column iw0 + j*step lies inside [0, W): [*from, *to). */
INLINE void NAME(inside)(ptrdiff_t cols, ptrdiff_t W, ptrdiff_t iw0, ptrdiff_t step, ptrdiff_t *from, ptrdiff_t *to) {
    ptrdiff_t lo = iw0 >= 0 ? 0 : (-iw0 - 1) / step + 1;
    ptrdiff_t hi = iw0 >= W ? 0 : (W - iw0 - 1) / step + 1;
    *from = lo < cols ? lo : cols;
    *to = hi < *from ? *from : hi < cols ? hi : cols;
}

/* Short rows are the usual case, in maps of 8 or 16 columns. Two overlapping moves of a fixed size need no inner loop.
 * A row of 6 elements, with w = 4:   head [0 1 2 3]   tail [2 3 4 5] */
#define MOVE(w)                                                                                                    \
    if (cols >= (w)) {                                                                                             \
        for (ptrdiff_t i = 0; i < rows; i++, d += dst_step, s += src_step) {                                       \
            real head[w], tail[w];                                                                                 \
            memcpy(head, s, sizeof head);                                                                          \
            memcpy(tail, s + cols - (w), sizeof tail);                                                             \
            memcpy(d, head, sizeof head);                                                                          \
            memcpy(d + cols - (w), tail, sizeof tail);                                                             \
        }                                                                                                          \
        return;                                                                                                    \
    }
static void NAME(copy)(void *dst, ptrdiff_t dst_step, const void *src, ptrdiff_t src_step, ptrdiff_t rows,
                       ptrdiff_t cols) {
    real *d = dst;
    const real *s = src;
    if (cols > 2 * LANES) {
        for (ptrdiff_t i = 0; i < rows; i++, d += dst_step, s += src_step) {
            for (ptrdiff_t j = 0; j + LANES <= cols; j += LANES)
                NAME(store)(d + j, NAME(load)(s + j));
            NAME(store)(d + cols - LANES, NAME(load)(s + cols - LANES));
        }
        return;
    }
    MOVE(16) MOVE(8) MOVE(4) MOVE(2) MOVE(1)
}
#undef MOVE

/* The same for sums. Where head and tail overlap, both hold the same sum, because both were read before either is
 * stored. */
#define ADD(w)                                                                                                     \
    if (cols >= (w)) {                                                                                             \
        for (ptrdiff_t i = 0; i < rows; i++, d += dst_step, s += src_step) {                                       \
            real head[w], tail[w];                                                                                 \
            UNROLL for (int j = 0; j < (w); j++) head[j] = d[j] + s[j];                                            \
            UNROLL for (int j = 0; j < (w); j++) tail[j] = d[cols - (w) + j] + s[cols - (w) + j];                  \
            memcpy(d, head, sizeof head);                                                                          \
            memcpy(d + cols - (w), tail, sizeof tail);                                                             \
        }                                                                                                          \
        return;                                                                                                    \
    }
static void NAME(add)(void *dst, ptrdiff_t dst_step, const void *src, ptrdiff_t src_step, ptrdiff_t rows,
                      ptrdiff_t cols) {
    real *d = dst;
    const real *s = src;
    if (cols > 2 * LANES) {
        for (ptrdiff_t i = 0; i < rows; i++, d += dst_step, s += src_step) {
            vec tail = NAME(load)(d + cols - LANES) + NAME(load)(s + cols - LANES);
            for (ptrdiff_t j = 0; j + LANES <= cols; j += LANES)
                NAME(store)(d + j, NAME(load)(d + j) + NAME(load)(s + j));
            NAME(store)(d + cols - LANES, tail);
        }
        return;
    }
    ADD(16) ADD(8) ADD(4) ADD(2) ADD(1)
}
#undef ADD

static void NAME(unfold_plane)(void *dst, ptrdiff_t rows, ptrdiff_t cols, const void *src, ptrdiff_t H, ptrdiff_t W,
                               ptrdiff_t ih0, ptrdiff_t ih_step, ptrdiff_t iw0, ptrdiff_t iw_step) {
    real *d = dst;
    const real *s = (const real *)src + iw0;
    ptrdiff_t from, to, first, last;
    NAME(inside)(cols, W, iw0, iw_step, &from, &to);
    NAME(inside)(rows, H, ih0, ih_step, &first, &last);
    memset(d, 0, (size_t)(first * cols) * sizeof(real));
    memset(d + last * cols, 0, (size_t)((rows - last) * cols) * sizeof(real));
    if (iw_step == 1) {
        NAME(copy)(d + first * cols + from, cols, s + (ih0 + first * ih_step) * W + from, ih_step * W, last - first,
                   to - from);
    } else {
        NAME(strided_copy)(d + first * cols + from, cols, s + (ih0 + first * ih_step) * W + from * iw_step,
                           ih_step * W, iw_step, last - first, to - from);
    }
    for (ptrdiff_t j = 0; j < from; j++)
        for (ptrdiff_t r = first; r < last; r++)
            d[r * cols + j] = 0;
    for (ptrdiff_t j = to; j < cols; j++)
        for (ptrdiff_t r = first; r < last; r++)
            d[r * cols + j] = 0;
}

static void NAME(fold_plane)(void *dst, ptrdiff_t H, ptrdiff_t W, const void *src, ptrdiff_t rows, ptrdiff_t cols,
                             ptrdiff_t ih0, ptrdiff_t ih_step, ptrdiff_t iw0, ptrdiff_t iw_step) {
    const real *s = src;
    ptrdiff_t from, to;
    NAME(inside)(cols, W, iw0, iw_step, &from, &to);
    for (ptrdiff_t r = 0; r < rows; r++, s += cols) {
        ptrdiff_t ih = ih0 + r * ih_step;
        if (ih < 0 || ih >= H)
            continue;
        real *d = (real *)dst + ih * W + iw0;
        for (ptrdiff_t j = from; j < to; j++)
            d[j * iw_step] += s[j];
    }
}

/* Transposes a block of LANES x LANES in log2(LANES) rounds. A round zips vector i of the upper half with vector i of
 * the lower half. For four lanes:
 *
 *      a0 a1 a2 a3                 a0 c0 a1 c1                 a0 b0 c0 d0
 *      b0 b1 b2 b3   zip a with c  a2 c2 a3 c3   zip again     a1 b1 c1 d1
 *      c0 c1 c2 c3   zip b with d  b0 d0 b1 d1                 a2 b2 c2 d2
 *      d0 d1 d2 d3                 b2 d2 b3 d3                 a3 b3 c3 d3     */
#if LANES == 16
#define LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif LANES == 8
#define LOW 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH 4, 12, 5, 13, 6, 14, 7, 15
#elif LANES == 4
#define LOW 0, 4, 1, 5
#define HIGH 2, 6, 3, 7
#else
#define LOW 0, 2
#define HIGH 1, 3
#endif
/* v[0] and v[1], zipped */
INLINE void NAME(zip_vectors)(vec *v) {
    const vec low = __builtin_shufflevector(v[0], v[1], LOW);
    v[1] = __builtin_shufflevector(v[0], v[1], HIGH);
    v[0] = low;
}
INLINE void NAME(transpose_block)(vec *v) {
    vec w[LANES];
    UNROLL
    for (int width = 1; width < LANES; width *= 2) {
        UNROLL
        for (int i = 0; i < LANES / 2; i++) {
            w[2 * i] = __builtin_shufflevector(v[i], v[i + LANES / 2], LOW);
            w[2 * i + 1] = __builtin_shufflevector(v[i], v[i + LANES / 2], HIGH);
        }
        UNROLL
        for (int i = 0; i < LANES; i++)
            v[i] = w[i];
    }
}
#undef LOW
#undef HIGH

/* A block of height rows and width columns: the first lanes of each vector are stored. */
#define PART(w)                                                                                                    \
    if (height >= (w)) {                                                                                           \
        for (ptrdiff_t j = 0; j < width; j++) { /* two overlapping moves */                                        \
            memcpy(d + offsets[j], (const real *)&v[j], (w) * sizeof(real));                                       \
            memcpy(d + offsets[j] + height - (w), (const real *)&v[j] + height - (w), (w) * sizeof(real));         \
        }                                                                                                          \
        return;                                                                                                    \
    }
static __attribute__((noinline)) void NAME(transpose_edge)(real *d, const ptrdiff_t *offsets, const real *s,
                                                           ptrdiff_t src_step, ptrdiff_t height, ptrdiff_t width) {
    vec v[LANES];
    if (width == LANES) {
        UNROLL
        for (int i = 0; i < LANES; i++)
            v[i] = i < height ? NAME(load)(s + i * src_step) : NAME(splat)(0);
    } else {
        UNROLL
        for (int i = 0; i < LANES; i++)
            v[i] = i < height ? NAME(load_part)(s + i * src_step, width, 0) : NAME(splat)(0);
    }
    NAME(transpose_block)(v);
    if (HAS_MASKS || height == LANES) {
        UNROLL
        for (int j = 0; j < LANES; j++)
            if (j < width)
                NAME(store_part)(d + offsets[j], v[j], height);
        return;
    }
    PART(8) PART(4) PART(2) PART(1)
}

/* A block of whole vectors, without the branches of the blocks at the edges. */
INLINE void NAME(transpose_whole)(real *d, const ptrdiff_t *offsets, const real *s, ptrdiff_t src_step) {
    vec v[LANES];
    UNROLL
    for (int i = 0; i < LANES; i++)
        v[i] = NAME(load)(s + i * src_step);
    NAME(transpose_block)(v);
    UNROLL
    for (int j = 0; j < LANES; j++)
        NAME(store)(d + offsets[j], v[j]);
}

static void NAME(transpose)(void *dst, const ptrdiff_t *offsets, const void *src, ptrdiff_t src_step, ptrdiff_t rows,
                            ptrdiff_t cols) {
    const real *s = src;
    real *d = dst;
    ptrdiff_t i0 = 0, width = cols < LANES ? cols : LANES;
    for (; rows - i0 >= (LANES + 3) / 4 && cols > 1; i0 += LANES) {
        ptrdiff_t height = rows - i0 < LANES ? rows - i0 : LANES;
        for (ptrdiff_t j0 = 0; j0 < cols; j0 += LANES) {
            j0 = j0 + width > cols ? cols - width : j0; /* the last block ends with the row */
            if (height == LANES && width == LANES)
                NAME(transpose_whole)(d + i0, offsets + j0, s + i0 * src_step + j0, src_step);
            else
                NAME(transpose_edge)(d + i0, offsets + j0, s + i0 * src_step + j0, src_step, height, width);
        }
    }
    for (; i0 < rows; i0++)
        for (ptrdiff_t j = 0; j < cols; j++)
            d[offsets[j] + i0] = s[i0 * src_step + j];
}
#undef PART
