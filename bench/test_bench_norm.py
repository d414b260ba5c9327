"""Batch normalisation."""

import pytest

from fastnn._bench.cases import cases_of


@pytest.mark.parametrize("case", cases_of("batch_norm"), ids=str)
def test_norm(case, contestant, compare):
    compare(case, contestant)
