"""Optimisers and schedules beside those of PyTorch, for twenty steps.

Gradients are 0.5 to 1.5 in magnitude, so that weight decay (at most 0.3 of parameters below 1.5) cannot cancel them.
"""

import numpy as np
import pytest

import fastnn as fnn
from fastnn.interop.torch import optimizer_to_torch
from torch_oracles import torch

WITH_TORCH = pytest.mark.skipif(torch is None, reason="PyTorch is not installed")
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


@WITH_TORCH
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


@WITH_TORCH
@pytest.mark.usefixtures("torch_in_double")
@pytest.mark.parametrize("from_theirs", [True, False], ids=["theirs", "ours"])
@pytest.mark.parametrize(("name", "options"), [row[:2] for row in OPTIMISERS], ids=lambda v: str(v).replace(" ", ""))
def test_states_go_over_to_pytorch_and_back(name, options, from_theirs):
    """One parameter has had no gradient; options are those of the state."""
    rng = np.random.default_rng(5)
    values = [rng.uniform(-1, 1, shape) for shape in ((5, 7), (40,), (1,))]

    def pair(options):
        ours = [fnn.Parameter(v.copy()) for v in values]
        theirs = [torch.tensor(v, requires_grad=True) for v in values]
        mine, other = (
            getattr(m, name)([{"params": p[:1], "lr": 0.003}, {"params": p[1:]}], **{"lr": 0.002, **options})
            for m, p in ((fnn, ours), (torch.optim, theirs))
        )
        return ours, theirs, mine, other

    def steps(params, optimizer, seed, count, wrap):
        draw = np.random.default_rng(seed)
        for _ in range(count):
            for i, p in enumerate(params):
                g = draw.uniform(0.5, 1.5, values[i].shape)
                p.grad = None if i == 2 and seed == 1 else wrap(g)
            optimizer.step()

    momentum = {"momentum": 0.9} if name == "SGD" and options else {}  # a group knows whether it is nesterov's
    ours, theirs, mine, other = pair(options)
    if from_theirs:
        steps(theirs, other, 1, 3, torch.from_numpy)
        ours, _, mine, _ = pair(momentum)
        mine.load_state_dict(other.state_dict())
        for p, q in zip(ours, theirs, strict=True):
            p.data[...] = q.detach().numpy()
    else:
        steps(ours, mine, 1, 3, lambda g: g)
        _, theirs, _, other = pair(momentum)
        other.load_state_dict(optimizer_to_torch(mine))
        for p, q in zip(ours, theirs, strict=True):
            q.data = torch.from_numpy(p.data.copy())
    steps(ours, mine, 2, 3, lambda g: g)
    steps(theirs, other, 2, 3, torch.from_numpy)
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-12)
    assert len(mine.state_dict()["state"]) in (0, 3) if name == "SGD" else len(mine.state_dict()["state"]) == 3
    for i, each in other.state_dict()["state"].items():
        assert set(each) <= set(mine.state_dict()["state"][i])


SCHEDULES = {
    "step": ("StepLR", {"step_size": 3, "gamma": 0.5}),
    "milestones": ("MultiStepLR", {"milestones": [2, 5, 5, 11]}),
    "exponential": ("ExponentialLR", {"gamma": 0.9}),
    "lambda": ("LambdaLR", {"lr_lambda": lambda t: 1 / (1 + t)}),
    "linear": ("LinearLR", {}),
    "linear-down": ("LinearLR", {"start_factor": 0.9, "end_factor": 0.0, "total_iters": 9}),
    "cosine": ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.01}),
    "cosine-of-one": ("CosineAnnealingLR", {"T_max": 1}),
    "constant": ("ConstantLR", {}),
    "constant-of-four": ("ConstantLR", {"factor": 0.6, "total_iters": 4}),
    "polynomial": ("PolynomialLR", {}),
    "polynomial-of-two": ("PolynomialLR", {"total_iters": 12, "power": 2.5}),
    "multiplicative": ("MultiplicativeLR", {"lr_lambda": lambda t: 1 / (1 + t % 3)}),
    "restarts": ("CosineAnnealingWarmRestarts", {"T_0": 4, "eta_min": 0.01}),
    "restarts-longer": ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 2}),
    "cycle-up-and-down": ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.3, "step_size_up": 4}),
    "cycle-of-halves": (
        "CyclicLR",
        {"base_lr": [0.01, 0.02], "max_lr": 0.3, "step_size_up": 3, "step_size_down": 5, "mode": "triangular2"},
    ),
    "cycle-of-powers": (
        "CyclicLR",
        {"base_lr": 0.01, "max_lr": 0.3, "step_size_up": 4, "mode": "exp_range", "gamma": 0.9, "max_momentum": 0.95},
    ),
    "cycle-of-its-own": (
        "CyclicLR",
        {
            "base_lr": 0.01,
            "max_lr": 0.3,
            "step_size_up": 4,
            "scale_fn": lambda t: 1 / (1 + t),
            "scale_mode": "iterations",
        },
    ),
    "cycle": ("OneCycleLR", {"max_lr": [0.5, 0.2], "total_steps": 31}),
    "cycle-of-three": ("OneCycleLR", {"max_lr": 0.5, "epochs": 4, "steps_per_epoch": 8, "three_phase": True}),
    "cycle-of-lines": (
        "OneCycleLR",
        {"max_lr": 0.5, "total_steps": 33, "anneal_strategy": "linear", "pct_start": 0.45},
    ),
    "cycle-without-rise": ("OneCycleLR", {"max_lr": 0.5, "total_steps": 31, "pct_start": 0.0}),
}
# PyTorch keeps the bounds of a cycle in the groups, where those of another cycle take their place.
CYCLES = [key for key in SCHEDULES if key.startswith("cycle")]
OF_ALL_PAIRS = {"step", "milestones", "linear", "cosine", "cycle"}  # the others stand beside these
PAIRS = [
    (a, b) for a in SCHEDULES for b in SCHEDULES if a == b or (not {a, b} <= set(CYCLES) and {a, b} & OF_ALL_PAIRS)
]
WITHOUT_STEPS = pytest.mark.filterwarnings("ignore::UserWarning")  # that no step of the optimiser came first


