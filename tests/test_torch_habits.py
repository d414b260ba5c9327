"""What those who know PyTorch try: names, methods and arguments of its classes."""

import copy
import inspect
import pickle
import re
from collections import OrderedDict

import numpy as np
import pytest

import fastnn as fnn
import fastnn.functional as F

# Functions that torch.nn.functional lacks, and arguments that none of its functions has.
ONLY_HERE = {
    *("add", "cat", "flatten", "index_select", "matmul", "unflatten", "clip_grad_norm_", "clip_grad_value_"),
    *("adagrad_step", "adam_step", "nadam_step", "rmsprop_step", "sgd_step", "weigh_losses"),
}
FASTNNS = {"activation", "key", "return_kept", "return_positions", "return_statistics"}


def normal(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def net():
    return fnn.Sequential(fnn.Linear(4, 3), fnn.BatchNorm1d(3), fnn.ReLU(), fnn.Linear(3, 2))


# Values of losses


@pytest.mark.parametrize("criterion", [fnn.MSELoss(), fnn.L1Loss("sum"), fnn.HuberLoss()], ids=repr)
def test_a_loss_is_a_float_with_hints(criterion):
    loss = criterion(normal(3, 2), normal(3, 2, seed=1))
    assert isinstance(loss, float)
    assert type(loss.item()) is type(loss + 0) is type(loss * 2) is type(-loss) is type(sum([loss])) is float
    assert loss.item() == loss
    assert repr(loss) == repr(float(loss)) == str(loss)
    assert pickle.loads(pickle.dumps(loss)) == copy.deepcopy(loss) == loss
    with pytest.raises(RuntimeError, match=r"expected net.backward\(criterion.backward\(\)\)"):
        loss.backward(retain_graph=True)
    for name in ("detach", "cpu", "numpy", "grad_fn"):
        with pytest.raises(AttributeError, match=f"LossValue has no {name}: it is a float"):
            getattr(loss, name)
    with pytest.raises(AttributeError, match="no attribute 'mean'"):
        loss.mean()


def test_losses_that_are_not_reduced_are_arrays():
    assert type(fnn.MSELoss("none")(normal(3), normal(3))) is np.ndarray


# Names


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no_grad", "there is no graph to cut"),
        ("Tensor", "arrays are NumPy's"),
        ("tensor", "arrays are NumPy's"),
        ("from_numpy", "arrays are NumPy's"),
        ("cuda", "on the CPU"),
        ("nn", "fastnn.Linear"),
        ("Softmax2d", r"it is Softmax\(dim=1\)"),
        ("relu", "it is fastnn.functional.relu"),
        ("StepLR", "it is fastnn.lr_scheduler.StepLR"),
        ("Conv3d", "fastnn has no Conv3d; nearest: Conv2d, Conv1d"),
        ("linear_", "fastnn has no linear_; nearest: Linear"),
        ("conv2d_", "nearest: Conv2d"),
        ("qqqqqq", r"fastnn has no qqqqqq: dir\(fastnn\) has all names"),
    ],
)
def test_names_of_the_package(name, words):
    with pytest.raises(AttributeError, match=words):
        getattr(fnn, name)
    assert not hasattr(fnn, name)


def test_every_class_of_pytorch_has_an_answer():
    nn = pytest.importorskip("torch.nn")
    for name in dir(nn):
        if isinstance(getattr(nn, name), type) and not hasattr(fnn, name):
            with pytest.raises(AttributeError, match=f"^fastnn has no {name}(; nearest|: )"):
                getattr(fnn, name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("upsample", "it is interpolate"),
        ("maxpool2d", "nearest: max_pool2d"),
        ("one_hot", "np.eye"),
        ("log_soft_max", "nearest: log_softmax"),
    ],
)
def test_names_of_functions(name, words):
    with pytest.raises(AttributeError, match=f"^fastnn.functional has no {name}.*{words}"):
        getattr(fnn.functional, name)


