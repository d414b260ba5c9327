"""Pictures: each is one call that returns a matplotlib Figure; `save` writes it.

Figures are made without pyplot: no window, no global state, nothing to close.
"""

from fastnn.plots.confusion import confusion_matrix
from fastnn.plots.curves import learning_curves
from fastnn.plots.figure import save
from fastnn.plots.maps import feature_maps

__all__ = ["confusion_matrix", "feature_maps", "learning_curves", "save"]
