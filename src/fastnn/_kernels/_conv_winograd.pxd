from fastnn._kernels._conv cimport Conv

cdef enum Outcome:
    DONE
    NO_MEMORY
    NOT_FINITE  # inf or NaN somewhere: what was written is not what the definition says

# Where it pays: 3 x 3, stride 1, enough channels on both sides, enough tiles, not too much of them beyond the border.
cdef bint winograd_suits(const Conv *g) noexcept nogil
cdef Outcome winograd(const Conv *g) noexcept nogil
