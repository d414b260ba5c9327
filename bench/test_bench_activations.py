"""Activations."""

import pytest

from fastnn._bench.cases import OF_INPUT, cases_of


@pytest.mark.parametrize(
    "case", cases_of("relu", "sigmoid", "tanh", "softmax", "log_softmax", *OF_INPUT, "add", "cat"), ids=str
)
def test_activations(case, contestant, compare):
    compare(case, contestant)
