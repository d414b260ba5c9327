"""Batch normalisation and dropout."""

import pytest

from fastnn._bench.cases import cases_of


@pytest.mark.parametrize("case", cases_of("batch_norm", "dropout"), ids=str)
def test_norm(case, contestant, compare):
    compare(case, contestant)
