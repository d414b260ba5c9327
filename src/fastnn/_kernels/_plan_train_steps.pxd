# One step of the plan of a training step, and one call of this plan. Sizes are those of one example.
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
    Py_ssize_t weight, bias      # places among the parameters; -1 for none
    Py_ssize_t weights, biases   # elements of the weight and of the bias
    double work                  # multiply-adds of the forward
    bint relu                    # the step applies a ReLU while it stores its output
    bint relu_later              # the pool after this step computes the gradient of that ReLU
    bint relu_first              # this pool computes the gradient of the ReLU before it, on fewer numbers
    Py_ssize_t function          # map: the place of its function in FNN_FUNCTIONS
    double settings[2]           # map: the settings of its function
    bint sees_y                  # map: the gradient needs the output, not the input
    Py_ssize_t x, y, positions   # elements before the input, the output and the positions of maxima, among all values
    ConvShape conv
    Pool pool
    Py_ssize_t mean, var         # normalisation: places of the running statistics; -1 for none
    Py_ssize_t channels          # normalisation: channels
    double momentum, eps
    Py_ssize_t saved             # normalisation: elements of all statistics before its own
    Drop drop

cdef struct Call:
    fnn_tiles *t
    const Step *steps
    Py_ssize_t count, first      # the number of steps; the first step that learns
    Py_ssize_t N                 # examples
    Py_ssize_t inputs, outputs   # elements of an example, and of a row of scores
    Py_ssize_t values            # elements of all values together; the input is the first
    Py_ssize_t widest            # elements of the widest value
    Py_ssize_t most_learnt       # elements of the largest weights and their bias
    Loss loss
    Rows scores
    double power[4]              # the settings of the squared error
    double divisor               # the sum of losses is divided by it; 1 for the sum itself
    const char *x
    const char *target
    char *y                      # the scores, or NULL if the caller does not want them
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


cdef inline char *gradient(const Call *g, Py_ssize_t place, Py_ssize_t chunk) noexcept nogil:
    """The address where a chunk writes the gradient of a parameter, or NULL if there is none."""
    if place < 0 or g.gradients[place] == NULL or chunk == 0:
        return g.gradients[place] if place >= 0 else NULL
    return g.partials + ((chunk - 1) * g.learnt + g.at[place]) * g.t.itemsize


# y = step(x) for n examples. A max pool writes `positions`. False when there is no memory.
cdef bint step_forward(const Call *g, const Step *step, Py_ssize_t n, const char *x, char *y, char *positions,
                       int workers) noexcept nogil
# Write dx, dw and db, except those that are NULL. May change dy. A map writes its dx to dy. False when there is no
# memory.
cdef bint step_backward(const Call *g, const Step *step, Py_ssize_t n, char *dy, const char *x, const char *y,
                        char *positions, char *dx, char *dw, char *db, int workers) noexcept nogil
