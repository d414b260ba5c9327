"""Where values and their gradients lie in the memory of a group. What is not wanted at the same time shares a place.

A value is wanted from the step that makes it to the last one that reads it. That may be a step that goes back. Here is
a network of four steps. The numbers are elements of an example, and each # is a time at which a value is wanted::

                              forward          loss   backward
    step                      0   1   2   3           3   2   1   0
    0  conv, ReLU     a   64  #   #                                    the pool goes back by positions
    1  max pool       p   16      #   #   #    #      #   #   #        conv 2 and the ReLU before the pool read it
       positions           4      #   #   #    #      #   #   #
    2  conv, ReLU     b   32          #   #    #      #   #
    3  linear         s   10              #    #
       gradients     ds   10                   #      #
                     db   32                          #   #
                     dp   16                              #   #
                     da   64                                  #   #

The largest are placed first, each in the first gap that has room all the time. So da lies where a was, and b and db lie
there in between::

    0               32              64        80        96          100
    | a,   b,   da  | a, s, db, da  | p       | ds, dp  | positions |

The backward is gone through once, from the last step to the first, to see when gradients are wanted. A residual block,
whose input two steps read, needs three of them at once::

    step            reads   makes   gradient of what it makes   of what it reads
    4  linear       s       y       gradient 0                  gradient 1
    3  sum          a, c    s       gradient 1                  gradient 1, for a and for c: nobody writes to it
    2  conv         b       c       gradient 1                  gradient 2
    1  conv, ReLU   a       b       gradient 2                  gradient 3, then added to 1: that of a is whole
    0  conv         x       a       gradient 1

A gradient may have several users. None writes to it before the others are done.
"""
from fastnn._kernels._plan_train_steps cimport (
    CONV, JOIN, LINEAR, MAP, NORM, NORM_POOL, PRELU, PRODUCT, ROW_NORM, SUM, TRANSPOSED, Call, Step, Target, turns
)


cdef class Buffers:
    """Buffers by their numbers: the elements of each, and the first and the last time at which it is wanted.

    Step i goes forward at time i, and back at time 2 count - i. In between, at time `count`, is the loss.
    """

    cdef list sizes, begins, ends
    cdef Py_ssize_t start, end  # elements before the first one, and before the end of the last one

    def __cinit__(self, Py_ssize_t start):
        self.sizes, self.begins, self.ends = [], [], []
        self.start = self.end = start

    cdef Py_ssize_t add(self, Py_ssize_t size, Py_ssize_t begin, Py_ssize_t end) except -1:
        self.sizes.append(size)
        self.begins.append(begin)
        self.ends.append(end)
        return len(self.sizes) - 1

    cdef int wanted(self, Py_ssize_t buffer, Py_ssize_t time) except -1:
        self.ends[buffer] = max(self.ends[buffer], time)
        return 0

    cdef list place(self):
        """The elements before each of them. Each begins with a whole double."""
        cdef Py_ssize_t start, size
        places = [0] * len(self.sizes)
        placed = []
        for _, each in sorted([(-size, each) for each, size in enumerate(self.sizes)]):
            start, size = self.start + self.start % 2, self.sizes[each] + self.sizes[each] % 2
            for begins, ends, first, last in placed:  # in the order of their places
                if first > self.ends[each] or last < self.begins[each]:
                    continue
                if start + size <= begins:
                    break
                start = max(start, <Py_ssize_t> ends)
            places[each] = start
            placed.append((start, start + size, self.begins[each], self.ends[each]))
            placed.sort()
            self.end = max(self.end, start + size)
        return places


cdef class Gradients:
    """Gradients of values: the buffer of each and its users, while the backward is gone through at time `now`."""

    cdef Buffers buffers
    cdef dict users
    cdef list of  # the buffer of the gradient of each value: -1 while there is none
    cdef Py_ssize_t now

    def __cinit__(self, Buffers buffers, Py_ssize_t values):
        self.buffers, self.users, self.of, self.now = buffers, {}, [-1] * values, values - 1

    cdef Py_ssize_t take(self, Py_ssize_t size) except -1:
        """A new buffer."""
        cdef Py_ssize_t buffer = self.buffers.add(size, self.now, self.now)
        self.users[buffer] = 1
        return buffer

    cdef int leave(self, Py_ssize_t buffer) except -1:
        self.users[buffer] -= 1
        self.buffers.wanted(buffer, self.now)
        return 0

    cdef Target give(self, Py_ssize_t value, Py_ssize_t size, Py_ssize_t buffer) except *:
        """What its user has written to the buffer is the gradient of a value, or is added to it."""
        cdef Target target
        held = self.of[value]
        target.at, target.total, target.before = buffer, -1, -1
        if held < 0:
            self.of[value] = buffer
            return target
        target.total = target.before = held
        if self.users[held] > 1:
            target.total = self.of[value] = self.take(size)
            self.leave(held)
        self.leave(buffer)
        return target


