/* What the compiled kernels share: the tables of tile primitives, the thread pool, the caching allocator. */
#ifndef FNN_H
#define FNN_H

#include <stddef.h>
#include <stdint.h>

/* ---- Tiles: one const table for each ISA tier and each dtype, filled in tiles.c ------------------------------------
 * Pointers are `void *` so that one struct serves float and double; every offset and length counts elements.
 * "koff" tables say where row k of an operand starts: a matrix product, a convolution and its gradients are the same
 * tile over different tables. */
enum { FNN_ACCUMULATE = 1, FNN_RELU = 2, FNN_BIAS_OF_COLUMNS = 4 };
enum { FNN_NORM_ROWS = 128, FNN_NORM_BLOCK = 4096 };
enum { FNN_BLOCK = 32 }; /* rows or columns of an operand of `product` */
enum { FNN_SGD, FNN_ADAM, FNN_RMSPROP, FNN_SCALE, FNN_CLAMP, FNN_RULES };

/* Losses that are the sum of a function of each output x and target t; in braces, with respect to x:
 * DISTANCE    d = x - t: p[1] d^2 where |d| < p[0], else p[2] (|d| - p[3])    {2 p[1] d, or p[2] sign(d)}
 * BCE         -t log x - (1 - t) log(1 - x), logarithms from -100           {(x - t) / max(x (1 - x), 1e-12)}
 *             NaN unless x and t are 0 to 1
 * BCE_LOGITS  the same of sigmoid(x), not clamped, t times q                 {(1 - t) sigmoid(x) - q t sigmoid(-x)}
 * KL          t log t - t x                                                {-t}
 * KL_LOG      exp(t) (t - x)                                               {-exp(t)}
 * y = the function * scale, times factors if that is not NULL. q, of BCE_LOGITS alone, is 1 if NULL. */
enum { FNN_DISTANCE, FNN_BCE, FNN_BCE_LOGITS, FNN_KL, FNN_KL_LOG, FNN_LOSSES };
typedef void (*fnn_loss)(const void *x, const void *t, const void *q, const void *factors, const double *p, double scale,
                         void *y, ptrdiff_t n);

/* y = f(x) over n elements, and dx of dy and of what the backward has seen, x or y; y may be x, and dx may be dy or what
 * was seen. Functions of rows take one row of n. Settings are two numbers; NULL is as good where a function has none.
 * `work` is that of an element, in the units of fnn_parallel. */
typedef struct fnn_function {
    const char *name;
    void (*forward)(const void *x, void *y, ptrdiff_t n, const double *settings);
    void (*backward)(const void *dy, const void *seen, void *dx, ptrdiff_t n, const double *settings);
    double work, backward_work;
} fnn_function;

/* X(with, name, work, backward_work) for every function. Seen are y: relu, sigmoid, tanh, softmax, log_softmax; x: all
 * others. Settings: leaky_relu: slope; elu: factor below 0, factor above; softplus: beta, threshold; hardtanh: least,
 * most. */
#define FNN_FUNCTIONS(X, with)                                                                                     \
    X(with, relu, 1, 1)                                                                                            \
    X(with, sigmoid, 4, 1)                                                                                         \
    X(with, tanh, 4, 1)                                                                                            \
    X(with, leaky_relu, 1, 1)                                                                                      \
    X(with, elu, 4, 4)                                                                                             \
    X(with, gelu, 6, 10)                                                                                           \
    X(with, gelu_tanh, 5, 5)                                                                                       \
    X(with, silu, 4, 4)                                                                                            \
    X(with, softplus, 6, 4)                                                                                        \
    X(with, hardtanh, 1, 1)                                                                                        \
    X(with, hardswish, 1, 1)                                                                                       \
    X(with, softmax, 4, 2)                                                                                         \
    X(with, log_softmax, 4, 4)
#define FNN_PLACE(with, name, work, backward_work) FNN_##name,
enum { FNN_FUNCTIONS(FNN_PLACE, ) FNN_FUNCTION_COUNT };