def arguments_of_pytorch(name):
    """The arguments of a function of torch.nn.functional after the first; None if PyTorch has no such function."""
    functional = pytest.importorskip("torch.nn.functional")
    theirs = getattr(functional, name, None)
    theirs = getattr(functional, f"{name}_with_indices", theirs)  # max_pool2d itself takes *args
    if theirs is None:
        return None
    try:
        return list(inspect.signature(theirs).parameters)[1:]
    except ValueError:  # compiled: the first line of its docstring has the arguments
        listed = re.search(rf"{name}\((.*?)\) -> ", theirs.__doc__)[1]
        return [argument.split("=")[0].strip() for argument in listed.split(",")][1:]


@pytest.mark.parametrize("name", [n for n in fnn.functional.__all__ if not n.endswith("_backward")])
def test_arguments_are_pytorchs_in_its_order(name):
    theirs = arguments_of_pytorch(name)
    if theirs is None:
        assert name in ONLY_HERE
        return
    parameters = list(inspect.signature(getattr(fnn.functional, name)).parameters.values())[1:]
    by_position = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert by_position == theirs[: len(by_position)]
    without_place = {p.name for p in parameters} - set(by_position) - FASTNNS
    assert without_place <= set(theirs)
    for argument in without_place:  # by name alone only where PyTorch has an argument before it that fastnn lacks
        before = theirs[: theirs.index(argument)]
        assert not set(before) <= {p.name for p in parameters} or (name, argument) == ("gelu", "approximate")


def test_modules_that_are_imported_by_themselves(run_python):
    process = run_python("-c", "import fastnn; fastnn.training")
    assert "fastnn has no training before it is imported: import fastnn.training" in process.stderr
    assert run_python("-c", "from fastnn import training, data").returncode == 0


# Methods of modules


@pytest.mark.parametrize(
    ("name", "words"),
    [("cuda", "on the CPU"), ("half", r"net.double\(\)"), ("register_full_backward_hook", "register_forward_hook")],
)
def test_methods_that_are_not_there(name, words):
    assert not hasattr(fnn.Linear, name)
    with pytest.raises(AttributeError, match=f"Sequential has no {name}: .*{words}"):
        getattr(net(), name)()
    layer = fnn.Linear(2, 2)
    setattr(layer, name, 3)  # an attribute like any other
    assert getattr(layer, name) == 3


def test_every_method_that_is_not_there_has_an_answer():
    from fastnn._validate import habits
    from fastnn.layers.compat import Elsewhere, PyTorchHabits

    elsewhere = {name for name, value in vars(PyTorchHabits).items() if isinstance(value, Elsewhere)}
    assert elsewhere == habits.OF_MODULES.keys()


@pytest.mark.parametrize(
    "convert",
    [
        lambda n: n.double(),
        lambda n: n.to(np.float64),
        lambda n: n.to("cpu", dtype="float64"),
        lambda n: n.cpu().double(),
    ],
)
def test_networks_are_converted(convert):
    n, x = net(), normal(5, 4)
    n.backward(np.ones_like(n(x)))
    n.eval()(x)
    assert convert(n) is n
    assert {p.data.dtype for p in n.parameters()} == {p.grad.dtype for p in n.parameters()} == {np.dtype(np.float64)}
    assert [b.data.dtype.kind for b in n.buffers()] == ["f", "f", "i"]
    assert n(x.astype(np.float64)).dtype == np.float64  # as planned anew
    n.train()(x.astype(np.float64))
    n.float()
    with pytest.raises(RuntimeError, match="got nothing to go back through"):
        n.backward(np.ones((5, 2), np.float32))
    assert n(x).dtype == np.float32


def test_conversions_of_pytorch_s_objects():
    torch = pytest.importorskip("torch")
    assert net().to(torch.device("cpu"), torch.float64)[0].weight.data.dtype == np.float64
    with pytest.raises(TypeError, match=r"dtype: got .*float16.*; expected float32 or float64"):
        net().to(torch.float16)


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "mps", 0, True])
def test_other_devices_are_refused(device):
    for make in (lambda: net().to(device=device), lambda: fnn.Linear(2, 2, device=device)):
        with pytest.raises(ValueError, match=r"^device: got .*; expected 'cpu'"):
            make()
    with pytest.raises(ValueError, match="device: got 'cuda'"):
        net().to("cuda")


