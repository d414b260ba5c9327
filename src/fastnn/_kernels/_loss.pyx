"""Losses: cross-entropy of scores of classes, and sums over pairs of an output and a target.

Chunks follow from the shape alone, and their sums are added in order. So the bits do not depend on the threads.
"""
from libc.math cimport NAN
from libc.stdint cimport int64_t
from libc.string cimport memset

from fastnn._kernels._table cimport allocate, parallel, release, threads, tiles
from fastnn._kernels.fnn cimport (
    FNN_BCE,
    FNN_BCE_LOGITS,
    FNN_DISTANCE,
    FNN_KL,
    FNN_KL_LOG,
    begin,
    ceil_div,
    fnn_task,
    fnn_tiles,
)

ctypedef fused real:
    float
    double

cdef enum:
    CHUNK = 16384  # elements
    BLOCK = 1024   # losses that are added in their own precision, before double precision takes over
    GROUP = 4096   # elements of the rows whose softmax is computed together
    LANES = 16     # lanes of the widest vector


cdef void describe(Rows *g, fnn_tiles *t, const real[:, :, ::1] x, const int64_t[::1] labels,
                   const real[:, :, ::1] target, const real[::1] weight, int64_t ignored, double smoothing,
                   bint logged) noexcept:
    cdef Py_ssize_t k, N = x.shape[0], K = x.shape[1], P = x.shape[2]
    g.t, g.K, g.x = t, K, begin(x)
    if P == 1:
        g.images, g.places, g.image_step, g.place_step, g.class_step = 1, N, 0, K, 1
        g.group = min(t.lanes, max(<Py_ssize_t> 1, GROUP // K))
    else:
        g.images, g.places, g.image_step, g.place_step, g.class_step = N, P, K * P, 1, P
        g.group = t.lanes
    g.groups = ceil_div(g.places, g.group)
    g.chunk = max(<Py_ssize_t> 1, CHUNK // (K * g.group))
    g.labels = <const int64_t *> begin(labels)
    g.target = begin(target)
    g.weight = begin(weight)
    g.ignored, g.smoothing, g.logged = ignored, smoothing, logged
    g.each, g.out, g.sums = NULL, NULL, NULL
    g.spread = K
    if weight is not None:
        g.spread = 0
        for k in range(K):
            g.spread += weight[k]
    g.known, g.mass = True, N * P
    if g.labels != NULL:
        count_labels(g, <const real *> g.weight)


cdef void count_labels(Rows *g, const real *weight) noexcept nogil:
    cdef Py_ssize_t n
    cdef int64_t label
    g.mass = 0
    for n in range(g.images * g.places):
        label = g.labels[n]
        if 0 <= label < g.K and label != g.ignored:
            g.mass += weight[label] if weight != NULL else 1
        elif label != g.ignored:
            g.known = False


cdef void softmax(const Rows *g, const real *x, const real *factor, real *y, Py_ssize_t places, real *most,
                  real *log_total) noexcept nogil:
    if g.class_step == 1:
        g.t.softmax_rows(x, factor, y, places, g.K, most, log_total)
    else:
        g.t.softmax_places(x, factor, y, places, g.K, g.class_step, most, log_total)


cdef void forward_rows(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Rows *g = <const Rows *> job
    cdef Py_ssize_t i
    cdef double total = 0
    for i in range(chunk * g.chunk, min(g.images * g.groups, (chunk + 1) * g.chunk)):
        if g.t.itemsize == sizeof(float):
            total += losses[float](g, i // g.groups, i % g.groups * g.group, <const float *> g.x,
                                   <const float *> g.target, <const float *> g.weight, <float *> g.out)
        else:
            total += losses[double](g, i // g.groups, i % g.groups * g.group, <const double *> g.x,
                                    <const double *> g.target, <const double *> g.weight, <double *> g.out)
    g.sums[chunk] = total


cdef double losses(const Rows *g, Py_ssize_t image, Py_ssize_t first, const real *x, const real *target,
                   const real *weight, real *out) noexcept nogil:
    """The losses of a group of places, and their sum."""
    cdef real most[LANES]
    cdef real log_total[LANES]
    cdef real loss, least, own
    cdef Py_ssize_t r, n, at = image * g.image_step + first * g.place_step, places = min(g.group, g.places - first)
    cdef int64_t label
    cdef double total = 0
    if g.logged:
        memset(most, 0, sizeof(most))
        memset(log_total, 0, sizeof(log_total))
    else:
        softmax(g, x + at, <const real *> NULL, <real *> NULL, places, most, log_total)
    for r in range(places):
        n, least, own, loss = image * g.places + first + r, most[r], log_total[r], 0
        if g.labels == NULL:
            loss = spread(g, x + at, target + at, weight, least, own)
        elif g.labels[n] != g.ignored:
            label = g.labels[n]  # checked again after count_labels: another thread may have changed it
            if 0 <= label < g.K:
                loss = -((x[at + label * g.class_step] - least) - own) * <real> (1 - g.smoothing)
                loss *= weight[label] if weight != NULL else 1
            else:
                loss = <real> NAN
        if g.smoothing != 0 and g.labels != NULL and g.labels[n] != g.ignored:
            loss += spread(g, x + at, <const real *> NULL, weight, least, own)
        if out != NULL:
            out[n] = loss
        total += loss
        at += g.place_step
    return total


cdef real spread(const Rows *g, const real *x, const real *target, const real *weight, real most,
                 real log_total) noexcept nogil:
    """The sum of -wanted*weight*log(softmax(x)) over the classes of a place.

    `wanted` is the smoothed target of a class. With smoothing it is never 0, so 0*inf cannot give NaN. With target NULL
    it is only the share that smoothing gives to every class; the caller adds the term of the label.
    """
    cdef Py_ssize_t k
    cdef real share, even = <real> (g.smoothing / g.K), kept = <real> (1 - g.smoothing)
    cdef double total = 0
    for k in range(g.K):
        share = kept * target[k * g.class_step] + even if target != NULL else even
        if weight != NULL:
            share *= weight[k]
        total -= share * ((x[k * g.class_step] - most) - log_total)
    return <real> total


cdef void backward_rows(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Rows *g = <const Rows *> job
    cdef Py_ssize_t i
    for i in range(chunk * g.chunk, min(g.images * g.groups, (chunk + 1) * g.chunk)):
        if g.t.itemsize == sizeof(float):
            slopes[float](g, i // g.groups, i % g.groups * g.group, <const float *> g.x, <const float *> g.target,
                          <const float *> g.weight, <const float *> g.each, <float *> g.out)
        else:
            slopes[double](g, i // g.groups, i % g.groups * g.group, <const double *> g.x, <const double *> g.target,
                           <const double *> g.weight, <const double *> g.each, <double *> g.out)


cdef void slopes(const Rows *g, Py_ssize_t image, Py_ssize_t first, const real *x, const real *target,
                 const real *weight, const real *each, real *dx) noexcept nogil:
    """dx = (softmax(x)*(the sum of wanted) - wanted)*scale for a group of places; `wanted` are the weighted targets."""
    cdef real most[LANES]
    cdef real log_total[LANES]
    cdef real factor[LANES]
    cdef real share
    cdef double mass, scale  # in float one could overflow or the other be flushed, though their product is in range
    cdef real even = <real> (g.smoothing / g.K), kept = <real> (1 - g.smoothing)
    cdef Py_ssize_t r, n, k, at = image * g.image_step + first * g.place_step
    cdef Py_ssize_t places = min(g.group, g.places - first)
    cdef int64_t label
    if g.logged and g.class_step == 1:
        memset(dx + at, 0, places * g.K * sizeof(real))
    elif g.logged:
        for k in range(g.K):
            memset(dx + at + k * g.class_step, 0, places * sizeof(real))
    else:
        for r in range(places):
            n, mass = image * g.places + first + r, 0
            if g.labels == NULL:
                for k in range(g.K):
                    share = kept * target[at + r * g.place_step + k * g.class_step] + even
                    mass += share * weight[k] if weight != NULL else share
            else:
                label = g.labels[n]
                mass = kept * weight[label] if weight != NULL and 0 <= label < g.K else kept
                if g.smoothing != 0:
                    mass += <real> (g.smoothing / g.K * g.spread)
            scale = g.scale * (each[n] if each != NULL else 1)
            factor[r] = 0 if g.labels != NULL and g.labels[n] == g.ignored else <real> (mass * scale)
        softmax(g, x + at, factor, dx + at, places, most, log_total)
    for r in range(places):
        n = image * g.places + first + r
        label = g.labels[n] if g.labels != NULL else 0
        if g.labels == NULL or (label != g.ignored and 0 <= label < g.K):
            scale = g.scale * (each[n] if each != NULL else 1)
            if g.labels != NULL:
                dx[at + label * g.class_step] -= <real> (kept * scale * (weight[label] if weight != NULL else 1))
            if g.labels == NULL or g.smoothing != 0:
                for k in range(g.K):
                    share = kept * target[at + k * g.class_step] + even if g.labels == NULL else even
                    dx[at + k * g.class_step] -= <real> (share * scale * (weight[k] if weight != NULL else 1))
        at += g.place_step


cdef Rows describe_scores(fnn_tiles *t, Py_ssize_t N, Py_ssize_t K, Py_ssize_t step, int64_t ignored,
                          double smoothing) noexcept nogil:
    cdef Rows g
    g.t, g.images, g.places, g.K, g.image_step = t, 1, N, K, 0
    g.place_step, g.class_step = 1 if step else K, step if step else 1
    g.group = t.lanes if step else min(t.lanes, max(<Py_ssize_t> 1, GROUP // K))
    g.groups = ceil_div(N, g.group)
    g.chunk = max(<Py_ssize_t> 1, CHUNK // (K * g.group))
    g.x = g.target = g.weight = g.each = NULL
    g.out, g.sums, g.labels = NULL, NULL, NULL
    g.ignored, g.smoothing, g.spread, g.logged = ignored, smoothing, K, False
    g.known, g.mass, g.scale = True, N, 1
    return g


cdef double losses_and_slopes(const Rows *g, Py_ssize_t first, const real *x, real *dx) noexcept nogil:
    """The sum of the losses of a group of places, and their gradients, of labels without smoothing."""
    cdef real most[LANES]
    cdef real log_total[LANES]
    cdef real factor[LANES]
    cdef real share = <real> g.scale
    cdef Py_ssize_t r, at, places = min(g.group, g.places - first)
    cdef const int64_t *labels = g.labels + first
    cdef double total = 0
    for r in range(places):
        factor[r] = 0 if labels[r] == g.ignored else share
    at = first * g.place_step
    softmax(g, x + at, factor, dx + at, places, most, log_total)
    for r in range(places):
        if labels[r] != g.ignored and 0 <= labels[r] < g.K:
            at = (first + r) * g.place_step + labels[r] * g.class_step
            total += -((x[at] - most[r]) - log_total[r])
            dx[at] -= share
    return total


cdef void forward_and_backward_rows(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef Rows *g = <Rows *> job
    cdef Rows halves
    cdef Py_ssize_t i
    cdef double total = 0
    if g.smoothing != 0 or g.weight != NULL:
        halves = g[0]
        halves.out = NULL
        forward_rows(&halves, chunk, slot)
        backward_rows(g, chunk, slot)
        return
    for i in range(chunk * g.chunk, min(g.groups, (chunk + 1) * g.chunk)):
        if g.t.itemsize == sizeof(float):
            total += losses_and_slopes[float](g, i * g.group, <const float *> g.x, <float *> g.out)
        else:
            total += losses_and_slopes[double](g, i * g.group, <const double *> g.x, <double *> g.out)
    g.sums[chunk] = total


cdef void look_at_labels(Rows *g) noexcept nogil:
    if g.t.itemsize == sizeof(float):
        weigh_labels(g, <const float *> g.weight)
    else:
        weigh_labels(g, <const double *> g.weight)


cdef void weigh_labels(Rows *g, const real *weight) noexcept nogil:
    cdef Py_ssize_t k
    if weight != NULL:
        g.spread = 0
        for k in range(g.K):
            g.spread += weight[k]
    count_labels(g, weight)


cdef void run_rows(const Rows *g, fnn_task task) noexcept:
    with nogil:
        parallel(task, <void *> g, ceil_div(g.images * g.groups, g.chunk), threads(),
                 4.0 * g.images * g.places * g.K)


def cross_entropy_forward(const real[:, :, ::1] x, const int64_t[::1] labels, const real[:, :, ::1] target,
                          const real[::1] weight, int64_t ignored, double smoothing, bint logged, bint mean,
                          real[::1] out):
    """The sum or the mean of the losses of scores x (N, K, P). out (N*P,) = the loss of each place, unless it is None.

    Each place has a label, in labels (N*P,), or probabilities, in target (N, K, P). Places with the label `ignored` are
    left out. weight (K,) may be None. Returns NaN if a label is outside of 0..K-1. `logged`: x holds log-probabilities,
    and there are labels. REDUCTION(2*K + 16).
    """
    cdef Rows g
    cdef Py_ssize_t chunk, chunks
    cdef double total = 0
    describe(&g, tiles(real is double), x, labels, target, weight, ignored, smoothing, logged)
    chunks = ceil_div(g.images * g.groups, g.chunk)
    g.out = begin(out)
    g.sums = <double *> allocate(chunks * sizeof(double))
    if g.sums == NULL:
        raise MemoryError("no memory for the sums of a loss")
    run_rows(&g, forward_rows)
    for chunk in range(chunks):
        total += g.sums[chunk]
    release(g.sums)
    if not g.known:
        return NAN
    return total / g.mass if mean else total


def cross_entropy_backward(const real[:, :, ::1] x, const int64_t[::1] labels, const real[:, :, ::1] target,
                           const real[::1] weight, int64_t ignored, double smoothing, bint logged, bint mean,
                           double dloss, const real[::1] each, real[:, :, ::1] dx):
    """dx (N, K, P) = the gradient of `cross_entropy_forward` times dloss, and times each (N*P,) unless it is None.

    Returns whether all labels are in 0..K-1; otherwise dx is not valid. REDUCTION(2*K + 14).
    """
    cdef Rows g
    describe(&g, tiles(real is double), x, labels, target, weight, ignored, smoothing, logged)
    g.scale, g.out = dloss / g.mass if mean else dloss, begin(dx)
    g.each = begin(each)
    run_rows(&g, backward_rows)
    return g.known


# Sums over pairs of an output and a target

DISTANCE, BCE, BCE_LOGITS, KL, KL_LOG = FNN_DISTANCE, FNN_BCE, FNN_BCE_LOGITS, FNN_KL, FNN_KL_LOG

cdef struct Pairs:
    fnn_tiles *t
    int kind
    bint slope
    Py_ssize_t n
    const char *x
    const char *target
    const char *q        # or NULL
    const char *factors  # one for each element, or NULL
    double p[4]
    double scale
    char *out            # or NULL, if only the sum is wanted
    double *sums         # the sum of each chunk, if `out` is NULL


cdef void run_pairs(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Pairs *g = <const Pairs *> job
    cdef Py_ssize_t size = g.t.itemsize, i = chunk * CHUNK, stop = min(g.n, i + CHUNK), n = stop - i
    cdef double block[BLOCK]
    cdef char *out
    cdef double total = 0
    while i < stop:
        n = min(stop - i, <Py_ssize_t> BLOCK) if g.out == NULL else stop - i
        out = <char *> block if g.out == NULL else g.out + i * size
        g.t.loss[g.kind][g.slope](g.x + i * size, g.target + i * size, g.q + i * size if g.q != NULL else NULL,
                                  g.factors + i * size if g.factors != NULL else NULL, g.p, g.scale, out, n)
        if g.out == NULL:
            g.t.sums(&total, out, n, 1, n)
        i += n
    if g.out == NULL:
        g.sums[chunk] = total


def pairs(int kind, bint slope, const real[::1] x, const real[::1] target, const real[::1] q, const real[::1] factors,
          tuple p, double scale, real[::1] out):
    """out = the loss of a `kind`, or its `slope`, times scale and factors (see fnn.h). Returns the sum if out is None.

    All arrays are (n,); q and factors may be None; p has four numbers. Blocks are added in double precision.
    REDUCTION(14) for elements, REDUCTION(n + 14) for the sum.
    """
    cdef Pairs g
    cdef Py_ssize_t chunk, chunks = ceil_div(x.shape[0], CHUNK)
    cdef double total = 0
    g.t, g.kind, g.slope, g.n, g.scale = tiles(real is double), kind, slope, x.shape[0], scale
    g.x, g.target = begin(x), begin(target)
    g.q = begin(q)
    g.factors = begin(factors)
    g.p[0], g.p[1], g.p[2], g.p[3] = p
    g.out, g.sums = NULL, NULL
    if out is not None:
        g.out = begin(out)
    else:
        g.sums = <double *> allocate(chunks * sizeof(double))
        if g.sums == NULL:
            raise MemoryError("no memory for the sums of a loss")
    with nogil:
        parallel(run_pairs, &g, chunks, threads(), 2.0 * g.n)
    if g.sums != NULL:
        for chunk in range(chunks):
            total += g.sums[chunk]
        release(g.sums)
    return total
