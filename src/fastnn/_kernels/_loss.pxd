# Cross-entropy of scores of classes, for plans of training.
from libc.stdint cimport int64_t

from fastnn._kernels.fnn cimport fnn_tiles

cdef struct Rows:
    fnn_tiles *t
    Py_ssize_t images, places, K  # K scores for each place of each image; plain rows are places of one image
    Py_ssize_t image_step, place_step, class_step
    Py_ssize_t group, groups, chunk  # places of a group, groups of an image, groups of a chunk
    const char *x
    const int64_t *labels     # of all places, or NULL, and then
    const char *target        # probabilities, as x
    const char *weight        # of the classes (K,), or NULL
    int64_t ignored           # a label
    double smoothing, spread  # what of each target goes to all classes, and the sum of their weights
    bint logged               # x are logarithms of probabilities already
    bint known                # all labels are 0..K-1, or ignored
    double mass               # their weights, or the number of places
    double scale              # of all gradients
    const char *each          # and of each place's, or NULL
    char *out                 # losses or NULL, or dx
    double *sums              # of the chunks' losses


# Of N places, K scores each, with labels and without weights: rows of scores, or, if there is a step, one row of places
# for each class, so far apart. x, labels, and what is written are missing yet.
cdef Rows describe_scores(fnn_tiles *t, Py_ssize_t N, Py_ssize_t K, Py_ssize_t step, int64_t ignored,
                          double smoothing) noexcept nogil
# `known`, `mass` and `spread`, which follow from the labels and the weights.
cdef void look_at_labels(Rows *g) noexcept nogil
# A job of `groups / chunk` chunks: the losses, whose sum each chunk writes to sums[chunk], and the gradients, to `out`.
cdef void forward_and_backward_rows(void *job, Py_ssize_t chunk, int slot) noexcept nogil
