"""Maximum and average pooling."""

import pytest

from fastnn._bench.cases import cases_of


@pytest.mark.parametrize("case", cases_of("max_pool2d", "avg_pool2d", "max_pool1d", "avg_pool1d"), ids=str)
def test_pool(case, contestant, compare):
    compare(case, contestant)
