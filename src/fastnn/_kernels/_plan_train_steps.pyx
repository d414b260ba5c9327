"""One step in the plan of a training step, forward and back, over some examples: how it calls its kernels."""
from fastnn._kernels._activation cimport Map, apply, describe_map
from fastnn._kernels._conv_backward cimport gradients as conv_gradients
from fastnn._kernels._conv_forward cimport convolve
from fastnn._kernels._drop cimport Drop, drop_rows
from fastnn._kernels._matmul cimport Gradient, Linear, describe_linear, linear, linear_gradients
from fastnn._kernels._norm cimport Norm, describe_norm, normalise
from fastnn._kernels._pool cimport Pool, avgpool, maxpool
from fastnn._kernels._pool_backward cimport average_pool_gradient, max_pool_gradient
from fastnn._kernels.conv_gradients cimport Gradients
from fastnn._kernels.conv_output cimport Output
from fastnn._kernels.direction cimport BACKWARD, FORWARD
from fastnn._kernels.fnn cimport FNN_RELU, FNN_relu


cdef inline const char *parameter(const Call *g, Py_ssize_t place) noexcept nogil:
    return <const char *> g.parameters[place] if place >= 0 else NULL


cdef void take_map(const Call *g, Py_ssize_t function, const double *settings, Py_ssize_t total, const char *dy,
                   const char *x, char *y, int workers) noexcept nogil:
    cdef Map map = describe_map(g.t, function, total, 0, settings[0], settings[1])
    map.direction = FORWARD if dy == NULL else BACKWARD
    apply(&map, dy, x, y, workers)


cdef inline char *statistics(const Call *g, const Step *step, Py_ssize_t row) noexcept nogil:
    """The saved numbers of the channels: the means in row 0, and 1/sqrt(var + eps) in row 1."""
    return g.statistics + (step.saved + row * step.channels) * g.t.itemsize


cdef bint normalise_batch(const Call *g, const Step *step, Py_ssize_t n, const char *x, char *y,
                          int workers) noexcept nogil:
    cdef Norm norm = describe_norm(g.t, n, step.channels, step.inputs // step.channels)
    norm.x, norm.out, norm.flags, norm.eps = x, y, FNN_RELU if step.relu else 0, step.eps
    norm.weight, norm.bias = parameter(g, step.weight), parameter(g, step.bias)
    norm.running_mean, norm.running_var = <char *> parameter(g, step.mean), <char *> parameter(g, step.var)
    norm.saved_mean, norm.saved_invstd = statistics(g, step, 0), statistics(g, step, 1)
    norm.training = norm.looks = True
    norm.momentum = step.momentum
    return normalise(&norm, workers)


cdef bint normalisation_back(const Call *g, const Step *step, Py_ssize_t n, const char *dy, const char *x,
                             const char *y, char *dx, char *dw, char *db, int workers) noexcept nogil:
    cdef Norm norm = describe_norm(g.t, n, step.channels, step.inputs // step.channels)
    norm.direction, norm.dy, norm.x, norm.out, norm.dw, norm.db = BACKWARD, dy, x, dx, dw, db
    norm.relu = y if step.relu and not step.relu_later else NULL
    norm.weight = parameter(g, step.weight)
    norm.saved_mean, norm.saved_invstd = statistics(g, step, 0), statistics(g, step, 1)
    norm.training = norm.looks = True
    return normalise(&norm, workers)


cdef void take_drop(const Call *g, const Step *step, Py_ssize_t n, const char *x, char *y, int workers) noexcept nogil:
    cdef Drop drop = step.drop
    drop.rows, drop.x, drop.y = n * step.inputs // drop.n, x, y
    drop_rows(&drop, workers)


cdef bint step_forward(const Call *g, const Step *step, Py_ssize_t n, const char *x, char *y, char *positions,
                       int workers) noexcept nogil:
    cdef Linear rows
    cdef Output output
    cdef Pool pool
    if step.kind == LINEAR:
        rows = describe_linear(g.t, n, step.outputs, step.inputs, step.relu)
        rows.x, rows.y, rows.w, rows.b = x, y, parameter(g, step.weight), parameter(g, step.bias)
        return linear(&rows, workers)
    if step.kind == MAP:
        take_map(g, step.function, step.settings, n * step.inputs, NULL, x, y, workers)
        return True
    if step.kind == CONV:
        output.t, output.shape, output.flags = g.t, step.conv, FNN_RELU if step.relu else 0
        output.shape.N = n
        output.x, output.y, output.w, output.bias = x, y, parameter(g, step.weight), parameter(g, step.bias)
        return convolve(&output)
    if step.kind == NORM:
        return normalise_batch(g, step, n, x, y, workers)
    if step.kind == DROP:
        take_drop(g, step, n, x, y, workers)
        return True
    pool = step.pool
    pool.total, pool.x, pool.y, pool.positions, pool.wide = n * step.pool.total, <char *> x, y, positions, False
    if step.kind == MAX_POOL:
        maxpool(&pool, workers)
    else:
        avgpool(&pool, workers)
    return True


cdef bint step_backward(const Call *g, const Step *step, Py_ssize_t n, char *dy, const char *x, const char *y,
                        char *positions, char *dx, char *dw, char *db, int workers) noexcept nogil:
    cdef Gradient rows
    cdef Gradients of_conv
    cdef Pool pool
    if step.kind == MAP:
        take_map(g, step.function, step.settings, n * step.inputs, dy, y if step.sees_y else x, dy, workers)
        return True
    if step.kind == NORM:
        return normalisation_back(g, step, n, dy, x, y, dx, dw, db, workers)
    if step.relu_first or step.relu and not step.relu_later:
        take_map(g, FNN_relu, step.settings, n * step.outputs, dy, y, dy, workers)
    if step.kind == LINEAR:
        rows.t, rows.N, rows.O, rows.I = g.t, n, step.outputs, step.inputs
        rows.dy, rows.x, rows.w, rows.dx, rows.dw, rows.db = dy, x, parameter(g, step.weight), dx, dw, db
        return linear_gradients(&rows)
    if step.kind == CONV:
        of_conv.t, of_conv.shape, of_conv.bias, of_conv.flags = g.t, step.conv, NULL, 0
        of_conv.shape.N = n
        of_conv.dy, of_conv.x, of_conv.w = dy, x, parameter(g, step.weight)
        of_conv.dx, of_conv.dw, of_conv.db = dx, dw, db
        return conv_gradients(&of_conv)
    if step.kind == DROP:
        take_drop(g, step, n, dy, dx, workers)
        return True
    pool = step.pool
    pool.total, pool.x, pool.y, pool.positions, pool.wide = n * step.pool.total, dx, dy, positions, False
    return max_pool_gradient(&pool) if step.kind == MAX_POOL else average_pool_gradient(&pool)
