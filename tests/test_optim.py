"""Optimisers as classes: lists in one call, groups, state, gradients that are missing; clipping."""

import math

import numpy as np
import pytest

import fastnn as fnn
from cases import DTYPES, cases_of
from cases._base import Draw
from fastnn import lr_scheduler

NET = fnn.Sequential(fnn.Linear(2, 3))
SHAPES = ((3, 5), (), (33,), (0, 4), (20_000,), (1,), (17_000,))
OPTIMISERS = [
    (fnn.SGD, {"lr": 0.1}),
    (fnn.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1, "maximize": True}),
    (fnn.Adam, {"amsgrad": True, "weight_decay": 0.1}),
    (fnn.AdamW, {}),
    (fnn.NAdam, {"momentum_decay": 0.1}),
    (fnn.RMSprop, {"momentum": 0.9, "centered": True}),
    (fnn.Adagrad, {"lr_decay": 0.1, "initial_accumulator_value": 0.5}),
]
IDS = [f"{kind.__name__}-{'-'.join(options)}" for kind, options in OPTIMISERS]


def arrays(seed, dtype=np.float32, shapes=SHAPES):
    rng = np.random.default_rng(seed)
    return [np.array(rng.standard_normal(shape), dtype) for shape in shapes]


def parameters(dtype=np.float32):
    return [fnn.Parameter(a, str(i)) for i, a in enumerate(arrays(1, dtype))]


def give(params, seed, but=()):
    """New gradients to all parameters, but those at these places."""
    for place, (p, g) in enumerate(zip(params, arrays(seed, params[0].data.dtype), strict=True)):
        p.grad = None if place in but else g


def bits(params):
    return [p.data.tobytes() for p in params]


def steps(optimizer, params, seeds):
    for seed in seeds:
        give(params, seed)
        optimizer.step()


# Lists


def lists(op, dtype):
    """The arguments of the last case of a rule for arrays of several shapes, and its keywords."""
    case = cases_of(op)[-1]
    args, kwargs = case.inputs(dtype)
    rows = []
    for i, shape in enumerate(SHAPES):
        draw = Draw(i, "normal", dtype)
        rows.append([None if a is None else np.array(draw(shape) ** (1 if j < 2 else 2)) for j, a in enumerate(args)])
    return [None if column[0] is None else list(column) for column in zip(*rows, strict=True)], kwargs


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", ["sgd_step", "adam_step", "nadam_step", "rmsprop_step", "adagrad_step"])
def test_a_list_is_its_arrays_one_by_one(op, dtype):
    columns, kwargs = lists(op, dtype)
    expected, kwargs = lists(op, dtype)
    for row in zip(*(c or [None] * len(SHAPES) for c in expected), strict=True):
        getattr(fnn.functional, op)(*row, **kwargs)
    for threads in (1, 2, 7):
        columns, _ = lists(op, dtype)
        with fnn.num_threads(threads):
            getattr(fnn.functional, op)(*columns, **kwargs)
        for column, wanted in zip(columns, expected, strict=True):
            assert column is None or [a.tobytes() for a in column] == [a.tobytes() for a in wanted]


def test_lists_of_what_is_not_plain():
    """Strided, Fortran's order, both dtypes, a tuple: as good as contiguous copies of one dtype."""
    p, g, v = (arrays(seed, shapes=((4, 6), (4, 6), (9,), (9,))) for seed in (1, 2, 3))
    for column in (p, g, v):
        column[1] = np.asfortranarray(column[1])
        column[2] = np.repeat(column[2], 2)[::2]
        column[3] = column[3].astype(np.float64)
    expected = [[np.array(a, order="C") for a in column] for column in (p, g, v)]
    fnn.functional.sgd_step(tuple(p), g, v, lr=0.1, momentum=0.9)
    for row in zip(*expected, strict=True):
        fnn.functional.sgd_step(*row, lr=0.1, momentum=0.9)
    for column, wanted in zip((p, g, v), expected, strict=True):
        for a, b in zip(column, wanted, strict=True):
            np.testing.assert_array_equal(a, b)


