"""Every operation of ``fastnn.functional`` in plain NumPy: same names, arguments and results.

This is the specification that the kernels are tested against, and the place to read how an operation works. Its
outputs are new arrays; it computes in the dtype of its inputs, float32 or float64.
"""

from fastnn.reference.activation import *
from fastnn.reference.clip import *
from fastnn.reference.conv import *
from fastnn.reference.conv_transpose import *
from fastnn.reference.drop import *
from fastnn.reference.embedding import *
from fastnn.reference.join import *
from fastnn.reference.localnorm import *
from fastnn.reference.loss import *
from fastnn.reference.matmul import *
from fastnn.reference.norm import *
from fastnn.reference.optim import *
from fastnn.reference.pad import *
from fastnn.reference.pair_loss import *
from fastnn.reference.pool import *
from fastnn.reference.resample import *
from fastnn.reference.rownorm import *
from fastnn.reference.sample_weight import *
from fastnn.reference.shape import *
from fastnn.reference.softmax import *

__all__ = sorted(name for name, value in globals().items() if callable(value) and not name.startswith("_"))
