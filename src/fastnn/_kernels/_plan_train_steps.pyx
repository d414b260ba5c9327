"""One step in the plan of a training step, forward and back, over some examples: how it calls its kernels."""
from libc.stdint cimport int64_t

from fastnn._kernels._activation cimport Map, Prelu, apply, apply_prelu, describe_map, describe_prelu, prelu_gradients
from fastnn._kernels._conv_backward cimport gradients as conv_gradients, transposed_gradients
from fastnn._kernels._conv_forward cimport convolve
from fastnn._kernels._conv_input cimport input_gradient
from fastnn._kernels._drop cimport drop_rows
from fastnn._kernels._embedding cimport Lookup, look_up, table_gradient
from fastnn._kernels._matmul cimport Gradient, Linear, describe_linear, linear, linear_gradients
from fastnn._kernels._norm cimport Norm, describe_norm, normalise
from fastnn._kernels._norm_pool cimport may_pool, normalise_and_pool, unpool_and_normalise
from fastnn._kernels._pick cimport pick
from fastnn._kernels._pool cimport avgpool, maxpool
from fastnn._kernels._pool_backward cimport average_pool_gradient, max_pool_gradient
from fastnn._kernels._resample cimport resample, resample_gradient
from fastnn._kernels._rownorm cimport describe_rows, normalise_rows
from fastnn._kernels.conv_gradients cimport Gradients
from fastnn._kernels.conv_output cimport Output
from fastnn._kernels.direction cimport BACKWARD, FORWARD
from fastnn._kernels.fnn cimport FNN_RELU, FNN_relu


cdef inline const char *parameter(const Call *g, Py_ssize_t place) noexcept nogil:
    return <const char *> g.parameters[place] if place >= 0 else NULL


cdef void take_map(const Call *g, const Step *step, Py_ssize_t n, const char *dy, const char *x, char *y,
                   int workers) noexcept nogil:
    cdef Map map = describe_map(g.t, step.function, n * step.inputs, step.count, step.settings[0], step.settings[1])
    map.direction = FORWARD if dy == NULL else BACKWARD
    apply(&map, dy, x, y, workers)


cdef void turn(const Call *g, const Step *step, Py_ssize_t n, const char *dy, const char *y, char *turned,
               int workers) noexcept nogil:
    cdef Map map = describe_map(g.t, FNN_relu, n * step.outputs, 0, 0, 0)
    map.direction = BACKWARD
    apply(&map, dy, y, turned, workers)


cdef inline char *statistics(const Call *g, const Step *step, Py_ssize_t row) noexcept nogil:
    """The saved numbers of the channels: the means in row 0, and 1/sqrt(var + eps) in row 1."""
    return g.statistics + (step.saved + row * step.channels) * g.t.itemsize