def test_arrays_that_share_memory_are_updated_one_after_the_other():
    memory, g = np.ones(50_000, np.float32), np.ones(40_000, np.float32)
    for threads in (1, 2):
        memory[...] = 1
        with fnn.num_threads(threads):
            fnn.functional.sgd_step([memory[:40_000], memory[10_000:]], [g, g], lr=0.25)
        np.testing.assert_array_equal(memory[:10_000], 0.75)
        np.testing.assert_array_equal(memory[10_000:40_000], 0.5)
        np.testing.assert_array_equal(memory[40_000:], 0.75)


def test_a_refused_list_changes_nothing():
    p, g = arrays(1), arrays(2)
    g[-1] = g[-1][:-1]
    before = [a.tobytes() for a in p]
    with pytest.raises(ValueError, match=r"^g\[6\]: got shape"):
        fnn.functional.sgd_step(p, g, lr=0.1)
    assert [a.tobytes() for a in p] == before


# Optimisers


@pytest.mark.parametrize(("kind", "options"), OPTIMISERS, ids=IDS)
def test_the_same_bits_on_any_number_of_threads(kind, options):
    results = []
    for threads in (1, 2, 7):
        params = parameters()
        with fnn.num_threads(threads):
            steps(kind(params, **options), params, (2, 3))
        results.append(bits(params))
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize(("kind", "options"), OPTIMISERS, ids=IDS)
def test_training_goes_on_from_a_state_with_the_same_bits(kind, options):
    params = parameters()
    optimizer = kind([{"params": params[:2]}, {"params": params[2:], "lr": 0.01}], **options)
    steps(optimizer, params, (2,))
    give(params, 3, but=(1, 4))
    optimizer.step()
    state, values = optimizer.state_dict(), [p.data.copy() for p in params]
    steps(optimizer, params, (4, 5))

    others = [fnn.Parameter(a) for a in values]
    resumed = kind([{"params": others[:2]}, {"params": others[2:]}], **{**options, "lr": 1.0})
    resumed.load_state_dict(state)
    steps(resumed, others, (4, 5))
    assert bits(others) == bits(params)
    assert [group["lr"] for group in resumed.param_groups][1] == 0.01
    again = resumed.state_dict()
    assert again["param_groups"] == optimizer.state_dict()["param_groups"]
    assert list(again["state"]) == list(state["state"]) == list(range(len(SHAPES)))
    resumed.load_state_dict(state)  # which has not moved with the training
    assert resumed.state_dict()["state"][0]["step"] == 2


@pytest.mark.parametrize(("kind", "options"), OPTIMISERS, ids=IDS)
def test_parameters_without_a_gradient_stay_and_do_not_count_the_step(kind, options):
    """Those that have one go on as if they were alone."""
    params, alone, late = parameters(), parameters()[:3], parameters()[3:]
    together, first, second = kind(params, **options), kind(alone, **options), kind(late, **options)
    for seed in range(2, 8):
        give(params, seed, but=range(3, 7) if seed % 3 == 0 else ())
        for p, q in zip(params, (*alone, *late), strict=True):
            q.grad = p.grad
        for each in (together, first, second):
            each.step()
    assert bits(params) == bits((*alone, *late))
    together.zero_grad()
    assert all(p.grad is None for p in params)
    before = bits(params)
    together.step()
    assert bits(params) == before


@pytest.mark.parametrize(("kind", "options"), OPTIMISERS, ids=IDS)
def test_groups_have_options_of_their_own(kind, options):
    params, others = parameters(), parameters()
    whole = kind([{"params": params[:3], "lr": 0.5}, {"params": iter(params[3:])}], **options)
    parts = kind(others[:3], **{**options, "lr": 0.5}), kind(others[3:], **options)
    steps(whole, params, (2, 3))
    give(others, 2)
    for part in parts:
        part.step()
    give(others, 3)
    for part in parts:
        part.step()
    assert bits(params) == bits(others)
    assert "; 4 parameters, lr=" in repr(whole)


