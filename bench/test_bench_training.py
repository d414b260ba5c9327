"""Training steps of whole networks, and the optimiser's part of one."""

import pytest

from fastnn._bench.cases import STEPS, cases_of


@pytest.mark.parametrize("case", cases_of("training", *STEPS), ids=str)
def test_training(case, contestant, compare):
    compare(case, contestant)
