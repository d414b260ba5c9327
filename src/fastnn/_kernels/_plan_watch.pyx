"""Watching for changes: a plan must never be stale.

What it is made from changes in two ways. Layers change by their attributes, which `Unchanged` compares at every call.
Values of parameters change by writes that nobody reports; `Weights` asks the seals of `fastnn.layers.parameter`.
"""
cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.dict cimport PyDict_Next
from cpython.ref cimport PyObject

from fastnn._kernels._plan_buffers cimport Memory


cdef class Unchanged:
    """True while the modules have the attributes that they had: the same objects under all names except those in `but`.

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
    """Where the arrays of some parameters lie, and what steps have packed of them.

    Made of what `Parameter.sealed` gives for each, and of the arrays as a kernel can read them: themselves, or copies.
    The arrays themselves are not kept, but what keeps them is, or `sealed` could not tell that nobody else has them.
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
        cdef Py_ssize_t i
        for i in range(len(self.parameters)):
            if self.seals[i] is None or self.parameters[i]._seal is not self.seals[i]:
                return False
        return True