typedef struct fnn_tiles {
    const char *isa;
    ptrdiff_t itemsize;
    ptrdiff_t lanes;        /* elements in a vector */
    ptrdiff_t mr, nr;       /* the largest panel tile */
    ptrdiff_t dot_m, dot_n; /* the largest dot tile */

    /* c[m*ldc + j] = act(bias[m] + sum_s sum_k a[starts[s] + m*a_row + k*a_depth] * b[koff[s*depth + k] + j]),
     * s < segments, k < depth, m < rows <= mr, j < cols <= nr. starts may be NULL when there is one segment, at 0.
     * Reads b[koff[.] .. + nr), or + lanes when cols <= lanes. With FNN_ACCUMULATE c is added to; bias may be NULL, and
     * is bias[j] with FNN_BIAS_OF_COLUMNS. The cache lines of next[koff[.]] are asked for on the way, one a step, unless
     * next is NULL. */
    void (*panel)(ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t segments, ptrdiff_t depth, const void *a,
                  const ptrdiff_t *starts, ptrdiff_t a_row, ptrdiff_t a_depth, const void *b, const ptrdiff_t *koff,
                  void *c, ptrdiff_t ldc, const void *bias, int flags, const void *next);

    /* y[j] = act(bias[0] + sum_k w[k] * x[koff[k] + j]), k < depth, j < n. Reads nothing beyond n; bias may be NULL. */
    void (*taps)(ptrdiff_t n, ptrdiff_t depth, const void *w, const void *x, const ptrdiff_t *koff, void *y,
                 const void *bias, int flags);

    /* c[m*ldc + j] = act(bias[j] + sum_q a[m*lda + q] * b[koff[j] + q]), m < rows <= dot_m, j < cols <= dot_n,
     * q < length. Reads nothing beyond length; asks for next[q] on the way, unless it is NULL. */
    void (*dot)(ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t length, const void *a, ptrdiff_t lda, const void *b,
                const ptrdiff_t *koff, void *c, ptrdiff_t ldc, const void *bias, int flags, const void *next);

    /* Products of float on matrix tiles; NULL where there are none. Operands are split before, into blocks of FNN_BLOCK
     * rows or columns, each of FNN_BLOCK*depth*6 bytes with depth rounded up to a multiple of FNN_BLOCK.
     * split: one block, x[i*step + k*k_step], i < rows <= FNN_BLOCK, k < depth, one of the steps being 1, as rows of a, or
     * as columns of b. *least and *most, bits of floats, become the least of themselves and of all |x| but 0, and the
     * most. What it makes means something if, over all of a and of b, both of most <= 2^126, least >= 2^-102,
     * most*most <= 2^120 and least*least >= 2^-102: no part overflows, none is lost.
     * product: c[m*ldc + j] = act(bias[j] + sum_k a[m][k] b[k][j]), m < rows <= FNN_BLOCK, j < cols, of one block of a and
     * as many blocks of b as there are; bias may be NULL; with FNN_ACCUMULATE c is added to. REDUCTION(depth + 1). Within
     * a job of fnn_parallel. */
    void (*split)(void *parts, const void *x, ptrdiff_t step, ptrdiff_t k_step, ptrdiff_t rows, ptrdiff_t depth,
                  int columns, uint32_t *least, uint32_t *most);
    void (*product)(ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t depth, const void *a, const void *b, void *c,
                    ptrdiff_t ldc, const void *bias, int flags);

    /* c[j] += sum_k a[k*a_step] * b[k*b_step + j], k < depth, j < cols; the rows of b are read from end to end. */
    void (*row)(const void *a, ptrdiff_t a_step, const void *b, ptrdiff_t b_step, ptrdiff_t depth, void *c,
                ptrdiff_t cols);

    /* Rows of an image: dst[r*cols + j] = src[ih*W + iw], ih = ih0 + r*ih_step, iw = iw0 + j*iw_step, r < rows, j < cols;
     * 0 outside the H x W image. fold_plane is its transpose: src and dst change places, and values are added. */
    void (*unfold_plane)(void *dst, ptrdiff_t rows, ptrdiff_t cols, const void *src, ptrdiff_t H, ptrdiff_t W,
                         ptrdiff_t ih0, ptrdiff_t ih_step, ptrdiff_t iw0, ptrdiff_t iw_step);
    void (*fold_plane)(void *dst, ptrdiff_t H, ptrdiff_t W, const void *src, ptrdiff_t rows, ptrdiff_t cols,
                       ptrdiff_t ih0, ptrdiff_t ih_step, ptrdiff_t iw0, ptrdiff_t iw_step);
    /* dst[i*dst_step + j] = src[i*src_step + j], i < rows, j < cols */
    void (*copy)(void *dst, ptrdiff_t dst_step, const void *src, ptrdiff_t src_step, ptrdiff_t rows, ptrdiff_t cols);
    /* dst[i*dst_step + j] += src[i*src_step + j] */
    void (*add)(void *dst, ptrdiff_t dst_step, const void *src, ptrdiff_t src_step, ptrdiff_t rows, ptrdiff_t cols);
    /* dst[offsets[j] + i] = src[i*src_step + j], i < rows, j < cols */
    void (*transpose)(void *dst, const ptrdiff_t *offsets, const void *src, ptrdiff_t src_step, ptrdiff_t rows,
                      ptrdiff_t cols);
    /* dst[j] += the sum over i < rows of src[i*src_step + j]. Of this and the next, the error does not grow with the
     * number of terms: blocks of some tens for each accumulator are added in double precision. */
    void (*sum_rows)(void *dst, const void *src, ptrdiff_t src_step, ptrdiff_t rows, ptrdiff_t cols);
    /* dst[2*j] = even[j], dst[2*j + 1] = odd[j], j < n */
    void (*zip)(void *dst, const void *even, const void *odd, ptrdiff_t n);
    /* totals[r] += the sum over j < n of src[r*src_step + j], r < rows, in an order that depends on n only */
    void (*sums)(double *totals, const void *src, ptrdiff_t src_step, ptrdiff_t rows, ptrdiff_t n);

    /* A grid of windows of a pool, rows x n. Window (r, j) covers x[(r*sh + i*dh)*W + j*sw + c*dw], i < kh, c < kw, all
     * inside the image: the caller clips windows at the border. y and positions are at r*y_step + j. The position of an
     * element is first + i*row_step + c, written as uint8, or int32 when wide; positions may be NULL. The first maximum
     * wins, and the first NaN wins over everything. Windows of an average have no dilation. */
    void (*maxpool)(const void *x, ptrdiff_t W, ptrdiff_t kh, ptrdiff_t kw, ptrdiff_t sh, ptrdiff_t sw, ptrdiff_t dh,
                    ptrdiff_t dw, ptrdiff_t rows, ptrdiff_t n, void *y, ptrdiff_t y_step, void *positions, int wide,
                    ptrdiff_t first, ptrdiff_t row_step);
    void (*avgpool)(const void *x, ptrdiff_t W, ptrdiff_t kh, ptrdiff_t kw, ptrdiff_t sh, ptrdiff_t sw, ptrdiff_t rows,
                    ptrdiff_t n, void *y, ptrdiff_t y_step, ptrdiff_t divisor);
    /* rows x n windows of 2 x 2, stride 2, dx rows of 2*n: dx[(2*r + i)*2*n + 2*j + c] is dy[r*n + j] where
     * positions[r*n + j] == 2*i + c, else 0; without positions it is dy[r*n + j]/4. */
    void (*unpool_2x2)(const void *dy, const uint8_t *positions, void *dx, ptrdiff_t rows, ptrdiff_t n);
    /* The gradient dx (H, W) of rows x cols windows of 3 x 3, stride 2, padding PH and PW: the sum, in row-major order of
     * the windows, of dy[r*cols + j] where positions[r*cols + j] is the pixel's place in the window, or, without
     * positions, of all windows that the pixel is in. `row` is room for 2*cols + 1 elements. */
    void (*unpool_3x3)(const void *dy, const uint8_t *positions, void *dx, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t H,
                       ptrdiff_t W, ptrdiff_t PH, ptrdiff_t PW, void *row);

    /* Functions element by element and row by row, in the order of FNN_FUNCTIONS. */
    fnn_function functions[FNN_FUNCTION_COUNT];

    /* y = a + b over n elements, or its ReLU. y may be a. */
    void (*add_two)(const void *a, const void *b, void *y, ptrdiff_t n, int relu);

    /* y = x where x > 0, else w*x, over n elements, w being one number, or `each` has its own; and, of dx, if it is not
     * NULL, the gradient, and of dw, if it is not NULL, an addition of that of the number or of each. */
    void (*prelu)(const void *x, const void *w, void *y, ptrdiff_t n, int each);
    void (*prelu_backward)(const void *dy, const void *x, const void *w, void *dx, double *dw, ptrdiff_t n, int each);

    /* Batch normalisation of the elements at + r*step + j, r < rows, j < n, of arrays that best begin on a vector. With
     * `each`, every column j is a channel for itself, and the arrays of numbers hold n; without, all belong to one
     * channel, and n >= lanes. Orders of sums depend on the numbers here, not on addresses.
     * norm_moments: mean[j], and m2[j], the sum of (x - mean)^2; of at most FNN_NORM_ROWS rows with `each`. Best in
     * blocks of FNN_NORM_BLOCK elements; a single row is cut into such blocks here. Inf or NaN where a sum or a square
     * leaves the range of the dtype.
     * norm_apply: y = (x - mean[j])*scale[j] + shift[j]; with FNN_RELU, its positive part.
     * norm_sums: total[j] and slope[j] are the sums of g and of g*h, where h is (x - mean[j])*invstd[j], and g is dy, or,
     * if y is not NULL, dy where y > 0 and 0 elsewhere.
     * norm_backward: dx = g*scale[j] - h*slope[j] - shift[j]; g*scale[j] if x is NULL. */
    void (*norm_moments)(const void *x, ptrdiff_t at, ptrdiff_t rows, ptrdiff_t step, ptrdiff_t n, int each,
                         double *mean, double *m2);
    void (*norm_apply)(const void *x, void *y, ptrdiff_t at, ptrdiff_t rows, ptrdiff_t step, ptrdiff_t n, int each,
                       const void *mean, const void *scale, const void *shift, int flags);
    void (*norm_sums)(const void *dy, const void *x, const void *y, ptrdiff_t at, ptrdiff_t rows, ptrdiff_t step,
                      ptrdiff_t n, int each, const void *mean, const void *invstd, double *total, double *slope);
    void (*norm_backward)(const void *dy, const void *x, const void *y, void *dx, ptrdiff_t at, ptrdiff_t rows,
                          ptrdiff_t step, ptrdiff_t n, int each, const void *mean, const void *invstd,
                          const void *scale, const void *shift, const void *slope);
    /* One row of n elements from `at` on, normalised by its own moments, with a weight for each element:
     * norm_row: y[at + i] = (x[at + i] - *mean)/sqrt(*var + eps)*w[i] + b[i]; *mean and *var are its moments.
     * norm_row_backward: its gradient, unless dx is NULL; and dw and db, n elements each, are added to. */
    void (*norm_row)(const void *x, void *y, ptrdiff_t at, ptrdiff_t n, const void *w, const void *b, double eps,
                     double *mean, double *var);
    void (*norm_row_backward)(const void *dy, const void *x, void *dx, ptrdiff_t at, ptrdiff_t n, const void *w,
                              double mean, double invstd, void *dw, void *db);

    /* Local response normalisation of n pixels; d = k + alpha*sums[j].
     * local_squares: sums[j] is the sum over r < rows, at least one, of x[r*step + j]^2.
     * local_scale: y[j] = g[j]/d^beta, and terms[j] = y[j]*x[j]/d unless terms is NULL; g may be x. 0 if a d is so large
     * or so small that numbers of the dtype are not enough.
     * local_spread: dx[j] -= factor*x[j]*sums[j]. */
    void (*local_squares)(const void *x, ptrdiff_t step, ptrdiff_t rows, void *sums, ptrdiff_t n);
    int (*local_scale)(const void *g, const void *x, const void *sums, void *y, void *terms, ptrdiff_t n,
                        double alpha, double beta, double k);
    void (*local_spread)(void *dx, const void *x, const void *sums, ptrdiff_t n, double factor);

    /* Random words, 64 in a group: word 16*k + lane of group g is word k of Philox4x32-10 at the counter (16*g + lane,
     * step) under the key `stream`, each a 64-bit number, the lower half first. */
    void (*random)(uint32_t *words, uint64_t group, ptrdiff_t groups, uint64_t stream, uint64_t step);
    /* y[r*n + j] = x[r*n + j]*scale, r < rows, j < n, where words[r] >= threshold, else 0 */
    void (*drop)(const void *x, void *y, const uint32_t *words, uint32_t threshold, ptrdiff_t rows, ptrdiff_t n,
                 double scale);

    /* Rows of n scores, one after another, rows <= lanes: most[r] and log_total[r] are the maximum and the logarithm of
     * the sum of exp(x - most); both have place for `lanes`. If y is not NULL, y = factor[r]*softmax(x) too. */
    void (*softmax_rows)(const void *x, const void *factor, void *y, ptrdiff_t rows, ptrdiff_t n, void *most,
                         void *log_total);
    /* The same of n scores for each of `places` neighbours, places <= lanes: of place i, at x[k*step + i], k < n. */
    void (*softmax_places)(const void *x, const void *factor, void *y, ptrdiff_t places, ptrdiff_t n, ptrdiff_t step,
                           void *most, void *log_total);
    /* A loss of n elements, or its slope. */
    fnn_loss loss[FNN_LOSSES][2];

    /* rules[FNN_...] of optimisers, in place over n elements of arrays; c: the factors of a rule. g stands for
     * c[0]*arrays[1], c[0] being 1, or -1 to go up, plus c[1]*p unless c[1] is 0.
     * FNN_SGD of p, g, v: v = c[2]*v + c[3]*g; p -= c[5]*(c[4] ? g + c[2]*v : v); without v, p -= c[5]*g.
     * FNN_ADAM of p, g, m, v, top: m += c[2]*(g - m); v = c[3]*v + c[4]*g^2; top = max(top, v);
     * p = c[5]*p - (c[6]*m + c[7]*g) / (c[8]*sqrt(top) + c[9]); without top, of v.
     * FNN_RMSPROP of p, g, v, u, m: v = c[2]*v + c[3]*g^2; m += c[3]*(g - m); d = sqrt(v - m^2) + c[4];
     * u = c[5]*u + g/d; p -= c[6]*u; without m, of v alone; without u, of g/d.
     * FNN_SCALE: x *= c[0]. FNN_CLAMP: x = min(max(x, c[0]), c[1]), NaN stays. */
    void (*rules[FNN_RULES])(void *const *arrays, ptrdiff_t n, const double *c);
    /* The sum of |x|^order over n elements, in double precision and an order that depends on n only; for an infinite
     * `order` the largest |x|. NaN wins. */
    double (*power_sum)(const void *x, ptrdiff_t n, double order);

    /* Winograd's transforms for 3 x 3, from and to pixels whose channels are neighbours, pixel (i, j) of a tile at
     * i*row_step + j*col_step, whole vectors of channels. The 36 values of a tile are `step` apart.
     * wino_image: of 6 x 6 input pixels. wino_weights: of the kernels w[m*w_step + tap*tap_step], tap < 9, m < rows, with
     * zeros up to a whole vector. wino_result: 4 x 4 output pixels, act(bias + ...), of 36 products; 0 if one of them was
     * inf or NaN, whose place in the result means nothing. */
    void (*wino_image)(void *values, ptrdiff_t step, const void *pixels, ptrdiff_t row_step, ptrdiff_t col_step,
                       ptrdiff_t channels);
    void (*wino_weights)(void *values, ptrdiff_t step, const void *w, ptrdiff_t w_step, ptrdiff_t tap_step,
                         ptrdiff_t rows);
    int (*wino_result)(void *pixels, ptrdiff_t row_step, ptrdiff_t col_step, const void *products, ptrdiff_t step,
                       ptrdiff_t channels, const void *bias, int flags);
    /* For the gradient of the weights: wino_gradient: the 36 values of the gradients of 4 x 4 output pixels. wino_taps:
     * dw[m*w_step + tap*tap_step], tap < 9, m < rows, of 36 sums of products; 0 if inf or NaN was among them. */
    void (*wino_gradient)(void *values, ptrdiff_t step, const void *pixels, ptrdiff_t row_step, ptrdiff_t col_step,
                          ptrdiff_t channels);
    int (*wino_taps)(void *dw, ptrdiff_t w_step, ptrdiff_t tap_step, const void *sums, ptrdiff_t step, ptrdiff_t rows);
} fnn_tiles;

