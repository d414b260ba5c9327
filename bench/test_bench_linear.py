"""Linear layers."""

import pytest

from fastnn._bench.cases import cases_of


@pytest.mark.parametrize("case", cases_of("linear"), ids=str)
def test_linear(case, contestant, compare):
    compare(case, contestant)
