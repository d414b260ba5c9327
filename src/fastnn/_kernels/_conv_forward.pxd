from fastnn._kernels.conv_output cimport Output

# Write the whole output, by the way that suits it. Negative padding leaves pixels of the border out. False when there
# is no memory.
cdef bint convolve(const Output *g) noexcept nogil
# Winograd's way marks images with inf or NaN in `spoilt` (N). Convolve those images again, by planes. False when there
# is no memory.
cdef bint convolve_spoilt(const Output *g, const char *spoilt) noexcept nogil