/* Ask for memory that will be read soon. */
static inline void fnn_fetch(const void *start, ptrdiff_t bytes) {
    for (ptrdiff_t at = 0; at < bytes; at += 64)
        __builtin_prefetch((const char *)start + at, 0, 2);
}

/* The tiers of this build, from the plainest to the widest; [0] is float, [1] double. */
extern const fnn_tiles fnn_tiles_baseline[2];
#if defined(__x86_64__)
extern const fnn_tiles fnn_tiles_v3[2], fnn_tiles_v4[2];
#endif
#if defined(__x86_64__) && defined(__linux__)
#define FNN_AMX
extern const fnn_tiles fnn_tiles_amx[2];
void fnn_amx_split(void *parts, const void *x, ptrdiff_t step, ptrdiff_t k_step, ptrdiff_t rows, ptrdiff_t depth,
                   int columns, uint32_t *least, uint32_t *most);
void fnn_amx_product(ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t depth, const void *a, const void *b, void *c,
                     ptrdiff_t ldc, const void *bias, int flags);
#endif

int fnn_isa_count(void);             /* tiers compiled in */
const char *fnn_isa_name(int tier);  /* "baseline", "v3", "v4", "amx" */
int fnn_isa_supported(int tier);     /* does this CPU, under this system, run it? */
void fnn_isa_use(int tier);          /* what fnn_tiles_now gives from now on */
const fnn_tiles *fnn_tiles_now(int is_double);

/* ---- Threads (threads.c) ------------------------------------------------------------------------------------------
 * task(job, chunk, slot) runs once for each chunk < chunks, on at most `threads` threads, which slot < threads tells
 * apart (for workspaces: ask for fnn_threads() once, and size them by it). Returns when all chunks are done. Jobs of
 * little work (a unit is an element moved, or 16 multiply-adds of a tile) run on the caller alone. Inside, denormals are
 * zero. */
typedef void (*fnn_task)(void *job, ptrdiff_t chunk, int slot);
void fnn_parallel(fnn_task task, void *job, ptrdiff_t chunks, int threads, double work);
int fnn_threads(void);
void fnn_set_threads(int threads);

/* ---- Caching allocator (memory.c): 64-byte aligned blocks, kept for the next caller. NULL when there is no memory. */
void *fnn_alloc(size_t bytes);
void fnn_free(void *block);
void fnn_empty_cache(void);
void fnn_memory_stats(size_t *live, size_t *cached);

#endif
