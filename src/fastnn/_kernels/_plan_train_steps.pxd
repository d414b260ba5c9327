# One step of a plan of training, and one call of such a plan. Sizes are those of one example.
from fastnn._kernels._drop cimport Drop
from fastnn._kernels._loss cimport Rows
from fastnn._kernels._pool cimport Pool
from fastnn._kernels._rownorm cimport Rows as NormRows
from fastnn._kernels.conv_shape cimport ConvShape
from fastnn._kernels.fnn cimport fnn_tiles
from fastnn._kernels.resample_planes cimport Resample

cdef enum Kind:
    LINEAR
    MAP
    CONV
    MAX_POOL
    AVERAGE_POOL
    NORM
    DROP
    ROW_NORM
    PRELU
    RESAMPLE
    LOOKUP
    SUM
    JOIN
    NORM_POOL  # a normalisation, and the max pool behind it

cdef enum Loss:
    CROSS_ENTROPY  # with int64 labels
    SQUARED_ERROR  # with targets
    NO_LOSS        # scores go out, and their gradient comes in

# Where a gradient of what went into a step lies; `_plan_train_slots` decides. Elements before it.
cdef struct Target:
    Py_ssize_t at      # where the step writes it; -1: it is not wanted
    Py_ssize_t total   # where it is added to what others have written, or -1
    Py_ssize_t before  # where they have: `total`, or elsewhere if somebody still reads that

cdef struct Step:
    Kind kind
    Py_ssize_t source, other     # the values that go in: 0 is the input, i + 1 what step i gives; -1: none
    Py_ssize_t inputs, outputs   # elements
    Py_ssize_t others            # elements of the other value
    Py_ssize_t count             # of the rows, planes or parts that an example has
    bint goes_back               # there is something to learn in it or before it
    Py_ssize_t dy, turned        # gradients: of what comes out, and of what a ReLU at the end takes in
    Target dx, dz                # of what goes in, and of the other value
    Py_ssize_t weight, bias      # places among the parameters; -1: none
    Py_ssize_t weights, biases   # their elements
    double work                  # multiply-adds
    bint relu                    # a ReLU in the store of a linear step or a convolution,
    bint relu_later              # whose gradient the pool after it takes
    bint relu_first              # of a pool: it takes the gradient of the ReLU before it, on fewer numbers
    Py_ssize_t function          # of a map, by its place, and its settings
    double settings[2]
    bint sees_y                  # its gradient is of what comes out, not of what goes in
    Py_ssize_t x, y, z           # of all values: elements before what goes in, what comes out, and the other value
    Py_ssize_t positions         # and before what is kept for the backward: where maxima were, or moments
    ConvShape conv
    Pool pool
    Py_ssize_t mean, var         # of a normalisation: places of its running statistics; -1: none
    Py_ssize_t channels          # of a normalisation; elements that dropout keeps or drops together
    double momentum, eps
    Py_ssize_t saved             # elements of all statistics before its own
    Drop drop
    NormRows rows                # G, S, P and eps
    Resample planes
    Py_ssize_t padding_idx       # of a table, or -1

cdef struct Call:
    fnn_tiles *t
    Step *steps
    Py_ssize_t count, first      # steps; the first one that anything is learnt in
    Py_ssize_t N                 # examples
    Py_ssize_t inputs, outputs   # elements of an example, and of a row of scores
    Py_ssize_t values            # elements of all values, the input first
    Py_ssize_t widest            # elements of the widest value
    Py_ssize_t slots             # elements of all gradients of values
    Py_ssize_t dx                # elements before the gradient of the input, or -1: it is not wanted
    Py_ssize_t most_learnt       # elements of the largest weights and their bias
    Loss loss
    Rows scores
    double power[4]              # the settings of the squared error
    double divisor               # of the sum of losses, for their mean; 1: the sum
    const char *x
    const char *target
    char *y                      # the scores, or NULL where they are not wanted
    char *to_x                   # the gradient of the input, or NULL
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


# Makes a normalisation one that has a pool behind it; False, and nothing has changed, where that does not pay.
cdef bint have_pool(Call *g, Step *norm, Pool pool) noexcept nogil


cdef inline bint turns(const Step *step) noexcept nogil:
    """Whether the gradient goes back through a ReLU before it goes through the step."""
    return step.relu_first or step.relu and not step.relu_later and step.kind != NORM


cdef inline char *gradient(const Call *g, Py_ssize_t place, Py_ssize_t chunk) noexcept nogil:
    """Where a chunk puts the gradient of a parameter, or NULL."""
    if place < 0 or g.gradients[place] == NULL or chunk == 0:
        return g.gradients[place] if place >= 0 else NULL
    return g.partials + ((chunk - 1) * g.learnt + g.at[place]) * g.t.itemsize


# y of n examples x; `positions` is for a pool of maxima. False when there is no memory.
cdef bint step_forward(const Call *g, const Step *step, Py_ssize_t n, const char *x, char *y, char *positions,
                       int workers) noexcept nogil
# dy behind the ReLU at the end of a step, from dy before it; they may be the same.
cdef void turn(const Call *g, const Step *step, Py_ssize_t n, const char *dy, const char *y, char *turned,
               int workers) noexcept nogil
# dx of dy, and dw and db, each unless it is NULL. dx of a map may be dy.
cdef bint step_backward(const Call *g, const Step *step, Py_ssize_t n, char *dy, const char *x, const char *y,
                        char *positions, char *dx, char *dw, char *db, int workers) noexcept nogil