def test_an_option_changed_between_steps_is_gone_by_and_checked():
    params = parameters()
    optimizer = fnn.SGD(params, lr=1.0)
    optimizer.param_groups[0]["lr"] = 0.0
    before = bits(params)
    steps(optimizer, params, (2,))
    assert bits(params) == before
    optimizer.param_groups[0]["lr"] = -1.0
    with pytest.raises(ValueError, match=r"^lr: got -1"):
        optimizer.step()


def test_a_step_breaks_the_seal_of_a_parameter():
    """Plans hold on to packed weights while a seal lasts."""
    p = fnn.Parameter(np.ones(3, np.float32))
    optimizer = fnn.Adam([p])
    seal = p.sealed()[1]
    assert seal is not None
    assert p.sealed()[1] is seal
    p.grad = np.ones(3, np.float32)
    optimizer.step()
    assert p.sealed()[1] not in (seal, None)  # sealed anew: an optimiser keeps no array of a parameter


def test_data_may_be_replaced_between_steps():
    params, others = parameters(), parameters()
    first, second = fnn.Adam(params), fnn.Adam(others)
    steps(first, params, (2,))
    steps(second, others, (2,))
    for p in params:
        p.data = p.data.copy()
    steps(first, params, (3,))
    steps(second, others, (3,))
    assert bits(params) == bits(others)
    params[0].data = np.ones((2, 2), np.float32)
    params[0].grad = np.ones((2, 2), np.float32)
    with pytest.raises(ValueError, match=r"^exp_avg\[0\]: got shape \(3, 5\); expected \(2, 2\)"):
        first.step()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("state"), "got param_groups; expected state and param_groups"),
        (lambda s: s.update(param_groups=3), "got no groups in param_groups"),
        (lambda s: s.update(param_groups=[{}]), "got no groups in param_groups"),
        (lambda s: s["state"].update({0: None}), "got no states in state"),
        (lambda s: s["state"][1].update(step=1.5), "step 1: got 1.5; expected a whole number"),
        (lambda s: s["param_groups"][0]["params"].pop(), r"got groups of \[6\] parameters; expected \[7\]"),
        (lambda s: s["param_groups"][0].pop("eps"), "got no eps in group 0"),
        (lambda s: s["param_groups"][0].update(betas=(1, 1)), r"betas: got \(1, 1\)"),
        (lambda s: s["state"].update({7: s["state"][0]}), "got a state of parameter 7; expected 0 to 6"),
        (lambda s: s["state"][0].update(momentum_buffer=1), "momentum_buffer for parameter 0; expected step"),
        (lambda s: s["state"][1].update(exp_avg=np.ones(3)), r"exp_avg 1: got shape \(3,\); expected \(\)"),
        (lambda s: s["state"][1].update(step=-1), "step 1: got -1"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change, words):
    params = parameters()
    optimizer = fnn.Adam(params)
    steps(optimizer, params, (2,))
    state, before = optimizer.state_dict(), repr(optimizer.state_dict())
    change(state)
    with pytest.raises(ValueError, match=words):
        optimizer.load_state_dict(state)
    assert repr(optimizer.state_dict()) == before


