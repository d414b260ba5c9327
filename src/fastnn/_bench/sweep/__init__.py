"""``fastnn bench --sweep``: layers and networks of random shapes against PyTorch.

A table of a few shapes hides what is slow beside them. Here the shapes come from a seed.

>>> from fastnn._bench import sweep
>>> [drawn.text for drawn in sweep.draw("linear", seed=1, count=2)]
['111x1404, Linear(1404, 3)', '587x5, Linear(5, 479)']
"""

from fastnn._bench.sweep.chart import heat_map
from fastnn._bench.sweep.drawn import Drawn
from fastnn._bench.sweep.kinds import KINDS, draw
from fastnn._bench.sweep.measuring import Measured, measure
from fastnn._bench.sweep.summary import Group, groups, worst
from fastnn._bench.sweep.works import pytorch_version

__all__ = ["KINDS", "Drawn", "Group", "Measured", "draw", "groups", "heat_map", "measure", "pytorch_version", "worst"]
