"""Batch normalisation by the moments of the batch, with a max pool behind it.

The output grows with x where weight/std is positive, and falls where it is negative. So the maximum of a window is made
of the largest x in it, or of the smallest. The pool comes first, and a fraction of the numbers is normalised::

    forward     moments of the channels   x ──▶ numbers
                each image                x ──▶ pooled: largest or smallest x, kept; positions ──▶ normalised y
    backward    sums over windows         dy, kept x ──▶ numbers
                each image                dy ──▶ spread out, in the room; with x ──▶ dx

A thread takes some channels, which stay in its second-level cache. y has the bits of the two layers. If rounding makes
two pixels of a window equal, the gradient goes to the one whose x is larger (or smaller), not to the first of them. The
sums of the backward have other bits than those of `_norm`.
"""
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from fastnn._kernels._norm cimport Norm, collect, describe_norm, numbers, room_for, write_far_channel
from fastnn._kernels._pool cimport Pool, maxpool
from fastnn._kernels._pool_backward cimport max_pool_gradient
from fastnn._kernels._table cimport allocate, parallel, release
from fastnn._kernels.fnn cimport ceil_div, fnn_fetch

cdef enum:
    LEAST_PLANE = 8          # vectors: for smaller planes a call costs more than what memory would
    MOST_PLANE = 4096        # elements, which stay in the first-level cache

cdef struct Pooled:
    Norm *g
    const Pool *pool
    char *kept         # (N, C, OH, OW): the x of each maximum
    Norm *windows      # the backward's sums over them
    Py_ssize_t group   # channels of a chunk
    char *room         # for each thread: a plane of each of these channels, and one more
    Py_ssize_t step    # bytes
    bint enough        # memory


cdef bint may_pool(const Norm *g, const Pool *pool) noexcept nogil:
    return (not g.each and LEAST_PLANE * g.t.lanes <= g.P <= MOST_PLANE and not pool.wide
            and pool.OH * pool.OW >= g.t.lanes and (pool.side_by_side or g.C >= g.t.lanes))


cdef void pool_planes(const Pooled *p, Py_ssize_t plane, Py_ssize_t count, const char *x) noexcept nogil:
    """Pool planes at x to those of `kept`, the first of them `plane` of all."""
    cdef const Pool *pool = p.pool
    cdef Py_ssize_t at = plane * pool.OH * pool.OW, size = p.g.t.itemsize
    cdef Pool some
    if pool.side_by_side and count == 1:
        p.g.t.maxpool(x, pool.W, 2, 2, 2, 2, 1, 1, pool.OH, pool.OW, p.kept + at * size, pool.OW,
                      pool.positions + at, False, 0, 2)
        return
    some = pool[0]
    some.total, some.x, some.y, some.positions = count, <char *> x, p.kept + at * size, pool.positions + at
    maxpool(&some, 1)


cdef bint spread_planes(const Pooled *p, Py_ssize_t plane, Py_ssize_t count, char *gradient) noexcept nogil:
    cdef const Pool *pool = p.pool
    cdef Py_ssize_t at = plane * pool.OH * pool.OW, size = p.g.t.itemsize
    cdef Pool some
    if pool.side_by_side and count == 1:
        p.g.t.unpool_2x2(pool.y + at * size, <const uint8_t *> pool.positions + at, gradient, pool.OH, pool.OW)
        return True
    some = pool[0]
    some.total, some.x, some.y, some.positions = count, gradient, pool.y + at * size, pool.positions + at
    return max_pool_gradient(&some)


cdef inline void normalise_plane(const Norm *g, const char *x, char *out, Py_ssize_t at, Py_ssize_t n,
                                 Py_ssize_t c) noexcept nogil:
    """n elements of channel c, from place `at` on in both arrays."""
    cdef Py_ssize_t of = c * g.t.itemsize
    g.t.norm_apply(x, out, at, 1, 0, n, False, g.mean + of, g.scale + of, g.shift + of, g.flags)


cdef inline void turn_round(const Norm *g, const char *x, char *out, Py_ssize_t n) noexcept nogil:
    """out = -x; they may be the same."""
    cdef double minus = -1
    cdef float minus_in_float = -1
    if g.t.itemsize == sizeof(float):
        g.t.multiply(x, &minus_in_float, out, n, False)
    else:
        g.t.multiply(x, &minus, out, n, False)


