"""Softmax cross-entropy."""

import pytest

from fastnn._bench.cases import cases_of


@pytest.mark.parametrize("case", cases_of("cross_entropy"), ids=str)
def test_losses(case, contestant, compare):
    compare(case, contestant)
