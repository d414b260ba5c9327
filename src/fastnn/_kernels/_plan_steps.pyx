"""One step of a plan: how it calls its kernel, with its parameters, packed weights and workspace."""
from libc.stdint cimport int64_t

from fastnn._kernels._activation cimport apply, apply_prelu, describe_prelu
from fastnn._kernels._conv_forward cimport convolve_spoilt
from fastnn._kernels._conv_input cimport input_gradient
from fastnn._kernels._conv_lanes cimport depthwise
from fastnn._kernels._conv_planes cimport Planes, forget_planes, pack_planes, prepare_planes, run_planes
from fastnn._kernels._conv_rows cimport depthwise_by_rows
from fastnn._kernels._conv_ways cimport forward_way
from fastnn._kernels._conv_winograd cimport forget_winograd, pack_winograd, prepare_winograd, run_winograd
from fastnn._kernels._embedding cimport Lookup, look_up
from fastnn._kernels._im2col cimport fold_planes, frame_planes, unfold_planes
from fastnn._kernels._localnorm cimport normalise_locally
from fastnn._kernels._matmul cimport linear, pack_linear, packed_linear
from fastnn._kernels._norm cimport describe_norm, normalise
from fastnn._kernels._pick cimport pick
from fastnn._kernels._pool cimport avgpool, maxpool
from fastnn._kernels._resample cimport resample
from fastnn._kernels._rownorm cimport describe_rows, normalise_rows
from fastnn._kernels.conv_output cimport Output
from fastnn._kernels.conv_way cimport DEPTHWISE, PLANES, ROWS, WINOGRAD, Way
from fastnn._kernels.resample_planes cimport Resample


cdef bint settle(Step *step, Py_ssize_t N, Py_ssize_t group, int workers) noexcept nogil:
    cdef Output *g = &step.conv
    cdef Way way
    step.workspace = step.packed = 0
    step.way = PLANES
    step.unfolded.koff = NULL
    step.winograd.places = NULL
    if step.kind == LINEAR:
        step.linear.N = group * step.count
        step.packed = packed_linear(&step.linear)
    if step.kind != CONV:
        return True
    g.shape.N = N  # the whole batch decides the way, so that the bits do not depend on the group
    way = forward_way(g.t, &g.shape, True)
    g.shape.N = group
    step.way = way
    if way == WINOGRAD:
        if not prepare_winograd(&step.winograd, g, workers):
            return False
        step.packed = step.winograd.weights_size * g.t.itemsize
        step.workspace = workers * step.winograd.workspace_step + group
    elif way != DEPTHWISE and way != ROWS:
        if not prepare_planes(&step.unfolded, g, way, workers):
            return False
        step.packed = 0 if step.unfolded.taps else g.shape.G * g.shape.O * step.unfolded.depth * g.t.itemsize
        step.workspace = workers * step.unfolded.planes_step
    return True


cdef void forget(Step *step) noexcept nogil:
    forget_planes(&step.unfolded)
    forget_winograd(&step.winograd)


cdef inline const char *parameter(void **parameters, Py_ssize_t place) noexcept nogil:
    return <const char *> parameters[place] if place >= 0 else NULL


cdef void pack(const Step *step, void **parameters, char *packed, int workers) noexcept nogil:
    cdef Output conv = step.conv
    cdef Planes unfolded = step.unfolded
    cdef Winograd winograd = step.winograd
    cdef Linear rows
    if step.kind == LINEAR:
        rows = step.linear
        rows.w = parameter(parameters, step.weight)
        pack_linear(&rows, packed)
        return
    conv.w, conv.bias = parameter(parameters, step.weight), parameter(parameters, step.bias)
    if step.way == WINOGRAD:
        winograd.g, winograd.weights = &conv, packed
        pack_winograd(&winograd, workers)
    else:
        unfolded.g, unfolded.weights = &conv, packed
        pack_planes(&unfolded, workers)


cdef bint take_conv(const Step *step, Py_ssize_t images, const char *x, char *y, void **parameters, char *packed,
                    char *workspace, int workers) noexcept nogil:
    cdef Output conv = step.conv
    cdef Planes unfolded
    cdef Winograd winograd
    conv.shape.N, conv.x, conv.y = images, x, y
    conv.w, conv.bias = parameter(parameters, step.weight), parameter(parameters, step.bias)
    if step.way == WINOGRAD:
        winograd = step.winograd
        winograd.g, winograd.weights, winograd.workspace = &conv, packed, workspace
        winograd.spoilt = workspace + workers * winograd.workspace_step
        run_winograd(&winograd, workers)
        return convolve_spoilt(&conv, winograd.spoilt)
    if step.way == DEPTHWISE:
        return depthwise(&conv, workers)
    if step.way == ROWS:
        return depthwise_by_rows(&conv, workers)
    unfolded = step.unfolded
    unfolded.g, unfolded.weights, unfolded.planes = &conv, packed, workspace
    run_planes(&unfolded, workers)
    return True


cdef bint take_linear(const Step *step, Py_ssize_t images, const char *x, char *y, void **parameters, char *packed,
                      int workers) noexcept nogil:
    cdef Linear rows = step.linear
    rows.N, rows.x, rows.y, rows.packed = images * step.count, x, y, packed
    rows.w, rows.b = parameter(parameters, step.weight), parameter(parameters, step.bias)
    return linear(&rows, workers)