cdef inline int sign(const Norm *g, Py_ssize_t c) noexcept nogil:
    """1 or -1 if y grows or falls with x, else 0: all y are equal, or not finite, or x is not in range."""
    cdef char *at = g.scale + c * g.t.itemsize
    cdef double scale = (<float *> at)[0] if g.t.itemsize == sizeof(float) else (<double *> at)[0]
    return 0 if g.far[c] else (scale > 0) - (scale < 0)


cdef void keep_by_position(const Pooled *p, Py_ssize_t image, Py_ssize_t c) noexcept nogil:
    """Look the x of each maximum of a plane up."""
    cdef const Pool *pool = p.pool
    cdef Py_ssize_t size = p.g.t.itemsize, plane = image * p.g.C + c, to = plane * pool.OH * pool.OW
    cdef Py_ssize_t oh, ow, row, column
    cdef const char *x = p.g.x + plane * p.g.P * size
    cdef uint8_t position
    for oh in range(pool.OH):
        for ow in range(pool.OW):
            position = (<const uint8_t *> pool.positions)[to]
            row = oh * pool.SH - pool.PH + position // pool.KW * pool.DH
            column = ow * pool.SW - pool.PW + position % pool.KW * pool.DW
            memcpy(p.kept + to * size, x + (row * pool.W + column) * size, size)
            to += 1


cdef void pool_image(const Pooled *p, Py_ssize_t image, Py_ssize_t c_from, Py_ssize_t c_to, bint grow,
                     char *room) noexcept nogil:
    """The maxima of some channels. `grow` says that y grows with x in all of them."""
    cdef const Norm *g = p.g
    cdef Py_ssize_t plane = image * g.C + c_from, size = g.t.itemsize, at = plane * g.P, c
    cdef Py_ssize_t Q = p.pool.OH * p.pool.OW
    cdef char *kept
    if grow:
        pool_planes(p, plane, c_to - c_from, g.x + at * size)
        return
    room -= at * size
    for c in range(c_from, c_to):
        if sign(g, c) == 0:
            normalise_plane(g, g.x, room, at, g.P, c)
        elif sign(g, c) < 0:
            turn_round(g, g.x + at * size, room + at * size, g.P)
        else:
            memcpy(room + at * size, g.x + at * size, g.P * size)
        at += g.P
    pool_planes(p, plane, c_to - c_from, room + plane * g.P * size)
    kept = p.kept + plane * Q * size
    for c in range(c_from, c_to):
        if sign(g, c) == 0:
            keep_by_position(p, image, c)
        elif sign(g, c) < 0:
            turn_round(g, kept, kept, Q)
        kept += Q * size


