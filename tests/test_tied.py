"""Parameters that several layers share: one array, one gradient, which is the sum of what the layers give."""

import copy
import pickle

import numpy as np
import pytest

import fastnn as fnn
from fastnn import training
from networks import normal
from plans import assert_same


def tied(uses=2, dtype=np.float64, size=4):
    """Linear layers of one weight and biases of their own, with tanh between them."""
    layers = [fnn.Linear(size, size, dtype=dtype)]
    for _ in range(uses - 1):
        layers += [fnn.Tanh(), fnn.Linear(size, size, dtype=dtype)]
        layers[-1].weight = layers[0].weight
    return fnn.Sequential(*layers)


def residual():
    net = fnn.Sequential(fnn.Linear(4, 4, dtype=np.float64), fnn.Residual(fnn.Linear(4, 4, dtype=np.float64)))
    net[1].body.weight = net[0].weight
    return net


def both_branches():
    body, shortcut = (fnn.Linear(4, 4, dtype=np.float64) for _ in range(2))
    shortcut.weight, shortcut.bias = body.weight, body.bias
    return fnn.Residual(fnn.Sequential(body, fnn.Tanh()), shortcut)


def concat():
    branches = [fnn.Sequential(fnn.Linear(4, 4, dtype=np.float64), act) for act in (fnn.Tanh(), fnn.SiLU(), fnn.ReLU())]
    for branch in branches[1:]:
        branch[0].weight = branches[0][0].weight
    return fnn.Concat(branches)


def nested():
    net = fnn.Sequential(fnn.Sequential(tied(), fnn.Tanh()), fnn.Sequential(fnn.Sequential(tied(3))))
    for layer in net.modules():
        if isinstance(layer, fnn.Linear):
            layer.weight = net[0][0][0].weight
    return net


def biases():
    net = fnn.Sequential(*(fnn.Linear(4, 4, dtype=np.float64) for _ in range(2)))
    net[1].bias = net[0].bias
    return net


def norms():
    net = fnn.Sequential(*(kind(4, dtype=np.float64) for kind in (fnn.BatchNorm1d, fnn.LayerNorm)), fnn.ReLU())
    net[1].weight, net[1].bias = net[0].weight, net[0].bias
    return net


def weight_and_bias():
    layer = fnn.LayerNorm(4, dtype=np.float64)
    layer.bias = layer.weight
    return fnn.Sequential(layer)


class Own(fnn.Module):
    """A module of somebody else's, which knows nothing of shared parameters."""

    def __init__(self):
        self.encoder, self.decoder = fnn.Linear(4, 4, dtype=np.float64), fnn.Linear(4, 4, dtype=np.float64)
        self.decoder.weight = self.encoder.weight

    def forward(self, x):
        return self.decoder(self.encoder(x))

    def backward(self, dy, accumulate=False, needs_dx=True):
        return self.encoder.backward(self.decoder.backward(dy, accumulate), accumulate, needs_dx)


TIED = [
    tied, lambda: tied(3), residual, both_branches, concat, nested, biases, norms, weight_and_bias, Own,
    lambda: fnn.Sequential(Own(), fnn.Tanh(), tied()),
]  # fmt: skip
NAMES = ["two", "three", "residual", "branches", "concat", "nested", "biases", "norms", "itself", "own", "own inside"]
each = pytest.mark.parametrize("make", TIED, ids=NAMES)


def test_two_identities():
    a, b = fnn.Linear(2, 2, bias=False), fnn.Linear(2, 2, bias=False)
    b.weight = a.weight
    a.weight = np.eye(2, dtype=np.float32)
    net = fnn.Sequential(a, b)
    net(np.array([[1, 2]], np.float32))
    net.backward(np.ones((1, 2), np.float32))
    assert a.weight.grad.tolist() == [[2, 4], [2, 4]]
    assert a.weight is b.weight
    assert [name for name, _ in net.named_parameters()] == ["0.weight"]


@each
@pytest.mark.parametrize("needs_dx", [True, False])
def test_gradients_replace_and_accumulate(make, needs_dx):
    net = make()
    x = normal(5, 4, dtype=np.float64)
    dy = normal(*net(x).shape, seed=1, dtype=np.float64)

    def gradients(accumulate):
        net(x)
        net.backward(dy, accumulate, needs_dx)
        return [p.grad for p in net.parameters()]

    once = gradients(False)
    np.testing.assert_equal(gradients(False), once)
    np.testing.assert_allclose(np.concatenate([g.ravel() for g in gradients(True)]),
                               2 * np.concatenate([g.ravel() for g in once]), rtol=1e-12)  # fmt: skip
    for p in net.parameters():
        p.grad = None
    np.testing.assert_equal(gradients(True), once)


@each
def test_gradients_are_those_of_differences(make):
    net = make()
    assert fnn.gradcheck(net, normal(5, 4, dtype=np.float64), samples=None, show=False)


