"""The parameters that a training step changes, their gradients, and the optimiser's rules.

Every step writes its gradients to the same arrays. If somebody else has kept one of them, the next step writes to a new
array instead. So a kept gradient does not change, as after any other backward.
"""
from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.list cimport PyList_GET_ITEM
from cpython.ref cimport PyObject

from fastnn._kernels._memory import empty

from fastnn._kernels._plan_buffers cimport Memory
from fastnn._kernels._table cimport parallel, threads, tiles
from fastnn._kernels.fnn cimport ceil_div

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject *o)

cdef enum:
    PIECE = 16384  # elements of a piece, which one thread updates


cdef class Learnt:
    """Parameters and buffers in the order of their places, and an array for each gradient."""

    def __cinit__(self, list parameters, bint is_double, bint owns):
        """`owns` says that reference counts tell whether somebody else has an array."""
        cdef Py_ssize_t i, count = len(parameters)
        self.parameters, self.count, self.owns, self.t = parameters, count, owns, tiles(is_double)
        self.keepers = [p._keeper for p in parameters]
        self.shapes = [p.shape for p in parameters]
        self.places = Memory(max(1, count) * (2 * sizeof(void *) + sizeof(Py_ssize_t)))
        self.starts = <void **> self.places.start
        self.to = <char **> (self.starts + count)
        self.at = <Py_ssize_t *> (self.to + count)
        self.elements = 0
        self.gradients = [None] * count
        for i in range(count):
            self.at[i], self.to[i] = self.elements, NULL
            if getattr(parameters[i], "requires_grad", False):
                self.begin(i)
                self.elements += parameters[i].size

    cdef int begin(self, Py_ssize_t i) except -1:
        """Make a new array for the gradient of parameter i."""
        cdef Py_buffer view
        gradient = empty(self.shapes[i], self.parameters[i].dtype)
        PyObject_GetBuffer(gradient, &view, PyBUF_WRITABLE)
        self.gradients[i], self.to[i] = gradient, <char *> view.buf
        PyBuffer_Release(&view)
        return 0

    def learns(self):
        """Whether each parameter has a gradient."""
        return [gradient is not None for gradient in self.gradients]

    def hold(self):
        """Whether the parameters still have the gradients that the last step gave them."""
        cdef Py_ssize_t i
        for i in range(self.count):
            if self.to[i] != NULL and self.parameters[i]._grad is not self.gradients[i]:
                return False
        return True

    cdef bint look(self, bint begins) except -1:
        """Note the addresses of the parameters. False if a parameter has another array, shape or `requires_grad` now.

        With `begins`, gradients will be written. So a gradient that somebody else has gets a new array first.
        """
        cdef Py_ssize_t i
        cdef Py_buffer view
        cdef bint same
        for i in range(self.count):
            p = self.parameters[i]
            keeper = p._keeper
            if keeper is not self.keepers[i] or getattr(p, "_requires_grad", False) != (self.to[i] != NULL):
                return False
            try:
                PyObject_GetBuffer(keeper[0], &view, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
            except (BufferError, ValueError):
                return False
            same = view.itemsize == self.t.itemsize and <size_t> view.buf % <size_t> view.itemsize == 0
            same &= view.ndim == len(self.shapes[i]) and (view.ndim == 0 or view.shape[0] == self.shapes[i][0])
            self.starts[i] = view.buf
            PyBuffer_Release(&view)
            if not same:
                return False
            if begins and self.to[i] != NULL and not (self.owns and self.is_alone(i)):
                self.begin(i)
        return True

    cdef bint is_alone(self, Py_ssize_t i):
        """Whether only this object and the parameter refer to the gradient."""
        cdef PyObject *gradient = PyList_GET_ITEM(self.gradients, i)
        cdef bint given = <PyObject *> self.parameters[i]._grad == gradient
        return Py_REFCNT(gradient) == 1 + given

    cdef int give(self, bint changed) except -1:
        """Give the parameters their gradients. With `changed`, the parameters have new values, so their seals break."""
        cdef Py_ssize_t i
        for i in range(self.count):
            p = self.parameters[i]
            if self.to[i] != NULL:
                p._grad = self.gradients[i]
            if changed or self.to[i] == NULL:  # buffers, for example running means, change in the forward
                p._seal = None
        return 0


cdef struct Job:
    fnn_tiles *t
    const Piece *pieces
    const Rule *rules
    void **starts
    char **to
    const Py_ssize_t *at
    Py_ssize_t elements, chunks
    const char *partials
    bint changes


cdef void take_piece(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Job *g = <const Job *> job
    cdef const Piece *piece = g.pieces + chunk
    cdef Py_ssize_t size = g.t.itemsize, at = piece.first * size, n = piece.count, i
    cdef char *gradient = g.to[piece.parameter] + at
    cdef void *arrays[2 + KEPT]
    for i in range(g.chunks - 1):
        g.t.add(gradient, n, g.partials + (i * g.elements + g.at[piece.parameter]) * size + at, n, 1, n)
    if not g.changes or piece.rule < 0:
        return
    arrays[0], arrays[1] = <char *> g.starts[piece.parameter] + at, gradient
    for i in range(KEPT):
        arrays[2 + i] = piece.kept[i] + at if piece.kept[i] != NULL else NULL
    g.t.rules[g.rules[piece.rule].kind](arrays, n, g.rules[piece.rule].factors)


cdef class Update:
    """The rules that change the parameters of `learnt`.

    `rules` has (places, columns) for each rule: the places of its parameters, and the arrays that it keeps. A column is
    a list with an array for each of these parameters, or None.
    """

    def __cinit__(self, Learnt learnt, list rules):
        cdef Py_ssize_t i, first, column
        cdef Piece *piece
        cdef Py_buffer view
        sizes = [p.size for p in learnt.parameters]
        rule_of, columns_of = {}, {}
        for number, (places, columns) in enumerate(rules):
            for j, place in enumerate(places):
                rule_of[place], columns_of[place] = number, [c and c[j] for c in columns]
        self.kept = list(columns_of.values())
        self.count = sum([ceil_div(sizes[i], PIECE) for i in range(learnt.count) if learnt.to[i] != NULL])
        self.pieces, self.rules = Memory(max(1, self.count) * sizeof(Piece)), Memory(max(1, len(rules)) * sizeof(Rule))
        piece = <Piece *> self.pieces.start
        for i in range(learnt.count):
            for first in range(0, sizes[i] if learnt.to[i] != NULL else 0, PIECE):
                piece.parameter, piece.first, piece.count = i, first, min(<Py_ssize_t> PIECE, sizes[i] - first)
                piece.rule = rule_of.get(i, -1)
                for column in range(KEPT):
                    piece.kept[column] = NULL
                for column, array in enumerate(columns_of.get(i, ())):
                    if array is not None:
                        PyObject_GetBuffer(array, &view, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
                        piece.kept[column] = <char *> view.buf
                        PyBuffer_Release(&view)
                piece += 1

    def set(self, Py_ssize_t number, int kind, tuple factors):
        """Set rule `number` to a rule of fnn.h (FNN_SGD …) with its factors."""
        cdef Rule *rule = <Rule *> self.rules.start + number
        cdef Py_ssize_t i
        rule.kind = kind
        for i in range(len(factors)):
            rule.factors[i] = factors[i]

    def run(self, Learnt learnt):
        """Change the parameters by their gradients.

        Returns False, and changes nothing, if parameters or gradients are not those of the last step.
        """
        if not learnt.hold() or not learnt.look(False):
            return False
        with nogil:
            self.go(learnt, NULL, 1, True, threads())
        learnt.give(True)
        return True

    cdef void go(self, Learnt learnt, const char *partials, Py_ssize_t chunks, bint changes,
                 int workers) noexcept nogil:
        cdef Job g
        if chunks == 1 and not changes:
            return
        g.t, g.pieces, g.rules = learnt.t, <const Piece *> self.pieces.start, <const Rule *> self.rules.start
        g.starts, g.to, g.at, g.elements = learnt.starts, learnt.to, learnt.at, learnt.elements
        g.chunks, g.partials, g.changes = chunks, partials, changes
        parallel(take_piece, &g, self.count, workers, <double> learnt.elements * (0.25 * chunks + 1))