cdef void forward_channels(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Pooled *p = <const Pooled *> job
    cdef const Norm *g = p.g
    cdef Py_ssize_t c_from = chunk * p.group, c_to = min(g.C, c_from + p.group), Q = p.pool.OH * p.pool.OW, image, c
    cdef bint grow = True
    collect(g, c_from, c_to, 0, g.blocks)
    numbers(g, c_from, c_to)
    for c in range(c_from, c_to):
        grow &= sign(g, c) > 0
    for image in range(g.N - 1, -1, -1):
        pool_image(p, image, c_from, c_to, grow, p.room + slot * p.step)
        for c in range(c_from, c_to):
            normalise_plane(g, p.kept, p.pool.y, (image * g.C + c) * Q, Q, c)


cdef void backward_channels(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef Pooled *p = <Pooled *> job
    cdef const Norm *g = p.g
    cdef Norm *windows = p.windows
    cdef Py_ssize_t c_from = chunk * p.group, c_to = min(g.C, c_from + p.group), size = g.t.itemsize, image, c, at, b
    cdef char *room
    cdef char *written
    collect(windows, c_from, c_to, 0, windows.blocks)
    for c in range(c_from, c_to):
        g.first[c] = g.second[c] = 0
        for b in range(windows.blocks):
            g.first[c] += windows.first[b * g.C + c]
            g.second[c] += windows.second[b * g.C + c]
    numbers(g, c_from, c_to)
    for image in range(g.N - 1 if g.out != NULL else -1, -1, -1):
        at = (image * g.C + c_from) * g.P
        if image > 0:
            fnn_fetch(g.x + (at - g.C * g.P) * size, (c_to - c_from) * g.P * size)
        room = p.room + slot * p.step
        written = room + (c_to - c_from) * g.P * size
        if not spread_planes(p, image * g.C + c_from, c_to - c_from, room):
            p.enough = False
            return
        for c in range(c_from, c_to):
            # By way of the room, because dx may lie over x, and vectors at the end of a row overlap.
            g.t.norm_backward(room - at * size, g.x, NULL, written - at * size, at, 1, 0, g.P, False,
                              g.mean + c * size, g.invstd + c * size, g.scale + c * size, g.shift + c * size,
                              g.slope + c * size)
            memcpy(g.out + at * size, written, g.P * size)
            at, room = at + g.P, room + g.P * size


cdef bint begin(Pooled *p, Norm *g, const Pool *pool, char *kept, int workers) noexcept nogil:
    cdef Py_ssize_t size = g.t.itemsize
    p.g, p.pool, p.kept, p.enough = g, pool, kept, True
    # Channels do not meet, so their number in a chunk changes no bits.
    p.group = 1 if pool.side_by_side and pool.W >= g.t.lanes else g.t.lanes
    p.group = min(p.group, ceil_div(g.C, <Py_ssize_t> workers))
    p.step = ceil_div((p.group + 1) * g.P * size, <Py_ssize_t> 64) * 64
    p.room = <char *> allocate(workers * p.step)
    return p.room != NULL


cdef bint write_far_channels(const Pooled *p) noexcept nogil:
    """Channels whose squares leave the range of the dtype, again, or which are not finite."""
    cdef const Norm *g = p.g
    cdef Py_ssize_t c, image, Q = p.pool.OH * p.pool.OW, size = g.t.itemsize
    cdef char *out = NULL
    for c in range(g.C):
        if g.far[c]:
            if out == NULL:
                out = <char *> allocate(g.N * g.C * g.P * size)
            if out == NULL:
                return False
            for image in range(g.N):
                normalise_plane(g, g.x, out, (image * g.C + c) * g.P, g.P, c)
            write_far_channel(g, c, out)
            for image in range(g.N):
                pool_planes(p, image * g.C + c, 1, out + (image * g.C + c) * g.P * size)
                memcpy(p.pool.y + (image * g.C + c) * Q * size, p.kept + (image * g.C + c) * Q * size, Q * size)
                keep_by_position(p, image, c)
    release(out)
    return True


cdef bint normalise_and_pool(Norm *g, const Pool *pool, char *kept, int workers) noexcept nogil:
    cdef Pooled p
    cdef bint enough = begin(&p, g, pool, kept, workers)
    cdef char *workspace = room_for(g) if enough else NULL
    enough = workspace != NULL
    if enough:
        parallel(forward_channels, &p, ceil_div(g.C, p.group), workers, 3.0 * g.N * g.C * g.P)
        enough = write_far_channels(&p)
    release(workspace)
    release(p.room)
    return enough


cdef bint unpool_and_normalise(Norm *g, const Pool *pool, char *kept, int workers) noexcept nogil:
    cdef Pooled p
    cdef bint enough = begin(&p, g, pool, kept, workers)
    cdef Norm windows = describe_norm(g.t, g.N, g.C, pool.OH * pool.OW)
    cdef char *workspace
    cdef char *of_windows
    g.blocks = 1
    windows.direction, windows.dy, windows.x = g.direction, pool.y, kept
    windows.saved_mean, windows.saved_invstd = g.saved_mean, g.saved_invstd
    p.windows = &windows
    workspace = room_for(g) if enough else NULL
    of_windows = room_for(&windows) if workspace != NULL else NULL
    enough = of_windows != NULL
    if enough:
        parallel(backward_channels, &p, ceil_div(g.C, p.group), workers, 3.0 * g.N * g.C * g.P)
        enough = p.enough
    release(of_windows)
    release(workspace)
    release(p.room)
    return enough
