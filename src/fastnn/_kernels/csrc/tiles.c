/* The tile primitives of one ISA tier. This file is compiled once for each tier, with that tier's flags and
 * FNN_TIER. The templates below are included once for each dtype. Everything is static except the table at the end. */
#include "fnn.h"

#include <math.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#include <string.h>

#define CONCAT_(a, b) a##_##b
#define CONCAT(a, b) CONCAT_(a, b)
#define NAME(name) CONCAT(name, SUFFIX)
#define INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* Keeps a value in a register. Without it compilers load the value again in each instruction that uses it. */
#if defined(__x86_64__)
#define IN_REGISTER(v) __asm__("" : "+v"(v))
#elif defined(__aarch64__)
#define IN_REGISTER(v) __asm__("" : "+w"(v))
#else
#define IN_REGISTER(v) (void)(v)
#endif

/* The vector width in bytes, and the largest register tiles that do not spill: rows x vectors of the panel tile, rows x
 * columns of the dot tile. DOT_TILES lists the columns of dot tiles of one row and more. */
#if defined(__AVX512F__)
#define VECTOR 64
#define PANEL_ROWS 14
#define DOT_ROWS 3
#define DOT_COLS 9
#define DOT_TILES(X) X(1, 16) X(2, 14) X(3, 9) X(4, 6) X(5, 5)
#elif defined(__AVX2__)
#define VECTOR 32
#define PANEL_ROWS 6
#define DOT_ROWS 3
#define DOT_COLS 4
#define DOT_TILES(X) X(1, 8) X(2, 6) X(3, 4)
#elif defined(__aarch64__)
#define VECTOR 16
#define PANEL_ROWS 12
#define DOT_ROWS 4
#define DOT_COLS 6
#define DOT_TILES(X) X(1, 16) X(2, 12) X(3, 8) X(4, 6)
#else
#define VECTOR 16
#define PANEL_ROWS 6
#define DOT_ROWS 4
#define DOT_COLS 2
#define DOT_TILES(X) X(1, 8) X(2, 4) X(3, 3) X(4, 2)
#endif
#define PANEL_VECTORS 2
#define WINO_OUTS(lanes) ((lanes) >= 4 ? 4 : 2) /* outputs of Winograd's way side by side; a divisor of the lanes */
#define WINO_AT_ONCE (PANEL_ROWS >= 12 ? 6 : 3) /* values that make sums in registers, of each output */
#if defined(__AVX512F__)
#define HAS_MASKS 1 /* a masked load or store is as fast as a whole one */
#else
#define HAS_MASKS 0
#endif

#include "philox.h"

#define SUFFIX f32
#define real float
#define integer int32_t
#define unsigned_integer uint32_t
#define LANES (VECTOR / 4)
#include "template.h"

#define SUFFIX f64
#define real double
#define integer int64_t
#define unsigned_integer uint64_t
#define LANES (VECTOR / 8)
#include "template.h"

