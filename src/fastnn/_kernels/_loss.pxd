# Cross-entropy of scores of classes, for the plan of a training step.
from libc.stdint cimport int64_t

from fastnn._kernels.fnn cimport fnn_tiles

cdef struct Rows:
    fnn_tiles *t
    Py_ssize_t images, places, K  # K scores for each place of each image; plain rows are places of one image
    Py_ssize_t image_step, place_step, class_step
    Py_ssize_t group, groups, chunk  # places of a group, groups of an image, groups of a chunk
    const char *x
    const int64_t *labels     # the label of each place, or NULL for `target`
    const char *target        # probabilities of the classes, shaped like x
    const char *weight        # (K,), a weight for each class, or NULL
    int64_t ignored           # a place with this label has no loss
    double smoothing, spread  # the share of each target that goes to all classes; the sum of their weights
    bint logged               # x holds logarithms of probabilities already
    bint known                # each label is from 0 to K - 1, or is ignored
    double mass               # the weights of all labels together, or the number of places
    double scale              # a factor of all gradients
    const char *each          # a factor of each place's gradient, or NULL
    char *out                 # the losses, or NULL; in a backward dx
    double *sums              # the sum of losses of each chunk


# Describe a loss of N places with K scores each, with labels and without weights. With a step of 0, a place has a row
# of scores. Otherwise each class has a row of places, and rows are `step` elements apart. The caller sets x, labels,
# scale, out and sums.
cdef Rows describe_scores(fnn_tiles *t, Py_ssize_t N, Py_ssize_t K, Py_ssize_t step, int64_t ignored,
                          double smoothing) noexcept nogil
# Set `known`, `mass` and `spread` from the labels and the weights.
cdef void look_at_labels(Rows *g) noexcept nogil
# One chunk of a job of `groups / chunk` chunks. Writes the sum of its losses to sums[chunk], and gradients to `out`.
cdef void forward_and_backward_rows(void *job, Py_ssize_t chunk, int slot) noexcept nogil
