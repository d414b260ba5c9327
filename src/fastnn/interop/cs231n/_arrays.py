"""Arrays as that course's NumPy code would have them: whatever comes is computed with in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn._validate import Array

Cache = Any  # what a forward keeps for its backward


def float64(a: Any) -> Array:
    """`a` as an array of float64, itself if it is one."""
    return np.asarray(a, np.float64)
