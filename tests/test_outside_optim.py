"""Optimisers and schedules beside those of PyTorch, for twenty steps.

Gradients are 0.5 to 1.5 in magnitude, so that weight decay (at most 0.3 of parameters below 1.5) cannot cancel them.
"""

import numpy as np
import pytest

import fastnn as fnn
from torch_oracles import torch

STEPS = 20
REACH = 100  # of a step over its rate, cancelled terms included: RMSprop's first has 10, times 10 with momentum
OPTIMISERS = [
    # class, options, terms of p and of all its state in a step, as tests/cases/optim.py counts them
    ("SGD", {}, 6, 0),
    ("SGD", {"momentum": 0.9, "weight_decay": 0.1}, 6, 3),
    ("SGD", {"momentum": 0.9, "dampening": 0.3, "maximize": True}, 6, 3),
    ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}, 6, 3),
    ("Adam", {}, 11, 9),
    ("Adam", {"betas": (0.7, 0.9), "eps": 1e-3, "weight_decay": 0.1, "amsgrad": True}, 11, 14),
    ("Adam", {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}, 11, 9),
    ("AdamW", {}, 11, 9),
    ("AdamW", {"amsgrad": True, "weight_decay": 0.5, "maximize": True}, 11, 14),
    ("NAdam", {}, 11, 9),
    ("NAdam", {"weight_decay": 0.1, "momentum_decay": 0.1, "maximize": True}, 11, 9),
    ("NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True}, 11, 9),
    ("RMSprop", {}, 10, 5),
    ("RMSprop", {"momentum": 0.9, "weight_decay": 0.1, "alpha": 0.9}, 10, 13),
    ("RMSprop", {"momentum": 0.5, "centered": True, "maximize": True}, 10, 17),
    ("Adagrad", {}, 7, 4),
    ("Adagrad", {"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5, "maximize": True}, 7, 4),
]


@pytest.fixture
def torch_in_double():
    """Numbers that PyTorch keeps in tensors are not rounded to float32."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.skipif(torch is None, reason="PyTorch is not installed")
@pytest.mark.usefixtures("torch_in_double")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("name", "options", "terms", "kept"), OPTIMISERS, ids=lambda v: str(v).replace(" ", ""))
def test_twenty_steps_are_pytorchs(name, options, terms, kept, dtype):
    """What a step adds in rounding is added up, and what it leaves in the state goes into all later ones."""
    rng = np.random.default_rng(3)
    values = [rng.uniform(-1, 1, shape).astype(dtype) for shape in ((5, 7), (40,), (1,))]
    ours = [fnn.Parameter(v.copy()) for v in values]
    theirs = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in values]
    groups = [[{"params": p[:1], "lr": 0.003}, {"params": p[1:]}] for p in (ours, theirs)]
    mine = getattr(fnn, name)(groups[0], **{"lr": 0.002, **options})
    other = getattr(torch.optim, name)(groups[1], **{"lr": 0.002, **options})
    largest = 1.0
    for step in range(STEPS):
        for i, (p, q) in enumerate(zip(ours, theirs, strict=True)):
            g = (rng.uniform(0.5, 1.5, p.data.shape) * rng.choice([-1, 1], p.data.shape)).astype(dtype)
            missing = i == 2 and step in (0, 7)
            p.grad = None if missing else g
            q.grad = None if missing else torch.from_numpy(g.astype(np.float64))
        mine.step()
        other.step()
        largest = max(largest, *(float(np.abs(p.data).max()) for p in ours))
    eps = float(np.finfo(dtype).eps)
    bound = (STEPS * (terms + 2) + STEPS * (STEPS + 1) / 2 * kept) * eps * (largest + STEPS * 0.003 * REACH)
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=0, atol=bound)


SCHEDULES = [
    ("StepLR", {"step_size": 3, "gamma": 0.5}),
    ("MultiStepLR", {"milestones": [2, 5, 5, 11]}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("LambdaLR", {"lr_lambda": lambda t: 1 / (1 + t)}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.1, "end_factor": 0.5, "total_iters": 9}),
    ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.01}),
    ("OneCycleLR", {"max_lr": [0.5, 0.2], "total_steps": 20}),
    ("OneCycleLR", {"max_lr": 0.5, "epochs": 4, "steps_per_epoch": 5, "three_phase": True}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 21, "anneal_strategy": "linear", "pct_start": 0.45}),
]


@pytest.mark.skipif(torch is None, reason="PyTorch is not installed")
@pytest.mark.filterwarnings("ignore::UserWarning")  # that no step of the optimiser came first
@pytest.mark.parametrize("kind", ["SGD", "AdamW"])
@pytest.mark.parametrize(
    ("name", "options"), SCHEDULES, ids=lambda value: value if isinstance(value, str) else "-".join(value)
)
def test_schedules_are_pytorchs(name, options, kind):
    """PyTorch goes from rate to rate, some roundings each; a cosine near its zero cancels down to parts of the rate."""
    ours, theirs = _pair(kind)
    mine = getattr(fnn.lr_scheduler, name)(ours, **options)
    other = getattr(torch.optim.lr_scheduler, name)(theirs, **options)
    for _ in range(STEPS):
        np.testing.assert_allclose(mine.get_last_lr(), other.get_last_lr(), rtol=1e-12, atol=1e-15)
        for group, wanted in zip(ours.param_groups, theirs.param_groups, strict=True):
            key = "momentum" if kind == "SGD" else "betas"
            assert group[key] == pytest.approx(wanted[key], rel=1e-12)
        mine.step()
        other.step()


@pytest.mark.skipif(torch is None, reason="PyTorch is not installed")
@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
def test_plateaus_are_pytorchs(mode, threshold_mode):
    rng = np.random.default_rng(0)
    options = {"mode": mode, "threshold_mode": threshold_mode, "patience": 2, "cooldown": 2, "threshold": 0.05}
    options |= {"factor": 0.5, "min_lr": [0.01, 0.0]}
    ours, theirs = _pair("SGD")
    mine = fnn.lr_scheduler.ReduceLROnPlateau(ours, **options)
    other = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **options)
    for metric in rng.uniform(-1, 1, 60):
        mine.step(metric)
        other.step(metric)
        assert mine.get_last_lr() == other.get_last_lr()
    assert mine.get_last_lr()[1] < 0.01


def _two_groups(kind, parameter):
    momentum = {"momentum": 0.9} if kind.__name__ == "SGD" else {}
    return kind([{"params": [parameter()]}, {"params": [parameter()], "lr": 0.05}], lr=0.1, **momentum)


def _pair(name):
    """An optimiser of ours and one of theirs, each of two groups of one parameter."""
    ours = _two_groups(getattr(fnn, name), lambda: fnn.Parameter(np.ones(1)))
    return ours, _two_groups(getattr(torch.optim, name), lambda: torch.ones(1, requires_grad=True))