def test_gradients_as_in_pytorch():
    torch = pytest.importorskip("torch")
    net = nested()
    twin = torch.nn.Sequential(
        torch.nn.Sequential(torch.nn.Sequential(*(torch.nn.Linear(4, 4), torch.nn.Tanh(), torch.nn.Linear(4, 4))),
                            torch.nn.Tanh()),
        torch.nn.Sequential(torch.nn.Sequential(torch.nn.Sequential(
            torch.nn.Linear(4, 4), torch.nn.Tanh(), torch.nn.Linear(4, 4), torch.nn.Tanh(), torch.nn.Linear(4, 4)))),
    ).double()  # fmt: skip
    for layer in twin.modules():
        if isinstance(layer, torch.nn.Linear):
            layer.weight = twin[0][0][0].weight
    assert list(twin.state_dict()) == list(net.state_dict())
    twin.load_state_dict({name: torch.from_numpy(a) for name, a in net.state_dict().items()})
    assert [name for name, _ in twin.named_parameters()] == [name for name, _ in net.named_parameters()]
    x, dy = normal(5, 4, dtype=np.float64), normal(5, 4, seed=1, dtype=np.float64)
    net(x)
    net.backward(dy)
    twin(torch.from_numpy(x)).backward(torch.from_numpy(dy))
    for (name, p), q in zip(net.named_parameters(), twin.parameters(), strict=True):
        np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-12, atol=1e-14, err_msg=name)


def test_an_embedding_and_the_layer_that_scores_its_words():
    net = fnn.Sequential(
        fnn.Embedding(7, 3, padding_idx=0, dtype=np.float64), fnn.Linear(3, 7, bias=False, dtype=np.float64)
    )
    net[1].weight = net[0].weight
    words, labels = np.array([1, 2, 0, 6]), np.array([2, 0, 6, 1])
    assert fnn.gradcheck(net[1], normal(4, 3, dtype=np.float64), samples=None, show=False)
    criterion = fnn.CrossEntropyLoss()
    criterion(net(words), labels)
    net.backward(criterion.backward(), needs_dx=False)
    tied_gradient = net[0].weight.grad
    table = net[0].weight.data.copy()
    net[1].weight = fnn.Parameter(table)
    criterion(net(words), labels)
    net.backward(criterion.backward(), needs_dx=False)
    np.testing.assert_allclose(tied_gradient, net[0].weight.grad + net[1].weight.grad, rtol=1e-12)


def test_convolutions_share_filters():
    net = fnn.Sequential(
        fnn.Conv2d(2, 2, 3, padding=1, dtype=np.float64), fnn.ReLU(),
        fnn.Conv2d(2, 2, 3, padding=1, dtype=np.float64), fnn.MaxPool2d(2),
        fnn.Conv2d(2, 2, 3, padding=2, dilation=2, dtype=np.float64),
    )  # fmt: skip
    net[2].weight = net[4].weight = net[0].weight
    assert fnn.gradcheck(net, normal(2, 2, 6, 6, dtype=np.float64), samples=None, show=False)


def test_dtypes_do_not_mix():
    net = fnn.Sequential(fnn.Linear(2, 2), fnn.Linear(2, 2, dtype=np.float64))
    net[1].weight = net[0].weight
    with pytest.raises(TypeError, match="float32 and float64"):
        net(normal(1, 2))


OPTIMISERS = [
    lambda p: fnn.SGD(p, 0.1, momentum=0.9), lambda p: fnn.Adam(p, 0.01), lambda p: fnn.RMSprop(p, 0.01),
    lambda p: fnn.Adagrad(p, 0.1), lambda p: fnn.NAdam(p, 0.01),
]  # fmt: skip


@pytest.mark.parametrize("make", OPTIMISERS)
def test_optimisers_take_each_parameter_once(make):
    """Tied layers end where one does that is used in both places."""
    net, x, dy = tied(2, np.float64), normal(3, 4, dtype=np.float64), normal(3, 4, seed=1, dtype=np.float64)
    loose = copy.deepcopy(net)
    loose[2].weight = fnn.Parameter(loose[2].weight.data.copy())
    steps, loose_steps = make(net.parameters()), make([loose[0].weight, loose[0].bias, loose[2].bias])
    for _ in range(3):
        net(x), loose(x)
        net.backward(dy), loose.backward(dy)
        loose[0].weight.grad = loose[0].weight.grad + loose[2].weight.grad
        steps.step(), loose_steps.step()
        loose[2].weight.data[...] = loose[0].weight.data
    for name, a in net.state_dict().items():
        np.testing.assert_allclose(a, loose.state_dict()[name], rtol=1e-10, err_msg=name)
    assert len(steps.state_dict()["state"]) == 3


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net)), fnn.fold_batch_norm]
)
def test_copies_are_tied(copied):
    net = nested()
    twin = copied(net)
    weights = [layer.weight for layer in twin.modules() if isinstance(layer, fnn.Linear)]
    assert len(weights) == 5
    assert len(set(map(id, weights))) == 1
    assert len(list(twin.parameters())) == len(list(net.parameters())) == 6


