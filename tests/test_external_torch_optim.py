"""PyTorch's own configurations of its optimisers (`optim_db`), on fastnn's optimisers of the same names.

    pytest -m external tests/test_external_torch_optim.py

Each takes ten steps beside PyTorch's, and then ten more from the other's state. docs/reliability.md has the counts.
"""

from collections import Counter

import numpy as np
import pytest

import fastnn as fnn
from fastnn import optim
from fastnn.interop.torch import optimizer_from_torch, optimizer_to_torch
from torch_suites import array

pytestmark = [pytest.mark.external, pytest.mark.filterwarnings("ignore")]

STEPS = 10
REACH = 100  # of a step over its rate, cancelled terms included, as in test_outside_optim.py
# The terms of a parameter and of all its state in a step, as tests/cases/optim.py counts them.
TERMS = {"SGD": (6, 3), "Adam": (11, 14), "AdamW": (11, 14), "NAdam": (11, 9), "RMSprop": (10, 17), "Adagrad": (7, 4)}
SHAPES = ((5, 7), (40,), (1,), (2, 3, 4))

# What PyTorch refuses and fastnn takes: the beginning of PyTorch's description, and why.
TAKEN = {
    "lr as Tensor doesn't work with foreach": "foreach means nothing here, and arrays of one number are numbers",
    "betas must be either both floats": "arrays of one number are numbers",
    r"betas\[0\] as a Tensor is not supported": "foreach means nothing here, and arrays of one number are numbers",
}

COUNTS = {"configurations": 82, "errors": 45, "taken": 8}  # as docs/reliability.md says
counted: Counter = Counter()
tried: set = set()


@pytest.fixture(scope="module")
def torch():
    torch = pytest.importorskip("torch")
    pytest.importorskip("expecttest")
    torch.set_num_threads(1)
    return torch


@pytest.fixture(scope="module")
def infos(torch):
    from torch.testing._internal.common_optimizers import optim_db

    return {info.optim_cls.__name__: info for info in optim_db}


@pytest.fixture(autouse=True)
def torch_in_double(torch, infos):
    """Numbers that PyTorch keeps in tensors are not rounded to float32."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


class Pair:
    """An optimiser of ours and one of PyTorch's, with the same parameters and gradients."""

    def __init__(self, torch, name, dtype, options, values=None):
        self.torch, self.dtype, self.rng = torch, dtype, np.random.default_rng(3)
        values = [self.rng.uniform(-1, 1, shape).astype(dtype) for shape in SHAPES] if values is None else values
        self.ours = [fnn.Parameter(v.copy()) for v in values]
        self.theirs = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in values]
        self.mine = getattr(fnn, name)(self.ours, **{key: array(each) for key, each in options.items()})
        self.other = getattr(torch.optim, name)(self.theirs, **options)

    def steps(self):
        largest = 1.0
        for _ in range(STEPS):
            for p, q in zip(self.ours, self.theirs, strict=True):
                # above what weight decay makes of the parameter, which so cannot cancel it
                g = (self.rng.uniform(1.0, 2.0, p.shape) * self.rng.choice([-1, 1], p.shape)).astype(self.dtype)
                p.grad, q.grad = g, self.torch.from_numpy(g.astype(np.float64))
            self.mine.step()
            self.other.step()
            largest = max(largest, *(float(np.abs(p.data).max()) for p in self.ours))
        return largest

    def assert_equal(self, name, largest, steps):
        terms, kept = TERMS[name]
        eps = float(np.finfo(self.dtype).eps)
        lr = float(self.mine.param_groups[0]["lr"])
        bound = (steps * (terms + 2) + steps * (steps + 1) / 2 * kept) * eps * (largest + steps * lr * REACH)
        for p, q in zip(self.ours, self.theirs, strict=True):
            np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=0, atol=bound)


def test_every_optimiser_that_both_have_is_tried(infos):
    assert infos.keys() & set(optim.__all__) == set(TERMS)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", TERMS)
def test_configurations(torch, infos, name, dtype):
    for config in infos[name].optim_inputs_func("cpu"):
        pair = Pair(torch, name, dtype, config.kwargs)
        largest = pair.steps()
        pair.assert_equal(name, largest, STEPS)
        # Each goes on from the other's state.
        momentum = {key: config.kwargs[key] for key in ("momentum", "nesterov") if key in config.kwargs}
        swapped = Pair(torch, name, dtype, momentum, [p.data for p in pair.ours])
        with torch.no_grad():
            for p, q in zip(swapped.theirs, swapped.ours, strict=True):
                p.copy_(torch.from_numpy(q.data.astype(np.float64)))
        swapped.mine.load_state_dict(optimizer_from_torch(pair.other))
        swapped.other.load_state_dict(optimizer_to_torch(pair.mine))
        largest = max(largest, swapped.steps())
        swapped.assert_equal(name, largest, 2 * STEPS)
        counted["configurations"] += 1
    tried.add((name, dtype))


def as_ours(torch, given, made):
    """Parameters of ours for PyTorch's, the same for the same, in lists, tuples and dicts."""
    if isinstance(given, torch.Tensor):
        return made.setdefault(id(given), fnn.Parameter(array(given).astype("float64")))
    if isinstance(given, dict):
        return {key: as_ours(torch, each, made) for key, each in given.items()}
    return type(given)(as_ours(torch, each, made) for each in given) if isinstance(given, list | tuple) else given


@pytest.mark.parametrize("name", TERMS)
def test_errors(torch, infos, name):
    """What PyTorch refuses to be made with is refused here."""
    for error in infos[name].optim_error_inputs_func("cpu", torch.float64):
        given = error.optimizer_error_input
        assert error.error_on.name == "CONSTRUCTION_ERROR"
        params = as_ours(torch, [torch.ones(2)] if given.params is None else given.params, {})
        options = {key: array(each) for key, each in given.kwargs.items()}
        if any(given.desc.startswith(start) for start in TAKEN):
            getattr(fnn, name)(params, **options)
            counted["taken"] += 1
        else:
            with pytest.raises((TypeError, ValueError)):
                getattr(fnn, name)(params, **options)
            counted["errors"] += 1


def test_counts():
    if len(tried) < 2 * len(TERMS):
        pytest.skip("counted where all configurations are tried")
    assert counted == COUNTS
