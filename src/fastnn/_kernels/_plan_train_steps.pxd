# One step of a plan of training, and one call of such a plan. Sizes are those of one example.
from fastnn._kernels._loss cimport Rows
from fastnn._kernels.fnn cimport fnn_tiles

cdef enum Kind:
    LINEAR
    MAP

cdef enum Loss:
    CROSS_ENTROPY  # with int64 labels
    SQUARED_ERROR  # with targets

cdef struct Step:
    Kind kind
    Py_ssize_t inputs, outputs  # elements
    Py_ssize_t weight, bias     # places among the parameters; -1: none
    bint relu                   # a ReLU in the store of a linear step
    Py_ssize_t function         # of a map, by its place, and its settings
    double settings[2]
    bint sees_y                 # its gradient is of what comes out, not of what goes in
    Py_ssize_t x, y             # of all values: elements before what goes in, and before what comes out

cdef struct Call:
    fnn_tiles *t
    const Step *steps
    Py_ssize_t count, first     # steps; the first one that anything is learnt in
    Py_ssize_t N                # examples
    Py_ssize_t inputs, outputs  # elements of an example, and of a row of scores
    Py_ssize_t values           # elements of all values, the input first
    Py_ssize_t widest           # elements of the widest value
    Loss loss
    Rows scores
    double power[4]             # the settings of the squared error
    double divisor              # of the sum of losses, for their mean; 1: the sum
    const char *x
    const char *target
    char *y                     # the scores, or NULL where they are not wanted
    void **parameters
    char **gradients            # NULL: not wanted
    double *losses              # of the chunks
    char *memory
    int workers
    # Groups of examples:
    Py_ssize_t chunk, chunks    # examples of a chunk
    Py_ssize_t group, ld        # examples of a group, at most; elements from one row of a value to the next
    Py_ssize_t *offsets         # k * ld, and after `widest` of them i * outputs
    Py_ssize_t slot_bytes       # memory of a thread
    char *partials              # gradients of all chunks but the first
    Py_ssize_t *at              # elements before those of a parameter, in a chunk's
    Py_ssize_t learnt           # elements of all gradients
