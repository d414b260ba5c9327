# One step of a plan of training, and one call of such a plan. Sizes are those of one example.
from fastnn._kernels._drop cimport Drop
from fastnn._kernels._loss cimport Rows
from fastnn._kernels._pool cimport Pool
from fastnn._kernels.conv_shape cimport ConvShape
from fastnn._kernels.fnn cimport fnn_tiles

cdef enum Kind:
    LINEAR
    MAP
    CONV
    MAX_POOL
    AVERAGE_POOL
    NORM
    DROP

cdef enum Loss:
    CROSS_ENTROPY  # with int64 labels
    SQUARED_ERROR  # with targets

cdef struct Step:
    Kind kind
    Py_ssize_t inputs, outputs   # elements
    Py_ssize_t weight, bias      # places among the parameters; -1: none
    Py_ssize_t weights, biases   # their elements
    double work                  # multiply-adds
    bint relu                    # a ReLU in the store of a linear step or a convolution,
    bint relu_later              # whose gradient the pool after it takes
    bint relu_first              # of a pool: it takes the gradient of the ReLU before it, on fewer numbers
    Py_ssize_t function          # of a map, by its place, and its settings
    double settings[2]
    bint sees_y                  # its gradient is of what comes out, not of what goes in
    Py_ssize_t x, y, positions   # of all values: elements before what goes in, what comes out, and where maxima were
    ConvShape conv
    Pool pool
    Py_ssize_t mean, var         # of a normalisation: places of its running statistics; -1: none
    Py_ssize_t channels          # of a normalisation; elements that dropout keeps or drops together
    double momentum, eps
    Py_ssize_t saved             # elements of all statistics before its own
    Drop drop

cdef struct Call:
    fnn_tiles *t
    const Step *steps
    Py_ssize_t count, first      # steps; the first one that anything is learnt in
    Py_ssize_t N                 # examples
    Py_ssize_t inputs, outputs   # elements of an example, and of a row of scores
    Py_ssize_t values            # elements of all values, the input first
    Py_ssize_t widest            # elements of the widest value
    Py_ssize_t most_learnt       # elements of the largest weights and their bias
    Loss loss
    Rows scores
    double power[4]              # the settings of the squared error
    double divisor               # of the sum of losses, for their mean; 1: the sum
    const char *x
    const char *target
    char *y                      # the scores, or NULL where they are not wanted
    void **parameters
    char **gradients             # NULL: not wanted
    int workers
    Py_ssize_t chunk, chunks     # examples of a chunk
    Py_ssize_t group             # examples of a group, at most
    char *memory
    Py_ssize_t slot_bytes        # memory of a thread
    double *losses               # of the chunks
    char *partials               # gradients of all chunks but the first
    Py_ssize_t *at               # elements before those of a parameter, in a chunk's
    Py_ssize_t learnt            # elements of all gradients
    bint enough                  # memory
    char *statistics             # of normalisations
    # Of _plan_train_groups:
    Py_ssize_t ld                # elements from one row of a value to the next
    Py_ssize_t *offsets          # k * ld, and after `widest` of them i * outputs


cdef inline char *gradient(const Call *g, Py_ssize_t place, Py_ssize_t chunk) noexcept nogil:
    """Where a chunk puts the gradient of a parameter, or NULL."""
    if place < 0 or g.gradients[place] == NULL or chunk == 0:
        return g.gradients[place] if place >= 0 else NULL
    return g.partials + ((chunk - 1) * g.learnt + g.at[place]) * g.t.itemsize


# y of n examples x; `positions` is for a pool of maxima. False when there is no memory.
cdef bint step_forward(const Call *g, const Step *step, Py_ssize_t n, const char *x, char *y, char *positions,
                       int workers) noexcept nogil
# dx of dy, which it may change, and dw and db, each unless it is NULL. A map leaves dx in the place of dy.
cdef bint step_backward(const Call *g, const Step *step, Py_ssize_t n, char *dy, const char *x, const char *y,
                        char *positions, char *dx, char *dw, char *db, int workers) noexcept nogil
