"""Learning-rate schedules: alone, two on one optimiser, one after the other, from states."""

import numpy as np
import pytest

import fastnn as fnn
from fastnn import lr_scheduler


def parameters():
    return [fnn.Parameter(np.ones(3, np.float32), name) for name in ("weight", "bias")]


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda o: lr_scheduler.StepLR(o, 2, 0.5), [8, 8, 4, 4, 2, 2]),
        (lambda o: lr_scheduler.MultiStepLR(o, (4, 1, 4), 0.5), [8, 4, 4, 4, 1, 1]),
        (lambda o: lr_scheduler.ExponentialLR(o, 0.5), [8, 4, 2, 1, 0.5, 0.25]),
        (lambda o: lr_scheduler.LambdaLR(o, lambda t: t), [0, 8, 16, 24, 32, 40]),
        (lambda o: lr_scheduler.LinearLR(o, 0.25, 1.0, 3), [2, 4, 6, 8, 8, 8]),
        (lambda o: lr_scheduler.CosineAnnealingLR(o, 2, 4.0), [8, 6, 4, 6, 8, 6]),
        (lambda o: lr_scheduler.ConstantLR(o, 0.25, 2), [2, 2, 8, 8, 8, 8]),
        (lambda o: lr_scheduler.PolynomialLR(o, 4), [8, 6, 4, 2, 0, 0]),
        (lambda o: lr_scheduler.MultiplicativeLR(o, lambda t: 1 / t), [8, 8, 4, 4 / 3, 1 / 3, 1 / 15]),
        (lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 2, eta_min=4.0), [8, 6, 8, 6, 8, 6]),
        (lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 1, 2), [8, 8, 4, 8, 4 + 2 * 2**0.5, 4]),
        (lambda o: lr_scheduler.CyclicLR(o, 2.0, 8.0, 2, 1), [2, 5, 8, 2, 5, 8]),
        (lambda o: lr_scheduler.CyclicLR(o, 2.0, 8.0, 1, mode="triangular2"), [2, 8, 2, 5, 2, 3.5]),
        (lambda o: lr_scheduler.OneCycleLR(o, 8.0, 6, pct_start=0.5, anneal_strategy="linear", div_factor=4.0,
                                           final_div_factor=2.0), [2, 5, 8, 17 / 3, 10 / 3, 1]),
    ],
    ids=lambda v: "" if callable(v) else str(len(v)),
)  # fmt: skip
def test_schedules(make, expected):
    optimizer = fnn.SGD(parameters(), lr=8.0, momentum=0.9)
    schedule, rates, states = make(optimizer), [], []
    for _ in expected:
        rates.append(schedule.get_last_lr()[0])
        states.append((schedule.state_dict(), optimizer.state_dict()))
        schedule.step()
    np.testing.assert_allclose(rates, expected, rtol=1e-12)
    again = fnn.SGD(parameters(), lr=8.0, momentum=0.9)
    resumed = make(again)
    resumed.load_state_dict(states[2][0])
    again.load_state_dict(states[2][1])
    for rate in rates[3:]:
        resumed.step()
        assert resumed.get_last_lr() == [rate] == [again.param_groups[0]["lr"]]


def test_a_schedule_goes_on_from_a_loaded_optimiser():
    optimizer = fnn.SGD(parameters(), lr=8.0)
    schedule = lr_scheduler.ExponentialLR(optimizer, 0.5)
    schedule.step()
    resumed = fnn.SGD(parameters(), lr=1.0)
    resumed.load_state_dict(optimizer.state_dict())
    schedule = lr_scheduler.ExponentialLR(resumed, 0.5, last_epoch=0)  # one step has been taken, which was number 0
    assert schedule.last_epoch == 1
    assert schedule.get_last_lr() == [4.0]  # as it was loaded
    schedule.step()
    assert schedule.get_last_lr() == [2.0]


def test_one_cycle_ends_and_moves_the_momentum():
    optimizer = fnn.Adam(parameters())
    schedule = lr_scheduler.OneCycleLR(optimizer, 0.1, epochs=2, steps_per_epoch=3, pct_start=0.5)
    momenta = [optimizer.param_groups[0]["betas"]]
    for _ in range(6):
        schedule.step()
        momenta.append(optimizer.param_groups[0]["betas"])
    assert momenta[0] == pytest.approx((0.95, 0.999))
    assert momenta[2] == pytest.approx((0.85, 0.999))
    assert momenta[5] == pytest.approx((0.95, 0.999))
    with pytest.raises(ValueError, match="total_steps: got step 7; expected at most 6"):
        schedule.step()