cdef bint take_transposed(const Step *step, Py_ssize_t images, const char *x, char *y,
                          void **parameters) noexcept nogil:
    cdef Gradients g = step.transposed
    g.shape.N, g.dy, g.dx = images, x, y
    g.w, g.bias = parameter(parameters, step.weight), parameter(parameters, step.bias)
    return input_gradient(&g)


cdef bint take_norm(const Step *step, Py_ssize_t images, const char *x, char *y, void **parameters,
                    int workers) noexcept nogil:
    cdef Norm norm = describe_norm(step.t, images, step.norm.C, step.norm.P)
    norm.x, norm.out, norm.flags, norm.eps = x, y, step.norm.flags, step.norm.eps
    norm.training = norm.looks = False
    norm.weight, norm.bias = parameter(parameters, step.weight), parameter(parameters, step.bias)
    norm.running_mean, norm.running_var = <char *> parameters[step.mean], <char *> parameters[step.var]
    return normalise(&norm, workers)


cdef bint take_rows(const Step *step, Py_ssize_t n, Py_ssize_t images, const char *x, char *y, void **parameters,
                    int workers) noexcept nogil:
    cdef Rows rows = describe_rows(step.t, images * step.count, step.rows.G, step.rows.S, step.rows.P,
                                   step.weight >= 0 or step.bias >= 0)
    cdef Py_ssize_t before = n * step.inputs * step.t.itemsize
    rows.x, rows.out, rows.eps = x - before, y - before, step.rows.eps
    rows.first = n * step.count * step.rows.G
    rows.weight, rows.bias = parameter(parameters, step.weight), parameter(parameters, step.bias)
    return normalise_rows(&rows, workers)


cdef bint take_prelu(const Step *step, Py_ssize_t images, const char *x, char *y, void **parameters,
                     int workers) noexcept nogil:
    cdef Prelu prelu = describe_prelu(step.t, images, step.prelu.C, step.prelu.P)
    prelu.x, prelu.w, prelu.y = x, parameter(parameters, step.weight), y
    return apply_prelu(&prelu, workers)


cdef void take_lookup(const Step *step, Py_ssize_t images, const char *x, char *y, void **parameters,
                      int workers) noexcept nogil:
    cdef Lookup g
    g.t, g.count, g.D = step.t, images * step.count, step.outputs // step.count
    g.indices, g.source, g.target = <const int64_t *> x, parameter(parameters, step.weight), y
    look_up(&g, workers)


cdef bint take_planes(const Step *step, Py_ssize_t images, const char *x, char *y, int workers) noexcept nogil:
    """Run a step that takes each plane by itself, and has no parameters."""
    cdef Py_ssize_t planes = images * step.count
    cdef Pool pool
    cdef Resample resampled
    cdef Patches patches
    cdef Frames frames
    if step.kind == MAX_POOL or step.kind == AVERAGE_POOL:
        pool = step.pool
        pool.total, pool.x, pool.y = planes, <char *> x, y
        if step.kind == MAX_POOL:
            maxpool(&pool, workers)
        else:
            avgpool(&pool, workers)
    elif step.kind == RESAMPLE:
        resampled = step.planes
        resampled.total, resampled.x, resampled.y = planes, <char *> x, y
        return resample(&resampled, workers)
    elif step.kind == FRAME:
        frames = step.frames
        frames.source, frames.target = x, y
        return frame_planes(&frames, planes, workers)
    elif step.kind == UNFOLD:
        patches = step.patches
        patches.image, patches.cols = <char *> x, y
        unfold_planes(&patches, planes, workers)
    else:
        patches = step.patches
        patches.image, patches.cols = y, <char *> x
        fold_planes(&patches, planes, workers)
    return True


cdef bint take(const Step *step, Py_ssize_t n, Py_ssize_t images, const char *x, char *y, void **parameters,
               char *packed, char *workspace, int workers) noexcept nogil:
    cdef Map map
    cdef Local local
    cdef Pick picked
    if step.kind == CONV:
        return take_conv(step, images, x, y, parameters, packed, workspace, workers)
    elif step.kind == LINEAR:
        return take_linear(step, images, x, y, parameters, packed, workers)
    elif step.kind == MAP:
        map = step.map
        map.total = images * step.count
        apply(&map, NULL, x, y, workers)
        return True
    elif step.kind == TRANSPOSED:
        return take_transposed(step, images, x, y, parameters)
    elif step.kind == PRELU:
        return take_prelu(step, images, x, y, parameters, workers)
    elif step.kind == NORM:
        return take_norm(step, images, x, y, parameters, workers)
    elif step.kind == ROW_NORM:
        return take_rows(step, n, images, x, y, parameters, workers)
    elif step.kind == LOCAL_NORM:
        local = step.local
        local.x, local.out = x, y
        return normalise_locally(&local, images, workers)
    elif step.kind == PICK:
        picked = step.picked
        picked.whole, picked.picked = <char *> x, y
        pick(&picked, images, workers)
        return True
    elif step.kind == LOOKUP:
        take_lookup(step, images, x, y, parameters, workers)
        return True
    return take_planes(step, images, x, y, workers)
