"""Maximum and average pooling."""

import pytest

from fastnn._bench.cases import cases_of


@pytest.mark.parametrize("case", cases_of("maxpool", "avgpool", "maxpool1d", "avgpool1d"), ids=str)
def test_pool(case, contestant, compare):
    compare(case, contestant)
