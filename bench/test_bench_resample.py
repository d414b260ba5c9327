"""Adaptive pooling, interpolation and embeddings."""

import pytest

from fastnn._bench.cases import RESAMPLES, cases_of


@pytest.mark.parametrize("case", cases_of("embedding", "index_select", *RESAMPLES), ids=str)
def test_resample(case, contestant, compare):
    compare(case, contestant)