def test_a_plateau_reduces_the_rate():
    optimizer = fnn.SGD(parameters(), lr=8.0)
    schedule = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1, cooldown=1, min_lr=3.0)
    rates = []
    for metric in (1.0, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.1):
        schedule.step(metric)
        rates += schedule.get_last_lr()
    assert rates == [8, 8, 8, 4, 4, 4, 3, 3]


# Several schedules


def rates_of(optimizer, schedules, count):
    """The rate now and after each of some steps of all schedules."""
    rates = [optimizer.param_groups[0]["lr"]]
    for _ in range(count):
        for schedule in schedules:
            schedule.step()
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def test_a_second_schedule_begins_with_the_present_rate():
    optimizer = fnn.SGD(parameters(), lr=0.1)
    lr_scheduler.StepLR(optimizer, 100)
    optimizer.param_groups[0]["lr"] = 1e-3
    cosine = lr_scheduler.CosineAnnealingLR(optimizer, 50)
    rates = rates_of(optimizer, [cosine], 50)
    np.testing.assert_allclose(rates, 5e-4 * (1 + np.cos(np.pi * np.arange(51) / 50)), rtol=1e-12, atol=1e-18)
    assert optimizer.param_groups[0]["initial_lr"] == 0.1
    assert lr_scheduler.LambdaLR(optimizer, lambda _: 0.5).get_last_lr() == [0.05]  # alone in going by the first rate


@pytest.mark.parametrize(
    ("make", "following"),
    [
        (lambda o: lr_scheduler.StepLR(o, 2, 0.5), [4, 4, 2, 2]),
        (lambda o: lr_scheduler.MultiStepLR(o, [1, 1, 3], 0.5), [4, 1, 1, 0.5]),
        (lambda o: lr_scheduler.ExponentialLR(o, 0.5), [4, 2, 1, 0.5]),
        (lambda o: lr_scheduler.LinearLR(o, 0.5, 1.0, 2), [2, 3, 4, 4]),
        (lambda o: lr_scheduler.CosineAnnealingLR(o, 2), [4, 2, 0, 8]),  # up again it goes to the first rate
        (lambda o: lr_scheduler.LambdaLR(o, lambda t: 0.5**t), [16, 8, 4, 2]),
    ],
)
def test_schedules_after_a_rate_set_by_hand(make, following):
    optimizer = fnn.SGD(parameters(), lr=16.0)
    lr_scheduler.StepLR(optimizer, 100)
    optimizer.param_groups[0]["lr"] = 4.0
    np.testing.assert_allclose(rates_of(optimizer, [make(optimizer)], 3), following, rtol=1e-12, atol=1e-15)
    schedule = lr_scheduler.ExponentialLR(optimizer, 0.5)
    optimizer.param_groups[0]["lr"] = 3.0
    assert rates_of(optimizer, [schedule], 2) == [3, 1.5, 0.75]


def test_two_schedules_multiply():
    optimizer = fnn.SGD(parameters(), lr=8.0)
    both = lr_scheduler.LinearLR(optimizer, 0.25, 1.0, 3), lr_scheduler.StepLR(optimizer, 2, 0.5)
    np.testing.assert_allclose(rates_of(optimizer, both, 5), [2, 4, 3, 4, 2, 2])
    assert both[0].get_last_lr() == [4.0 / 2]
    optimizer = fnn.SGD(parameters(), lr=8.0)
    parts = lr_scheduler.LinearLR(optimizer, 0.25, 1.0, 3), lr_scheduler.StepLR(optimizer, 2, 0.5)
    chained = lr_scheduler.ChainedScheduler(iter(parts), optimizer)
    assert chained.get_last_lr() == [2.0]
    np.testing.assert_allclose(rates_of(optimizer, [chained], 5), [2, 4, 3, 4, 2, 2])


def test_schedules_in_turn():
    optimizer = fnn.SGD(parameters(), lr=8.0)
    warm_up, decay = lr_scheduler.LinearLR(optimizer, 0.25, 1.0, 3), lr_scheduler.ExponentialLR(optimizer, 0.5)
    schedule = lr_scheduler.SequentialLR(optimizer, iter((warm_up, decay)), iter([3]))
    assert schedule.get_last_lr() == [2.0]
    np.testing.assert_allclose(rates_of(optimizer, [schedule], 6), [2, 4, 6, 8, 4, 2, 1])
    assert schedule.get_last_lr() == [1.0]


def nested(optimizer):
    """A warm-up and two that are multiplied, and then the same again, backwards."""
    s = lr_scheduler
    first = s.SequentialLR(optimizer, [s.LinearLR(optimizer, 0.25, 1.0, 3), s.ExponentialLR(optimizer, 0.5)], [3])
    second = s.ChainedScheduler([s.StepLR(optimizer, 2, 0.5), s.MultiStepLR(optimizer, [1], 0.25)])
    return s.SequentialLR(optimizer, [first, second], [5])


