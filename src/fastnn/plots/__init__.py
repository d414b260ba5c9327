"""Pictures: each is one call that returns a matplotlib Figure; `save` writes it.

Figures are made without pyplot: no window, no global state, nothing to close. A notebook shows a figure that is the
last value of a cell, once.
"""

from fastnn.plots.benchmark import benchmark_chart
from fastnn.plots.confusion import confusion_matrix
from fastnn.plots.curves import learning_curves
from fastnn.plots.figure import DPI, save
from fastnn.plots.gradients import gradient_error
from fastnn.plots.images import boxes, reconstructions
from fastnn.plots.initialisation import initialisations
from fastnn.plots.maps import feature_maps
from fastnn.plots.mistakes import most_confusing, most_wrong
from fastnn.plots.points import decision_regions
from fastnn.plots.weights import kernels, weight_tiles

__all__ = [
    "DPI",
    "benchmark_chart",
    "boxes",
    "confusion_matrix",
    "decision_regions",
    "feature_maps",
    "gradient_error",
    "initialisations",
    "kernels",
    "learning_curves",
    "most_confusing",
    "most_wrong",
    "reconstructions",
    "save",
    "weight_tiles",
]