cdef bint have_pool(Call *g, Step *norm, Pool pool) noexcept nogil:
    cdef Norm described = describe_norm(g.t, g.N, norm.channels, norm.inputs // norm.channels)
    if not may_pool(&described, &pool):
        return False
    norm.kind, norm.pool, norm.relu_first, norm.relu_later = NORM_POOL, pool, norm.relu, True
    norm.outputs = norm.channels * pool.OH * pool.OW
    g.outputs = norm.outputs
    return True


cdef bint normalise_batch(const Call *g, const Step *step, Py_ssize_t n, const char *x, char *y, char *positions,
                          int workers) noexcept nogil:
    cdef Norm norm = describe_norm(g.t, n, step.channels, step.inputs // step.channels)
    cdef Pool pool
    norm.x, norm.out, norm.flags, norm.eps = x, y, FNN_RELU if step.relu else 0, step.eps
    norm.weight, norm.bias = parameter(g, step.weight), parameter(g, step.bias)
    norm.running_mean, norm.running_var = <char *> parameter(g, step.mean), <char *> parameter(g, step.var)
    norm.saved_mean, norm.saved_invstd = statistics(g, step, 0), statistics(g, step, 1)
    norm.training = norm.looks = True
    norm.momentum = step.momentum
    if step.kind == NORM:
        return normalise(&norm, workers)
    pool = pool_of(step, n, NULL, y, positions)
    return normalise_and_pool(&norm, &pool, workers)


cdef bint normalisation_back(const Call *g, const Step *step, Py_ssize_t n, const char *dy, const char *x,
                             const char *y, char *positions, char *dx, char *dw, char *db,
                             int workers) noexcept nogil:
    cdef Norm norm = describe_norm(g.t, n, step.channels, step.inputs // step.channels)
    cdef Pool pool
    norm.direction, norm.dy, norm.x, norm.out, norm.dw, norm.db = BACKWARD, dy, x, dx, dw, db
    norm.relu = y if step.relu and not step.relu_later else NULL
    norm.weight = parameter(g, step.weight)
    norm.saved_mean, norm.saved_invstd = statistics(g, step, 0), statistics(g, step, 1)
    norm.training = norm.looks = True
    if step.kind == NORM:
        return normalise(&norm, workers)
    pool = pool_of(step, n, NULL, dy, positions)
    return unpool_and_normalise(&norm, &pool, workers)


cdef Gradients transposed(const Call *g, const Step *step, Py_ssize_t n, const char *x) noexcept nogil:
    cdef Gradients a
    a.t, a.shape, a.flags = g.t, step.conv, FNN_RELU if step.relu else 0
    a.shape.N = n
    a.dy, a.w, a.bias, a.x = x, parameter(g, step.weight), parameter(g, step.bias), NULL
    a.dx = a.dw = a.db = NULL
    return a


cdef void take_pick(const Step *step, Py_ssize_t n, const char *whole, const char *picked, bint back,
                    int workers) noexcept nogil:
    cdef Pick g = step.picked
    g.whole, g.picked, g.back = <char *> whole, <char *> picked, back
    pick(&g, n, workers)


cdef void take_drop(const Call *g, const Step *step, Py_ssize_t n, const char *x, char *y, int workers) noexcept nogil:
    cdef Drop drop = step.drop
    drop.rows, drop.x, drop.y = n * step.inputs // drop.n, x, y
    drop_rows(&drop, workers)


cdef NormRows rows_of(const Call *g, const Step *step, Py_ssize_t n, char *moments) noexcept nogil:
    cdef Py_ssize_t rows = n * step.count * step.rows.G
    cdef NormRows r = describe_rows(g.t, n * step.count, step.rows.G, step.rows.S, step.rows.P,
                                    step.weight >= 0 or step.bias >= 0)
    r.eps, r.weight, r.bias = step.rows.eps, parameter(g, step.weight), parameter(g, step.bias)
    r.mean, r.invstd = moments, moments + rows * g.t.itemsize
    return r


cdef bint normalise_rows_back(const Call *g, const Step *step, Py_ssize_t n, const char *dy, const char *x,
                              char *moments, char *dx, char *dw, char *db, int workers) noexcept nogil:
    cdef NormRows r = rows_of(g, step, n, moments)
    r.direction, r.dy, r.x, r.out, r.dw, r.db = BACKWARD, dy, x, dx, dw, db
    return normalise_rows(&r, workers)


cdef bint slopes_back(const Call *g, const Step *step, Py_ssize_t n, const char *dy, const char *x, char *dx, char *dw,
                      int workers) noexcept nogil:
    cdef Prelu prelu = describe_prelu(g.t, n, step.channels, step.inputs // step.channels)
    prelu.direction, prelu.dy, prelu.x, prelu.y, prelu.w = BACKWARD, dy, x, dx, parameter(g, step.weight)
    return prelu_gradients(&prelu, dw, workers)


cdef Lookup table_of(const Call *g, const Step *step, Py_ssize_t n, const char *x) noexcept nogil:
    cdef Lookup lookup
    lookup.t, lookup.count, lookup.D = g.t, n * step.count, step.outputs // step.count
    lookup.rows, lookup.padding_idx = step.weights // lookup.D, step.padding_idx
    lookup.indices = <const int64_t *> x
    return lookup


cdef Resample planes_of(const Call *g, const Step *step, Py_ssize_t n, const char *x, const char *y,
                        char *indices) noexcept nogil:
    cdef Resample planes = step.planes
    planes.total, planes.x, planes.y = n * step.count, <char *> x, <char *> y
    planes.indices = <int64_t *> indices if step.kept else NULL
    return planes


cdef Pool pool_of(const Step *step, Py_ssize_t n, const char *x, const char *y, char *positions) noexcept nogil:
    cdef Pool pool = step.pool
    pool.total, pool.x, pool.y = n * step.pool.total, <char *> x, <char *> y
    pool.positions, pool.wide = positions, False
    return pool


cdef bint learning_forward(const Call *g, const Step *step, Py_ssize_t n, const char *x, char *y, char *moments,
                           int workers) noexcept nogil:
    """Of the other steps that have parameters."""
    cdef NormRows r
    cdef Prelu prelu
    cdef Lookup lookup
    if step.kind == ROW_NORM:
        r = rows_of(g, step, n, moments)
        r.x, r.out = x, y
        return normalise_rows(&r, workers)
    if step.kind == PRELU:
        prelu = describe_prelu(g.t, n, step.channels, step.inputs // step.channels)
        prelu.x, prelu.w, prelu.y = x, parameter(g, step.weight), y
        return apply_prelu(&prelu, workers)
    lookup = table_of(g, step, n, x)
    lookup.source, lookup.target = parameter(g, step.weight), y
    look_up(&lookup, workers)
    return True


cdef bint step_forward(const Call *g, const Step *step, Py_ssize_t n, const char *x, char *y, char *positions,
                       int workers) noexcept nogil:
    cdef Linear rows
    cdef Output output
    cdef Gradients turned
    cdef Pool pool
    cdef Resample planes
    if step.kind == LINEAR:
        rows = describe_linear(g.t, n * step.count, step.outputs // step.count, step.inputs // step.count, step.relu)
        rows.x, rows.y, rows.w, rows.b = x, y, parameter(g, step.weight), parameter(g, step.bias)
        return linear(&rows, workers)
    if step.kind == MAP:
        take_map(g, step, n, NULL, x, y, workers)
    elif step.kind == CONV:
        output.t, output.shape, output.flags = g.t, step.conv, FNN_RELU if step.relu else 0
        output.shape.N = n
        output.x, output.y, output.w, output.bias = x, y, parameter(g, step.weight), parameter(g, step.bias)
        return convolve(&output)
    elif step.kind == TRANSPOSED:
        turned = transposed(g, step, n, x)
        turned.dx = y
        return input_gradient(&turned)
    elif step.kind == PICK:
        take_pick(step, n, x, y, False, workers)
    elif step.kind == NORM or step.kind == NORM_POOL:
        return normalise_batch(g, step, n, x, y, positions, workers)
    elif step.kind == DROP:
        take_drop(g, step, n, x, y, workers)
    elif step.kind == RESAMPLE:
        planes = planes_of(g, step, n, x, y, positions)
        return resample(&planes, workers)
    elif step.kind == MAX_POOL:
        pool = pool_of(step, n, x, y, positions)
        maxpool(&pool, workers)
    elif step.kind == AVERAGE_POOL:
        pool = pool_of(step, n, x, y, positions)
        avgpool(&pool, workers)
    else:
        return learning_forward(g, step, n, x, y, positions, workers)
    return True


cdef bint linear_back(const Call *g, const Step *step, Py_ssize_t n, const char *dy, const char *x, char *dx, char *dw,
                      char *db) noexcept nogil:
    cdef Gradient rows
    rows.t, rows.N, rows.O, rows.I = g.t, n * step.count, step.outputs // step.count, step.inputs // step.count
    rows.dy, rows.x, rows.w, rows.dx, rows.dw, rows.db = dy, x, parameter(g, step.weight), dx, dw, db
    return linear_gradients(&rows)


cdef bint planes_back(const Call *g, const Step *step, Py_ssize_t n, const char *dy, char *positions, char *dx,
                      int workers) noexcept nogil:
    cdef Resample planes
    cdef Pool pool
    if step.kind == RESAMPLE:
        planes = planes_of(g, step, n, dx, dy, positions)
        return resample_gradient(&planes, workers)
    pool = pool_of(step, n, dx, dy, positions)
    return max_pool_gradient(&pool) if step.kind == MAX_POOL else average_pool_gradient(&pool)


cdef bint step_backward(const Call *g, const Step *step, Py_ssize_t n, char *dy, const char *x, const char *y,
                        char *positions, char *dx, char *dw, char *db, int workers) noexcept nogil:
    cdef Gradients of_conv
    cdef Lookup lookup
    if step.kind == LINEAR:
        return linear_back(g, step, n, dy, x, dx, dw, db)
    if step.kind == CONV:
        of_conv.t, of_conv.shape, of_conv.bias, of_conv.flags = g.t, step.conv, NULL, 0
        of_conv.shape.N = n
        of_conv.dy, of_conv.x, of_conv.w = dy, x, parameter(g, step.weight)
        of_conv.dx, of_conv.dw, of_conv.db = dx, dw, db
        return conv_gradients(&of_conv)
    if step.kind == TRANSPOSED:
        of_conv = transposed(g, step, n, x)
        of_conv.x, of_conv.dw, of_conv.bias, of_conv.flags = dy, dw, NULL, 0
        return transposed_gradients(&of_conv, dx, db)
    if step.kind == NORM or step.kind == NORM_POOL:
        return normalisation_back(g, step, n, dy, x, y, positions, dx, dw, db, workers)
    if step.kind == ROW_NORM:
        return normalise_rows_back(g, step, n, dy, x, positions, dx, dw, db, workers)
    if step.kind == PRELU:
        return slopes_back(g, step, n, dy, x, dx, dw, workers)
    if step.kind == LOOKUP:
        lookup = table_of(g, step, n, x)
        lookup.source, lookup.target, lookup.parts = dy, dw, 2 * workers if workers > 1 else 1
        return table_gradient(&lookup, workers)
    if dx == NULL:
        return True
    if step.kind == MAP:
        take_map(g, step, n, dy, y if step.sees_y else x, dx, workers)
        return True
    if step.kind == DROP:
        take_drop(g, step, n, dy, dx, workers)
        return True
    if step.kind == PICK:
        take_pick(step, n, dx, dy, True, workers)
        return True
    return planes_back(g, step, n, dy, positions, dx, workers)
