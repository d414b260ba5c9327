"""Where the gradients of values lie: in slots. Gradients that are not wanted at the same time share one.

The backward is gone through once, from the last step to the first. A chain needs two slots, by turns. A residual block,
whose input two steps read, needs three::

    step            reads   makes   gradient of what it makes   of what it reads
    4  linear       s       y       slot 0                      slot 1
    3  sum          a, c    s       slot 1                      slot 1, for a and for c: nobody writes to it
    2  conv         b       c       slot 1                      slot 0
    1  conv, ReLU   a       b       slot 0                      slot 2, then added to slot 1: that of a is whole
    0  conv         x       a       slot 1

A slot may have several users. None writes to it before the others are done.

Slots lie behind all values, and in the place of values that nobody reads any more: when a step goes back, these are the
values of all steps after it. So most gradients of a chain need no room of their own.
"""
from fastnn._kernels._plan_train_steps cimport JOIN, MAP, PRODUCT, SUM, Call, Step, Target, turns


cdef class Slots:
    """Slots by their numbers, and the slot of the gradient of each value: -1 while there is none."""

    cdef list starts, ends, users, of
    cdef Py_ssize_t dead, end  # elements before values that nobody reads any more, and before the end of all slots

    def __cinit__(self, Py_ssize_t values):
        self.starts, self.ends, self.users, self.of = [], [], [], [-1] * values

    cdef Py_ssize_t take(self, Py_ssize_t size) except -1:
        """A new slot, in the first gap between those in use that has room."""
        cdef Py_ssize_t start = self.dead
        used = sorted([(self.starts[i], self.ends[i]) for i in range(len(self.users)) if self.users[i]])
        for begins, ends in used:
            if start + size <= begins:
                break
            start = max(start, <Py_ssize_t> ends)
        self.starts.append(start)
        self.ends.append(start + size)
        self.users.append(1)
        self.end = max(self.end, start + size)
        return len(self.users) - 1

    cdef int leave(self, Py_ssize_t slot) except -1:
        self.users[slot] -= 1
        return 0

    cdef Target give(self, Py_ssize_t value, Py_ssize_t size, Py_ssize_t slot) except *:
        """What its user has written to the slot is the gradient of a value, or is added to it."""
        cdef Target target
        held = self.of[value]
        target.at, target.total, target.before = slot, -1, -1
        if held < 0:
            self.of[value] = slot
            return target
        target.total = target.before = held
        if self.users[held] > 1:
            target.total = self.of[value] = self.take(size)
            self.leave(held)
        self.leave(slot)
        return target


cdef int go_back_through(Slots slots, Step *step, Py_ssize_t dy, bint wants_x, bint wants_z) except -1:
    """Gradients of one step, as numbers of slots."""
    cdef Py_ssize_t turned = dy, dx, dz
    if turns(step) and slots.users[dy] > 1:
        turned = slots.take(step.outputs)
    step.dy, step.turned = dy, turned
    if step.kind == SUM:
        for is_z in range(2):
            if wants_z if is_z else wants_x:
                slots.users[turned] += 1
                if is_z:
                    step.dz = slots.give(step.other, step.others, turned)
                else:
                    step.dx = slots.give(step.source, step.inputs, turned)
    elif step.kind in (JOIN, PRODUCT):
        dx = slots.take(step.inputs) if wants_x else -1  # both before one is added to others: they are written at once
        dz = slots.take(step.others) if wants_z else -1
        if wants_x:
            step.dx = slots.give(step.source, step.inputs, dx)
        if wants_z:
            step.dz = slots.give(step.other, step.others, dz)
    elif wants_x:
        dx = dy if step.kind == MAP and slots.users[dy] == 1 else slots.take(step.inputs)
        if dx == dy:
            slots.users[dy] += 1
        slots.leave(dy)
        step.dx = slots.give(step.source, step.inputs, dx)
        slots.users[dy] += 1
    if turned != dy:
        slots.leave(turned)
    slots.leave(dy)
    return 0


cdef void into_elements(Target *target, list starts) noexcept:
    if target.at >= 0:
        target.at = starts[target.at]
    if target.total >= 0:
        target.total, target.before = starts[target.total], starts[target.before]


cdef int find_shared(Call *g) except -1:
    """Find steps with a parameter that a later step has too, which goes back first: they add to its gradient."""
    cdef Py_ssize_t i
    cdef Step *step
    seen = set()
    for i in range(g.count - 1, -1, -1):
        step = g.steps + i
        step.adds_weight = step.weight >= 0 and step.weight in seen
        seen.add(step.weight)
        step.adds_bias = step.bias >= 0 and step.bias in seen
        seen.add(step.bias)
    return 0


cdef bint place_gradients(Call *g, bint needs_dx) except -1:
    cdef Slots slots = Slots(g.count + 1)
    cdef Py_ssize_t i
    cdef Step *step
    needs = [needs_dx]  # of each value: whether its gradient is wanted
    g.first = g.count
    for i in range(g.count):
        step = g.steps + i
        needs.append(step.goes_back or needs[step.source] or step.other >= 0 and needs[step.other])
        step.goes_back = needs[i + 1]
        g.first = min(g.first, i) if step.goes_back else g.first
        step.dx.at = step.dz.at = step.dx.total = step.dz.total = -1
    slots.dead = slots.end = g.values
    slots.of[g.count] = slots.take(g.outputs)
    for i in range(g.count - 1, -1, -1):
        step = g.steps + i
        if i + 1 < g.count and g.steps[i + 1].y > step.y:  # a step in place has no value of its own
            slots.dead = min(slots.dead, g.steps[i + 1].y)
        if step.goes_back:
            if slots.of[i + 1] < 0:
                return False
            go_back_through(slots, step, slots.of[i + 1], needs[step.source], step.other >= 0 and needs[step.other])
    for i in range(g.count):
        step = g.steps + i
        if step.goes_back:
            step.dy, step.turned = slots.starts[step.dy], slots.starts[step.turned]
            into_elements(&step.dx, slots.starts)
            into_elements(&step.dz, slots.starts)
    g.slots = slots.end - g.values
    g.dx = slots.starts[slots.of[0]] if needs_dx and slots.of[0] >= 0 else -1
    return not needs_dx or g.dx >= 0
