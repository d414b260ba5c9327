"""PyTorch's own inputs for its modules (`module_db`), on fastnn's layers and losses of the same names.

    pytest -m external tests/test_external_torch_modules.py

Every sample is made for float32 and float64, in train and in eval mode. Outputs, gradients and statistics are compared
with PyTorch's in float64. docs/reliability.md has the counts.
"""

import inspect
from collections import Counter

import numpy as np
import pytest

from fastnn import layers, losses
from fastnn.interop.torch import from_torch, to_torch
from torch_suites import array, assert_reduction, in_double, scale_of

pytestmark = [pytest.mark.external, pytest.mark.filterwarnings("ignore")]

NAMES = (
    *(
        "AdaptiveAvgPool1d",
        "AdaptiveAvgPool2d",
        "AdaptiveMaxPool1d",
        "AdaptiveMaxPool2d",
        "ConvTranspose1d",
        "AvgPool1d",
        "AvgPool2d",
        "BatchNorm1d",
        "BatchNorm2d",
    ),
    *("CircularPad1d", "CircularPad2d", "ConstantPad1d", "ConstantPad2d", "Conv1d", "Conv2d", "ConvTranspose2d", "ELU"),
    *("Embedding", "GELU", "GroupNorm", "Hardswish", "Hardtanh", "InstanceNorm2d", "LayerNorm", "LeakyReLU", "Linear"),
    *("LocalResponseNorm", "LogSoftmax", "MaxPool1d", "MaxPool2d", "PReLU", "ReLU", "ReLU6", "ReflectionPad1d"),
    *("ReflectionPad2d", "ReplicationPad1d", "ReplicationPad2d", "SELU", "SiLU", "Sigmoid", "Softmax", "Softplus"),
    *("Tanh", "ZeroPad1d", "ZeroPad2d"),
    *("BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "HuberLoss", "KLDivLoss", "L1Loss", "MSELoss", "NLLLoss"),
    "SmoothL1Loss",
)

# Samples that fastnn refuses: the module, the beginning of PyTorch's description, and why.
REFUSED = [
    ("KLDivLoss", "scalar_reduction_batchmean", "the mean over a batch of arrays that have no axis"),
    ("Softmax", "scalar", "an array without axes has no axis to sum over"),
    ("LogSoftmax", "multiparam_scalar", "an array without axes has no axis to sum over"),
]

COUNTS = {"compared": 1392, "refused": 12}  # as docs/reliability.md says
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
    from torch.testing._internal.common_modules import module_db

    return {info.module_cls.__name__: info for info in module_db}


def test_every_module_that_both_have_is_tried(infos):
    assert infos.keys() & {*layers.__all__, *losses.__all__} == set(NAMES)


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_samples(torch, infos, name, dtype, training):
    torch.manual_seed(0)
    info = infos[name]
    samples = info.module_inputs_func(
        info, device="cpu", dtype=getattr(torch, dtype), requires_grad=True, training=training
    )
    assert samples
    for place, sample in enumerate(samples):
        label = f"{name}, sample {place} ({sample.desc})"
        theirs = info.module_cls(*sample.constructor_input.args, **sample.constructor_input.kwargs)
        theirs = theirs.to(getattr(torch, dtype)).train(training)
        if any(name == module and sample.desc.startswith(start) for module, start, _ in REFUSED):
            with pytest.raises((TypeError, ValueError)):
                compare(torch, name, dtype, theirs, sample, label)
            counted["refused"] += 1
        else:
            compare(torch, name, dtype, theirs, sample, label)
            counted["compared"] += 1
    tried.add((name, dtype, training))


def ours_of(name, dtype, theirs, sample):
    args = [array(each) for each in sample.constructor_input.args]
    kwargs = {key: array(each) for key, each in sample.constructor_input.kwargs.items()}
    if name in losses.__all__:
        return getattr(losses, name)(*args, **kwargs)
    kind = getattr(layers, name)
    if "dtype" in inspect.signature(kind).parameters:
        kwargs["dtype"] = dtype
    ours = kind(*args, **kwargs)
    ours.load_state_dict(theirs.state_dict())
    return ours.train(theirs.training)


def compare(torch, name, dtype, theirs, sample, label):
    given = (*sample.forward_input.args, *sample.forward_input.kwargs.values())  # all of which come by their place
    ours = ours_of(name, dtype, theirs, sample)
    back = None if name in losses.__all__ else from_torch(theirs)
    arrays = [array(each) for each in given]
    y = ours(*arrays)
    theirs = theirs.double()
    leaves = [in_double(torch, each) for each in given]
    expected = theirs(*(each.clone() if hasattr(each, "clone") else each for each in leaves))
    weights = [array(p) for p in theirs.parameters()]
    terms = max(each.size for each in (*arrays, *weights) if hasattr(each, "size"))
    scale = scale_of(*arrays) * scale_of(*weights)
    y, expected = (each if isinstance(each, tuple) else (each,) for each in (y, expected))
    for one, other in zip(y, expected, strict=True):
        assert_reduction(one, other, dtype, terms, max(scale, scale_of(array(other))), label)
    if name in losses.__all__:
        backward_of_loss(torch, ours, dtype, y[0], expected[0], leaves, terms, label)
        return
    np.testing.assert_array_equal(first(back(*arrays)), y[0], err_msg=f"{label}: from_torch")
    copy = to_torch(ours)
    assert_reduction(y[0], first(copy.double()(*leaves)), dtype, terms, max(scale, scale_of(y[0])), label)
    for key, value in ours.state_dict().items():
        assert_reduction(value, theirs.state_dict()[key], dtype, terms, scale * scale, f"{label}: {key}")
    if ours.training and leaves[0].is_floating_point():
        backward_of_layer(torch, ours, theirs, dtype, y[0], expected[0], leaves[0], terms, scale, label)


def first(y):
    return y[0] if isinstance(y, tuple) else y


def backward_of_layer(torch, ours, theirs, dtype, y, expected, leaf, terms, scale, label):
    dy = np.random.default_rng(0).uniform(-1, 1, y.shape).astype(dtype)
    expected.backward(torch.from_numpy(dy.astype(np.float64)))
    dx = ours.backward(dy)
    terms = max(terms, y.size)
    norm = "Norm" in type(ours).__name__  # differences from a mean are divided by a standard deviation, twice
    times = 10 if norm else 1
    assert_reduction(dx, leaf.grad, dtype, terms, times * max(scale, scale_of(array(leaf.grad))), f"{label}: dx")
    learnt = dict(theirs.named_parameters())
    for key, p in ours.named_parameters():
        grad = learnt[key].grad
        assert_reduction(p.grad, grad, dtype, terms, times * max(scale, scale_of(array(grad))), f"{label}: {key}")


def backward_of_loss(torch, ours, dtype, y, expected, leaves, terms, label):
    dloss = np.random.default_rng(0).uniform(-1, 1, np.shape(y)).astype(dtype)
    expected.backward(torch.from_numpy(np.asarray(dloss, np.float64)))
    dx = ours.backward(dloss if np.shape(y) else float(dloss))
    grad = leaves[0].grad
    assert_reduction(dx, grad, dtype, terms, scale_of(array(grad)), f"{label}: dx")


def test_counts():
    if len(tried) < 4 * len(NAMES):
        pytest.skip("counted where all samples are tried")
    assert counted == COUNTS
