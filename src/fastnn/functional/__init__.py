"""The operations as functions on NumPy arrays: the door to the kernels.

Every function follows one pattern: check the arguments, hand over to the NumPy twin if ``implementation("reference")``
is in force, allocate the output, call the kernel, return. The twins carry the documentation, and their docstrings are
given to the functions here at the end of the file.

Arrays are float32 or float64, all of one dtype in a call. They need not be contiguous, aligned or writeable: a kernel
is handed a copy when it needs one. Outputs are new, C-contiguous arrays.

The examples stand after ``import numpy as np``, ``import fastnn as fnn`` and ``import fastnn.functional as F``.
"""

import sys
from typing import TYPE_CHECKING

from fastnn import reference
from fastnn.functional._takes_more import takes_one_too, takes_symbols
from fastnn.functional.activation import *
from fastnn.functional.clip import *
from fastnn.functional.conv import *
from fastnn.functional.conv_transpose import *
from fastnn.functional.drop import *
from fastnn.functional.embedding import *
from fastnn.functional.join import *
from fastnn.functional.localnorm import *
from fastnn.functional.loss import *
from fastnn.functional.matmul import *
from fastnn.functional.norm import *
from fastnn.functional.optim import *
from fastnn.functional.pad import *
from fastnn.functional.pair_loss import *
from fastnn.functional.pool import *
from fastnn.functional.resample import *
from fastnn.functional.rownorm import *
from fastnn.functional.sample_weight import *
from fastnn.functional.shape import *
from fastnn.functional.softmax import *

__all__ = reference.__all__

for _name in __all__:
    _door, _twin = globals()[_name], getattr(reference, _name)
    _door.__doc__ = _twin.__doc__
    _one = getattr(_twin, "one_example", None)
    _family = _door.__module__
    _symbols = not (_name.endswith("_backward") or _family.endswith(("loss", "optim", "clip", "sample_weight")))
    if _one is not None:
        globals()[_name] = takes_one_too(_door, _one, _symbols)
    elif _symbols:
        globals()[_name] = takes_symbols(_door)
    setattr(sys.modules[_family], _name, globals()[_name])
del _name, _door, _twin, _one, _family, _symbols

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Refuse, and say what is in the place of a name that PyTorch has."""
        from fastnn._validate import habits

        raise habits.no_name("fastnn.functional", name, __all__, habits.OF_FUNCTIONAL)
