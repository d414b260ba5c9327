# csrc/fnn.h as Cython sees it; the contracts are in the header.
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from "fnn.h" nogil:
    enum:
        FNN_ACCUMULATE
        FNN_RELU
        FNN_BIAS_OF_COLUMNS
        FNN_NORM_ROWS
        FNN_NORM_BLOCK
        FNN_SIDE_TILES
        FNN_BLOCK
        FNN_DISTANCE
        FNN_BCE
        FNN_BCE_LOGITS
        FNN_KL
        FNN_KL_LOG
        FNN_LOSSES
        FNN_SGD
        FNN_ADAM
        FNN_RMSPROP
        FNN_SCALE
        FNN_CLAMP
        FNN_RULES
        FNN_relu
        FNN_log_softmax
        FNN_SHORT_DOT
        FNN_SHORT_ROW
        FNN_FUNCTION_COUNT

    ctypedef void (*fnn_loss)(const void *x, const void *t, const void *q, const void *factors, const double *p,
                              double scale, void *y, Py_ssize_t n) noexcept nogil

    ctypedef struct fnn_function "const fnn_function":
        const char *name
        void (*forward)(const void *x, void *y, Py_ssize_t n, const double *settings) noexcept nogil
        void (*backward)(const void *dy, const void *seen, void *dx, Py_ssize_t n,
                         const double *settings) noexcept nogil
        double work, backward_work

    ctypedef struct fnn_span:
        Py_ssize_t start, count, skipped, divisor

    ctypedef struct fnn_windows:
        Py_ssize_t H, W, OH, OW, KW, DH, DW
        const fnn_span *rows
        const fnn_span *columns

    ctypedef struct fnn_side:
        int taps
        Py_ssize_t ins, tiles, plane, row_step, step, in_step

    ctypedef struct fnn_depthwise:
        fnn_windows w
        Py_ssize_t taps, stride, pitch, left, right
        const int32_t *places

    enum:
        FNN_PLANE_ROWS

    ctypedef struct fnn_plane:
        Py_ssize_t H, W, OH, OW, K, stride, PH, PW
        const void *zeros

    ctypedef struct fnn_tiles "const fnn_tiles":
        const char *isa
        Py_ssize_t itemsize, lanes, mr, nr, dot_m, dot_n, dot_most
        Py_ssize_t dot_cols[6]
        void (*panel)(Py_ssize_t rows, Py_ssize_t cols, Py_ssize_t segments, Py_ssize_t depth, const void *a,
                      const Py_ssize_t *starts, Py_ssize_t a_row, Py_ssize_t a_depth, const void *b,
                      const Py_ssize_t *koff, void *c, Py_ssize_t ldc, const void *bias, int flags,
                      const void *next) noexcept nogil
        void (*panel_row)(Py_ssize_t cols, Py_ssize_t depth, const void *a, const void *b, void *c, const void *bias,
                          int flags) noexcept nogil
        void (*taps)(Py_ssize_t n, Py_ssize_t depth, const void *w, const void *x, const Py_ssize_t *koff, void *y,
                     const void *bias, int flags) noexcept nogil
        void (*dot)(Py_ssize_t rows, Py_ssize_t cols, Py_ssize_t length, const void *a, Py_ssize_t lda, const void *b,
                    const Py_ssize_t *koff, void *c, Py_ssize_t ldc, const void *bias, int flags,
                    const void *next) noexcept nogil
        void (*unfold_plane)(void *dst, Py_ssize_t rows, Py_ssize_t cols, const void *src, Py_ssize_t H, Py_ssize_t W,
                             Py_ssize_t ih0, Py_ssize_t ih_step, Py_ssize_t iw0, Py_ssize_t iw_step) noexcept nogil
        void (*fold_plane)(void *dst, Py_ssize_t H, Py_ssize_t W, const void *src, Py_ssize_t rows, Py_ssize_t cols,
                           Py_ssize_t ih0, Py_ssize_t ih_step, Py_ssize_t iw0, Py_ssize_t iw_step) noexcept nogil
        void (*copy)(void *dst, Py_ssize_t dst_step, const void *src, Py_ssize_t src_step, Py_ssize_t rows,
                     Py_ssize_t cols) noexcept nogil
        void (*add)(void *dst, Py_ssize_t dst_step, const void *src, Py_ssize_t src_step, Py_ssize_t rows,
                    Py_ssize_t cols) noexcept nogil
        void (*transpose)(void *dst, const Py_ssize_t *offsets, const void *src, Py_ssize_t src_step, Py_ssize_t rows,
                          Py_ssize_t cols) noexcept nogil
        void (*split)(void *parts, const void *x, Py_ssize_t step, Py_ssize_t k_step, Py_ssize_t rows, Py_ssize_t depth,
                      bint columns, uint32_t *least, uint32_t *most) noexcept nogil
        void (*product)(Py_ssize_t rows, Py_ssize_t cols, Py_ssize_t depth, const void *a, const void *b, void *c,
                        Py_ssize_t ldc, const void *bias, int flags) noexcept nogil
        void (*row)(const void *a, Py_ssize_t a_step, const void *b, Py_ssize_t b_step, Py_ssize_t depth, void *c,
                    Py_ssize_t cols) noexcept nogil
        void (*sum_rows)(void *dst, const void *src, Py_ssize_t src_step, Py_ssize_t rows,
                         Py_ssize_t cols) noexcept nogil
        void (*zip)(void *dst, const void *even, const void *odd, Py_ssize_t n) noexcept nogil
        void (*sums)(double *totals, const void *src, Py_ssize_t src_step, Py_ssize_t rows, Py_ssize_t n) noexcept nogil
        void (*maxpool)(const void *x, Py_ssize_t W, Py_ssize_t kh, Py_ssize_t kw, Py_ssize_t sh, Py_ssize_t sw,
                        Py_ssize_t dh, Py_ssize_t dw, Py_ssize_t rows, Py_ssize_t n, void *y, Py_ssize_t y_step,
                        void *positions, int wide, Py_ssize_t first, Py_ssize_t row_step) noexcept nogil
        void (*avgpool)(const void *x, Py_ssize_t W, Py_ssize_t kh, Py_ssize_t kw, Py_ssize_t sh, Py_ssize_t sw,
                        Py_ssize_t rows, Py_ssize_t n, void *y, Py_ssize_t y_step, Py_ssize_t divisor) noexcept nogil
        void (*maxpool_lanes)(const fnn_windows *w, const void *x, void *y, uint8_t *positions, Py_ssize_t planes,
                              void *room) noexcept nogil
        void (*avgpool_lanes)(const fnn_windows *w, const void *x, void *y, Py_ssize_t planes,
                              void *room) noexcept nogil
        void (*maxpool_lanes_backward)(const fnn_windows *w, const void *dy, const uint8_t *positions, void *dx,
                                       Py_ssize_t planes, void *room) noexcept nogil
        void (*avgpool_lanes_backward)(const fnn_windows *w, const void *dy, void *dx, Py_ssize_t planes,
                                       void *room) noexcept nogil
        void (*depthwise_lanes)(const fnn_depthwise *d, Py_ssize_t first, Py_ssize_t rows, const void *x,
                                const void *weight, const void *bias, void *y, Py_ssize_t planes, int flags,
                                void *room) noexcept nogil
        void (*depthwise_lanes_backward)(const fnn_windows *w, const void *dy, const void *x, const void *weight,
                                         Py_ssize_t taps, void *dx, void *sums, Py_ssize_t planes,
                                         void *room) noexcept nogil
        void (*plane_rows)(const fnn_plane *d, Py_ssize_t first, Py_ssize_t rows, const void *x, const void *weight,
                           const void *bias, void *y, int flags) noexcept nogil
        void (*plane_weight)(const fnn_plane *d, Py_ssize_t first, Py_ssize_t rows, Py_ssize_t begin, Py_ssize_t end,
                             const void *x, const void *dy, void *sums) noexcept nogil
        void (*plane_spread)(const fnn_plane *d, const void *dy, const void *weight, void *dx) noexcept nogil
        void (*unpool_2x2)(const void *dy, const uint8_t *positions, void *dx, Py_ssize_t rows,
                           Py_ssize_t n) noexcept nogil
        void (*byte_range)(const uint8_t *p, Py_ssize_t n, uint8_t *least, uint8_t *most) noexcept nogil
        void (*short_dots)(Py_ssize_t n, Py_ssize_t length, const void *x, const void *w, void *y, const void *bias,
                           int flags) noexcept nogil
        void (*unpool_3x3)(const void *dy, const uint8_t *positions, void *dx, Py_ssize_t rows, Py_ssize_t cols,
                           Py_ssize_t H, Py_ssize_t W, Py_ssize_t PH, Py_ssize_t PW, void *row) noexcept nogil
        fnn_function functions[FNN_FUNCTION_COUNT]
        void (*softmax_columns)(const void *x, void *y, Py_ssize_t columns, Py_ssize_t n, Py_ssize_t step,
                                bint logged) noexcept nogil
        void (*softmax_short)(const void *x, void *y, Py_ssize_t rows, Py_ssize_t n, bint logged) noexcept nogil
        void (*softmax_short_backward)(const void *dy, const void *y, void *dx, Py_ssize_t rows, Py_ssize_t n,
                                       bint logged) noexcept nogil
        void (*softmax_columns_backward)(const void *dy, const void *y, void *dx, Py_ssize_t columns, Py_ssize_t n,
                                         Py_ssize_t step, bint logged) noexcept nogil
        void (*add_two)(const void *a, const void *b, void *y, Py_ssize_t n, bint relu) noexcept nogil
        void (*multiply)(const void *a, const void *b, void *y, Py_ssize_t n, bint each) noexcept nogil
        void (*prelu)(const void *x, const void *w, void *y, Py_ssize_t planes, Py_ssize_t n,
                      bint each) noexcept nogil
        void (*prelu_backward)(const void *dy, const void *x, const void *w, void *dx, double *dw, Py_ssize_t n,
                               bint each) noexcept nogil
        void (*norm_moments)(const void *x, Py_ssize_t at, Py_ssize_t rows, Py_ssize_t step, Py_ssize_t n, int each,
                             double *mean, double *m2) noexcept nogil
        void (*norm_apply)(const void *x, void *y, Py_ssize_t at, Py_ssize_t rows, Py_ssize_t step, Py_ssize_t n,
                           int each, const void *mean, const void *scale, const void *shift, int flags) noexcept nogil
        void (*norm_sums)(const void *dy, const void *x, const void *y, Py_ssize_t at, Py_ssize_t rows,
                          Py_ssize_t step, Py_ssize_t n, int each, const void *mean, const void *invstd,
                          double *total, double *slope) noexcept nogil
        void (*norm_backward)(const void *dy, const void *x, const void *y, void *dx, Py_ssize_t at, Py_ssize_t rows,
                              Py_ssize_t step, Py_ssize_t n, int each, const void *mean, const void *invstd,
                              const void *scale, const void *shift, const void *slope) noexcept nogil
        void (*norm_row)(const void *x, void *y, Py_ssize_t at, Py_ssize_t n, const void *w, const void *b, double eps,
                         double *mean, double *var) noexcept nogil
        void (*norm_row_backward)(const void *dy, const void *x, void *dx, Py_ssize_t at, Py_ssize_t n, const void *w,
                                  double mean, double invstd, void *dw, void *db) noexcept nogil
        void (*local_squares)(const void *x, Py_ssize_t step, Py_ssize_t rows, void *sums, Py_ssize_t n) noexcept nogil
        int (*local_scale)(const void *g, const void *x, const void *sums, void *y, void *terms, Py_ssize_t n,
                           double alpha, double beta, double k) noexcept nogil
        void (*local_spread)(void *dx, const void *x, const void *sums, Py_ssize_t n, double factor) noexcept nogil
        void (*random)(uint32_t *words, uint64_t group, Py_ssize_t groups, uint64_t stream,
                       uint64_t step) noexcept nogil
        void (*keep)(const uint32_t *words, uint32_t threshold, Py_ssize_t n, uint8_t *kept) noexcept nogil
        void (*drop_kept)(const void *x, void *y, const uint8_t *kept, Py_ssize_t n, double scale) noexcept nogil
        void (*drop)(const void *x, void *y, const uint32_t *words, uint32_t threshold, Py_ssize_t rows, Py_ssize_t n,
                     double scale) noexcept nogil
        void (*softmax_rows)(const void *x, const void *factor, void *y, Py_ssize_t rows, Py_ssize_t n, void *most,
                             void *log_total) noexcept nogil
        void (*softmax_places)(const void *x, const void *factor, void *y, Py_ssize_t places, Py_ssize_t n,
                               Py_ssize_t step, void *most, void *log_total) noexcept nogil
        fnn_loss loss[FNN_LOSSES][2]
        void (**rules)(void **arrays, Py_ssize_t n, const double *c) noexcept nogil
        double (*power_sum)(const void *x, Py_ssize_t n, double order) noexcept nogil
        void (*wino_image)(int taps, void *values, Py_ssize_t step, const void *pixels, Py_ssize_t row_step,
                           Py_ssize_t col_step, Py_ssize_t channels, Py_ssize_t tiles) noexcept nogil
        void (*wino_weights)(int taps, void *values, Py_ssize_t step, const void *w, Py_ssize_t w_step,
                             Py_ssize_t rows) noexcept nogil
        int (*wino_result)(int taps, void *pixels, Py_ssize_t row_step, Py_ssize_t col_step, const void *products,
                           Py_ssize_t step, Py_ssize_t channels, const void *bias, int flags) noexcept nogil
        void (*wino_gradient)(int taps, void *values, Py_ssize_t step, const void *pixels, Py_ssize_t row_step,
                              Py_ssize_t col_step, Py_ssize_t channels) noexcept nogil
        int (*wino_taps)(int taps, void *dw, Py_ssize_t w_step, const void *sums, Py_ssize_t step,
                         Py_ssize_t rows) noexcept nogil
        int (*wino_spread)(int taps, void *pixels, Py_ssize_t row_step, Py_ssize_t col_step, const void *products,
                           Py_ssize_t step, Py_ssize_t channels, Py_ssize_t tiles) noexcept nogil
        Py_ssize_t wino_outs
        int (*side_result)(const fnn_side *s, int outs, void *pixels, const void *values, const void *weights,
                           const void *bias, int flags) noexcept nogil
        int (*side_spread)(const fnn_side *s, int outs, void *pixels, const void *values,
                           const void *weights) noexcept nogil

    void fnn_fetch(const void *start, Py_ssize_t nbytes) noexcept
    ctypedef void (*fnn_task)(void *job, Py_ssize_t chunk, int slot) noexcept nogil


