"""Whole networks in eval mode."""

import pytest

from fastnn._bench.cases import cases_of


@pytest.mark.parametrize("case", cases_of("inference"), ids=str)
def test_inference(case, contestant, compare):
    compare(case, contestant)