def test_zero_grad():
    for arguments in ({}, {"set_to_none": True}, {"set_to_none": False}):
        n = net()
        n.backward(np.ones_like(n(normal(5, 4))))
        n.zero_grad(**arguments)
        assert all(p.grad is None for p in n.parameters())


def test_children_and_what_is_registered():
    class Scaled(fnn.Module):
        def __init__(self):
            super().__init__()
            self.register_parameter("scale", fnn.Parameter(np.ones(3, np.float32)))
            self.register_parameter("shift", None)
            self.register_buffer("seen", np.zeros(3))
            self.add_module("inner", fnn.ReLU())

    module = Scaled()
    assert list(module.state_dict()) == ["scale", "seen"]
    assert module.shift is None
    assert list(module.children()) == [module.inner]
    assert list(module.buffers()) == [module.seen]
    for change, error, words in (
        (lambda: module.register_parameter("w", np.ones(3)), TypeError, "w: got numpy.ndarray; expected a Parameter"),
        (lambda: module.add_module("w", fnn.ReLU), TypeError, "w: got type; expected a Module"),
        (lambda: module.register_buffer("w", [1]), TypeError, "data: got list"),
        (lambda: module.register_buffer("w", np.ones(3), persistent=3), TypeError, "persistent: got 3"),
        (lambda: module.add_module("a.b", fnn.ReLU()), ValueError, "name: got 'a.b'"),
        (lambda: module.add_module("forward", fnn.ReLU()), ValueError, "name: got 'forward'"),
        (lambda: module.add_module(3, fnn.ReLU()), TypeError, "name: got 3"),
    ):
        with pytest.raises(error, match=words):
            change()
    assert list(module.state_dict()) == ["scale", "seen"]


