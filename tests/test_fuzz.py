"""Parity on shapes that nobody thought of, whatever the dtype, the layout in memory and the number of threads.

The profile `ordinary` (100 examples of each operation, the same in every run) is the default; `nightly` has 10,000, new
ones every time: pytest tests/test_fuzz.py --hypothesis-profile=nightly
"""

import pytest

hypothesis = pytest.importorskip("hypothesis")

from hypothesis import given, note, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

import fastnn as fnn  # noqa: E402
from cases import DTYPES, OPERATIONS  # noqa: E402
from checks import check_parity  # noqa: E402
from layouts import LAYOUTS  # noqa: E402
from shapes import FAMILIES  # noqa: E402

surroundings = st.tuples(
    st.sampled_from(DTYPES),
    st.integers(0, 2),  # which of a case's fills
    st.sampled_from((None, *LAYOUTS)),
    st.sampled_from((1, 2, 3, 7)),
)
VIEWS = ("flatten", "unflatten")  # of what they are given, so they have its layout


@pytest.mark.parametrize("family", FAMILIES)
@given(data=st.data())
def test_family(family, data):
    cases = data.draw(FAMILIES[family]())
    dtype, place, layout, threads = data.draw(surroundings)
    with fnn.num_threads(threads):
        for case in cases:
            fill = case.fills[place % len(case.fills)]
            args, kwargs = case.inputs(dtype, fill)
            note(f"{case.op}: {[getattr(a, 'shape', a) for a in args]}, {kwargs}")
            check_parity(case, dtype, fill, None if case.op in VIEWS else layout)


def test_every_operation_is_drawn():
    """One draw of each family is enough to see them all."""
    drawn = set()

    @settings(max_examples=30)
    @given(st.tuples(*(strategy() for strategy in FAMILIES.values())))
    def draw(families):
        drawn.update(case.op for cases in families for case in cases)

    draw()
    assert drawn == set(OPERATIONS)