def in_turn(optimizer, count, milestones, **options):
    schedules = [lr_scheduler.StepLR(optimizer, 1) for _ in range(count)]
    return lr_scheduler.SequentialLR(optimizer, schedules, milestones, **options)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda p: fnn.SGD(NET), TypeError, "params: got a Sequential; expected its parameters, as in net.parameters"),
        (lambda p: fnn.SGD(fnn.Linear), TypeError, "params: got the class Linear; expected its parameters"),
        (lambda p: fnn.SGD(NET.parameters), TypeError, "params: got the function parameters; expected what it returns"),
        (lambda p: fnn.SGD(p[0]), TypeError, r"params: got one Parameter; expected a list of them, as in \[p\]"),
        (lambda p: fnn.SGD(p[0].data), TypeError, "params: got ndarray; expected a list of parameters"),
        (lambda p: fnn.SGD(set(p)), TypeError, "params: got set; expected a list of parameters"),
        (lambda p: fnn.SGD({"params": p}), TypeError, "params: got dict; expected a list of parameters"),
        (lambda p: fnn.SGD(None), TypeError, "params: got NoneType; expected a list of parameters"),
        (lambda p: fnn.SGD([NET]), TypeError, "params: got Sequential; expected parameters"),
        (lambda p: fnn.SGD([{"params": NET}]), TypeError, "params: got a Sequential; expected its parameters"),
        (lambda p: fnn.SGD([p[0], p[0]]), ValueError, "params: got '0' twice"),
        (lambda p: fnn.SGD(p, rate=1), TypeError, "SGD: got 'rate'; expected options among lr, momentum"),
        (lambda p: fnn.SGD(p, nesterov="no"), TypeError, "nesterov: got 'no'; expected True or False"),
        (lambda p: fnn.SGD(p, maximize="no"), TypeError, "maximize: got 'no'; expected True or False"),
        (lambda p: fnn.Adam(p, amsgrad="no"), TypeError, "amsgrad: got 'no'; expected True or False"),
        (lambda p: fnn.NAdam(p, decoupled_weight_decay=None), TypeError, "decoupled_weight_decay: got None"),
        (lambda p: fnn.RMSprop(p, centered="no"), TypeError, "centered: got 'no'; expected True or False"),
        (lambda p: fnn.Adam(p, eps=0), ValueError, "eps: got 0; expected at least 1.18e-38"),
        (lambda p: fnn.AdamW(p, eps=1e-40), ValueError, "eps: got 1e-40; expected at least"),
        (lambda p: fnn.NAdam(p, eps=0), ValueError, "eps: got 0; expected at least"),
        (lambda p: fnn.RMSprop(p, eps=0), ValueError, "eps: got 0; expected at least"),
        (lambda p: fnn.Adagrad(p, eps=-1), ValueError, "eps: got -1; expected at least"),
        (lambda p: fnn.Adam(p).add_param_group({"params": p[:1]}), ValueError, "params: got '0' twice"),
        (lambda p: fnn.Adam(p).add_param_group(p), TypeError, "param_group: got .*; expected a dict with"),
        (lambda p: fnn.Adam([{"params": p, "rate": 1}]), ValueError, "params: group 0: got 'rate'; expected"),
        (lambda p: fnn.Adam([{"params": p}, p[0]]), TypeError, "params: group 1: got Parameter"),
        (lambda p: fnn.Adam([{"params": p}, {"params": p[0]}]), ValueError, "params: got '0' twice"),
        (lambda p: fnn.Adam([{"params": []}]), ValueError, "params: got none"),
        (lambda p: fnn.Adam(p, betas=(0.9, 1.0)), ValueError, r"betas: got \(0.9, 1.0\)"),
        (lambda p: fnn.AdamW(p, weight_decay=-1), ValueError, "weight_decay: got -1"),
        (lambda p: fnn.NAdam(p, momentum_decay=-1), ValueError, "momentum_decay: got -1"),
        (lambda p: fnn.RMSprop(p, alpha=2), ValueError, "alpha: got 2"),
        (lambda p: fnn.Adagrad(p, initial_accumulator_value=-1), ValueError, "initial_accumulator_value: got -1"),
        (lambda p: fnn.SGD([{"params": p, "lr": "fast"}]), TypeError, "lr: got 'fast'"),
        (lambda p: lr_scheduler.StepLR(p, 1), TypeError, "optimizer: got list; expected Optimizer"),
        (lambda p: lr_scheduler.StepLR(fnn.SGD(p), 0), ValueError, "step_size: got 0"),
        (
            lambda p: lr_scheduler.StepLR(fnn.SGD(p), 1, last_epoch=3),
            ValueError,
            "optimizer: got a group without 'initial_lr'",
        ),
        (lambda p: lr_scheduler.ConstantLR(fnn.SGD(p), 0), ValueError, "factor: got 0; expected a number above 0"),
        (lambda p: lr_scheduler.PolynomialLR(fnn.SGD(p), 0), ValueError, "total_iters: got 0; expected at least 1"),
        (
            lambda p: lr_scheduler.MultiplicativeLR(fnn.SGD(p), 0.5),
            TypeError,
            "lr_lambda: got 0.5; expected a function",
        ),
        (lambda p: lr_scheduler.CosineAnnealingWarmRestarts(fnn.SGD(p), 0), ValueError, "T_0: got 0"),
        (lambda p: lr_scheduler.CosineAnnealingWarmRestarts(fnn.SGD(p), 2, 0), ValueError, "T_mult: got 0"),
        (lambda p: lr_scheduler.CyclicLR(fnn.Adagrad(p), 0.1, 1.0), ValueError, "cycle_momentum: got True"),
        (lambda p: lr_scheduler.CyclicLR(p, 0.1, 1.0), TypeError, "optimizer: got list; expected Optimizer"),
        (lambda p: lr_scheduler.CyclicLR(fnn.SGD(p), 0.1, [1.0, 2.0]), ValueError, "max_lr: got 2; expected 1"),
        (lambda p: lr_scheduler.CyclicLR(fnn.SGD(p), 0.1, 1.0, mode="square"), ValueError, "mode: got 'square'"),
        (lambda p: lr_scheduler.CyclicLR(fnn.SGD(p), 0.1, 1.0, scale_fn=2), TypeError, "scale_fn: got 2; expected a f"),
        (lambda p: lr_scheduler.LambdaLR(NET, abs), TypeError, "optimizer: got Sequential; expected Optimizer"),
        (lambda p: lr_scheduler.OneCycleLR(p, 1.0, 5), TypeError, "optimizer: got list; expected Optimizer"),
        (lambda p: lr_scheduler.LambdaLR(fnn.SGD(p), 0.5), TypeError, "lr_lambda: got 0.5; expected a function"),
        (lambda p: lr_scheduler.LambdaLR(fnn.SGD(p), [0.5]), TypeError, "lr_lambda: got 0.5; expected a function"),
        (lambda p: lr_scheduler.LambdaLR(fnn.SGD(p), str), TypeError, "lr_lambda: got '0'; expected a number"),
        (lambda p: lr_scheduler.MultiStepLR(fnn.SGD(p), 5), TypeError, "milestones: got 5; expected a list"),
        (lambda p: lr_scheduler.MultiStepLR(fnn.SGD(p), "5"), TypeError, "milestones: got '5'; expected a list"),
        (lambda p: lr_scheduler.MultiStepLR(fnn.SGD(p), [0.5]), TypeError, "milestones: got 0.5; expected an int"),
        (lambda p: lr_scheduler.OneCycleLR(fnn.SGD(p), "1", 5), TypeError, "max_lr: got '1'; expected a number"),
        (lambda p: lr_scheduler.OneCycleLR(fnn.SGD(p), 1, 5, cycle_momentum=0), TypeError, "cycle_momentum: got 0"),
        (lambda p: lr_scheduler.LinearLR(fnn.SGD(p), start_factor=0), ValueError, "start_factor: got 0; expected a n"),
        (lambda p: lr_scheduler.ReduceLROnPlateau(fnn.SGD(p)).step(None), TypeError, "metrics: got None; expected a n"),
        (lambda p: lr_scheduler.ReduceLROnPlateau(fnn.SGD(p)).step("1"), TypeError, "metrics: got '1'; expected a n"),
        (lambda p: lr_scheduler.ReduceLROnPlateau(fnn.SGD(p), min_lr="1"), TypeError, "min_lr: got '1'; expected a n"),
        (lambda p: lr_scheduler.SequentialLR(p, [], []), TypeError, "optimizer: got list; expected Optimizer"),
        (lambda p: in_turn(fnn.SGD(p), 0, []), ValueError, "schedulers: got none"),
        (lambda p: in_turn(fnn.SGD(p), 2, [1, 2]), ValueError, "milestones: got 2; expected 1"),
        (lambda p: in_turn(fnn.SGD(p), 3, [2, 2]), ValueError, r"milestones: got \[2, 2\]; expected each to be larger"),
        (lambda p: in_turn(fnn.SGD(p), 2, 5), TypeError, "milestones: got 5; expected a list"),
        (lambda p: in_turn(fnn.SGD(p), 2, [5], last_epoch=3), ValueError, "last_epoch: got 3"),
        (lambda p: lr_scheduler.ChainedScheduler(lr_scheduler.StepLR(fnn.SGD(p), 1)), TypeError, "schedulers: got S"),
        (
            lambda p: lr_scheduler.ChainedScheduler([lr_scheduler.ReduceLROnPlateau(fnn.SGD(p))]),
            TypeError,
            "schedulers: got ReduceLROnPlateau; expected schedules that step without a metric",
        ),
        (
            lambda p: lr_scheduler.ChainedScheduler([lr_scheduler.StepLR(fnn.SGD(p), 1) for _ in range(2)]),
            ValueError,
            "schedulers: got a StepLR of another optimizer",
        ),
        (lambda p: lr_scheduler.LinearLR(fnn.SGD(p), 2.0), ValueError, "start_factor: got 2.0"),
        (lambda p: lr_scheduler.LambdaLR(fnn.SGD(p), [abs, abs]), ValueError, "lr_lambda: got 2; expected 1"),
        (lambda p: lr_scheduler.OneCycleLR(fnn.SGD(p), 1.0, epochs=3), ValueError, "total_steps: got None"),
        (lambda p: lr_scheduler.OneCycleLR(fnn.Adagrad(p), 1.0, 5), ValueError, "cycle_momentum: got True"),
        (lambda p: lr_scheduler.OneCycleLR(fnn.SGD(p), 1.0, 5, anneal_strategy="sin"), ValueError, "got 'sin'"),
        (lambda p: lr_scheduler.ReduceLROnPlateau(fnn.SGD(p), factor=1), ValueError, "factor: got 1"),
        (lambda p: lr_scheduler.ReduceLROnPlateau(fnn.SGD(p), "less"), ValueError, "mode: got 'less'"),
        (lambda p: lr_scheduler.ExponentialLR(fnn.SGD(p), 1).load_state_dict({}), ValueError, "state_dict: got"),
    ],
)
def test_refused(make, error, words):
    with pytest.raises(error, match=words):
        make(parameters())


