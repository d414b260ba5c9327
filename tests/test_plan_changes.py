"""Plans of networks after changes: of layers, of parameters, and of arrays that were handed out."""

import copy
import pickle
import weakref

import numpy as np
import pytest

import fastnn as fnn
from networks import normal
from plans import assert_same, lenet, x_of


def step(net):
    optimizer = fnn.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for p in net.parameters():
        p.grad = np.ones_like(p.data)
    optimizer.step()


def train(net):
    net.train()
    net(x_of(4))
    net.backward(normal(4, 10))
    for p in net.parameters():
        p.data -= p.grad
    net.eval()


def set_item(net):
    net[0].weight.data[0, 0, 0, 0] = 7


def replace_data(net):
    net[0].weight.data = net[0].weight.data + 1


def replace_parameter(net):
    net[0].weight = fnn.Parameter(normal(6, 1, 5, 5, seed=3))


def load(net):
    net.load_state_dict({name: a + 1 for name, a in net.state_dict().items()})


def other_layout(net):
    net[0].weight.data = np.asfortranarray(normal(6, 1, 5, 5, seed=4))


def part_of_another(net):
    net[0].weight.data = normal(2, 6, 1, 5, 5, seed=4)[1]


def drop_bias(net):
    net[0].bias = None


def other_shape(net):
    net[5].weight.data, net[5].bias.data = normal(20, 64), normal(20)
    net[7].weight.data = normal(10, 20)


def other_stride(net):
    net[2].stride = 1
    net[3].layers[2].kernel_size = 4
    net[3].layers[2].stride = 4
    net[5].weight.data = normal(70, 16)


def other_padding(net):
    net[0].padding = (1, 1)
    net[3][0].stride = (1, 1)
    net[5].weight.data = normal(70, 64)


def replace_layer(net):
    net.layers = (*net.layers[:1], fnn.Sigmoid(), *net.layers[2:])


def replace_inner_layer(net):
    net[3].layers = (net[3][0], fnn.ReLU(), net[3][2])


def append_layer(net):
    net.layers = (*net.layers, fnn.Softmax())


def reset(net):
    net[0].reset_parameters()


def initialise(net):
    fnn.init.uniform_(net[5].weight, -1, 1)


CHANGES = (
    step, train, set_item, replace_data, replace_parameter, load, other_layout, part_of_another, drop_bias, other_shape,
    other_stride, other_padding, replace_layer, replace_inner_layer, append_layer, reset, initialise,
)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("again", [1, 2])
def test_changes_are_noticed(change, again):
    net, xs = lenet(), [x_of(1), x_of(3)]
    for _ in range(again):
        for x in xs:
            net(x)
        before = net(xs[1])
        change(net)
        for x in xs:
            assert_same(net, x)
    if again == 1:
        assert net(xs[1]).tobytes() != before.tobytes(), "nothing was changed: nothing was tested"


def through_the_array(array):
    return lambda v: array.__setitem__(..., v)


def through_a_view(array):
    view = array.T[1:]
    return lambda v: view.__setitem__(..., v)


def through_a_memoryview(array):
    view = memoryview(array).cast("B").cast("f")
    return lambda v: view.__setitem__(3, v)


def through_a_flat_iterator(array):
    flat = array.flat
    return lambda v: flat.__setitem__(3, v)


def through_the_array_interface(array):
    class Other:
        __array_interface__ = array.__array_interface__
        owner = array

    other = np.asarray(Other())
    return lambda v: other.__setitem__(..., v)


def through_ctypes(array):
    pointer = array.ctypes.data_as(__import__("ctypes").POINTER(__import__("ctypes").c_float))
    return lambda v: pointer.__setitem__(3, v)


def through_dlpack(array):
    other = np.from_dlpack(array)
    if not other.flags.writeable:
        pytest.skip("this NumPy imports it read-only")
    return lambda v: other.__setitem__(..., v)


def through_a_weak_reference(array):
    reference = weakref.ref(array)
    return lambda v: reference().__setitem__(..., v)


WAYS = (
    through_the_array, through_a_view, through_a_memoryview, through_a_flat_iterator, through_the_array_interface,
    through_ctypes, through_dlpack, through_a_weak_reference,
)  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("place", [0, 5], ids=["convolution", "linear"])
def test_what_was_handed_out_may_be_written_to_at_any_time(way, place):
    """Somebody took the array, or something that shares its memory, and writes to it between any two calls."""
    net, x = lenet(), x_of(3)
    net(x)
    write = way(net[place].weight.data)
    for value in (2.0, 3.0, 4.0):
        before = net(x)
        assert_same(net, x)
        write(value)
        assert net(x).tobytes() != before.tobytes()
        assert_same(net, x)
    del write
    assert_same(net, x)


def test_an_array_kept_by_its_maker():
    data = normal(2, 4)
    layer = fnn.Linear(4, 2)
    layer.weight.data = data
    whole = np.zeros((4, 3), np.float32)
    other = fnn.Linear(2, 3)
    other.weight.data = whole[:, :2][1:]
    net = fnn.Sequential(layer, other).eval()
    for value in (1.0, 2.0):
        data[...] = whole[...] = value
        assert_same(net, normal(3, 4))


def test_parameters_may_be_shared():
    a, b = fnn.Linear(4, 4), fnn.Linear(4, 4)
    b.weight = a.weight
    b.bias.data = a.bias.data
    net = fnn.Sequential(a, fnn.ReLU(), b).eval()
    other = fnn.Sequential(a).eval()
    for value in (1, 2):
        a.weight.data[...] = value
        a.bias.data[0] = value
        assert_same(net, normal(3, 4))
        assert_same(other, normal(3, 4))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_copies_of_parameters(copied):
    """A copy may share the array: what is written through one is seen through both, or through one alone."""
    net = fnn.Sequential(fnn.Linear(4, 4)).eval()
    net(normal(3, 4))
    other = copied(net[0].weight)
    assert_same(net, normal(3, 4))
    other.data[...] = 5
    assert_same(net, normal(3, 4))


def test_copies_of_networks():
    net, x = lenet(), x_of(3)
    net(x)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net)), copy.copy(net)):
        assert other(x).tobytes() == net(x).tobytes()
        other[0].weight.data[...] = 1
        assert_same(other, x)
        assert_same(net, x)


def test_a_layer_back_in_train_mode():
    """It keeps what its backward needs, as it does when it is run by itself."""
    net, x = lenet(), x_of(3)
    expected = net(x)
    net[0].train()
    assert net(x).tobytes() == expected.tobytes()
    assert net[0]._kept is not None
    net.eval()
    assert net(x).tobytes() == expected.tobytes()
    assert net[0]._kept is None


def test_eval_keeps_nothing():
    net = lenet()
    net.train()(x_of(3))
    net.eval()(x_of(3))
    assert all(module._kept is None for module in net.modules())


def test_trained_as_without_plans():
    """Evaluations between the steps of a training change none of its bits, and see each step."""
    states = []
    for evaluates in (False, True):
        net, x = lenet().train(), x_of(8)
        optimizer, criterion = fnn.SGD(net.parameters(), lr=0.1, momentum=0.9), fnn.CrossEntropyLoss()
        for _ in range(3):
            criterion(net(x), np.arange(8))
            net.backward(criterion.backward())
            optimizer.step()
            if evaluates:
                net.eval()
                assert_same(net, x)
                net.train()
        states.append(net.state_dict())
    for name, a in states[0].items():
        assert a.tobytes() == states[1][name].tobytes(), name
