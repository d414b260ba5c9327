"""Which gradients a backward is asked for: any iterable of names, at both doors."""

import inspect

import numpy as np
import pytest

import fastnn as fnn
from cases import cases_of

BACKWARDS = [
    name for name in fnn.functional.__all__ if "needs" in inspect.signature(getattr(fnn.functional, name)).parameters
]
ROOMS = [fnn.functional, fnn.reference]


def arguments(name):
    """Arguments of a backward and the gradients that it has."""
    args, kwargs = cases_of(name)[0].inputs(np.float32)
    kwargs.pop("needs", None)
    return args, kwargs, ("dx", "dw") if name == "prelu_backward" else ("dx", "dw", "db")


def test_all_backwards_are_looked_at():
    assert len(BACKWARDS) == 10


@pytest.mark.parametrize("room", ROOMS, ids=["functional", "reference"])
@pytest.mark.parametrize("name", BACKWARDS)
def test_names_may_come_from_anything_that_can_be_walked_through_once(name, room):
    args, kwargs, all_names = arguments(name)
    backward = getattr(room, name)
    expected = backward(*args, **kwargs)
    assert all(gradient is not None for gradient in expected)
    for names in (all_names, all_names[::-1], all_names[1:], ()):
        for needs in (iter(names), (each for each in names), list(names), set(names), dict.fromkeys(names), names):
            got = backward(*args, **kwargs, needs=needs)
            for gradient, wanted, each in zip(got, expected, all_names, strict=True):
                assert (gradient is None) == (each not in names)
                assert gradient is None or gradient.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("room", ROOMS, ids=["functional", "reference"])
@pytest.mark.parametrize("name", BACKWARDS)
@pytest.mark.parametrize(
    ("needs", "error", "words"),
    [
        ("dx", TypeError, r"^needs: got 'dx'; expected a tuple of names, as in needs=\('dx',\)$"),
        (None, TypeError, "^needs: got None; expected a tuple of names"),
        (1, TypeError, "^needs: got 1; expected a tuple of names"),
        (("dx", "dz"), ValueError, "^needs: got 'dz'; expected one of 'dx', 'dw'"),
        ((0,), ValueError, "^needs: got 0; expected one of 'dx', 'dw'"),
    ],
)
def test_other_names_are_refused(name, room, needs, error, words):
    args, kwargs, _ = arguments(name)
    with pytest.raises(error, match=words):
        getattr(room, name)(*args, **kwargs, needs=needs)