def test_arguments_that_choose_among_pytorchs_implementations_mean_nothing():
    params, others = parameters(), parameters()
    nothing = {"foreach": True, "fused": None, "capturable": True, "differentiable": False}
    for kind, options in OPTIMISERS:
        first, second = (
            kind([{"params": params, "name": "all", **nothing}], **options, **nothing),
            kind(others, **options),
        )
        steps(first, params, (2, 3))
        steps(second, others, (2, 3))
        assert bits(params) == bits(others)
        assert first.state_dict()["param_groups"][0].keys() - {"name"} == second.state_dict()["param_groups"][0].keys()
        first.zero_grad(set_to_none=False)
        assert all(p.grad is None for p in params)


@pytest.mark.parametrize(("kind", "options"), OPTIMISERS, ids=IDS)
def test_groups_may_be_added(kind, options):
    params, others = parameters(), parameters()
    grown = kind(params[:3], **options)
    grown.add_param_group({"params": iter(params[3:]), "lr": 0.5})
    whole = kind([{"params": others[:3]}, {"params": others[3:], "lr": 0.5}], **options)
    steps(grown, params, (2, 3))
    steps(whole, others, (2, 3))
    assert bits(params) == bits(others)
    assert grown.state_dict()["param_groups"] == whole.state_dict()["param_groups"]
    with pytest.raises(ValueError, match="lr: got -1"):
        grown.add_param_group({"params": [fnn.Parameter(np.ones(1))], "lr": -1})
    assert len(grown.param_groups) == 2


