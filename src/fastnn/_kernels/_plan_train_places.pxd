# Where values and their gradients lie.
from fastnn._kernels._plan_train_steps cimport Call


# Finds the steps whose parameters later steps have too.
cdef int find_shared(Call *g) except -1
# Writes down, for each step, where its values and gradients lie, and how many elements they take of an example.
# False where something that is to be learnt has no part in the scores.
cdef bint find_places(Call *g, bint needs_dx) except -1
