"""Stages: neighbouring steps that a group of images goes through before the next group does.

So the values of a group stay in the second-level cache from step to step::

    steps    conv   relu   pool | conv   pool | linear  linear
    group      4 images         | 16 images   | all images
             <-- for each 4 --> | <- each 16->| <--- once --->

With several threads, each group belongs to one thread.
"""
from fastnn._kernels._plan_steps cimport LINEAR, TRANSPOSED, Step

cdef enum:
    CACHE_BYTES = 524288  # inputs and outputs of a step for a group of images: they stay in the second-level cache


cdef Py_ssize_t group_of(const Step *step, Py_ssize_t before, Py_ssize_t N, int workers) noexcept nogil:
    """The images of a group, for one step. `before` is the group of the step before, or 0.

    The inputs and outputs of a group should stay in the cache. The group before is kept if it is right within a factor
    of four. All images go together in three cases. A linear layer, and all steps after it, read more weights than
    images. The way of a transposed convolution depends on the whole batch. A small batch has too few groups for the
    threads.
    """
    cdef Py_ssize_t fitting
    if step.kind == LINEAR or step.kind == TRANSPOSED or before == N or N < 2 * workers:
        return N
    fitting = CACHE_BYTES // ((step.inputs + step.others + step.outputs) * step.t.itemsize)
    if before and before <= 4 * fitting and fitting < 4 * before:
        return before
    return max(<Py_ssize_t> 1, min(fitting, N // (2 * workers) if workers > 1 else N))


cdef Py_ssize_t into_stages(const Step *steps, Py_ssize_t count, Py_ssize_t N, int workers,
                            Stage *stages) noexcept nogil:
    cdef Py_ssize_t i, group = 0, found = 0
    for i in range(count):
        group = group_of(steps + i, group, N, workers)
        if found == 0 or group != stages[found - 1].group:
            stages[found].first, stages[found].group = i, group
            stages[found].between = stages[found].memory = 0
            found += 1
        stages[found - 1].last = i + 1
    return found
