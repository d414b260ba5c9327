from fastnn._kernels._conv cimport Conv
from fastnn._kernels.gradients cimport Gradients

cdef enum Way:
    PLANES     # tiles over planes unfolded over their width (_conv)
    POINTWISE  # tiles over the image where it lies (_conv)
    WINOGRAD   # (_conv_winograd, _conv_winograd_weight)
    ONE_PASS   # both gradients of a band of dy at a time (_conv_one_pass)
    FOLD       # gradients of the patches, folded (_conv_input)
    PIXELS     # sums over images laid out channels last (_conv_weight)

cdef Way forward_way(const Conv *g) noexcept nogil
cdef Way input_way(const Gradients *a) noexcept nogil
cdef Way weight_way(const Gradients *a) noexcept nogil
# The convolution of dy with the kernel turned round, which is the input gradient at stride 1; without its weights.
cdef Conv turned(const Gradients *a) noexcept nogil