def test_a_buffer_that_is_not_persistent():
    """It is in no state dict and no checkpoint, and goes along in copies, conversions and pickles."""
    module = fnn.Module()
    module.register_buffer("table", np.arange(3.0), persistent=False)
    module.register_buffer("seen", np.zeros(2))
    for each in (module, copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert list(each.state_dict()) == ["seen"]
        assert [name for name, _ in each.named_buffers()] == ["table", "seen"]
        each.load_state_dict({"seen": np.ones(2)})
        np.testing.assert_array_equal(each.table.data, np.arange(3.0))
    module.table = np.ones(3)
    assert not module.float().table.persistent
    assert module.table.dtype == np.float32
    module.register_buffer("table", module.table, persistent=True)
    assert list(module.state_dict()) == ["table", "seen"]
    assert not fnn.Buffer(np.ones(2), persistent=False).persistent


def test_a_state_dict_need_not_be_whole():
    n = net()
    state = n.state_dict()
    state["0.weight"] += 1
    del state["0.bias"]
    state["head.weight"] = np.ones(3)
    with pytest.raises(ValueError, match=r"0.bias is missing; head.weight is not in this network"):
        n.load_state_dict(state)
    keys = n.load_state_dict(state, strict=False)
    assert keys == (["0.bias"], ["head.weight"])
    assert keys.missing_keys == ["0.bias"]
    assert keys.unexpected_keys == ["head.weight"]
    np.testing.assert_array_equal(n[0].weight.data, state["0.weight"])
    assert n.load_state_dict(n.state_dict()) == ([], [])
    with pytest.raises(ValueError, match=r"0.weight: got shape \(1, 1\); expected \(3, 4\)"):
        n.load_state_dict({"0.weight": np.ones((1, 1))}, strict=False)
    with pytest.raises(TypeError, match="strict: got 'no'"):
        n.load_state_dict(state, strict="no")


# Arguments


@pytest.mark.parametrize(
    "make",
    [
        lambda: fnn.ReLU(inplace=True),
        lambda: fnn.ReLU(True),
        lambda: fnn.LeakyReLU(0.1, True),
        lambda: fnn.ELU(1.0, True),
        lambda: fnn.SELU(True),
        lambda: fnn.SiLU(inplace=True),
        lambda: fnn.Hardtanh(-1, 1, True),
        lambda: fnn.Hardswish(True),
        lambda: fnn.ReLU6(True),
        lambda: fnn.Dropout(0.5, True),
        lambda: fnn.Dropout2d(0.5, inplace=True),
        lambda: fnn.PReLU(device="cpu", dtype=None),
        lambda: fnn.Linear(2, 2, device="cpu", dtype=None),
        lambda: fnn.Conv1d(1, 2, 3, device=None),
        lambda: fnn.Conv2d(1, 2, 3, padding_mode="zeros", device="cpu"),
        lambda: fnn.ConvTranspose2d(1, 2, 3, padding_mode="zeros", device="cpu"),
        lambda: fnn.BatchNorm1d(2, device="cpu"),
        lambda: fnn.BatchNorm2d(2, device="cpu"),
        lambda: fnn.LayerNorm(2, device="cpu"),
        lambda: fnn.GroupNorm(1, 2, device="cpu"),
        lambda: fnn.InstanceNorm2d(2, device="cpu"),
        lambda: fnn.Embedding(3, 2, max_norm=None, norm_type=1.0, scale_grad_by_freq=False, sparse=True, device="cpu"),
        lambda: fnn.Upsample(scale_factor=2, recompute_scale_factor=False),
    ],
)
def test_arguments_without_an_effect(make):
    layer = make()
    assert "inplace" not in repr(layer)
    assert all(p.data.dtype == np.float32 for p in layer.parameters())


def test_nothing_is_done_in_place():
    x = normal(3, 4)
    before = x.copy()
    fnn.ReLU(inplace=True)(x)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize(
    ("function", "settings"),
    [
        *((each, ()) for each in (F.relu, F.relu6, F.selu, F.silu, F.hardswish)),
        (F.leaky_relu, (0.1,)),
        (F.elu, (0.5,)),
        (F.hardtanh, (-0.5, 0.5)),
    ],
)
def test_functions_take_inplace(function, settings):
    x = np.linspace(-2, 2, 9, dtype=np.float32)
    before = x.copy()
    expected = function(x, *settings)
    np.testing.assert_array_equal(function(x, *settings, inplace=True), expected)
    np.testing.assert_array_equal(function(x, *settings, True), expected)
    np.testing.assert_array_equal(x, before)
    with pytest.raises(TypeError, match="inplace"):
        function(x, *settings, inplace="yes")
    with pytest.raises(TypeError, match="x: got list") as caught:
        function([1.0], *settings, inplace=True)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: fnn.ReLU(inplace="yes"), TypeError, "inplace: got 'yes'; expected True or False"),
        (lambda: fnn.Dropout(0.5, 0.5), TypeError, "inplace: got 0.5"),
        (lambda: fnn.Embedding(3, 2, max_norm=1.0), ValueError, "max_norm: got 1.0; expected None"),
        (lambda: fnn.Embedding(3, 2, scale_grad_by_freq=True), ValueError, "scale_grad_by_freq: got True"),
        (lambda: fnn.MSELoss(size_average=False), TypeError, "size_average is reduction='mean' or 'sum' here"),
        (lambda: fnn.CrossEntropyLoss(reduce=False), TypeError, "reduce is reduction='none'"),
        (lambda: fnn.Hardtanh(min_value=0), TypeError, "min_value is min_val here"),
        (
            lambda: fnn.Linear(2, 2, use_bias=False),
            TypeError,
            "Linear: got an argument 'use_bias'; expected some of in_features, out_features, bias, dtype, device",
        ),
        (lambda: fnn.Sigmoid(inplace=True), TypeError, "Sigmoid: got an argument 'inplace'; expected some of none"),
        (lambda: fnn.Sequential([fnn.ReLU()]), TypeError, r"layer 0: got list; .* as in Sequential\(\*layers\)"),
        (lambda: fnn.Sequential(fnn.functional.relu), TypeError, "layer 0: got function; expected a layer"),
    ],
)
def test_arguments_that_are_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_modules_of_others_are_made_as_they_say():
    class Plain(fnn.Module):
        pass

    class Free(fnn.Module):
        def __init__(self, **settings):
            self.settings = settings

    assert Free(anything=1).settings == {"anything": 1}
    with pytest.raises(TypeError, match="Plain: got 3, width; expected no arguments"):
        Plain(3, width=2)


