# One step of a plan, of any kind: in parts, as a convolution is. Sizes are those of one image.
from fastnn._kernels._activation cimport Map, Prelu, Sum
from fastnn._kernels._conv_planes cimport Planes
from fastnn._kernels._conv_winograd cimport Winograd
from fastnn._kernels._im2col cimport Frames, Patches
from fastnn._kernels._localnorm cimport Local
from fastnn._kernels._matmul cimport Linear
from fastnn._kernels._norm cimport Norm
from fastnn._kernels._pool cimport Pool
from fastnn._kernels._rownorm cimport Rows
from fastnn._kernels.conv_gradients cimport Gradients
from fastnn._kernels.conv_output cimport Output
from fastnn._kernels.fnn cimport fnn_tiles
from fastnn._kernels.resample_planes cimport Resample

cdef enum Kind:
    CONV
    TRANSPOSED
    MAX_POOL
    AVERAGE_POOL
    RESAMPLE
    LINEAR
    NORM
    ROW_NORM
    LOCAL_NORM
    UNFOLD
    FOLD
    FRAME
    LOOKUP
    MAP
    PRELU
    SUM
    JOIN

cdef enum Where:
    INPUT   # of the network
    OUTPUT
    APART   # a buffer for all images
    LOCAL   # a buffer for a group of images

# Where a value lies that goes into steps or comes out of one.
cdef struct Place:
    Where where
    Py_ssize_t offset  # bytes
    Py_ssize_t size    # elements of one image

cdef struct Step:
    Kind kind
    fnn_tiles *t
    Py_ssize_t weight, bias, mean, var  # places among the parameters; -1: none
    Py_ssize_t inputs, others, outputs  # elements
    Py_ssize_t source, other            # what goes in: 0 for the network's input, i + 1 for what step i gives, -1: none
    Place x, b, y                       # of both, and of what comes out
    Py_ssize_t count                    # of what the kernel counts: planes, rows or elements
    bint joined                         # a join whose parts are written to their places at once
    bint by_winograd
    Py_ssize_t workspace                # bytes that `take` needs
    Py_ssize_t packed                   # bytes of packed weights; 0: parameters are used as they are
    Output conv                         # one of these, by its kind, or two
    Planes unfolded
    Winograd winograd
    Pool pool
    Resample planes
    Linear linear
    Norm norm
    Rows rows
    Local local
    Patches patches
    Frames frames
    Gradients transposed
    Map map
    Sum sum
    Prelu prelu


# What the shapes decide, for a batch of N of which at most `group` images are taken at a time. False when there is no
# memory.
cdef bint settle(Step *step, Py_ssize_t N, Py_ssize_t group, int workers) noexcept nogil
# Weights for `take`, of the arrays of the parameters.
cdef void pack(const Step *step, void **parameters, char *packed, int workers) noexcept nogil
# y = step(x) for some images, from the one at n on, of a step with one input. False when there is no memory.
cdef bint take(const Step *step, Py_ssize_t n, Py_ssize_t images, const char *x, char *y, void **parameters,
               char *packed, char *workspace, int workers) noexcept nogil
# Release what `settle` has allocated.
cdef void forget(Step *step) noexcept nogil
