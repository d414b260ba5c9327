"""PyTorch's own samples for its functions (`op_db`), on fastnn's functions of the same names.

    pytest -m external tests/test_external_torch_ops.py

Results are compared with PyTorch's in float64. So are the gradients of all arguments that have one here: of losses and
norms by their backward functions, of others by a traced forward, where a layer does what the function does.
docs/reliability.md has the counts.
"""

import inspect
import re
from collections import Counter

import numpy as np
import pytest

import fastnn as fnn
from fastnn import functional, reference
from torch_suites import array, assert_reduction, in_double, scale_of

pytestmark = [pytest.mark.external, pytest.mark.filterwarnings("ignore")]

NAMES = (
    *("adaptive_avg_pool1d", "adaptive_max_pool1d", "conv_transpose1d"),
    *("adaptive_avg_pool2d", "adaptive_max_pool2d", "add", "avg_pool1d", "avg_pool2d", "batch_norm"),
    *("binary_cross_entropy", "binary_cross_entropy_with_logits", "cat", "conv1d", "conv2d", "conv_transpose2d"),
    *("cross_entropy", "elu", "embedding", "flatten", "gelu", "group_norm", "hardswish", "hardtanh", "huber_loss"),
    *("index_select", "instance_norm", "interpolate", "kl_div", "l1_loss", "layer_norm", "leaky_relu", "linear"),
    *("local_response_norm", "log_softmax", "matmul", "max_pool1d", "max_pool2d", "mse_loss", "nll_loss", "pad"),
    *("pixel_shuffle", "pixel_unshuffle", "prelu", "relu", "relu6", "selu", "sigmoid", "silu", "smooth_l1_loss"),
    *("softmax", "softplus", "tanh", "unflatten", "unfold"),
)

# Entries of op_db whose names end as a function of fastnn's, and which are not tried.
NOT_TRIED = {
    "dropout": "draws random numbers",
    "dropout2d": "draws random numbers",
    "masked.log_softmax": "another function",
    "masked.softmax": "another function",
    "unfold": "Tensor.unfold: windows along one axis",
}

# What fastnn refuses: functions, what the error says, and why.
REFUSED = [
    ("add", "the shape of a", "the sum of equal shapes; the layer Add and the operator + broadcast"),
    ("add", "'alpha'", "an argument that fastnn does not have"),
    ("avg_pool2d", r"expected an int or a pair", "tuples of one number, or of none"),
    ("batch_norm|group_norm|instance_norm|layer_norm", "(eps|momentum): got -", "a negative eps or momentum"),
    ("batch_norm", "at least one channel and element", "statistics of no elements"),
    ("instance_norm", "'use_input_stats'", "an argument that fastnn does not have"),
    ("cat", "expected -1 to 0 for an array of 1 axes", "an array of other axes than the rest, which has no elements"),
    ("interpolate", r"expected [34] axes", "volumes"),
    ("index_select|(log_)?softmax", r"got shape \(\)|of 0 axes", "an array without axes"),
    ("(log_)?softmax", "'dtype'", "the dtype of the result is that of the array"),
    ("matmul", "expected 2 axes", "the product of two matrices alone"),
    ("pad", "at most two axes", "images are padded along two axes"),
    ("prelu", r"weight: got shape \(\)", "a slope without an axis"),
]

# Gradients that PyTorch has and fastnn does not: of what a loss gets besides its outputs.
NO_GRADIENT = {
    *((f"{name}_loss", "target") for name in ("huber", "l1", "mse", "smooth_l1")),
    *((f"binary_cross_entropy{more}", "target") for more in ("", "_with_logits")),
    *((name, "target") for name in ("cross_entropy", "kl_div")),
}

COUNTS = {  # as docs/reliability.md says
    "compared": 6236,
    "of one example": 1302,
    "gradients": 6306,
    "refused": 264,
    "gradients that are not here": 184,  # see NO_GRADIENT
    "without a gradient here": 28,  # arrays without axes, and index_select
}
counted: Counter = Counter()
tried: set = set()
matched: set = set()
without: set = set()


@pytest.fixture(scope="module")
def torch():
    torch = pytest.importorskip("torch")
    pytest.importorskip("expecttest")
    torch.set_num_threads(1)
    return torch