cdef int go_back_through(Gradients gradients, Step *step, Py_ssize_t dy, bint wants_x, bint wants_z) except -1:
    """Gradients of one step, as numbers of buffers."""
    cdef Py_ssize_t turned = dy, dx, dz
    if turns(step) and gradients.users[dy] > 1:
        turned = gradients.take(step.outputs)
    step.dy, step.turned = dy, turned
    if step.kind == SUM:
        for is_z in range(2):
            if wants_z if is_z else wants_x:
                gradients.users[turned] += 1
                if is_z:
                    step.dz = gradients.give(step.other, step.others, turned)
                else:
                    step.dx = gradients.give(step.source, step.inputs, turned)
    elif step.kind in (JOIN, PRODUCT):
        # Both before one is added to others: they are written at once.
        dx = gradients.take(step.inputs) if wants_x else -1
        dz = gradients.take(step.others) if wants_z else -1
        if wants_x:
            step.dx = gradients.give(step.source, step.inputs, dx)
        if wants_z:
            step.dz = gradients.give(step.other, step.others, dz)
    elif wants_x:
        dx = dy if step.kind == MAP and gradients.users[dy] == 1 else gradients.take(step.inputs)
        if dx == dy:
            gradients.users[dy] += 1
        gradients.leave(dy)
        step.dx = gradients.give(step.source, step.inputs, dx)
        gradients.users[dy] += 1
    if turned != dy:
        gradients.leave(turned)
    gradients.leave(dy)
    return 0


cdef bint needs_input(const Step *step) noexcept:
    """Whether a step needs what went into it to go back."""
    if step.kind == MAP:
        return not step.sees_y
    return step.kind in (LINEAR, CONV, TRANSPOSED, NORM, NORM_POOL, ROW_NORM, PRELU, PRODUCT)


cdef bint needs_output(const Step *step) noexcept:
    return turns(step) or step.sees_y or step.kind == NORM and step.relu and not step.relu_later


cdef list have_values(Call *g, Buffers buffers):
    """Have a buffer for each value, and for what is kept beside it. Return the numbers: -1 for the input.

    What a step keeps is `positions`, which is the number of its buffer."""
    cdef Py_ssize_t i, back
    cdef Step *step
    numbers = [-1]
    for i in range(g.count):
        step, back = g.steps + i, 2 * g.count - i
        for value in (step.source, step.other):
            if value > 0:
                buffers.wanted(numbers[value], back if step.goes_back and needs_input(step) else i)
        numbers.append(numbers[step.source] if step.in_place else buffers.add(step.outputs, i, i))
        if step.goes_back and needs_output(step):
            buffers.wanted(numbers[i + 1], back)
        if step.kept:
            step.positions = buffers.add(step.kept, i, back if step.goes_back else i)
    buffers.wanted(numbers[g.count], g.count)
    return numbers


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


cdef void into_elements(Target *target, list places) noexcept:
    if target.at >= 0:
        target.at = places[target.at]
    if target.total >= 0:
        target.total, target.before = places[target.total], places[target.before]


cdef void write_down(Call *g, list values, list places) noexcept:
    """Elements instead of the numbers of buffers."""
    cdef Py_ssize_t i
    cdef Step *step
    at = [0, *[places[number] for number in values[1:]]]
    for i in range(g.count):
        step = g.steps + i
        step.x, step.z, step.y = at[step.source], at[step.other] if step.other >= 0 else 0, at[i + 1]
        step.positions = places[step.positions] if step.kept else 0
        if step.goes_back:
            step.dy, step.turned = places[step.dy], places[step.turned]
            into_elements(&step.dx, places)
            into_elements(&step.dz, places)


cdef bint find_places(Call *g, bint needs_dx) except -1:
    cdef Buffers buffers = Buffers(g.inputs)
    cdef Gradients gradients = Gradients(buffers, g.count + 1)
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
    values = have_values(g, buffers)
    gradients.of[g.count] = gradients.take(g.outputs)
    for i in range(g.count - 1, -1, -1):
        step, gradients.now = g.steps + i, 2 * g.count - i
        if step.goes_back:
            if gradients.of[i + 1] < 0:
                return False
            go_back_through(gradients, step, gradients.of[i + 1], needs[step.source],
                            step.other >= 0 and needs[step.other])
    if needs_dx and gradients.of[0] >= 0:
        buffers.wanted(gradients.of[0], 2 * g.count + 1)
    places = buffers.place()
    write_down(g, values, places)
    g.values = buffers.end
    g.dx = places[gradients.of[0]] if needs_dx and gradients.of[0] >= 0 else -1
    return not needs_dx or g.dx >= 0
