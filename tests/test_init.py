"""Initial values of parameters."""

import numpy as np
import pytest

import fastnn as fnn
from networks import lenet_like

F = fnn.functional


def test_seed_decides_the_initial_values():
    states = []
    for seed in (5, 5, 6):
        fnn.manual_seed(seed)
        states.append(lenet_like(np.float32).state_dict())
    for name in states[0]:
        np.testing.assert_array_equal(states[0][name], states[1][name])
        assert not np.array_equal(states[0][name], states[2][name])


@pytest.mark.parametrize(
    ("layer", "fan_in"), [(lambda: fnn.Conv2d(8, 64, (5, 3)), 8 * 5 * 3), (lambda: fnn.Linear(300, 200), 300)]
)
def test_default_initial_values_are_pytorchs(layer, fan_in):
    """Uniform in 1 / sqrt(fan_in) on both sides, weights and bias."""
    fnn.manual_seed(0)
    layer, bound = layer(), 1 / np.sqrt(fan_in)
    weight = layer.weight.data
    assert np.abs(weight).max() <= bound
    assert np.abs(layer.bias.data).max() <= bound
    assert np.abs(weight).max() > 0.99 * bound
    # The standard error of a mean of n uniform numbers is bound / sqrt(3 n); four of them.
    assert abs(weight.mean()) < 4 * bound / np.sqrt(3 * weight.size)
    assert weight.std() == pytest.approx(bound / np.sqrt(3), rel=0.05)


@pytest.mark.parametrize(
    ("name", "spread"),
    [
        ("xavier_uniform_", np.sqrt(2 / (60 * 12 + 40 * 12))),
        ("xavier_normal_", np.sqrt(2 / (60 * 12 + 40 * 12))),
        ("kaiming_uniform_", np.sqrt(2 / (60 * 12))),
        ("kaiming_normal_", np.sqrt(2 / (60 * 12))),
        ("normal_", 1.0),
    ],
)
def test_initialisers_spread(name, spread):
    fnn.manual_seed(0)
    options = {"nonlinearity": "relu"} if "kaiming" in name else {}
    a = getattr(fnn.init, name)(np.empty((40, 60, 4, 3), np.float32), **options)
    assert a.dtype == np.float32
    assert a.std() == pytest.approx(spread, rel=0.02)
    assert abs(a.mean()) < 4 * spread / np.sqrt(a.size)
    if "uniform" in name:
        assert np.abs(a).max() <= spread * np.sqrt(3) * (1 + 1e-6)


def test_initialisers_write_parameters():
    layer = fnn.Linear(3, 2)
    assert fnn.init.zeros_(layer.weight) is layer.weight
    assert not layer.weight.data.any()
    assert (fnn.init.constant_(fnn.init.ones_(layer.bias), 2.5).data == 2.5).all()


@pytest.mark.parametrize("bad", [np.ones(3, int), [1.0], None])
def test_initialisers_refuse(bad):
    with pytest.raises(TypeError, match=r"^p: got"):
        fnn.init.normal_(bad)


def test_fan_needs_two_axes():
    with pytest.raises(ValueError, match=r"\(3,\)"):
        fnn.init.xavier_uniform_(np.ones(3, np.float32))


def test_initialise_by_rules():
    fnn.manual_seed(0)
    net = fnn.Sequential(
        fnn.Conv2d(20, 40, 3), fnn.BatchNorm2d(40), fnn.Sequential(fnn.Linear(300, 200), fnn.Linear(200, 9, bias=False))
    )
    before = net.state_dict()
    rules = {
        "Linear": "xavier_uniform_",
        "Conv2d": "kaiming_normal",
        "Conv2d.bias": "zeros",
        "BatchNorm2d": lambda p: fnn.init.constant_(p, 3),
    }
    assert fnn.init.initialise(net, rules) is net
    after = net.state_dict()
    assert after["0.weight"].std() == pytest.approx(np.sqrt(2 / 180), rel=0.05)
    assert not after["0.bias"].any()
    assert (after["1.weight"] == 3).all()
    assert np.abs(after["2.0.weight"]).max() == pytest.approx(np.sqrt(6 / 500), rel=0.01)
    assert not np.array_equal(after["2.1.weight"], before["2.1.weight"])
    for name in ("1.bias", "2.0.bias"):
        np.testing.assert_array_equal(after[name], before[name])


def test_initialise_takes_derived_classes_and_the_last_rule():
    class Special(fnn.Linear):
        pass

    net = fnn.Sequential(fnn.Linear(2, 2), Special(2, 2))
    fnn.init.initialise(net, {"Linear": "zeros", "Special": "ones", "Linear.bias": "ones"})
    assert [p.data.sum() for p in net.parameters()] == [0, 2, 4, 2]


@pytest.mark.parametrize(
    ("rules", "error", "message"),
    [
        ({"Linear": "ones", "Conv2D": "zeros"}, ValueError, "rules: got 'Conv2D', which no parameter"),
        (
            {"Linear": "ones", "Tanh": "zeros"},
            ValueError,
            "rules: got 'Tanh'.*expected one of its Sequential, Linear, T",
        ),
        ({"Linear": "ones", "Linear.bios": "zeros"}, ValueError, "rules: got 'Linear.bios'"),
        ({"Linear": "ones", "Linear.bias": "zero"}, ValueError, r"rules\['Linear.bias'\]: got 'zero'; expected one of"),
        ({"Linear": "ones", "Linear.bias": 0}, TypeError, r"rules\['Linear.bias'\]: got 0; expected the name"),
        ({fnn.Linear: "ones"}, TypeError, "rules: got the key"),
        ([("Linear", "ones")], TypeError, "rules: got list; expected a dict"),
    ],
)
def test_initialise_refuses_and_changes_nothing(rules, error, message):
    net = fnn.Sequential(fnn.Linear(2, 2), fnn.Tanh())
    before = net.state_dict()
    with pytest.raises(error, match=message):
        fnn.init.initialise(net, rules)
    for name, a in net.state_dict().items():
        np.testing.assert_array_equal(a, before[name])
    with pytest.raises(TypeError, match="net: got ndarray"):
        fnn.init.initialise(before["0.bias"], {})
