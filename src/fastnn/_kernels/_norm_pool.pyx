"""Batch normalisation by the moments of the batch, with a max pool behind it: planes between the two stay in the cache.

A thread takes some channels, which stay in its second-level cache, and of them one image at a time::

    forward     moments of the channels   x ──▶ numbers
                each image                x ──▶ normalised, in the room ──▶ pooled y, positions
    backward    each image                dy ──▶ spread out, in the room; with x ──▶ sums ──▶ numbers
                each image                dy ──▶ spread out, in the room; with x ──▶ dx

What is between the two is never written to memory, in either direction. The gradient is spread out twice instead. The
sums of the backward are added image by image, and so have other bits than those of `_norm`.
"""
from libc.stdint cimport uint8_t

from fastnn._kernels._norm cimport Norm, collect, numbers, room_for, write_far_channel
from fastnn._kernels._pool cimport Pool, maxpool
from fastnn._kernels._pool_backward cimport max_pool_gradient
from fastnn._kernels._table cimport allocate, parallel, release
from fastnn._kernels.fnn cimport ceil_div

cdef enum:
    LEAST_PLANE = 8          # vectors: for smaller planes a call costs more than what memory would
    MOST_PLANE = 4096        # elements, which stay in the first-level cache

cdef struct Pooled:
    Norm *g
    const Pool *pool
    Py_ssize_t group   # channels of a chunk
    char *room         # for each thread: a plane of each of these channels
    Py_ssize_t step    # bytes
    bint enough        # memory


cdef bint may_pool(const Norm *g, const Pool *pool) noexcept nogil:
    return (not g.each and LEAST_PLANE * g.t.lanes <= g.P <= MOST_PLANE and not pool.wide
            and (pool.side_by_side or g.C >= g.t.lanes))


cdef void pool_planes(const Pooled *p, Py_ssize_t plane, Py_ssize_t count, char *normalised) noexcept nogil:
    """Planes in the room, the first of them `plane` of all."""
    cdef const Pool *pool = p.pool
    cdef Py_ssize_t at = plane * pool.OH * pool.OW, size = p.g.t.itemsize
    cdef Pool some
    if pool.side_by_side and count == 1:
        p.g.t.maxpool(normalised, pool.W, 2, 2, 2, 2, 1, 1, pool.OH, pool.OW, pool.y + at * size, pool.OW,
                      pool.positions + at, False, 0, 2)
        return
    some = pool[0]
    some.total, some.x, some.y, some.positions = count, normalised, pool.y + at * size, pool.positions + at
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


cdef inline void normalise_plane(const Norm *g, Py_ssize_t image, Py_ssize_t c, char *out) noexcept nogil:
    cdef Py_ssize_t at = (image * g.C + c) * g.P, size = g.t.itemsize, of = c * size
    g.t.norm_apply(g.x, out - at * size, at, 1, 0, g.P, False, g.mean + of, g.scale + of, g.shift + of, g.flags)


cdef void forward_channels(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Pooled *p = <const Pooled *> job
    cdef const Norm *g = p.g
    cdef Py_ssize_t c_from = chunk * p.group, c_to = min(g.C, c_from + p.group), size = g.t.itemsize, image, c
    cdef char *room = p.room + slot * p.step
    collect(g, c_from, c_to, 0, g.blocks)
    numbers(g, c_from, c_to)
    for image in range(g.N - 1, -1, -1):
        for c in range(c_from, c_to):
            normalise_plane(g, image, c, room + (c - c_from) * g.P * size)
        pool_planes(p, image * g.C + c_from, c_to - c_from, room)


cdef void backward_channels(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef Pooled *p = <Pooled *> job
    cdef const Norm *g = p.g
    cdef Py_ssize_t c_from = chunk * p.group, c_to = min(g.C, c_from + p.group), size = g.t.itemsize, image, c, at
    cdef char *room = p.room + slot * p.step
    cdef double total, slope
    for c in range(c_from, c_to):
        g.first[c] = g.second[c] = 0
    for image in range(g.N):
        at = (image * g.C + c_from) * g.P
        if not spread_planes(p, image * g.C + c_from, c_to - c_from, room):
            p.enough = False
            return
        for c in range(c_from, c_to):
            g.t.norm_sums(room - at * size, g.x, NULL, at + (c - c_from) * g.P, 1, 0, g.P, False, g.mean + c * size,
                          g.invstd + c * size, &total, &slope)
            g.first[c] += total
            g.second[c] += slope
    numbers(g, c_from, c_to)
    for image in range(g.N - 1 if g.out != NULL else -1, -1, -1):
        at = (image * g.C + c_from) * g.P
        if image < g.N - 1 and not spread_planes(p, image * g.C + c_from, c_to - c_from, room):
            p.enough = False
            return
        for c in range(c_from, c_to):
            g.t.norm_backward(room - at * size, g.x, NULL, g.out, at + (c - c_from) * g.P, 1, 0, g.P, False,
                              g.mean + c * size, g.invstd + c * size, g.scale + c * size, g.shift + c * size,
                              g.slope + c * size)


cdef bint begin(Pooled *p, Norm *g, const Pool *pool, int workers) noexcept nogil:
    cdef Py_ssize_t size = g.t.itemsize
    p.g, p.pool, p.enough = g, pool, True
    # Channels do not meet, so their number in a chunk changes no bits.
    p.group = 1 if pool.side_by_side and pool.W >= g.t.lanes else g.t.lanes
    p.group = min(p.group, ceil_div(g.C, <Py_ssize_t> workers))
    p.step = ceil_div(p.group * g.P * size, <Py_ssize_t> 64) * 64
    p.room = <char *> allocate(workers * p.step)
    return p.room != NULL


cdef bint write_far_channels(const Pooled *p) noexcept nogil:
    """Channels whose squares leave the range of the dtype, again, or which are not finite."""
    cdef const Norm *g = p.g
    cdef Py_ssize_t c, image, plane = g.P * g.t.itemsize
    cdef char *out = NULL
    for c in range(g.C):
        if g.far[c]:
            if out == NULL:
                out = <char *> allocate(g.N * g.C * plane)
            if out == NULL:
                return False
            for image in range(g.N):
                normalise_plane(g, image, c, out + (image * g.C + c) * plane)
            write_far_channel(g, c, out)
            for image in range(g.N):
                pool_planes(p, image * g.C + c, 1, out + (image * g.C + c) * plane)
    release(out)
    return True


cdef bint normalise_and_pool(Norm *g, const Pool *pool, int workers) noexcept nogil:
    cdef Pooled p
    cdef bint enough = begin(&p, g, pool, workers)
    cdef char *workspace = room_for(g) if enough else NULL
    enough = workspace != NULL
    if enough:
        parallel(forward_channels, &p, ceil_div(g.C, p.group), workers, 4.0 * g.N * g.C * g.P)
        enough = write_far_channels(&p)
    release(workspace)
    release(p.room)
    return enough


cdef bint unpool_and_normalise(Norm *g, const Pool *pool, int workers) noexcept nogil:
    cdef Pooled p
    cdef bint enough = begin(&p, g, pool, workers)
    cdef char *workspace
    g.blocks = 1
    workspace = room_for(g) if enough else NULL
    enough = workspace != NULL
    if enough:
        parallel(backward_channels, &p, ceil_div(g.C, p.group), workers, 5.0 * g.N * g.C * g.P)
        enough = p.enough
    release(workspace)
    release(p.room)
    return enough
