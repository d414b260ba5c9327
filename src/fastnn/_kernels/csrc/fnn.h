/* The interface between Cython and C: the tables of tile primitives, the thread pool, the caching allocator. */
#ifndef FNN_H
#define FNN_H

#include <stddef.h>
#include <stdint.h>

#include "windows.h"

/* ---- Tiles: one const table for each ISA tier and each dtype, filled in tiles.c ------------------------------------
 * Pointers are `void *`, so that one struct serves float and double. Every offset and length counts elements. A
 * table `koff` says where row k of an operand starts. So a matrix product, a convolution and its gradients are the
 * same tile with different tables. In a contract, x[i] with i < n means every i from 0 to n - 1. */
enum { FNN_ACCUMULATE = 1, FNN_RELU = 2, FNN_BIAS_OF_COLUMNS = 4 };
enum { FNN_DOT_ROWS = 5, FNN_DOT_COLS = 16, FNN_DOT_SUMS = 32 }; /* of a dot tile, at most */
enum { FNN_NORM_ROWS = 128, FNN_NORM_BLOCK = 4096 };
enum { FNN_BLOCK = 32 }; /* rows or columns of one block of an operand of `product` */
enum { FNN_SGD, FNN_ADAM, FNN_RMSPROP, FNN_SCALE, FNN_CLAMP, FNN_RULES };

/* Losses that are a sum over pairs of an output x and a target t. In braces is the derivative with respect to x.
 * DISTANCE    d = x - t: p[1] d^2 where |d| < p[0], else p[2] (|d| - p[3])    {2 p[1] d, or p[2] sign(d)}
 * BCE         -t log x - (1 - t) log(1 - x), each logarithm at least -100     {(x - t) / max(x (1 - x), 1e-12)}
 *             NaN unless x and t are from 0 to 1
 * BCE_LOGITS  -q t log s - (1 - t) log(1 - s), s = sigmoid(x)                {(1 - t) sigmoid(x) - q t sigmoid(-x)}
 * KL          t log t - t x                                                {-t}
 * KL_LOG      exp(t) (t - x)                                               {-exp(t)}
 * y is the function times `scale`, and times `factors` unless that is NULL. Only BCE_LOGITS reads q; NULL means 1. */
enum { FNN_DISTANCE, FNN_BCE, FNN_BCE_LOGITS, FNN_KL, FNN_KL_LOG, FNN_LOSSES };
typedef void (*fnn_loss)(const void *x, const void *t, const void *q, const void *factors, const double *p, double scale,
                         void *y, ptrdiff_t n);

/* forward: y = f(x) over n elements; y may be x. backward: dx from dy and from `seen`, which is x or y; dx may be dy or
 * `seen`. A function of rows takes one row of n elements. Settings are two numbers, or NULL where a function has none.
 * `work` and `backward_work` are for one element, in the units of fnn_parallel. */
typedef struct fnn_function {
    const char *name;
    void (*forward)(const void *x, void *y, ptrdiff_t n, const double *settings);
    void (*backward)(const void *dy, const void *seen, void *dx, ptrdiff_t n, const double *settings);
    double work, backward_work;
} fnn_function;

/* X(with, name, work, backward_work) for every function. The backwards of relu, sigmoid, tanh, softmax and
 * log_softmax see y; all others see x. Settings: leaky_relu (slope); elu (factor below 0, factor above 0); softplus
 * (beta, threshold); hardtanh (least, most). */
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
    X(with, relu6, 1, 1)                                                                                           \
    X(with, softmax, 4, 2)                                                                                         \
    X(with, log_softmax, 4, 4)
#define FNN_PLACE(with, name, work, backward_work) FNN_##name,
enum { FNN_FUNCTIONS(FNN_PLACE, ) FNN_FUNCTION_COUNT };

enum { FNN_SHORT_DOT = 4 }; /* rows of up to so many elements are multiplied a row in each lane */
enum { FNN_SHORT_ROW = 32 }; /* a softmax of rows up to here has rows in lanes */

