"""Watching for changes: a plan must never be stale.

A plan depends on layers and on values of parameters. Layers change by their attributes, which `Unchanged` compares at
every call. Values change by writes that nobody reports; `Weights` asks the seals of `fastnn.layers.parameter`.
docs/dev/plans.md explains seals.
"""
cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.dict cimport PyDict_Next
from cpython.ref cimport PyObject

from fastnn._kernels._plan_buffers cimport Memory


cdef class Unchanged:
    """True while the attributes of the modules are the same objects as before. The names in `but` may change.

    Addresses are compared, because under the stable ABI an element of a list costs more than the comparison. Lists hold
    the objects, so that no address is used again.
    """

    def __cinit__(self, modules, but):
        cdef Py_ssize_t at = 0
        cdef list names, values
        self.modules = list(modules)
        attributes = [vars(m).copy() for m in self.modules]  # other threads may add to them meanwhile
        self.names = [list(those) for those in attributes]
        self.values = [[None if n in but else value for n, value in those.items()] for those in attributes]
        self.places = Memory(sum([2 * len(names) + 1 for names in self.names]) * sizeof(void *))
        self.had = <PyObject **> self.places.start
        for names, values in zip(self.names, self.values):
            for name, value in zip(names, values):
                self.had[at], self.had[at + 1] = <PyObject *> name, NULL if name in but else <PyObject *> value
                at += 2
            self.had[at] = NULL
            at += 1

    def __bool__(self):
        cdef PyObject **had = self.had
        cdef PyObject *name
        cdef PyObject *value
        cdef Py_ssize_t at
        cdef dict attributes
        for module in self.modules:
            attributes, at = module.__dict__, 0
            with cython.critical_section(attributes):
                while PyDict_Next(attributes, &at, &name, &value):
                    if name != had[0] or value != had[1] and had[1] != NULL:
                        return False
                    had += 2
            if had[0] != NULL:
                return False
            had += 1
        return True


cdef class Weights:
    """The addresses of the arrays of some parameters, and the weights that steps have packed.

    `sealed` has the results of `Parameter.sealed`. `readable` has arrays that a kernel can read: the parameters' own
    arrays, or copies. This object refers to the keeper of each array, but not to the array itself: another reference
    would look as if somebody else had the array.
    """

    def __cinit__(self, list parameters, list sealed, list readable):
        cdef Py_ssize_t i
        cdef Py_buffer buffer
        self.parameters = parameters
        self.keepers = [keeper for keeper, _ in sealed]
        self.seals = [seal for _, seal in sealed]
        self.copies = [copy for (keeper, _), copy in zip(sealed, readable) if copy is not keeper[0]]
        self.packed = {}
        self.places = Memory(len(parameters) * sizeof(void *))
        self.starts = <void **> self.places.start
        for i in range(len(parameters)):
            PyObject_GetBuffer(readable[i], &buffer, PyBUF_SIMPLE)
            self.starts[i] = buffer.buf
            PyBuffer_Release(&buffer)

    def __bool__(self):
        """Whether no parameter can have changed."""
        return self.hold()

    cdef bint hold(self) except -1:
        cdef Py_ssize_t i
        for i in range(len(self.parameters)):
            if self.seals[i] is None or self.parameters[i]._seal is not self.seals[i]:
                return False
        return True