#define QUOTE_(name) #name
#define QUOTE(name) QUOTE_(name)
#define FNN_LOSS_TABLE(suffix)                                                                                     \
    {[FNN_DISTANCE] = {distance_##suffix, distance_slope_##suffix},                                                \
     [FNN_BCE] = {bce_##suffix, bce_slope_##suffix},                                                               \
     [FNN_BCE_LOGITS] = {bce_logits_##suffix, bce_logits_slope_##suffix},                                          \
     [FNN_KL] = {kl_##suffix, kl_slope_##suffix},                                                                  \
     [FNN_KL_LOG] = {kl_log_##suffix, kl_log_slope_##suffix}}
#define FNN_FUNCTION(suffix, name, work, backward_work)                                                             \
    {#name, CONCAT(name, suffix), CONCAT(name##_backward, suffix), work, backward_work},
#define DOT_ONE(rows, columns) +1
#define DOT_PLACE(rows, columns) [rows] = columns,
#define FNN_TABLE(tier, type, lanes_, suffix, ...)                                                                 \
    {.isa = QUOTE(tier), __VA_ARGS__ .itemsize = sizeof(type), .lanes = lanes_, .mr = PANEL_ROWS, .nr = PANEL_VECTORS * lanes_,\
     .dot_m = DOT_ROWS, .dot_n = DOT_COLS, .wino_outs = WINO_OUTS(lanes_), .dot_most = 0 DOT_TILES(DOT_ONE), .dot_cols = {DOT_TILES(DOT_PLACE)},          \
     .panel = panel_##suffix, .panel_row = panel_row_##suffix, .taps = taps_##suffix, .dot = dot_##suffix, .unfold_plane = unfold_plane_##suffix,   \
     .fold_plane = fold_plane_##suffix, .transpose = transpose_##suffix, .copy = copy_##suffix,                    \
     .add = add_##suffix, .row = row_##suffix, .sum_rows = sum_rows_##suffix, .zip = zip_##suffix,     \
     .sums = sums_##suffix, .maxpool = maxpool_##suffix, .avgpool = avgpool_##suffix,                                \
     .maxpool_lanes = maxpool_lanes_##suffix, .avgpool_lanes = avgpool_lanes_##suffix,                             \
     .maxpool_lanes_backward = maxpool_lanes_backward_##suffix,                                                    \
     .avgpool_lanes_backward = avgpool_lanes_backward_##suffix,                                                    \
     .depthwise_lanes = depthwise_lanes_##suffix,                                                                  \
     .depthwise_lanes_backward = depthwise_lanes_backward_##suffix,                                                \
     .plane_rows = plane_rows_##suffix, .plane_weight = plane_weight_##suffix, .plane_spread = plane_spread_##suffix, \
     .unpool_2x2 = unpool_2x2_##suffix, .unpool_3x3 = unpool_3x3_##suffix,                                         \
     .byte_range = byte_range_##suffix, .short_dots = short_dots_##suffix,                                         \
     .functions = {FNN_FUNCTIONS(FNN_FUNCTION, suffix)},                                                           \
     .softmax_columns = softmax_columns_##suffix,                                                                  \
     .softmax_columns_backward = softmax_columns_backward_##suffix,                                                \
     .add_two = add_two_##suffix, .multiply = multiply_##suffix, .prelu = prelu_##suffix, .prelu_backward = prelu_backward_##suffix,                    \
     .norm_moments = norm_moments_##suffix, .norm_apply = norm_apply_##suffix, .norm_sums = norm_sums_##suffix,    \
     .norm_backward = norm_backward_##suffix, .norm_row = norm_row_##suffix,                                       \
     .norm_row_backward = norm_row_backward_##suffix, .local_squares = local_squares_##suffix,                     \
     .local_scale = local_scale_##suffix, .local_spread = local_spread_##suffix,                                   \
     .random = philox, .keep = keep_words, .drop = drop_##suffix, .drop_kept = drop_kept_##suffix,                 \
     .softmax_short = softmax_short_##suffix, .softmax_short_backward = softmax_short_backward_##suffix,           \
     .softmax_rows = softmax_rows_##suffix, .softmax_places = softmax_places_##suffix,                             \
     .loss = FNN_LOSS_TABLE(suffix),                                                                               \
     .rules = {[FNN_SGD] = sgd_##suffix, [FNN_ADAM] = adam_##suffix, [FNN_RMSPROP] = rmsprop_##suffix,             \
               [FNN_SCALE] = scale_##suffix, [FNN_CLAMP] = clamp_##suffix}, .power_sum = power_sum_##suffix,       \
     .wino_image = wino_image_##suffix, .wino_weights = wino_weights_##suffix, .wino_result = wino_result_##suffix,  \
     .wino_gradient = wino_gradient_##suffix, .wino_taps = wino_taps_##suffix, .wino_spread = wino_spread_##suffix,  \
     .side_result = side_result_##suffix, .side_spread = side_spread_##suffix}

#define FNN_TABLES(tier, ...)                                                                                      \
    {FNN_TABLE(tier, float, VECTOR / 4, f32, __VA_ARGS__), FNN_TABLE(tier, double, VECTOR / 8, f64, )}

const fnn_tiles CONCAT(fnn_tiles, FNN_TIER)[2] = FNN_TABLES(FNN_TIER, );
#if defined(FNN_AMX) && defined(__AVX512F__) /* the tier amx: this table with two primitives of amx.c */
const fnn_tiles fnn_tiles_amx[2] = FNN_TABLES(amx, .split = fnn_amx_split, .product = fnn_amx_product, );
#endif
