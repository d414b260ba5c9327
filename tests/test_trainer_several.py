"""A Trainer of networks with several inputs and several outputs."""

import numpy as np
import pytest

import fastnn as fnn
from fastnn.training import DivergenceError, Trainer
from networks import normal

X, Z = normal(40, 4), normal(40, 5, seed=1)
Y = (X[:, 0] + Z[:, 0] > 0).astype(np.int64)


class TwoInputs(fnn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right, self.last = fnn.Linear(4, 8), fnn.Linear(5, 8), fnn.Linear(16, 2)

    def forward(self, x, z):
        return self.last(fnn.cat([self.left(x), self.right(z)], 1))


def graph():
    nodes = {"left": (fnn.Linear(4, 8), "x"), "right": (fnn.Linear(5, 8), "z")}
    nodes |= {"cat": (fnn.Cat(), "left", "right"), "last": (fnn.Linear(16, 2), "cat")}
    return fnn.Graph(nodes, inputs=("x", "z"))


class TwoOutputs(fnn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.classes, self.values = fnn.Linear(4, 8), fnn.Linear(8, 2), fnn.Linear(8, 5)

    def forward(self, x):
        y = self.body(x)
        return self.classes(y), self.values(y)


class BothLosses:
    reduction = "mean"

    def __init__(self):
        self.classes, self.values = fnn.CrossEntropyLoss(), fnn.MSELoss()

    def __call__(self, outputs, targets):
        return self.classes(outputs[0], targets[0]) + self.values(outputs[1], targets[1])

    def backward(self):
        return self.classes.backward(), self.values.backward()


def trainer_of(make, criterion=None, **options):
    fnn.manual_seed(3)
    net = make()
    return Trainer(net, criterion or fnn.CrossEntropyLoss(), fnn.SGD(net.parameters(), lr=0.1), rng=0, **options)


def lists(count):
    """Minibatches as PyTorch's DataLoader makes them of ``((x, z), y)``."""
    cuts = [slice(i, i + count) for i in range(0, len(X), count)]
    return [[[X[cut], Z[cut]], Y[cut]] for cut in cuts]


class Batches:
    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        return iter(self.batches)


@pytest.mark.parametrize("make", [TwoInputs, graph])
def test_several_inputs(make):
    trainer = trainer_of(make)
    trainer.fit(((X, Z), Y), ((X, Z), Y), epochs=3, batch_size=16, shuffle=False, progress=False)
    by_hand = trainer_of(make)
    by_hand.net.train()
    for _ in range(3):
        for (x, z), y in lists(16):
            by_hand.criterion(by_hand.net(x, z), y)
            by_hand.net.backward(by_hand.criterion.backward())
            by_hand.optimizer.step()
    for found, expected in zip(trainer.net.parameters(), by_hand.net.parameters(), strict=True):
        np.testing.assert_array_equal(found.data, expected.data)
    np.testing.assert_array_equal(trainer.predict((X, Z)), trainer.net(X, Z))
    assert trainer.evaluate(((X, Z), Y)) == (trainer.history.eval_loss[-1], trainer.history.eval_accuracy[-1])


@pytest.mark.parametrize("count", [16, 20, 2])  # of 2 examples a batch has as many inputs as examples
@pytest.mark.parametrize("kind", [Batches, lambda batches: [((x, z), y) for (x, z), y in batches]])
def test_batches_of_several_inputs(kind, count):
    trainer, other = trainer_of(TwoInputs), trainer_of(TwoInputs)
    trainer.fit(kind(lists(count)), kind(lists(count)), epochs=2, progress=False)
    other.fit(((X, Z), Y), epochs=2, batch_size=count, shuffle=False, progress=False)
    assert trainer.history.loss == other.history.loss


def test_a_loader_of_pytorch():
    data = pytest.importorskip("torch.utils.data")

    class Pairs(data.Dataset):
        def __len__(self):
            return len(X)

        def __getitem__(self, place):
            return (X[place], Z[place]), Y[place]

    trainer, other = trainer_of(TwoInputs), trainer_of(TwoInputs)
    trainer.fit(data.DataLoader(Pairs(), batch_size=16), epochs=2, progress=False)
    other.fit(((X, Z), Y), epochs=2, batch_size=16, shuffle=False, progress=False)
    assert trainer.history.loss == other.history.loss


def test_shuffled_with_weights_and_by_another_thread():
    weights = np.linspace(0, 2, len(X))
    losses = []
    for prefetch in (False, True):
        trainer = trainer_of(TwoInputs)
        trainer.fit(((X, Z), Y, weights), epochs=3, batch_size=16, prefetch=prefetch, progress=False)
        losses.append(trainer.history.loss)
    assert losses[0] == losses[1]
    assert losses[0][-1] < losses[0][0]


def test_several_outputs():
    trainer = trainer_of(
        TwoOutputs, BothLosses(), metrics={"right": lambda y, t: float(np.mean(y[0].argmax(1) == t[0]))}
    )
    trainer.fit((X, (Y, Z)), (X, (Y, Z)), epochs=4, batch_size=16, progress=False)
    assert trainer.history.eval_loss[-1] < trainer.history.eval_loss[0]
    assert len(trainer.history.eval_right) == 5
    classes, values = trainer.predict(X)
    assert (classes.shape, values.shape) == ((40, 2), (40, 5))


def test_a_list_of_images_is_no_list_of_inputs():
    images = [normal(4, seed=i) for i in range(6)]
    trainer = trainer_of(lambda: fnn.Linear(4, 2))
    trainer.fit(Batches([(images, Y[:6])]), epochs=1, progress=False)
    other = trainer_of(lambda: fnn.Linear(4, 2))
    other.fit((np.stack(images), Y[:6]), epochs=1, batch_size=6, shuffle=False, progress=False)
    assert trainer.history.loss == other.history.loss


def test_a_tuple_with_an_array_for_each_example_is_no_tuple_of_inputs():
    x, y = zip(*((image, np.int64(i % 2)) for i, image in enumerate(normal(10, 3, 4))), strict=True)
    weights = []
    for data in ((x, y), (x, np.array(y)), (np.stack(x), list(y)), [(x, y)], Batches([(list(x), list(y))])):
        fnn.manual_seed(0)
        net = fnn.Sequential(fnn.Flatten(), fnn.Linear(12, 2))
        Trainer(net, fnn.CrossEntropyLoss(), fnn.SGD(net.parameters(), lr=0.1)).fit(
            data, epochs=1, batch_size=10, shuffle=False, progress=False
        )
        weights.append(net[1].weight.data)
    for other in weights[1:]:
        np.testing.assert_array_equal(weights[0], other)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (((X, Z[:5]), Y), "x: got arrays of 40, 5 examples; expected as many in each"),
        (((X, Z), Y[:5]), "y: got 5 targets, expected 40: one for each example of x"),
        (((X, Z), (Y, Y[:3])), "y: got arrays of 40, 3 examples"),
        (((X, Z), Y, np.ones(3)), r"sample_weight: got shape \(3,\), expected \(40,\)"),
    ],
)
def test_what_does_not_fit(data, words):
    with pytest.raises(ValueError, match=words):
        trainer_of(TwoInputs).fit(data, epochs=1, progress=False)


def test_divergence_of_several_inputs():
    trainer = trainer_of(TwoInputs)
    with pytest.raises(DivergenceError, match="The minibatch itself has NaN"):
        trainer.fit(((np.full_like(X, np.nan), Z), Y), epochs=1, progress=False)
    trainer = trainer_of(TwoInputs)
    trainer.net.right.weight.data[...] = np.nan
    with pytest.raises(DivergenceError, match=r"right \(Linear\), whose weight"):
        trainer.fit(((X, Z), Y), epochs=1, progress=False)