def test_adagrad_has_its_sums_from_the_start():
    params = parameters()
    optimizer = fnn.Adagrad(params[:1], initial_accumulator_value=0.5)
    optimizer.add_param_group({"params": params[1:2]})
    state = optimizer.state_dict()["state"]
    assert [list(state[i]) for i in (0, 1)] == [["step", "sum"]] * 2
    assert state[0]["step"] == 0
    np.testing.assert_array_equal(state[0]["sum"], np.full((3, 5), 0.5, np.float32))


def test_a_state_of_pytorch_is_taken():
    """As ``torch.optim`` writes them: numbers may be arrays, options have others beside them, SGD counts no steps."""
    params = parameters()[:2]
    optimizer = fnn.SGD(params, momentum=0.5)
    buffers = arrays(9)[:2]
    group = {"lr": np.array(0.25), "momentum": 0.9, "dampening": 0, "weight_decay": 0, "nesterov": False}
    group |= {"foreach": None, "differentiable": False, "fused": None, "params": [0, 1]}
    optimizer.load_state_dict(
        {"state": {0: {"momentum_buffer": buffers[0]}, 1: {"momentum_buffer": None}}, "param_groups": [group]}
    )
    assert optimizer.param_groups[0]["lr"] == 0.25
    assert optimizer.param_groups[0]["maximize"] is False
    before = [p.data.copy() for p in params]
    for p in params:
        p.grad = np.ones_like(p.data)
    optimizer.step()
    np.testing.assert_allclose(params[0].data, before[0] - 0.25 * (0.9 * buffers[0] + 1), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(params[1].data, before[1] - 0.25, rtol=1e-6)

    adam = fnn.AdamW(params)
    state = {"step": np.float32(3), "exp_avg": buffers[0].astype(np.float64), "exp_avg_sq": buffers[0] ** 2}
    theirs = {**adam.state_dict()["param_groups"][0], "decoupled_weight_decay": False}
    adam.load_state_dict({"state": {0: state}, "param_groups": [theirs]})
    assert adam.state_dict()["state"][0]["step"] == 3
    assert adam.state_dict()["state"][0]["exp_avg"].dtype == np.float32
    assert adam.param_groups[0]["decoupled_weight_decay"] is True


# Clipping


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", [0.5, 1, 2, 2.5, 30, math.inf])
@pytest.mark.parametrize("room", [fnn.functional, fnn.reference], ids=["functional", "reference"])
def test_gradients_of_any_size_are_clipped(order, dtype, room):
    """Where powers, the norm or the factor are beyond what their type can hold; the direction is as it was."""
    rng = np.random.default_rng(1)
    shapes = (3,), (17, 5), (0,), ()
    directions = [rng.uniform(0.5, 1, shape) * rng.choice([-1, 1], shape) for shape in shapes]
    expected = float(np.linalg.norm(np.concatenate([d.ravel() for d in directions]), order))
    largest, least = (3.4e38, 1e-37) if dtype == np.float32 else (1.7e308, 1e-300)
    for size in (largest, largest / 1e4, 1e30, 1e10, 1.0, 1e-10, 1e-30, least):
        for plain in (True, False):
            grads = [np.array(d * size, dtype) for d in directions]
            if not plain:
                grads[1] = np.asfortranarray(grads[1])
            max_norm = min(size, 1.0) / 4
            norm = room.clip_grad_norm_(grads, max_norm, order)
            # Of 1e-30 added to 1e-6 nothing is left: PyTorch's divisor.
            scale = max_norm / (1e-6 + expected * size) if size < 1 else 0.25 / (expected + 1e-6 / size) / size
            assert norm == pytest.approx(expected * size, rel=1e-5 if dtype == np.float32 else 1e-12)
            for g, d in zip(grads, directions, strict=True):
                np.testing.assert_allclose(
                    g, np.array(d * size * scale, dtype) if size <= 1e30 else d * (0.25 / expected), rtol=4e-6
                )


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_largest_gradients_of_all(dtype):
    p = fnn.Parameter(np.zeros(3, dtype))
    p.grad = np.full(3, 3e38, dtype)
    assert fnn.clip_grad_norm_([p], 1.0) == pytest.approx(3e38 * math.sqrt(3), rel=1e-6)
    np.testing.assert_allclose(p.grad, 1 / math.sqrt(3), rtol=1e-6)
    p.grad = np.full(3, np.finfo(dtype).max)
    fnn.clip_grad_norm_(p, 1e-10)
    np.testing.assert_allclose(p.grad, 1e-10 / math.sqrt(3), rtol=1e-6)
    p.grad = np.full(3, 3e38, dtype)
    fnn.clip_grad_value_(p, 2.0)
    np.testing.assert_array_equal(p.grad, np.full(3, 2, dtype))


def test_an_infinite_norm_to_clip_to_only_measures():
    params = parameters()
    give(params, 2)
    before = [p.grad.tobytes() for p in params]
    norm = fnn.clip_grad_norm_(params, math.inf, foreach=True)
    assert norm == pytest.approx(fnn.clip_grad_norm_(params, 1e9), rel=1e-12)
    fnn.clip_grad_value_(params, 1e9, foreach=None)
    assert [p.grad.tobytes() for p in params] == before


@pytest.mark.parametrize("clip", [fnn.clip_grad_norm_, fnn.clip_grad_value_])
@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda p: (q for q in p if q is None), ValueError, "parameters: got an iterator with nothing left in it"),
        (lambda p: NET, TypeError, "parameters: got a Sequential; expected its parameters"),
        (lambda p: NET.parameters, TypeError, "parameters: got the function parameters; expected what it returns"),
        (lambda p: [p[0].data], TypeError, "parameters: got ndarray; expected parameters"),
        (lambda p: [p[0], p[0]], ValueError, "parameters: got '0' twice; expected each parameter once"),
        (lambda p: None, TypeError, "parameters: got NoneType; expected a list of parameters"),
    ],
)
def test_what_is_no_parameters_is_not_clipped(clip, make, error, words):
    params = parameters()
    give(params, 2)
    with pytest.raises(error, match=words):
        clip(make(params), 1.0)
    assert fnn.clip_grad_norm_([], 1.0) == 0.0  # a list may be empty


