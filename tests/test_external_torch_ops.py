"""PyTorch's own samples for its functions (`op_db`), on fastnn's functions of the same names.

    pytest -m external tests/test_external_torch_ops.py

Results are compared with PyTorch's in float64. So are gradients: of losses by their backward functions, of others by a
traced forward, where a layer does what the function does. docs/reliability.md has the counts.
"""

import inspect
import re
from collections import Counter

import numpy as np
import pytest

import fastnn as fnn
from fastnn import functional
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

# Functions that take a batch, with its axes. PyTorch's take one example, too; it is tried as a batch of one.
BATCHES = {
    **{"adaptive_avg_pool2d": 4, "adaptive_max_pool2d": 4, "conv1d": 3, "conv2d": 4, "conv_transpose2d": 4},
    **{"adaptive_avg_pool1d": 3, "adaptive_max_pool1d": 3, "conv_transpose1d": 3},
    **{"max_pool1d": 3, "max_pool2d": 4, "cross_entropy": 2, "nll_loss": 2},
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

COUNTS = {"compared": 6236, "as a batch of one": 1302, "gradients": 5872, "refused": 264}  # as docs/reliability.md says
counted: Counter = Counter()
tried: set = set()
matched: set = set()


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
    is_one = name in BATCHES and arrays[0].ndim == BATCHES[name] - 1
    if is_one:
        with_batch = 2 if "target" in signature(name) else 1
        arrays[:with_batch] = [each[None] for each in arrays[:with_batch]]
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
    expected = info(*leaves, **{key: in_double(torch, each) for key, each in sample.kwargs.items()})
    flat = [each for each in flattened((arrays, list(options.values()))) if hasattr(each, "size") and each.size]
    terms = max([each.size for each in flat], default=1)
    scale = float(np.prod([scale_of(each) for each in flat if each.dtype.kind == "f"]))
    y, expected = (each if isinstance(each, tuple) else (each,) for each in (y, expected))
    for one, other in zip(y, expected, strict=True):
        found = one[0] if is_one and np.ndim(one) else one
        assert_reduction(found, other, dtype, terms, max(scale, scale_of(array(other))), label)
    counted["compared"] += 1
    counted["as a batch of one"] += is_one
    if not expected[0].requires_grad or not array(expected[0]).size or name in ("embedding", "cat"):
        return
    dy = np.random.default_rng(0).uniform(-1, 1, tuple(expected[0].shape)).astype(dtype)
    dx = gradient(name, arrays, options, dy[None] if is_one and np.ndim(y[0]) else dy)
    if dx is None:
        return
    expected[0].backward(torch.from_numpy(dy.astype(np.float64)))
    grad = leaves[0].grad
    times = 10 if "norm" in name else 1  # differences from a mean are divided by a standard deviation, twice
    scale = times * max(scale, scale_of(array(grad)))
    assert_reduction(dx[0] if is_one else dx, grad, dtype, max(terms, dy.size), scale, f"{label}: dx")
    counted["gradients"] += 1


def signature(name):
    return inspect.signature(getattr(functional, name)).parameters


def flattened(values):
    for each in values:
        if isinstance(each, list | tuple):
            yield from flattened(each)
        else:
            yield each


def gradient(name, arrays, options, dy):
    """The gradient of the first argument, or None where no layer does what the function does."""
    if "target" in signature(name):
        return getattr(functional, f"{name}_backward")(*arrays, **options, dloss=dy if dy.ndim else float(dy))
    if not arrays[0].ndim:
        return None
    net = Applied(getattr(functional, name), arrays, options)
    try:
        y = net(arrays[0])
    except fnn.TraceError:
        return None
    return net.backward((dy, None) if isinstance(y, tuple) else dy)


class Applied(fnn.Module):
    """A function as a network, whose other arrays are parameters."""

    def __init__(self, function, arrays, options):
        self.function, self.rest, self.options = function, [], {}
        for place, each in enumerate(arrays[1:]):
            self.rest.append(self._held(f"argument{place}", each))
        for key, each in options.items():
            self.options[key] = self._held(key, each)

    def _held(self, name, value):
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.ndim:
            setattr(self, f"given_{name}", fnn.Parameter(value))
            return getattr(self, f"given_{name}")
        return value

    def forward(self, x):
        return self.function(x, *self.rest, **self.options)


def test_counts():
    if len(tried) < 2 * len(NAMES):
        pytest.skip("counted where all samples are tried")
    assert counted == COUNTS
    assert matched == {row[:2] for row in REFUSED}
