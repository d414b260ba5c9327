from fastnn._kernels.conv_output cimport Output

# The convolution by the way that suits it. Padding may be negative: those pixels are left out. False when there is no
# memory.
cdef bint convolve(const Output *g) noexcept nogil
# Convolve the images again, directly, that Winograd's way has marked in `spoilt` (N). False when there is no memory.
cdef bint convolve_spoilt(const Output *g, const char *spoilt) noexcept nogil