cdef extern from *:
    """
    #define fnn_begin(view) ((view).data)
    """
    # begin(view): the address of a contiguous memoryview, NULL where it is None. A view without elements has no
    # &view[0].
    char *begin "fnn_begin" (...) noexcept nogil


cdef inline Py_ssize_t split_at(Py_ssize_t total, Py_ssize_t parts, Py_ssize_t i) noexcept nogil:
    """The beginning of part i, where `total` is cut into parts that differ by at most one, longer ones first."""
    return i * (total // parts) + min(i, total % parts)


cdef inline void add_to_doubles(double *totals, const void *part, Py_ssize_t n, Py_ssize_t itemsize) noexcept nogil:
    """totals[j] += part[j], j < n."""
    cdef Py_ssize_t j
    if itemsize == sizeof(float):
        for j in range(n):
            totals[j] += (<const float *> part)[j]
    else:
        for j in range(n):
            totals[j] += (<const double *> part)[j]


cdef inline void add_doubles(double *sums, Py_ssize_t parts, Py_ssize_t n) noexcept nogil:
    """Add the other parts of (parts, n) to the first one, in order."""
    cdef Py_ssize_t part, j
    for part in range(1, parts):
        for j in range(n):
            sums[j] += sums[part * n + j]


cdef inline void put_doubles(void *target, const double *numbers, Py_ssize_t n, Py_ssize_t itemsize) noexcept nogil:
    """target[j] = numbers[j], j < n."""
    cdef Py_ssize_t j
    if itemsize == sizeof(float):
        for j in range(n):
            (<float *> target)[j] = <float> numbers[j]
    else:
        memcpy(target, numbers, n * sizeof(double))


cdef inline Py_ssize_t ceil_div(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    """a / b rounded up, for a >= 0 and b > 0."""
    return (a - 1) // b + 1 if a > 0 else 0


cdef inline bint share_sets(Py_ssize_t nbytes) noexcept nogil:
    """Whether rows so many bytes apart begin in one set of the first-level cache: they drive each other out of it."""
    return nbytes > 0 and nbytes % 4096 == 0


cdef inline Py_ssize_t reach(Py_ssize_t K, Py_ssize_t D) noexcept nogil:
    """The number of pixels that a kernel of K elements spans, if they are D apart."""
    return (K - 1) * D + 1


cdef inline bint fits(double nbytes) noexcept nogil:
    """Whether a workspace of this many bytes can exist. The count is a double, because integers could overflow."""
    return nbytes < 1e14
