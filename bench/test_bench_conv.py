"""Convolutions, forward and backward (dx, dw, db)."""

import pytest

from fastnn._bench.cases import cases_of


@pytest.mark.parametrize("case", cases_of("conv", "conv1d", "conv_transpose", "unfold", "pad"), ids=str)
def test_conv(case, contestant, compare):
    compare(case, contestant)
