"""Every rule about arguments, and every message about a broken one: one file for each family of operations.

Each operation has one check here, called by its door in ``functional`` and by its twin in ``reference``. A check
returns what it had to work out (pairs of integers, output sizes), so that nobody works it out a second time. A
message names the argument, says what came and what was expected.

Checks run on every call, so the usual case (a plain array of a supported dtype, an int for a pair) takes the first
branch and the words are put together only when something is wrong.
"""

from fastnn._validate._base import *
from fastnn._validate.activation import *
from fastnn._validate.clip import *
from fastnn._validate.conv import *
from fastnn._validate.conv_transpose import *
from fastnn._validate.convert import *
from fastnn._validate.drop import *
from fastnn._validate.embedding import *
from fastnn._validate.graph import *
from fastnn._validate.init import *
from fastnn._validate.join import *
from fastnn._validate.localnorm import *
from fastnn._validate.loss import *
from fastnn._validate.matmul import *
from fastnn._validate.network import *
from fastnn._validate.norm import *
from fastnn._validate.one_example import *
from fastnn._validate.optim import *
from fastnn._validate.optimizer import *
from fastnn._validate.pad import *
from fastnn._validate.pair_loss import *
from fastnn._validate.pool import *
from fastnn._validate.resample import *
from fastnn._validate.rownorm import *
from fastnn._validate.sample_weight import *
from fastnn._validate.shape import *
from fastnn._validate.softmax import *