class Beside:
    """Schedules of ours and theirs, made alike, on optimisers of two groups."""

    def __init__(self, kind="SGD"):
        self.momentum = "momentum" if kind == "SGD" else "betas"
        self.optimisers = _pair(kind)
        self.schedules = []

    def make(self, *names):
        for key in names:
            name, options = SCHEDULES[key]
            modules = fnn.lr_scheduler, torch.optim.lr_scheduler
            pair = [getattr(m, name)(o, **options) for m, o in zip(modules, self.optimisers, strict=True)]
            self.schedules.append(pair)
        return self

    def set_by_hand(self, *rates):
        for optimiser in self.optimisers:
            for group, lr in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = lr

    def step(self, count=1):
        for _ in range(count):
            for pair in self.schedules:
                for schedule in pair:
                    schedule.step()
            self.compare()

    def compare(self):
        """PyTorch's order of operations, but that a cosine near its foot cancels down to parts of the rate."""
        for mine, other in self.schedules:
            np.testing.assert_allclose(mine.get_last_lr(), other.get_last_lr(), rtol=1e-12, atol=1e-15)
        for group, wanted in zip(*(o.param_groups for o in self.optimisers), strict=True):
            assert group["lr"] == pytest.approx(wanted["lr"], rel=1e-12, abs=1e-15)
            assert group["initial_lr"] == wanted["initial_lr"]
            assert group[self.momentum] == pytest.approx(wanted[self.momentum], rel=1e-12)


@WITH_TORCH
@WITHOUT_STEPS
@pytest.mark.parametrize("kind", ["SGD", "AdamW"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_are_pytorchs(name, kind):
    beside = Beside(kind).make(name)
    beside.compare()
    beside.step(30)


@WITH_TORCH
@WITHOUT_STEPS
@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_two_schedules_chain_as_pytorchs(first, second):
    beside = Beside().make(first, second)
    beside.compare()
    beside.step(30)


@WITH_TORCH
@WITHOUT_STEPS
@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_a_second_schedule_begins_as_pytorchs(first, second):
    """After the first has been left, or its rate changed by hand."""
    for by_hand in (False, True):
        beside = Beside().make(first)
        beside.step(4)
        if by_hand:
            beside.set_by_hand(0.003, 0.07)
        beside.schedules.clear()
        beside.make(second)
        beside.compare()
        beside.step(5)
        beside.set_by_hand(0.02, 0.01)
        beside.step(21)


@WITH_TORCH
@WITHOUT_STEPS
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_state_goes_on_as_pytorchs(name):
    """So does a schedule that is told how many steps were taken; PyTorch forgets the bounds of a cycle in its own."""
    beside = Beside().make(name)
    beside.step(8)
    resumed = Beside().make(name)
    for i in (0, 1):
        resumed.schedules[0][i].load_state_dict(beside.schedules[0][i].state_dict())
        resumed.optimisers[i].load_state_dict(beside.optimisers[i].state_dict())
    resumed.compare()
    resumed.step(20)

    for taken in (7, 8):
        told = Beside()
        for i in (0, 1):
            told.optimisers[i].load_state_dict(beside.optimisers[i].state_dict())
        kind, options = SCHEDULES[name]
        told.schedules = [
            [
                getattr(m, kind)(o, **options, last_epoch=taken)
                for m, o in zip((fnn.lr_scheduler, torch.optim.lr_scheduler), told.optimisers, strict=True)
            ]
        ]
        told.compare()
        told.step(20)


@WITH_TORCH
@WITHOUT_STEPS
@pytest.mark.parametrize(
    "name", [name for name, (kind, _) in SCHEDULES.items() if kind not in ("LambdaLR", "OneCycleLR")]
)
def test_pytorchs_state_of_a_schedule_is_taken(name):
    beside = Beside().make(name)
    for _ in range(4):
        beside.schedules[0][1].step()
    beside.schedules[0][0].load_state_dict(beside.schedules[0][1].state_dict())
    beside.optimisers[0].load_state_dict(beside.optimisers[1].state_dict())
    beside.step(20)


@WITH_TORCH
@WITHOUT_STEPS
@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_schedules_in_turn_and_together_are_pytorchs(first, second):
    for kind, options in (("SequentialLR", {"milestones": [6, 20]}), ("ChainedScheduler", {})):
        beside = Beside().make(first, second, "exponential")
        parts = [[pair[i] for pair in beside.schedules] for i in (0, 1)]
        make_ours, make_theirs = getattr(fnn.lr_scheduler, kind), getattr(torch.optim.lr_scheduler, kind)
        for_one = [[o] if kind == "SequentialLR" else [] for o in beside.optimisers]
        pair = [
            make_ours(*for_one[0], schedulers=parts[0], **options),
            make_theirs(*for_one[1], schedulers=parts[1], **options),
        ]
        beside.schedules = [pair]
        beside.compare()
        beside.step(30)


@WITH_TORCH
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
