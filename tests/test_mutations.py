"""Known bugs put back: each must make a check fail. This tests the tests.

A mutant (of mutations/) stands in for a function of `functional`, the kernel's door, or of `reference`; the checks are
those that the other files run over the case list. That the checks pass without the mutant is what those files show.
Faults in the compiled kernels themselves are in test_kernel_mutants.py.
"""

import pytest

import fastnn as fnn
from cases import cases_of
from checks import check_gradient
from mutations import MUTANTS, pool
from mutations._base import parity

CHECKS = [
    pytest.param(mutant, check, id=f"{mutant.function.__name__}-{check.__name__.removeprefix('check_of_')}")
    for mutant in MUTANTS
    for check in mutant.checks
]


@pytest.mark.parametrize(("mutant", "check"), CHECKS)
def test_mutant_of_the_kernel_is_noticed(mutant, check, monkeypatch):
    monkeypatch.setattr(fnn.functional, mutant.name, mutant.function)
    with pytest.raises(AssertionError, match=r"\["):  # the case's name
        check()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.function.__name__)
def test_mutant_of_the_reference_is_noticed(mutant, monkeypatch):
    """A wrong twin does not pass for the truth either: the kernel disagrees with it."""
    monkeypatch.setattr(fnn.reference, mutant.name, mutant.function)
    with pytest.raises(AssertionError, match=r"\["):
        parity(mutant.name)()


def test_gradient_to_every_tied_maximum_is_noticed(monkeypatch):
    every_tie = pool.MaxpoolEveryTie()
    monkeypatch.setattr(fnn.functional, "max_pool2d", every_tie.max_pool2d)
    monkeypatch.setattr(fnn.functional, "max_pool2d_backward", every_tie.max_pool2d_backward)
    for case in cases_of("max_pool2d"):
        if case.label == "2x2":
            check_gradient(case)  # distinct inputs: nothing to see, which is why ties have a check of their own
    with pytest.raises(AssertionError, match=r"\["):
        pool.ties()