@pytest.mark.parametrize("order", [1, 2, 2.5, math.inf])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_norm_is_that_of_all_gradients(order, dtype):
    everything = np.concatenate([g.ravel() for g in arrays(2, dtype)]).astype(np.float64)
    expected = float(np.linalg.norm(everything, order))
    for plain in (True, False):
        params = parameters(dtype)
        give(params, 2)
        if not plain:
            params[0].grad = np.asfortranarray(params[0].grad)
        assert fnn.clip_grad_norm_(params, 0.5, order) == pytest.approx(expected, rel=1e-12)
        after = np.concatenate([p.grad.ravel() for p in params])
        bound = 4 * np.finfo(dtype).eps
        np.testing.assert_allclose(after, everything * (0.5 / (expected + 1e-6)), rtol=bound)


def test_clipping_leaves_out_what_has_no_gradient():
    params = parameters()
    assert fnn.clip_grad_norm_(params, 1.0) == 0.0
    fnn.clip_grad_value_(params, 1.0)
    assert all(p.grad is None for p in params)
    give(params, 2, but=(0,))
    norm = fnn.clip_grad_norm_(iter(params), 1e9)
    assert norm == pytest.approx(math.sqrt(sum(float((g**2).sum()) for g in arrays(2, np.float64)[1:])), rel=1e-6)
    fnn.clip_grad_value_(params[2], 0.5)
    assert np.abs(params[2].grad).max() == 0.5
    assert np.abs(params[4].grad).max() > 0.5


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("order", [1, 2, 3, math.inf])
def test_a_norm_that_is_not_finite(value, order):
    params = parameters()
    give(params, 2)
    params[4].grad[77] = value
    before = [p.grad.tobytes() for p in params]
    with pytest.raises(RuntimeError, match=rf"norm of order {order:g} of {value}"):
        fnn.clip_grad_norm_(params, 1.0, order, error_if_nonfinite=True)
    assert [p.grad.tobytes() for p in params] == before
    norm = fnn.clip_grad_norm_(params, 1.0, order)
    assert math.isnan(norm) if math.isnan(value) else norm == math.inf
    assert np.all((params[0].grad == 0) | math.isnan(norm))