def test_schedules_of_schedules_of_schedules():
    optimizer = fnn.SGD(parameters(), lr=8.0)
    whole = [2, 4, 6, 8, 4, 8, 2, 1, 1, 0.5]
    schedule = nested(optimizer)
    np.testing.assert_allclose(rates_of(optimizer, [schedule], 9), whole)

    optimizer = fnn.SGD(parameters(), lr=8.0)
    schedule = nested(optimizer)
    np.testing.assert_allclose(rates_of(optimizer, [schedule], 4), whole[:5])
    again = fnn.SGD(parameters(), lr=8.0)
    resumed = nested(again)
    resumed.load_state_dict(schedule.state_dict())
    again.load_state_dict(optimizer.state_dict())
    assert rates_of(again, [resumed], 5) == rates_of(optimizer, [schedule], 5)

    before = repr(resumed.state_dict())
    state = schedule.state_dict()
    del state["_schedulers"][1]["_schedulers"][1]["gamma"]
    with pytest.raises(ValueError, match=r"state_dict: got milestones, .*; expected milestones, gamma"):
        resumed.load_state_dict(state)
    with pytest.raises(ValueError, match="state_dict: got states of 1 schedulers; expected 2"):
        resumed.load_state_dict({**schedule.state_dict(), "_schedulers": state["_schedulers"][:1]})
    assert repr(resumed.state_dict()) == before


@pytest.mark.parametrize(("part", "first"), [(0.0, None), (0.1, 0.1), (0.2, 0.004), (1.0, 0.004)])
def test_a_cycle_of_any_rise(part, first):
    """A rise of one step is over at the first: that has the highest rate, and the least momentum."""
    optimizer = fnn.SGD(parameters(), lr=1.0, momentum=0.5)
    schedule = lr_scheduler.OneCycleLR(optimizer, 0.1, 10, pct_start=part)
    assert first is None or schedule.get_last_lr() == pytest.approx([first])
    assert part != 0.1 or optimizer.param_groups[0]["momentum"] == pytest.approx(0.85)
    rates = rates_of(optimizer, [schedule], 10)
    assert np.all(np.isfinite(rates))
    assert max(rates) <= 0.1 + 1e-15
    if 0 < part < 1:
        assert max(rates) == pytest.approx(0.1)
        assert rates[9] == pytest.approx(4e-7)


def test_a_group_that_came_later():
    """Schedules that go from rate to rate go on with it; others say what to do, and leave the rates alone."""
    for kind, options in (("StepLR", (1, 0.5)), ("ExponentialLR", (0.5,)), ("LambdaLR", (lambda t: 0.5**t,))):
        params = parameters()
        optimizer = fnn.SGD(params[:1], lr=8.0)
        schedule = getattr(lr_scheduler, kind)(optimizer, *options)
        optimizer.add_param_group({"params": params[1:], "lr": 2.0})
        if kind == "LambdaLR":
            with pytest.raises(ValueError, match="optimizer: got 2 groups; expected 1, as when the LambdaLR was made"):
                schedule.step()
            assert [group["lr"] for group in optimizer.param_groups] == [8, 2]
        else:
            schedule.step()
            assert schedule.get_last_lr() == [4, 1]


def test_warm_restarts_go_to_any_epoch():
    """As a count of steps does; between two steps along the wave."""
    for longer in (1, 2, 3):
        counted, told = (
            lr_scheduler.CosineAnnealingWarmRestarts(fnn.SGD(parameters(), lr=8.0), 3, longer) for _ in range(2)
        )
        for epoch in range(30):
            told.step(epoch)
            assert told.get_last_lr() == pytest.approx(counted.get_last_lr(), rel=1e-12)
            assert (told.T_i, told.T_cur, told.last_epoch) == (counted.T_i, counted.T_cur, counted.last_epoch)
            counted.step()
        told.step(1.5)
        assert told.get_last_lr() == pytest.approx([4.0])
        with pytest.raises(ValueError, match="epoch: got -1; expected a finite number of at least 0"):
            told.step(-1)


def test_a_cycle_of_triangles_moves_the_momentum():
    optimizer = fnn.Adam(parameters())
    schedule = lr_scheduler.CyclicLR(optimizer, 0.1, 0.2, 2)
    momenta = []
    for _ in range(5):
        momenta.append(optimizer.param_groups[0]["betas"][0])
        schedule.step()
    assert momenta == pytest.approx([0.9, 0.85, 0.8, 0.85, 0.9])
