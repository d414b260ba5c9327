"""What mutants of all families share: the functions as they are, the table of mutants, and who notices them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import fastnn as fnn
from cases import DTYPES, cases_of
from checks import check_gradient, check_parity

R = {name: getattr(fnn.reference, name) for name in fnn.reference.__all__}  # the unmutated


class Mutant(NamedTuple):
    """A known bug of the function `name`, and the checks that must notice it."""

    name: str
    function: Callable[..., Any]
    checks: tuple[Callable[[], None], ...]


MUTANTS: list[Mutant] = []


def mutant(name, *, gradients_of=None, noticed_by=None):
    """Register the decorated function as a known bug of this operation.

    Its parity checks must notice it; with `gradients_of` the check of that operation's gradients too, and what
    `noticed_by` checks.
    """

    def register(function):
        checks = [parity(name)]
        if gradients_of is not None:
            checks.append(gradients(gradients_of))
        if noticed_by is not None:
            checks.append(noticed_by)
        MUTANTS.append(Mutant(name, function, tuple(checks)))
        return function

    return register


def pair(value):
    return value if isinstance(value, tuple) else (value, value)


def parity(op):
    """A check of the parity of all cases of an operation, large ones last; it raises at the first that fails."""

    def check_of_parity():
        with np.errstate(all="ignore"):  # a mutant need not be silent about infinities
            for case in sorted(cases_of(op), key=lambda case: case.large):
                for fill in case.fills:
                    for dtype in DTYPES:
                        check_parity(case, dtype, fill)

    return check_of_parity


def gradients(op):
    """A check of the gradients of all cases of an operation."""

    def check_of_gradients():
        for case in cases_of(op):
            if case.gradient:
                check_gradient(case)

    return check_of_gradients
