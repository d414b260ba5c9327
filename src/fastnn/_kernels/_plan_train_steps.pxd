# One step of the plan of a training step, and one call of this plan. Sizes are those of one example.
from fastnn._kernels._drop cimport Drop
from fastnn._kernels._loss cimport Rows
from fastnn._kernels._pick cimport Pick
from fastnn._kernels._pool cimport Pool
from fastnn._kernels._rownorm cimport Rows as NormRows
from fastnn._kernels.conv_shape cimport ConvShape
from fastnn._kernels.fnn cimport fnn_tiles
from fastnn._kernels.resample_planes cimport Resample

cdef enum Kind:
    LINEAR
    MAP
    CONV
    TRANSPOSED
    MAX_POOL
    AVERAGE_POOL
    NORM
    DROP
    ROW_NORM
    PRELU
    RESAMPLE
    LOOKUP
    PICK
    SUM
    JOIN
    PRODUCT
    NORM_POOL  # a normalisation, and the max pool behind it

cdef enum Loss:
    CROSS_ENTROPY  # with int64 labels
    SQUARED_ERROR  # with targets
    NO_LOSS        # scores go out, and their gradient comes in

# Where a gradient of what went into a step lies; `_plan_train_places` decides. Elements before it.
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
    Py_ssize_t weight, bias      # places among the parameters; -1 for none
    Py_ssize_t weights, biases   # elements of the weight and of the bias
    bint adds_weight, adds_bias  # to the gradient that a later step has written, of a parameter that both have
    double work                  # multiply-adds of the forward
    bint relu                    # the step applies a ReLU while it stores its output
    bint relu_later              # the pool after this step computes the gradient of that ReLU
    bint relu_first              # this pool computes the gradient of the ReLU before it, on fewer numbers
    Py_ssize_t function          # map: the place of its function in FNN_FUNCTIONS
    double settings[2]           # map: the settings of its function
    bint sees_y                  # map: the gradient needs the output, not the input
    bint in_place                # map: its output takes the place of its input
    Py_ssize_t kept              # elements of what the backward needs besides: positions of maxima, or moments
    Py_ssize_t x, y, z           # elements before the input, the output and the other input, in the memory of a group
    Py_ssize_t positions         # elements before what is kept
    ConvShape conv               # transposed: of the convolution whose input gradient it is
    Pool pool
    Py_ssize_t mean, var         # normalisation: places of the running statistics; -1 for none
    Py_ssize_t channels          # normalisation: channels
    double momentum, eps
    Py_ssize_t saved             # normalisation: elements of all statistics before its own
    Drop drop
    NormRows rows                # G, S, P and eps
    Resample planes
    Pick picked
    Py_ssize_t padding_idx       # of a table, or -1

cdef struct Call:
    fnn_tiles *t
    Step *steps
    Py_ssize_t count, first      # the number of steps; the first step that learns
    Py_ssize_t N                 # examples
    Py_ssize_t inputs, outputs   # elements of an example, and of a row of scores
    Py_ssize_t values            # elements of the memory of values and gradients; the input is the first of it
    Py_ssize_t widest            # elements of the widest value
    Py_ssize_t dx                # elements before the gradient of the input, or -1: it is not wanted
    Py_ssize_t most_learnt       # elements of the largest weights and their bias
    Loss loss
    Rows scores
    double power[4]              # the settings of the squared error
    double divisor               # the sum of losses is divided by it; 1 for the sum itself
    const char *x
    const char *target
    char *y                      # the scores, or NULL if the caller does not want them
    char *to_x                   # the gradient of the input, or NULL
    void **parameters
    char **gradients             # for each parameter, or NULL if it does not learn
    int workers
    Py_ssize_t chunk, chunks     # examples of a chunk; chunks
    Py_ssize_t group             # the most examples of a group
    char *memory                 # of all threads
    Py_ssize_t slot_bytes        # bytes of one thread's memory
    double *losses               # the sum of losses of each chunk
    char *partials               # the gradients of all chunks except the first
    Py_ssize_t *at               # elements before each parameter's gradient, among the gradients of a chunk
    Py_ssize_t learnt            # elements of all gradients of a chunk
    bint enough                  # no step lacked memory
    char *statistics             # the means and 1/sqrt(var + eps) of all normalisations
    # Only _plan_train_groups uses these two:
    Py_ssize_t ld                # elements from one row of a value to the next
    Py_ssize_t *offsets          # `widest` numbers k * ld, then `group` numbers i * outputs


# Makes a normalisation one that has a pool behind it; False, and nothing has changed, where that does not pay.
cdef bint have_pool(Call *g, Step *norm, Pool pool) noexcept nogil


cdef inline bint turns(const Step *step) noexcept nogil:
    """Whether the gradient goes back through a ReLU before it goes through the step."""
    return step.relu_first or step.relu and not step.relu_later and step.kind != NORM


cdef inline char *gradient(const Call *g, Py_ssize_t place, Py_ssize_t chunk) noexcept nogil:
    """The address where a chunk writes the gradient of a parameter, or NULL if there is none."""
    if place < 0 or g.gradients[place] == NULL or chunk == 0:
        return g.gradients[place] if place >= 0 else NULL
    return g.partials + ((chunk - 1) * g.learnt + g.at[place]) * g.t.itemsize


# y = step(x) for n examples. A max pool writes `positions`. False when there is no memory.
cdef bint step_forward(const Call *g, const Step *step, Py_ssize_t n, const char *x, char *y, char *positions,
                       int workers) noexcept nogil
# dy behind the ReLU at the end of a step, from dy before it; they may be the same.
cdef void turn(const Call *g, const Step *step, Py_ssize_t n, const char *dy, const char *y, char *turned,
               int workers) noexcept nogil
# Write dx, dw and db, except those that are NULL. dx of a map may be dy. False when there is no memory.
cdef bint step_backward(const Call *g, const Step *step, Py_ssize_t n, char *dy, const char *x, const char *y,
                        char *positions, char *dx, char *dw, char *db, int workers) noexcept nogil