@pytest.fixture(scope="module")
def infos(torch):
    """The entries of op_db for each of our functions."""
    from torch.testing._internal.common_methods_invocations import op_db

    found: dict = {}
    for info in op_db:
        if info.name not in NOT_TRIED:
            found.setdefault(info.name.rpartition(".")[2], []).append(info)
    return found


def test_every_function_that_both_have_is_tried(infos):
    ours = set(functional.__all__) - {"dropout", "dropout2d"}
    assert infos.keys() & ours == set(NAMES)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_samples(torch, infos, name, dtype):
    torch.manual_seed(0)
    for info in infos[name]:
        if getattr(torch, dtype) not in info.supported_dtypes("cpu"):
            continue  # entries for complex numbers, and for other devices
        samples = info.sample_inputs("cpu", getattr(torch, dtype), requires_grad=True)
        for place, sample in enumerate(samples):
            compare(torch, name, dtype, info, sample, f"{info.name} {info.variant_test_name}, sample {place}")
    tried.add((name, dtype))


def arguments(name, sample):
    """The arguments of a sample, in our order."""
    given = (sample.input, *sample.args)
    if name == "embedding":
        given = (given[1], given[0], *given[2:])
    if name == "flatten" and not sample.args and not sample.kwargs:
        given = (*given, 0)  # torch.flatten begins at axis 0, functional.flatten at 1 as nn.Flatten does
    if name == "cat":
        given = (list(sample.input), *sample.args)
    return given, dict(sample.kwargs)


def compare(torch, name, dtype, info, sample, label):
    given, named = arguments(name, sample)
    arrays, options = [array(each) for each in given], {key: array(each) for key, each in named.items()}
    try:
        y = getattr(functional, name)(*arrays, **options)
    except (TypeError, ValueError) as error:
        reasons = [row for row in REFUSED if re.fullmatch(row[0], name) and re.search(row[1], str(error))]
        if not reasons:
            raise AssertionError(f"{label}: {error}") from error
        counted["refused"] += 1
        matched.add(reasons[0][:2])
        return
    leaves = in_double(torch, (sample.input, *sample.args))
    named_leaves = {key: in_double(torch, each) for key, each in sample.kwargs.items()}
    expected = info(*leaves, **named_leaves)
    flat = [each for each in flattened((arrays, list(options.values()))) if hasattr(each, "size") and each.size]
    terms = max([each.size for each in flat], default=1)
    scale = float(np.prod([scale_of(each) for each in flat if each.dtype.kind == "f"]))
    y, expected = (each if isinstance(each, tuple) else (each,) for each in (y, expected))
    for one, other in zip(y, expected, strict=True):
        assert_reduction(one, other, dtype, terms, max(scale, scale_of(array(other))), label)
    counted["compared"] += 1
    one_example = getattr(getattr(reference, name), "one_example", None)
    counted["of one example"] += one_example is not None and arrays[0].ndim == one_example.axes - 1
    if not expected[0].requires_grad or not array(expected[0]).size:
        return
    dy = np.random.default_rng(0).uniform(-1, 1, tuple(expected[0].shape)).astype(dtype)
    gradients = gradients_of(name, arrays, options, dy)
    if gradients is None:
        counted["without a gradient here"] += 1
        return
    expected[0].backward(torch.from_numpy(dy.astype(np.float64)))
    theirs = gradients_by_argument(name, leaves, named_leaves)
    times = 10 if "norm" in name else 1  # differences from a mean are divided by a standard deviation, twice
    for argument, found in gradients.items():
        grad = theirs.pop(argument)
        bound = times * max(scale, scale_of(array(grad)))
        assert_reduction(found, grad, dtype, max(terms, dy.size), bound, f"{label}: gradient of {argument}")
        counted["gradients"] += 1
    for argument in theirs:
        assert (name, argument) in NO_GRADIENT, f"{label}: gradient of {argument}"
        counted["gradients that are not here"] += 1
        without.add((name, argument))


def signature(name):
    return inspect.signature(getattr(functional, name)).parameters