def test_states_have_both_names_and_keep_the_tie():
    net, other = tied(), tied()
    state = net.state_dict()
    assert list(state) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    other.load_state_dict(state)
    assert other[0].weight is other[2].weight
    x = normal(3, 4, dtype=np.float64)
    assert other(x).tobytes() == net(x).tobytes()
    plain = fnn.Sequential(fnn.Linear(4, 4, dtype=np.float64), fnn.Tanh(), fnn.Linear(4, 4, dtype=np.float64))
    plain.load_state_dict(state)
    assert plain(x).tobytes() == net(x).tobytes()


def test_plans_see_what_is_written_to_either():
    net, x = tied(3, np.float32).eval(), normal(3, 4)
    for value in (1, 2):
        net[4].weight.data[...] = value
        assert_same(net, x)
        net[0].weight = normal(4, 4, seed=value)
        assert net[0].weight is net[4].weight
        assert_same(net, x)


def test_folding_parts_what_is_not_the_same_any_more():
    net = fnn.Sequential(fnn.Linear(4, 4), fnn.BatchNorm1d(4), fnn.Linear(4, 4)).eval()
    net[2].weight, x = net[0].weight, normal(3, 4)
    net[1].running_mean, net[1].running_var = normal(4), np.abs(normal(4, seed=1))
    before = net(x)
    np.testing.assert_allclose(fnn.fold_batch_norm(net)(x), before, rtol=1e-4, atol=1e-5)
    assert net(x).tobytes() == before.tobytes()


def test_freezing_and_clipping():
    net, x = tied(3), normal(3, 4, dtype=np.float64)
    net(x)
    net.backward(np.ones((3, 4)))
    norm = np.sqrt(sum(float((p.grad**2).sum()) for p in {id(p): p for p in net.parameters()}.values()))
    assert fnn.clip_grad_norm_(net.parameters(), norm / 2) == pytest.approx(norm)
    assert fnn.clip_grad_norm_(net.parameters(), norm) == pytest.approx(norm / 2)
    net[2].weight.requires_grad = False
    net(x)
    net.backward(np.ones((3, 4)))
    assert [name for name, p in net.named_parameters() if p.grad is None] == ["0.weight"]


def test_the_summary_counts_them_once():
    lines = tied(3).summary((1, 4)).splitlines()
    assert [line.split()[-1] for line in lines[2:-2]] == ["20", "0", "4", "0", "4"]
    assert lines[-1].split() == ["total", "28"]


def test_trainers_checkpoints_and_best_weights(tmp_path):
    x, y = normal(64, 4), np.arange(64) % 4

    def trainer():
        fnn.manual_seed(1)
        net = tied(3, np.float32)
        return training.Trainer(
            net, fnn.CrossEntropyLoss(), fnn.SGD(net.parameters(), lr=0.1, momentum=0.9), rng=1, clip_norm=1.0,
            callbacks=[training.BestWeights("eval_loss"), training.Checkpoint(tmp_path / "c.npz")],
        )  # fmt: skip

    first = trainer()
    first.fit((x, y), (x, y), epochs=2, batch_size=16, progress=False)
    second = trainer()
    training.load_checkpoint(tmp_path / "c.npz", second)
    assert second.net[0].weight is second.net[2].weight is second.net[4].weight
    for name, a in first.net.state_dict().items():
        assert a.tobytes() == second.net.state_dict()[name].tobytes(), name
    assert len(first.history.loss) == 8


def test_initial_values_are_drawn_once():
    net = tied(3)
    fnn.init.initialise(net, {"Linear": "ones", "Linear.bias": "zeros"})
    assert net[4].weight.data.sum() == 16


def test_buffers_may_be_shared():
    net = fnn.Sequential(fnn.BatchNorm1d(4), fnn.BatchNorm1d(4))
    net[1].running_mean = net[0].running_mean
    assert [name for name, _ in net.named_buffers()].count("1.running_mean") == 0
    assert "1.running_mean" in net.state_dict()


def test_an_error_in_a_backward_ends_it():
    """The next one is a new one: it replaces."""
    net, x = tied(2, np.float32), normal(3, 4)
    net(x)
    with pytest.raises(ValueError, match="dy"):
        net.backward(normal(3, 5))
    layer = fnn.Linear(4, 4)
    layer(x)
    layer.backward(normal(3, 4))
    once = layer.weight.grad
    layer.backward(normal(3, 4))
    np.testing.assert_array_equal(layer.weight.grad, once)


def test_a_layer_has_one_place_but_its_parameters_may_have_more():
    layer = fnn.Linear(4, 4)
    with pytest.raises(
        ValueError, match=r"also in layer 0; .*two layers may share parameters, as in b\.weight = a\.weight"
    ):
        fnn.Sequential(layer, fnn.Tanh(), layer)


def test_other_dtypes_and_a_part_of_a_state():
    net = tied(3, np.float32)
    assert net.double()[4].weight is net[0].weight
    assert {p.dtype for p in net.parameters()} == {np.dtype(np.float64)}
    assert fnn.gradcheck(net, normal(3, 4, dtype=np.float64), show=False)
    left_out = net.load_state_dict({"2.weight": np.ones((4, 4))}, strict=False)
    assert net[0].weight.data.sum() == 16
    assert "0.weight" in left_out.missing_keys
