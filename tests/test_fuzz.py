"""Parity on shapes that nobody thought of. The search is the same in every run."""

from dataclasses import replace

import pytest

hypothesis = pytest.importorskip("hypothesis")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from cases import DTYPES  # noqa: E402
from cases.conv import ConvShape, conv_cases  # noqa: E402
from cases.matmul import linear_cases  # noqa: E402
from cases.pool import PoolShape, pool_cases  # noqa: E402
from checks import check_parity  # noqa: E402

usual = settings(max_examples=40, deadline=None, derandomize=True, database=None)
long = settings(max_examples=2000, deadline=None, derandomize=True, database=None)

sizes = st.integers(1, 20)
channels = st.one_of(st.integers(1, 8), st.integers(9, 70))


@st.composite
def windows(draw):
    """An image (H, W), a kernel that fits it, stride, and padding of at most half the kernel."""
    h, w, sh, sw = draw(sizes), draw(sizes), draw(st.integers(1, 5)), draw(st.integers(1, 5))
    kh, kw = draw(st.integers(1, min(h, 7))), draw(st.integers(1, min(w, 7)))
    ph, pw = draw(st.integers(0, kh // 2)), draw(st.integers(0, kw // 2))
    return (h, w), (kh, kw), (sh, sw), (ph, pw)


@st.composite
def convs(draw):
    image, kernel, stride, (ph, pw) = draw(windows())
    padding = ph + draw(st.integers(0, 3)), pw + draw(st.integers(0, 3))
    x = draw(st.integers(0, 4)), draw(channels), *image
    return ConvShape("fuzz", x, draw(channels), kernel, stride, padding)


@st.composite
def special_convs(draw):
    """With dilation and groups."""
    s, groups = draw(convs()), draw(st.integers(1, 4))
    sizes = zip(s.x[2:], s.kernel, s.padding, strict=True)
    dilation = tuple(draw(st.integers(1, max(1, min(4, (n + 2 * p - 1) // max(1, k - 1))))) for n, k, p in sizes)
    x = s.x[0], groups * draw(st.integers(1, 20)), *s.x[2:]
    filters = groups * draw(st.integers(1, 20))
    return replace(s, x=x, filters=filters, dilation=dilation, groups=groups, columns=False)


@st.composite
def pools(draw):
    image, kernel, stride, padding = draw(windows())
    x = draw(st.integers(0, 3)), draw(st.integers(1, 5)), *image
    counting = {"count_include_pad": False} if draw(st.booleans()) else {"divisor_override": draw(st.integers(1, 9))}
    more = draw(st.sampled_from(({}, {"dilation": dilation(draw, image, kernel)}, {"counting": counting})))
    return PoolShape("fuzz", x, kernel, stride, padding, draw(st.booleans()), **more)


def dilation(draw, image, kernel):
    """What lets a window fit into the image."""
    return tuple(draw(st.integers(1, (n - 1) // (k - 1) if k > 1 else 3)) for n, k in zip(image, kernel, strict=True))


linears = st.tuples(st.integers(0, 70), st.integers(1, 150), st.integers(1, 70))


def check(cases, shape):
    for case in cases:
        for fill in case.fills:
            for dtype in DTYPES:
                try:
                    check_parity(case, dtype, fill)
                except AssertionError as error:
                    raise AssertionError(f"{shape}: {error}") from None


@usual
@given(convs())
def test_convolutions(shape):
    check(conv_cases(shape), shape)


@usual
@given(special_convs())
def test_special_convolutions(shape):
    check(conv_cases(shape), shape)


@usual
@given(pools())
def test_pools(shape):
    check(pool_cases(shape), shape)


@usual
@given(linears)
def test_linear(shape):
    rows, i, o = shape
    check(linear_cases("fuzz", (rows,), i, o), shape)


@pytest.mark.slow
@long
@given(convs())
def test_many_convolutions(shape):
    check(conv_cases(shape), shape)


@pytest.mark.slow
@long
@given(special_convs())
def test_many_special_convolutions(shape):
    check(conv_cases(shape), shape)


@pytest.mark.slow
@long
@given(pools())
def test_many_pools(shape):
    check(pool_cases(shape), shape)