def flattened(values):
    for each in values:
        if isinstance(each, list | tuple):
            yield from flattened(each)
        else:
            yield each


def gradients_by_argument(name, leaves, named):
    """PyTorch's gradients by our names of the arguments; of a list of tensors, by the place in it."""
    names = [each for each in signature(name) if each != "weight"] if name == "embedding" else list(signature(name))
    if name == "embedding":
        names.insert(0, "weight")
    found = dict(zip(names, leaves, strict=False)) | named
    for argument, value in list(found.items()):
        if isinstance(value, list | tuple):
            found |= {f"{argument}[{place}]": each for place, each in enumerate(value)}
    return {argument: each.grad for argument, each in found.items() if getattr(each, "grad", None) is not None}


def gradients_of(name, arrays, options, dy):
    """The gradients by argument, or None where no layer and no function has them."""
    given = dict(zip(signature(name), arrays, strict=False)) | options
    if "target" in given:
        dloss = dy if dy.ndim else float(dy)
        return {"x": getattr(functional, f"{name}_backward")(*arrays, **options, dloss=dloss)}
    if name in ("batch_norm", "group_norm", "instance_norm"):
        return gradients_of_norm(name, given, dy)
    if name == "pad" and arrays[0].ndim:
        return {"x": functional.pad_backward(dy, given["pad"], given.get("mode", "constant"))}
    if name != "cat" and not arrays[0].ndim:
        return None
    if name.startswith("conv_transpose"):
        settings = {key: each for key, each in given.items() if key not in ("x", "weight", "bias")}
        made = getattr(functional, f"{name}_backward")(dy, given["x"], given["weight"], **settings)
        return {key: dx for key, dx in zip(("x", "weight", "bias"), made, strict=True) if given.get(key) is not None}
    net = Applied(getattr(functional, name), given)
    try:
        y = net(net.x)
    except fnn.TraceError:
        return None
    dx = net.backward((dy, None) if isinstance(y, tuple) else dy)
    found = {} if dx is None or net.x.dtype.kind != "f" else {net.argument: dx}
    return found | {argument: p.grad for argument, p in net.held.items()}


def gradients_of_norm(name, given, dy):
    x, weight, bias = given["x"], given.get("weight"), given.get("bias")
    training = {"training": given.get("training", False)} if name == "batch_norm" else {}
    if training.get("training", True):
        statistics = getattr(functional, name)(**given, return_statistics=True)[1:]
    else:
        mean, var = given["running_mean"], given["running_var"]
        statistics = mean, (1 / np.sqrt(var + given.get("eps", 1e-5))).astype(x.dtype)
    groups = (given["num_groups"],) if name == "group_norm" else ()
    made = getattr(functional, f"{name}_backward")(dy, x, *groups, weight, *statistics, **training)
    held = {"x": x, "weight": weight, "bias": bias}
    return {argument: dx for (argument, a), dx in zip(held.items(), made, strict=True) if a is not None}


class Applied(fnn.Module):
    """A function as a network of its first array, whose other arrays are parameters."""

    def __init__(self, function, given):
        self.function, self.given, self.held = function, dict(given), {}
        self.argument = next(iter(given))
        if function.__name__ == "cat":
            self.given["arrays"] = [self._held(f"arrays[{place}]", each) for place, each in enumerate(given["arrays"])]
            self.argument, self.x = "arrays[0]", given["arrays"][0]
            del self.held["arrays[0]"]
            return
        self.x = self.given.pop(self.argument)
        self.given = {key: self._held(key, each) for key, each in self.given.items()}

    def _held(self, name, value):
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.ndim:
            self.held[name] = fnn.Parameter(value)
            setattr(self, f"given_{len(self.held)}", self.held[name])
            return self.held[name]
        return value

    def forward(self, x):
        if self.argument == "arrays[0]":
            _, *rest = self.given["arrays"]
            return self.function([x, *rest], **{key: each for key, each in self.given.items() if key != "arrays"})
        return self.function(x, **self.given)


def test_counts():
    if len(tried) < 2 * len(NAMES):
        pytest.skip("counted where all samples are tried")
    assert counted == COUNTS
    assert matched == {row[:2] for row in REFUSED}
    assert without == NO_GRADIENT
