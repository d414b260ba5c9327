/* Sums and maxima over the lanes of LANES vectors at once. Each of log2(LANES) rounds folds pairs of vectors into
 * one; a vector alone would need as many steps. LOW_h selects, from two vectors, the blocks of h lanes at even
 * places, and HIGH_h those at odd places. */
#if LANES == 16
#define LOW_8 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23
#define LOW_4 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27
#define LOW_2 0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29
#define LOW_1 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define HIGH_8 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31
#define HIGH_4 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31
#define HIGH_2 2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31
#define HIGH_1 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#elif LANES == 8
#define LOW_4 0, 1, 2, 3, 8, 9, 10, 11
#define LOW_2 0, 1, 4, 5, 8, 9, 12, 13
#define LOW_1 0, 2, 4, 6, 8, 10, 12, 14
#define HIGH_4 4, 5, 6, 7, 12, 13, 14, 15
#define HIGH_2 2, 3, 6, 7, 10, 11, 14, 15
#define HIGH_1 1, 3, 5, 7, 9, 11, 13, 15
#elif LANES == 4
#define LOW_2 0, 1, 4, 5
#define LOW_1 0, 2, 4, 6
#define HIGH_2 2, 3, 6, 7
#define HIGH_1 1, 3, 5, 7
#else
#define LOW_1 0, 2
#define HIGH_1 1, 3
#endif

/* Terms that one accumulator takes. Longer sums are cut into blocks, which are added in double precision, so that
 * the error does not grow with the number of terms. */
#define SUM_TERMS 16
#define SUM_ROWS 32

#define FOLD(count, h, f)                                                                                          \
    UNROLL for (int i = 0; i < (count) / 2; i++) v[i] =                                                            \
        f(__builtin_shufflevector(v[2 * i], v[2 * i + 1], LOW_##h),                                                \
          __builtin_shufflevector(v[2 * i], v[2 * i + 1], HIGH_##h))
#if LANES >= 16
#define FOLD_LANES(f) FOLD(16, 8, f); FOLD(8, 4, f); FOLD(4, 2, f); FOLD(2, 1, f)
#elif LANES == 8
#define FOLD_LANES(f) FOLD(8, 4, f); FOLD(4, 2, f); FOLD(2, 1, f)
#elif LANES == 4
#define FOLD_LANES(f) FOLD(4, 2, f); FOLD(2, 1, f)
#else
#define FOLD_LANES(f) FOLD(2, 1, f)
#endif

INLINE vec NAME(plus)(vec a, vec b) { return a + b; }
/* a where a > b, else b; so b where a is NaN */
INLINE vec NAME(larger)(vec a, vec b) { return NAME(choose)(a > b, a, b); }

/* Lane i of the result is the sum over the lanes of v[i], i < LANES. Overwrites v. */
INLINE vec NAME(lane_sums)(vec *v) {
    FOLD_LANES(NAME(plus));
    return v[0];
}
/* Lane i of the result is the largest lane of v[i]. */
INLINE vec NAME(lane_maxes)(vec *v) {
    FOLD_LANES(NAME(larger));
    return v[0];
}

/* Reduces the lanes of one vector: each round joins the two halves of the lanes that are left. */
#define HALVE(join, h)                                                                                             \
    v = join(__builtin_shufflevector(v, v, LOW_##h), __builtin_shufflevector(v, v, HIGH_##h))
#if LANES >= 16
#define HALVE_ALL(join) HALVE(join, 8), HALVE(join, 4), HALVE(join, 2), HALVE(join, 1)
#elif LANES >= 8
#define HALVE_ALL(join) HALVE(join, 4), HALVE(join, 2), HALVE(join, 1)
#elif LANES >= 4
#define HALVE_ALL(join) HALVE(join, 2), HALVE(join, 1)
#else
#define HALVE_ALL(join) HALVE(join, 1)
#endif
INLINE real NAME(lane_sum)(vec v) {
    HALVE_ALL(NAME(plus));
    return v[0];
}
INLINE real NAME(lane_max)(vec v) {
    HALVE_ALL(NAME(larger));
    return v[0];
}

#undef HALVE_ALL
#undef HALVE
#undef FOLD_LANES
#undef FOLD
/* The elements at even places of v[0] and v[1] go to v[0], those at odd places to v[1]. */
INLINE void NAME(part_vectors)(vec *v) {
#if LANES == 8 && VECTOR == 32 /* fewer shuffles than the compiler finds: halves first, then within halves */
    const vec low = __builtin_shufflevector(v[0], v[1], 0, 1, 2, 3, 8, 9, 10, 11);
    const vec high = __builtin_shufflevector(v[0], v[1], 4, 5, 6, 7, 12, 13, 14, 15);
    v[0] = __builtin_shufflevector(low, high, 0, 2, 8, 10, 4, 6, 12, 14);
    v[1] = __builtin_shufflevector(low, high, 1, 3, 9, 11, 5, 7, 13, 15);
#else
    const vec even = __builtin_shufflevector(v[0], v[1], LOW_1);
    v[1] = __builtin_shufflevector(v[0], v[1], HIGH_1);
    v[0] = even;
#endif
}
#undef LOW_8
#undef LOW_4
#undef LOW_2
#undef LOW_1
#undef HIGH_8
#undef HIGH_4
#undef HIGH_2
#undef HIGH_1
