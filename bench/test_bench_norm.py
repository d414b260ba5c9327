"""Normalisation and dropout."""

import pytest

from fastnn._bench.cases import OTHER_NORMS, cases_of


@pytest.mark.parametrize("case", cases_of("batch_norm", *OTHER_NORMS, "dropout"), ids=str)
def test_norm(case, contestant, compare):
    compare(case, contestant)
