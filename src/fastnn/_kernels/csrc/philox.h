/* Philox4x32-10, a counter-based generator (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1,
 * 2, 3", SC'11). Any word follows from its index alone, and is the same for every vector width. A lane of 64 bits
 * holds 32 bits, because the multiplication gives 64. Multiplications ignore the upper half, so it may hold
 * anything. */
typedef uint64_t philox_lanes __attribute__((vector_size(VECTOR)));

/* The lower halves of the lanes times m. Intrinsics, because compilers multiply all 64 bits. That is slower, and much
 * slower on a CPU without an instruction for it. */
INLINE philox_lanes philox_multiply(philox_lanes v, uint64_t m) {
#if defined(__AVX512F__)
    return (philox_lanes)_mm512_mul_epu32((__m512i)v, (__m512i)((philox_lanes){0} + m));
#elif defined(__AVX2__)
    return (philox_lanes)_mm256_mul_epu32((__m256i)v, (__m256i)((philox_lanes){0} + m));
#elif defined(__x86_64__)
    return (philox_lanes)_mm_mul_epu32((__m128i)v, (__m128i)((philox_lanes){0} + m));
#else
    return (v & 0xFFFFFFFFu) * m;
#endif
}

/* Words of the counters start + 2*i, i < lanes. */
INLINE void philox_block(philox_lanes *c, uint64_t start, uint64_t stream, uint64_t step) {
    uint64_t lane[] = {0, 2, 4, 6, 8, 10, 12, 14};
    philox_lanes counter;
    memcpy(&counter, lane, sizeof counter);
    counter += start;
    c[0] = counter, c[1] = counter >> 32;
    c[2] = (philox_lanes){0} + step, c[3] = (philox_lanes){0} + (step >> 32);
    uint32_t key[2] = {(uint32_t)stream, (uint32_t)(stream >> 32)};
    UNROLL for (int round = 0; round < 10; round++) {
        philox_lanes p0 = philox_multiply(c[0], 0xD2511F53u), p1 = philox_multiply(c[2], 0xCD9E8D57u);
        c[0] = (p1 >> 32) ^ c[1] ^ key[0], c[1] = p1;
        c[2] = (p0 >> 32) ^ c[3] ^ key[1], c[3] = p0;
        key[0] += 0x9E3779B9u;
        key[1] += 0xBB67AE85u;
    }
}

static void philox(uint32_t *words, uint64_t group, ptrdiff_t groups, uint64_t stream, uint64_t step) {
    enum { LANES_64 = VECTOR / 8 };
    for (uint64_t start = 16 * group; groups-- > 0; start += 16, words += 64) {
        for (int i = 0; i < 16; i += 2 * LANES_64) {
            philox_lanes even[4], odd[4];
            philox_block(even, start + (uint64_t)i, stream, step);
            philox_block(odd, start + (uint64_t)i + 1, stream, step);
            for (int word = 0; word < 4; word++) {
                philox_lanes both = (even[word] & 0xFFFFFFFFu) | odd[word] << 32;
                memcpy(words + 16 * word + i, &both, sizeof both);
            }
        }
    }
}

/* Bit i % 8 of kept[i / 8] = whether words[i] >= threshold, i < n; bits behind the last are 0. */
static void keep_words(const uint32_t *words, uint32_t threshold, ptrdiff_t n, uint8_t *kept) {
    ptrdiff_t i = 0;
#if defined(__AVX512F__)
    for (; i + 16 <= n; i += 16) {
        uint16_t bits = _mm512_cmpge_epu32_mask(_mm512_loadu_si512(words + i), _mm512_set1_epi32((int)threshold));
        memcpy(kept + i / 8, &bits, sizeof bits);
    }
#elif defined(__AVX2__)
    for (; i + 8 <= n; i += 8) {
        __m256i word = _mm256_loadu_si256((const __m256i *)(words + i));
        __m256i larger = _mm256_max_epu32(word, _mm256_set1_epi32((int)threshold));
        kept[i / 8] = (uint8_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(larger, word)));
    }
#endif
    for (; i < n; i += 8) {
        unsigned bits = 0;
        for (int j = 0; j < 8 && i + j < n; j++)
            bits |= (unsigned)(words[i + j] >= threshold) << j;
        kept[i / 8] = (uint8_t)bits;
    }
}
