"""Losses."""

import pytest

from fastnn._bench.cases import PAIRS, cases_of


@pytest.mark.parametrize("case", cases_of("cross_entropy", "nll_loss", *PAIRS), ids=str)
def test_losses(case, contestant, compare):
    compare(case, contestant)
