# One step of a plan, of any kind. Its work is in parts, so that a plan can do the earlier ones once. Sizes are those of
# one image.
from fastnn._kernels._activation cimport Map, Prelu, Sum
from fastnn._kernels._conv_planes cimport Planes
from fastnn._kernels._conv_winograd cimport Winograd
from fastnn._kernels._im2col cimport Frames, Patches
from fastnn._kernels._localnorm cimport Local
from fastnn._kernels._matmul cimport Linear
from fastnn._kernels._norm cimport Norm
from fastnn._kernels._pick cimport Pick
from fastnn._kernels._pool cimport Pool
from fastnn._kernels._rownorm cimport Rows
from fastnn._kernels.conv_gradients cimport Gradients
from fastnn._kernels.conv_output cimport Output
from fastnn._kernels.conv_way cimport Way
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
    PICK
    MAP
    PRELU
    SUM
    JOIN
    PRODUCT

cdef enum Where:
    INPUT   # the network's input
    OUTPUT  # the network's output
    APART   # a buffer for all images
    LOCAL   # a buffer for a group of images

# The place of a value that steps read or write.
cdef struct Place:
    Where where
    Py_ssize_t offset  # bytes
    Py_ssize_t size    # elements of one image

cdef struct Step:
    Kind kind
    fnn_tiles *t
    Py_ssize_t weight, bias, mean, var  # places among the parameters; -1 for none
    Py_ssize_t inputs, others, outputs  # elements of the first and of the second input, and of the output
    Py_ssize_t source, other            # the two inputs: 0 is the network's, i + 1 the output of step i, -1 none
    Place x, b, y                       # the places of the two inputs, and of the output
    Py_ssize_t count                    # planes, rows or elements, as the kernel counts
    bint joined                         # a join that has nothing to do, because its parts are written in place
    Way way                             # of a convolution
    Py_ssize_t workspace                # bytes that `take` needs
    Py_ssize_t packed                   # bytes of packed weights; 0 if parameters are used as they are
    Output conv                         # one or two of these structs are in use, which depends on `kind`
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
    Pick picked


# Decide all that follows from the shapes, for a batch of N images. At most `group` images are taken at a time. False
# when there is no memory.
cdef bint settle(Step *step, Py_ssize_t N, Py_ssize_t group, int workers) noexcept nogil
# Pack the weights for `take`, from the arrays of the parameters.
cdef void pack(const Step *step, void **parameters, char *packed, int workers) noexcept nogil
# y = step(x) for `images` images from image n on, for a step with one input. False when there is no memory.
cdef bint take(const Step *step, Py_ssize_t n, Py_ssize_t images, const char *x, char *y, void **parameters,
               char *packed, char *workspace, int workers) noexcept nogil
# Release the memory that `settle` has allocated.
cdef void forget(Step *step) noexcept nogil
