/* The ISA tiers of this build: which of them this CPU runs, and which one is in use. This file is compiled without
 * special flags, so that it runs on any CPU. */
#define _GNU_SOURCE /* syscall */
#include "fnn.h"

#include <stdatomic.h>
#if defined(FNN_AMX)
#include <sys/syscall.h>
#include <unistd.h>
#endif

typedef struct {
    const char *name;
    const fnn_tiles *tiles;
    int (*supported)(void);
} tier;

static int always(void) { return 1; }

#if defined(__x86_64__)
#include <cpuid.h>

/* The registers that the system saves when it switches threads: bits 1-2 SSE and AVX, bits 5-7 AVX-512. */
static uint64_t saved_state(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return 0;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return ((uint64_t)d << 32) | a;
}

static int has_v3(void) {
    unsigned a, b, c, d;
    unsigned need_1 = bit_FMA | bit_MOVBE | bit_F16C | bit_AVX | bit_POPCNT | bit_SSE4_2, need_7 = bit_AVX2 | bit_BMI | bit_BMI2;
    if ((saved_state() & 0x6) != 0x6 || !__get_cpuid(1, &a, &b, &c, &d) || (c & need_1) != need_1)
        return 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & need_7) == need_7 &&
           __get_cpuid(0x80000001, &a, &b, &c, &d) && (c & bit_LZCNT);
}

static int has_v4(void) {
    unsigned a, b, c, d, need = bit_AVX512F | bit_AVX512DQ | bit_AVX512CD | bit_AVX512BW | bit_AVX512VL;
    return has_v3() && (saved_state() & 0xe6) == 0xe6 && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & need) == need;
}

#if defined(FNN_AMX)
/* Needs matrix tiles of bfloat16 (their state is bits 17-18), the conversion to bfloat16, and permission from the
 * system. Linux grants permission on request, unless the process has a signal stack that is too small for the state. */
static int has_amx(void) {
#if defined(FNN_EMULATE_TILES)
    return has_v4();
#else
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    unsigned a, b, c, d, need = 1u << 22 | 1u << 24;
    return has_v4() && (saved_state() & 0x60000) == 0x60000 && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
           (d & need) == need && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 5) && syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
#endif
}
#endif

static const tier tiers[] = {{"baseline", fnn_tiles_baseline, always},
                             {"v3", fnn_tiles_v3, has_v3},
                             {"v4", fnn_tiles_v4, has_v4},
#if defined(FNN_AMX)
                             {"amx", fnn_tiles_amx, has_amx},
#endif
};
#else
static const tier tiers[] = {{"baseline", fnn_tiles_baseline, always}};
#endif

static _Atomic int current;

int fnn_isa_count(void) { return (int)(sizeof tiers / sizeof tiers[0]); }
const char *fnn_isa_name(int t) { return tiers[t].name; }
int fnn_isa_supported(int t) { return tiers[t].supported(); }
void fnn_isa_use(int t) { atomic_store(&current, t); }
const fnn_tiles *fnn_tiles_now(int is_double) { return &tiers[atomic_load(&current)].tiles[is_double]; }