# Layers with names


def test_layers_have_the_names_of_a_dict():
    layers = OrderedDict(conv=fnn.Conv2d(1, 2, 3), act=fnn.ReLU(), flat=fnn.Flatten(), fc=fnn.Linear(8, 3))
    n = fnn.Sequential(layers)
    assert n.conv is n[0] is layers["conv"]
    assert list(n.state_dict()) == ["conv.weight", "conv.bias", "fc.weight", "fc.bias"]
    assert [name for name, _ in n.named_children()] == list(layers)
    assert n.get_submodule("fc") is n.fc
    assert "(fc): Linear" in repr(n)
    assert "fc" in n.summary((1, 1, 4, 4))
    x = normal(2, 1, 4, 4)
    np.testing.assert_array_equal(n(x), fnn.Sequential(*layers.values())(x))
    for other in (copy.deepcopy(n), pickle.loads(pickle.dumps(n)), n[:]):
        assert list(other.state_dict()) == list(n.state_dict())
        np.testing.assert_array_equal(other.eval()(x), n.eval()(x))
        assert other.fc is other[3]
    assert list(n[2:].state_dict()) == ["fc.weight", "fc.bias"]


def test_layers_with_names_are_replaced_and_added():
    n = fnn.Sequential(OrderedDict(fc=fnn.Linear(4, 3), act=fnn.ReLU())).eval()
    x = normal(2, 4)
    n(x)
    n.fc = fnn.Linear(4, 5).eval()  # as before training on other classes
    assert n[0] is n.fc
    assert n(x).shape == (2, 5)
    n.head = fnn.Linear(5, 2)
    n.append(fnn.Tanh())
    assert [name for name, _ in n.named_children()] == ["fc", "act", "head", "3"]
    assert len(list(n.parameters())) == 4
    tanh, head = n.pop(), n.pop(2)
    assert type(tanh) is fnn.Tanh
    assert type(head) is fnn.Linear
    assert not hasattr(n, "head")
    n.insert(0, fnn.Identity())
    assert [name for name, _ in n.named_children()] == ["0", "fc", "act"]
    n.add_module("fc", fnn.Linear(4, 1))
    assert n.fc is n[1]
    with pytest.raises(TypeError, match="act: got int; expected a Module"):
        n.add_module("act", 3)


def test_numbers_are_places():
    n = net()
    again = fnn.Sequential(OrderedDict(n.named_children()))
    assert list(again.state_dict()) == list(n.state_dict())


@pytest.mark.parametrize(
    ("name", "error"), [("a.b", ValueError), ("", ValueError), ("layers", ValueError), (0, TypeError)]
)
def test_names_that_no_layer_can_have(name, error):
    with pytest.raises(error, match=r"^name: got"):
        fnn.Sequential({name: fnn.ReLU()})


def test_pytorch_loads_the_state_and_back():
    torch = pytest.importorskip("torch")
    ours = fnn.Sequential(OrderedDict(a=fnn.Linear(3, 4), act=fnn.ReLU(), b=fnn.Linear(4, 2))).eval()
    theirs = torch.nn.Sequential(OrderedDict(a=torch.nn.Linear(3, 4), act=torch.nn.ReLU(), b=torch.nn.Linear(4, 2)))
    assert list(theirs.state_dict()) == list(ours.state_dict())
    ours.load_state_dict(theirs.state_dict())
    x = normal(5, 3)
    np.testing.assert_allclose(ours(x), theirs(torch.from_numpy(x)).detach().numpy(), rtol=1e-5, atol=1e-6)