typedef struct fnn_tiles {
    const char *isa;
    ptrdiff_t itemsize;
    ptrdiff_t lanes;        /* elements in a vector */
    ptrdiff_t mr, nr;       /* the largest panel tile */
    ptrdiff_t dot_m, dot_n; /* the largest dot tile */

    /* c[m*ldc + j] = act(bias[m] + sum_s sum_k a[starts[s] + m*a_row + k*a_depth] * b[koff[s*depth + k] + j]),
     * s < segments, k < depth, m < rows <= mr, j < cols <= nr. `starts` may be NULL if there is one segment, at 0. Row
     * k of b is read for nr elements, or for `lanes` elements if cols <= lanes. FNN_ACCUMULATE adds to c. `bias` may
     * be NULL; with FNN_BIAS_OF_COLUMNS it is bias[j]. Unless `next` is NULL, each step prefetches the cache line at
     * next[koff[.]]. */
    void (*panel)(ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t segments, ptrdiff_t depth, const void *a,
                  const ptrdiff_t *starts, ptrdiff_t a_row, ptrdiff_t a_depth, const void *b, const ptrdiff_t *koff,
                  void *c, ptrdiff_t ldc, const void *bias, int flags, const void *next);
    /* c[j] = act(bias[j] + sum_k a[k] * b[k*nr + j]), k < depth, j < cols <= nr; flags and bias as above. */
    void (*panel_row)(ptrdiff_t cols, ptrdiff_t depth, const void *a, const void *b, void *c, const void *bias,
                      int flags);

    /* y[j] = act(bias[0] + sum_k w[k] * x[koff[k] + j]), k < depth, j < n. Each row is read for n elements. `bias`
     * may be NULL. */
    void (*taps)(ptrdiff_t n, ptrdiff_t depth, const void *w, const void *x, const ptrdiff_t *koff, void *y,
                 const void *bias, int flags);

    /* c[m*ldc + j] = act(bias[j] + sum_q a[m*lda + q] * b[koff[j] + q]), m < rows <= dot_most, j < cols <=
     * dot_cols[rows], q < length. Each row is read for `length` elements. Unless `next` is NULL, next[q] is prefetched
     * on the way. */
    void (*dot)(ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t length, const void *a, ptrdiff_t lda, const void *b,
                const ptrdiff_t *koff, void *c, ptrdiff_t ldc, const void *bias, int flags, const void *next);

    /* y[i] = act(bias[0] + sum_k w[k] * x[i*length + k]), k < length <= FNN_SHORT_DOT, i < n. `bias` may be NULL. */
    void (*short_dots)(ptrdiff_t n, ptrdiff_t length, const void *x, const void *w, void *y, const void *bias,
                       int flags);

    /* Products of float on matrix tiles; both are NULL in a table without them. `split` prepares the operands in
     * blocks of FNN_BLOCK rows or columns. A block takes FNN_BLOCK*depth*6 bytes, with depth rounded up to a multiple
     * of FNN_BLOCK.
     * split: writes the block of x[i*step + k*k_step], i < rows <= FNN_BLOCK, k < depth; one of the steps is 1. The
     * block is rows of a, or with `columns` columns of b. *least and *most are bits of floats; they are updated with
     * the smallest |x| above 0 and with the largest |x|. The product is valid if four bounds hold: most <= 2^126 and
     * least >= 2^-102 over all of a and b; most(a)*most(b) <= 2^120; least(a)*least(b) >= 2^-102. Then no part
     * overflows and none is lost.
     * product: c[m*ldc + j] = act(bias[j] + sum_k a[m][k] b[k][j]), m < rows <= FNN_BLOCK, j < cols. It takes one
     * block of a, and the blocks of b that hold `cols` columns. `bias` may be NULL; FNN_ACCUMULATE adds to c.
     * REDUCTION(depth + 1). It must run inside a job of fnn_parallel. */
    void (*split)(void *parts, const void *x, ptrdiff_t step, ptrdiff_t k_step, ptrdiff_t rows, ptrdiff_t depth,
                  int columns, uint32_t *least, uint32_t *most);
    void (*product)(ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t depth, const void *a, const void *b, void *c,
                    ptrdiff_t ldc, const void *bias, int flags);

    /* c[j] += sum_k a[k*a_step] * b[k*b_step + j], k < depth, j < cols. */
    void (*row)(const void *a, ptrdiff_t a_step, const void *b, ptrdiff_t b_step, ptrdiff_t depth, void *c,
                ptrdiff_t cols);

    /* Rows of an image: dst[r*cols + j] = src[ih*W + iw], ih = ih0 + r*ih_step, iw = iw0 + j*iw_step, r < rows, j <
     * cols; 0 outside the H x W image. fold_plane is the transpose: it adds src[r*cols + j] to dst[ih*W + iw]. */
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
    /* dst[j] += the sum over i < rows of src[i*src_step + j], j < cols. The error of this and of `sums` does not
     * grow with the number of terms: accumulators take some tens of terms, and are added in double precision. */
    void (*sum_rows)(void *dst, const void *src, ptrdiff_t src_step, ptrdiff_t rows, ptrdiff_t cols);
    /* dst[2*j] = even[j], dst[2*j + 1] = odd[j], j < n */
    void (*zip)(void *dst, const void *even, const void *odd, ptrdiff_t n);
    /* totals[r] += the sum over j < n of src[r*src_step + j], r < rows, in an order that depends on n only */
    void (*sums)(double *totals, const void *src, ptrdiff_t src_step, ptrdiff_t rows, ptrdiff_t n);

    /* Pools over a grid of rows x n windows. Window (r, j) covers x[(r*sh + i*dh)*W + j*sw + c*dw], i < kh, c < kw.
     * All of it is inside the image: the caller clips windows at the border. Results go to y[r*y_step + j] and to
     * positions[r*y_step + j]. The position of an element is first + i*row_step + c, as uint8, or as int32 if
     * `wide`; `positions` may be NULL. The first maximum wins, and the first NaN wins over everything. Windows of an
     * average have no dilation. */
    void (*maxpool)(const void *x, ptrdiff_t W, ptrdiff_t kh, ptrdiff_t kw, ptrdiff_t sh, ptrdiff_t sw, ptrdiff_t dh,
                    ptrdiff_t dw, ptrdiff_t rows, ptrdiff_t n, void *y, ptrdiff_t y_step, void *positions, int wide,
                    ptrdiff_t first, ptrdiff_t row_step);
    void (*avgpool)(const void *x, ptrdiff_t W, ptrdiff_t kh, ptrdiff_t kw, ptrdiff_t sh, ptrdiff_t sw, ptrdiff_t rows,
                    ptrdiff_t n, void *y, ptrdiff_t y_step, ptrdiff_t divisor);
    /* The same pools, and their gradients, of `planes` whole planes (H, W) that follow one another, planes <= lanes.
     * `room` has space for lanes*(H*W + 2*OH*OW) elements, at a multiple of a vector. */
    void (*maxpool_lanes)(const fnn_windows *w, const void *x, void *y, uint8_t *positions, ptrdiff_t planes,
                          void *room);
    void (*avgpool_lanes)(const fnn_windows *w, const void *x, void *y, ptrdiff_t planes, void *room);
    void (*maxpool_lanes_backward)(const fnn_windows *w, const void *dy, const uint8_t *positions, void *dx,
                                   ptrdiff_t planes, void *room);
    void (*avgpool_lanes_backward)(const fnn_windows *w, const void *dy, void *dx, ptrdiff_t planes, void *room);
    /* Output rows first <= r < first + rows of a convolution of each plane with its own weight, of d->taps elements
     * that follow one another: y = act(bias[plane] + the sum). `bias` may be NULL. x and y are whole planes. `room` has
     * space for a vector for each tap, each pixel of the rows that the windows cover, and each output; and one more. */
    void (*depthwise_lanes)(const fnn_depthwise *d, ptrdiff_t first, ptrdiff_t rows, const void *x, const void *weight,
                            const void *bias, void *y, ptrdiff_t planes, int flags, void *room);
    /* Its gradients. dx may be NULL; so may `sums`, and x with it. sums[tap*lanes + plane] += that of the weight, and
     * sums[taps*lanes + plane] += that of the bias. */
    void (*depthwise_lanes_backward)(const fnn_windows *w, const void *dy, const void *x, const void *weight,
                                     ptrdiff_t taps, void *dx, void *sums, ptrdiff_t planes, void *room);
    /* The same of one plane, whose weight has K*K elements; `bias` is one number or NULL. Each output is summed in the
     * same order, whichever rows are asked for. */
    void (*plane_rows)(const fnn_plane *d, ptrdiff_t first, ptrdiff_t rows, const void *x, const void *weight,
                       const void *bias, void *y, int flags);
    /* sums[k*lanes + i] += what output rows first <= r < first + rows, columns begin <= j < end, add to the gradient of
     * weight k, in parts that the caller adds over i. k = K*K is the sum of dy. */
    void (*plane_weight)(const fnn_plane *d, ptrdiff_t first, ptrdiff_t rows, ptrdiff_t begin, ptrdiff_t end,
                         const void *x, const void *dy, void *sums);
    /* Write dx from dy, at stride 2. */
    void (*plane_spread)(const fnn_plane *d, const void *dy, const void *weight, void *dx);
    /* The gradient of rows x n windows of 2 x 2 at stride 2; rows of dx have 2*n elements. dx[(2*r + i)*2*n + 2*j +
     * c] is dy[r*n + j] where positions[r*n + j] == 2*i + c, else 0. With positions NULL it is dy[r*n + j]/4, for
     * averages. */
    void (*unpool_2x2)(const void *dy, const uint8_t *positions, void *dx, ptrdiff_t rows, ptrdiff_t n);
    /* The gradient dx (H, W) of rows x cols windows of 3 x 3 at stride 2 with padding PH and PW. A pixel gets the
     * sum of dy[r*cols + j] over the windows whose position is that pixel, in row-major order of the windows. With
     * positions NULL it gets the sum over all windows that cover it. `row` has room for 2*cols + 1 elements. */
    void (*unpool_3x3)(const void *dy, const uint8_t *positions, void *dx, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t H,
                       ptrdiff_t W, ptrdiff_t PH, ptrdiff_t PW, void *row);

    /* The smallest and the largest of n bytes; 255 and 0 if there is none. */
    void (*byte_range)(const uint8_t *p, ptrdiff_t n, uint8_t *least, uint8_t *most);

    /* Functions element by element and row by row, in the order of FNN_FUNCTIONS. */
    fnn_function functions[FNN_FUNCTION_COUNT];

    /* Softmax, or if `logged` its logarithm, of each column i < columns of x[k*step + i], k < n, and the backward from
     * dy and y. y may be x; dx may be dy or y. Columns should be many: each strip of them is read three times. */
    void (*softmax_columns)(const void *x, void *y, ptrdiff_t columns, ptrdiff_t n, ptrdiff_t step, int logged);
    /* Rows of n <= FNN_SHORT_ROW numbers, `lanes` of them at once, transposed to columns. y may be x, dx may be dy. */
    void (*softmax_short)(const void *x, void *y, ptrdiff_t rows, ptrdiff_t n, int logged);
    void (*softmax_short_backward)(const void *dy, const void *y, void *dx, ptrdiff_t rows, ptrdiff_t n, int logged);
    void (*softmax_columns_backward)(const void *dy, const void *y, void *dx, ptrdiff_t columns, ptrdiff_t n,
                                     ptrdiff_t step, int logged);

    /* y = a + b over n elements, or its ReLU. y may be a. */
    void (*add_two)(const void *a, const void *b, void *y, ptrdiff_t n, int relu);
    /* y = a*b over n elements, where b is one number, or with `each` one for every element. y may be a. */
    void (*multiply)(const void *a, const void *b, void *y, ptrdiff_t n, int each);

    /* prelu: y = x where x > 0, else w*x, over planes of n elements, with a slope for each plane, or with `each` one
     * for each column. prelu_backward, of one plane: the gradient of x goes to dx, and the gradient of w is added to
     * dw; either may be NULL. */
    void (*prelu)(const void *x, const void *w, void *y, ptrdiff_t planes, ptrdiff_t n, int each);
    void (*prelu_backward)(const void *dy, const void *x, const void *w, void *dx, double *dw, ptrdiff_t n, int each);

    /* Batch normalisation of the elements at + r*step + j, r < rows, j < n. Arrays should begin at an address that
     * is a multiple of a vector. With `each`, every column j is a channel of its own, and mean, scale and so on hold
     * n numbers. Without it, all elements belong to one channel, and n >= lanes. The order of a sum depends on sizes
     * and offsets, never on addresses. In the formulas h = (x - mean[j])*invstd[j]; g = dy where y is NULL or y > 0,
     * else 0.
     * norm_moments: mean[j], and m2[j] = the sum of (x - mean[j])^2. With `each`, rows <= FNN_NORM_ROWS. Several
     * rows should have FNN_NORM_BLOCK elements together; a single long row is cut into blocks of this size. The
     * result is inf or NaN where a sum or a square leaves the range of the dtype.
     * norm_apply: y = (x - mean[j])*scale[j] + shift[j]; with FNN_RELU its positive part.
     * norm_sums: total[j] = the sum of g, slope[j] = the sum of g*h.
     * norm_backward: dx = g*scale[j] - h*slope[j] - shift[j]; if x is NULL, dx = g*scale[j]. */
    void (*norm_moments)(const void *x, ptrdiff_t at, ptrdiff_t rows, ptrdiff_t step, ptrdiff_t n, int each,
                         double *mean, double *m2);
    void (*norm_apply)(const void *x, void *y, ptrdiff_t at, ptrdiff_t rows, ptrdiff_t step, ptrdiff_t n, int each,
                       const void *mean, const void *scale, const void *shift, int flags);
    void (*norm_sums)(const void *dy, const void *x, const void *y, ptrdiff_t at, ptrdiff_t rows, ptrdiff_t step,
                      ptrdiff_t n, int each, const void *mean, const void *invstd, double *total, double *slope);
    void (*norm_backward)(const void *dy, const void *x, const void *y, void *dx, ptrdiff_t at, ptrdiff_t rows,
                          ptrdiff_t step, ptrdiff_t n, int each, const void *mean, const void *invstd,
                          const void *scale, const void *shift, const void *slope);
    /* One row of n elements from `at` on, normalised by its own moments, with a weight for each element.
     * norm_row: y[at + i] = (x[at + i] - *mean)/sqrt(*var + eps)*w[i] + b[i]; writes the moments to *mean and *var.
     * norm_row_backward: writes the gradient to dx unless it is NULL, and adds to dw and db, n elements each. */
    void (*norm_row)(const void *x, void *y, ptrdiff_t at, ptrdiff_t n, const void *w, const void *b, double eps,
                     double *mean, double *var);
    void (*norm_row_backward)(const void *dy, const void *x, void *dx, ptrdiff_t at, ptrdiff_t n, const void *w,
                              double mean, double invstd, void *dw, void *db);

    /* Local response normalisation of n pixels; d = k + alpha*sums[j].
     * local_squares: sums[j] = the sum over r < rows of x[r*step + j]^2; rows >= 1.
     * local_scale: y[j] = g[j]/d^beta, and terms[j] = y[j]*x[j]/d unless `terms` is NULL; g may be x. It returns 0
     * if some d is too large or too small for the dtype, and the results are not valid then.
     * local_spread: dx[j] -= factor*x[j]*sums[j]. */
    void (*local_squares)(const void *x, ptrdiff_t step, ptrdiff_t rows, void *sums, ptrdiff_t n);
    int (*local_scale)(const void *g, const void *x, const void *sums, void *y, void *terms, ptrdiff_t n,
                        double alpha, double beta, double k);
    void (*local_spread)(void *dx, const void *x, const void *sums, ptrdiff_t n, double factor);

    /* Random words, 64 in a group. Word 16*k + lane of group g is word k of Philox4x32-10 at the counter (16*g +
     * lane, step) under the key `stream`. Counter parts and key are 64-bit numbers, their lower half first. */
    void (*random)(uint32_t *words, uint64_t group, ptrdiff_t groups, uint64_t stream, uint64_t step);
    /* drop: y[r*n + j] = x[r*n + j]*scale, r < rows, j < n, where words[r] >= threshold, else 0.
     * keep: bit i % 8 of kept[i/8] = whether words[i] >= threshold, i < n; the bits of the last byte behind n are 0.
     * drop_kept: y[i] = x[i]*scale, i < n, where that bit is 1, else 0. y may be x. */
    void (*drop)(const void *x, void *y, const uint32_t *words, uint32_t threshold, ptrdiff_t rows, ptrdiff_t n,
                 double scale);
    void (*keep)(const uint32_t *words, uint32_t threshold, ptrdiff_t n, uint8_t *kept);
    void (*drop_kept)(const void *x, void *y, const uint8_t *kept, ptrdiff_t n, double scale);

    /* Softmax of rows of n scores that follow one another, rows <= lanes. most[r] is the maximum of row r, and
     * log_total[r] the logarithm of the sum of exp(x - most[r]); both have room for `lanes` numbers. Unless y is
     * NULL, it becomes factor[r]*softmax(x). */
    void (*softmax_rows)(const void *x, const void *factor, void *y, ptrdiff_t rows, ptrdiff_t n, void *most,
                         void *log_total);
    /* The same for `places` neighbours, places <= lanes: place i has the n scores x[k*step + i], k < n. */
    void (*softmax_places)(const void *x, const void *factor, void *y, ptrdiff_t places, ptrdiff_t n, ptrdiff_t step,
                           void *most, void *log_total);
    /* loss[.][0] is the loss of n elements, loss[.][1] its derivative. */
    fnn_loss loss[FNN_LOSSES][2];

    /* rules[FNN_...] of optimisers, in place over n elements of each array; c holds the factors of the rule. In the
     * formulas g = c[0]*arrays[1], plus c[1]*p unless c[1] is 0. c[0] is 1 to minimise and -1 to maximise.
     * FNN_SGD (p, g, v): v = c[2]*v + c[3]*g; p -= c[5]*(c[4] ? g + c[2]*v : v). With v NULL, p -= c[5]*g.
     * FNN_ADAM (p, g, m, v, top): m += c[2]*(g - m); v = c[3]*v + c[4]*g^2; top = max(top, v);
     * p = c[5]*p - (c[6]*m + c[7]*g) / (c[8]*sqrt(top) + c[9]). With top NULL, v takes its place.
     * FNN_RMSPROP (p, g, v, u, m): v = c[2]*v + c[3]*g^2; m += c[3]*(g - m); d = sqrt(v - m^2) + c[4];
     * u = c[5]*u + g/d; p -= c[6]*u. With m NULL, d = sqrt(v) + c[4]. With u NULL, g/d takes its place.
     * FNN_SCALE (x): x *= c[0]. FNN_CLAMP (x): x = min(max(x, c[0]), c[1]); NaN stays. */
    void (*rules[FNN_RULES])(void *const *arrays, ptrdiff_t n, const double *c);
    /* The sum of |x|^order over n elements, in double precision, added in a sequence that depends on n only. If
     * `order` is infinite, the largest |x|. A NaN makes the result NaN. */
    double (*power_sum)(const void *x, ptrdiff_t n, double order);

    /* Winograd's transforms for kernels of `taps` x `taps`, 3 or 5, whose tiles have 7 - taps output pixels each way.
     * The channels of a pixel are neighbours, in whole vectors; pixel (i, j) of a tile is at i*row_step + j*col_step.
     * The 36 values of a tile are `step` apart, those of neighbouring tiles col_step.
     * wino_image: values of the tiles of a row from their input pixels, 6 x 6 each.
     * wino_weights: values from the kernels at w + m*w_step, m < rows; zeros up to a whole vector.
     * wino_result: the output pixels of a tile, act(bias + ...), from 36 products. It returns 0 if a product was inf or
     * NaN; the pixels are not valid then. */
    void (*wino_image)(int taps, void *values, ptrdiff_t step, const void *pixels, ptrdiff_t row_step,
                       ptrdiff_t col_step, ptrdiff_t channels, ptrdiff_t tiles);
    void (*wino_weights)(int taps, void *values, ptrdiff_t step, const void *w, ptrdiff_t w_step, ptrdiff_t rows);
    int (*wino_result)(int taps, void *pixels, ptrdiff_t row_step, ptrdiff_t col_step, const void *products,
                       ptrdiff_t step, ptrdiff_t channels, const void *bias, int flags);
    /* For the gradients.
     * wino_gradient: values from the gradients of a tile's output pixels.
     * wino_taps: the kernels' gradients at dw + m*w_step, m < rows, from 36 sums of products.
     * wino_spread: the products of the tiles of a row, turned back, are added to the gradients of their input pixels.
     * The last two return 0 if one of the products was inf or NaN. */
    void (*wino_gradient)(int taps, void *values, ptrdiff_t step, const void *pixels, ptrdiff_t row_step,
                          ptrdiff_t col_step, ptrdiff_t channels);
    int (*wino_taps)(int taps, void *dw, ptrdiff_t w_step, const void *sums, ptrdiff_t step, ptrdiff_t rows);
    int (*wino_spread)(int taps, void *pixels, ptrdiff_t row_step, ptrdiff_t col_step, const void *products,
                       ptrdiff_t step, ptrdiff_t channels, ptrdiff_t tiles);

    /* Winograd's way for images side by side. side_result makes the pixels of some tiles of a row, for `outs` outputs,
     * outs <= wino_outs: act(bias + ...), from the values of all inputs. side_spread adds the gradients of the input pixels.
     * Weights are (ins, 36, wino_outs). `bias` has a number for each output, or is NULL. Both return 0 if one of the
     * products was inf or NaN. */
    ptrdiff_t wino_outs;
    int (*side_result)(const fnn_side *s, int outs, void *pixels, const void *values, const void *weights,
                       const void *bias, int flags);
    int (*side_spread)(const fnn_side *s, int outs, void *pixels, const void *values, const void *weights);

    /* Dot tiles have up to dot_most rows, and dot_cols[rows] columns. */
    ptrdiff_t dot_most, dot_cols[FNN_DOT_ROWS + 1];
} fnn_tiles;

/* Prefetch memory that will be read soon, to the second-level cache. */
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
int fnn_isa_supported(int tier);     /* whether this CPU runs it under this system */
void fnn_isa_use(int tier);          /* chooses the tier that fnn_tiles_now returns */
const fnn_tiles *fnn_tiles_now(int is_double);

/* ---- Threads (threads.c) --------------------------------------------------------------------------------------------
 * task(job, chunk, slot) runs once for each chunk < chunks, on at most `threads` threads. `slot` < threads tells the
 * threads apart: ask for fnn_threads() once, and make one workspace for each slot. The call returns when all chunks
 * are done. A job of little work runs on the caller alone. A unit of work is an element moved, or 16 multiply-adds of a
 * tile. Inside a job denormals are zero. */
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
