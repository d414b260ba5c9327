"""Outside oracles: SciPy everywhere, PyTorch where it is installed.

They are evaluated in float64 on the inputs of the case list, so kernels and reference are both held to the bound of
their parity class against somebody else's mathematics and somebody else's reading of strides, padding and ceil_mode.
"""

import warnings

import numpy as np
import pytest

import fastnn as fnn
from cases import CASES, EXACT, cases_of
from cases.activation import OF_INPUT
from checks import as_float64, assert_within, scales_of

IMPLEMENTATIONS = ("kernels", "reference")


def compare(case, oracle_results):
    """Hold both implementations, in float32, to the bound around an oracle's float64 results."""
    op = case.operation
    args, kwargs = case.inputs(np.float32)
    terms = op.terms(*args, **kwargs)
    scales = scales_of(case, as_float64(args), as_float64(kwargs))
    for implementation in IMPLEMENTATIONS:
        with fnn.implementation(implementation):
            ours = op.call(fnn.functional, args, kwargs)
        for i, (got, truth) in enumerate(zip(ours, oracle_results, strict=True)):
            if got is None:
                continue
            name = f"{case} {implementation}, result {i}"
            truth = np.asarray(truth)
            assert got.shape == truth.shape, f"{name}: shape {got.shape}, the oracle's {truth.shape}"
            if terms[i] is EXACT:
                np.testing.assert_array_equal(got, truth, name)
            else:
                assert_within(name, got, truth, terms[i], scales[i], np.float32)


# SciPy


def scipy_conv2d(x, w, b=None, *, stride=1, padding=0, dilation=1, groups=1, activation=None):
    signal = pytest.importorskip("scipy.signal")
    (sh, sw), (dh, dw) = (v if isinstance(v, tuple) else (v, v) for v in (stride, dilation))
    filters, channels, kh, kw = w.shape
    sparse = np.zeros((filters, channels, (kh - 1) * dh + 1, (kw - 1) * dw + 1))
    sparse[..., ::dh, ::dw] = w
    if padding == "same":
        frame = [(n // 2, n - n // 2) for n in ((kh - 1) * dh, (kw - 1) * dw)]
    else:
        frame = [(0, 0)] * 2 if padding == "valid" else [(n, n) for n in pair(padding)]
    x = np.pad(x, ((0, 0), (0, 0), *frame))
    first = np.arange(filters) // (filters // groups) * channels

    def plane(image, kernels, first):
        return sum(signal.correlate2d(image[first + c], kernel, "valid") for c, kernel in enumerate(kernels))

    y = np.array([[plane(n, o, c) for o, c in zip(sparse, first, strict=True)] for n in x])
    y = y if b is None else y + b[:, None, None]
    y = y[:, :, ::sh, ::sw]
    return np.maximum(y, 0) if activation == "relu" else y


CORRELATED = [c for c in cases_of("conv2d") if not c.large and "no-images" not in c.label and "channels" not in c.label]


@pytest.mark.parametrize("case", CORRELATED, ids=str)
def test_conv2d_is_scipys_correlation(case):
    args, kwargs = case.inputs(np.float32)
    compare(case, (scipy_conv2d(*as_float64(args), **kwargs),))


@pytest.mark.parametrize("case", cases_of("sigmoid", "softmax", "log_softmax"), ids=str)
def test_activations_are_scipys(case):
    special = pytest.importorskip("scipy.special")
    args, kwargs = case.inputs(np.float32)
    x = as_float64(args)[0]
    if x.size == 0 or not np.isfinite(x).all():
        return  # SciPy's own rules for infinities differ
    if case.op == "sigmoid":
        compare(case, (special.expit(x),))
    else:
        compare(case, (getattr(special, case.op)(x, axis=kwargs.get("dim", -1)),))


PLAIN = [c for c in cases_of("cross_entropy") if "x" in c.label and "x1-" not in c.label]


@pytest.mark.parametrize("case", PLAIN, ids=str)
def test_cross_entropy_is_scipys(case):
    special = pytest.importorskip("scipy.special")
    args, kwargs = case.inputs(np.float32)
    x, target = as_float64(args)
    weights = np.eye(x.shape[1])[target] if target.ndim == 1 else target
    losses = -np.where(weights == 0, 0.0, weights * special.log_softmax(x, axis=1)).sum(axis=1)
    compare(case, ({"mean": np.mean, "sum": np.sum, "none": np.asarray}[kwargs["reduction"]](losses),))


# PyTorch


def import_torch():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its import warns on some versions
        try:
            import torch
        except ImportError:
            return None
    torch.set_num_threads(1)
    return torch


torch = import_torch()


def pair(value):
    return list(value) if isinstance(value, tuple) else [value, value]


def pool_arguments(kernel_size, *, stride=None, padding=0, dilation=1, ceil_mode=False):
    return pair(kernel_size), pair(kernel_size if stride is None else stride), pair(padding), pair(dilation), ceil_mode


def flat_positions(positions, input_size, kernel_size, **options):
    """Places in windows as PyTorch counts them: places in the image."""
    (_, kw), (sh, sw), (ph, pw), (dh, dw), _ = pool_arguments(kernel_size, **options)
    i, j = np.divmod(np.asarray(positions).astype(np.int64), kw)
    oh, ow = positions.shape[2:]
    h = np.arange(oh)[:, None] * sh - ph + i * dh
    w = np.arange(ow) * sw - pw + j * dw
    return h * input_size[1] + w


def as_positions(places, input_size, kernel_size, stride, padding, dilation, _):
    """Places in the image as places in windows."""
    h, w = places // input_size[1], places % input_size[1]
    first_h = torch.arange(places.shape[2])[:, None] * stride[0] - padding[0]
    first_w = torch.arange(places.shape[3]) * stride[1] - padding[1]
    return (h - first_h) // dilation[0] * kernel_size[1] + (w - first_w) // dilation[1]


def rows_of_planes(options):
    """The windows of a pool along one axis as those of planes of height 1."""
    rows = {name: (without, options[name]) for name, without in (("padding", 0), ("dilation", 1)) if name in options}
    stride = options.get("stride")
    return {**options, **rows, "stride": stride and (1, stride)}


def autograd(function, dy, *inputs):
    """The gradients of `function` at `inputs`, given that of its result."""
    leaves = [i.clone().requires_grad_() for i in inputs]
    return torch.autograd.grad(function(*leaves), leaves, dy)


class Oracle:
    """The operations of the case list in PyTorch. Arrays come in and go out as tensors."""

    @staticmethod
    def conv2d(x, w, b=None, *, activation=None, **options):
        y = torch.nn.functional.conv2d(x, w, b, **options)
        return torch.relu(y) if activation == "relu" else y

    @staticmethod
    def conv2d_backward(dy, x, w, *, needs=("dx", "dw", "db"), **options):
        b = torch.zeros(w.shape[0], dtype=w.dtype)
        return autograd(lambda x, w, b: torch.nn.functional.conv2d(x, w, b, **options), dy, x, w, b)

    @staticmethod
    def add(a, b, *, activation=None):
        return torch.relu(a + b) if activation == "relu" else a + b

    @staticmethod
    def cat(arrays, dim=0):
        return torch.cat([torch.from_numpy(a) for a in arrays], dim)

    @staticmethod
    def conv1d(x, w, b=None, *, activation=None, **options):
        y = torch.nn.functional.conv1d(x, w, b, **options)
        return torch.relu(y) if activation == "relu" else y

    @staticmethod
    def conv1d_backward(dy, x, w, *, needs=("dx", "dw", "db"), **options):
        b = torch.zeros(w.shape[0], dtype=w.dtype)
        return autograd(lambda x, w, b: torch.nn.functional.conv1d(x, w, b, **options), dy, x, w, b)

    @staticmethod
    def conv_transpose2d(x, w, b=None, *, activation=None, **options):
        y = torch.nn.functional.conv_transpose2d(x, w, b, **options)
        return torch.relu(y) if activation == "relu" else y

    @staticmethod
    def conv_transpose2d_backward(dy, x, w, *, needs=("dx", "dw", "db"), **options):
        b = torch.zeros(dy.shape[1], dtype=w.dtype)
        return autograd(lambda x, w, b: torch.nn.functional.conv_transpose2d(x, w, b, **options), dy, x, w, b)

    @staticmethod
    def pad2d(x, padding, *, mode="zeros"):
        sides = padding if isinstance(padding, tuple) else (padding,) * 4
        return torch.nn.functional.pad(x, sides, mode="constant" if mode == "zeros" else mode)

    @staticmethod
    def pad2d_backward(dy, padding, *, mode="zeros"):
        left, right, top, bottom = padding if isinstance(padding, tuple) else (padding,) * 4
        x = torch.zeros((*dy.shape[:2], dy.shape[2] - top - bottom, dy.shape[3] - left - right), dtype=dy.dtype)
        return autograd(lambda x: Oracle.pad2d(x, padding, mode=mode), dy, x)

    @staticmethod
    def im2col(x, kernel_size, **options):
        return torch.nn.functional.unfold(x, kernel_size, **options)

    @staticmethod
    def col2im(cols, output_size, kernel_size, **options):
        return torch.nn.functional.fold(cols, output_size, kernel_size, **options)

    unfold, fold = im2col, col2im

    @staticmethod
    def maxpool2d(x, kernel_size, *, return_positions=False, return_indices=False, **options):
        arguments = pool_arguments(kernel_size, **options)
        y, places = torch.nn.functional.max_pool2d(x, *arguments, True)
        if not return_positions:
            return (y, places) if return_indices else y
        positions = as_positions(places, x.shape[2:], *arguments)
        return (y, positions, places) if return_indices else (y, positions)

    @staticmethod
    def maxpool2d_backward(dy, positions, input_size, kernel_size, **options):
        k, s, p, d, ceil_mode = pool_arguments(kernel_size, **options)
        places = torch.from_numpy(flat_positions(positions.numpy(), input_size, kernel_size, **options))
        x = torch.zeros((*dy.shape[:2], *input_size), dtype=dy.dtype)
        return torch.ops.aten.max_pool2d_with_indices_backward(dy, x, k, s, p, d, ceil_mode, places)

    @staticmethod
    def avgpool2d(x, kernel_size, **options):
        return torch.nn.functional.avg_pool2d(x, kernel_size, **options)

    @staticmethod
    def avgpool2d_backward(dy, input_size, kernel_size, **options):
        x = torch.zeros((*dy.shape[:2], *input_size), dtype=dy.dtype)
        return autograd(lambda x: Oracle.avgpool2d(x, kernel_size, **options), dy, x)

    @staticmethod
    def maxpool1d(x, kernel_size, *, return_positions=False, return_indices=False, **options):
        y, places = torch.nn.functional.max_pool1d(x, kernel_size, **options, return_indices=True)
        stride, padding = options["stride"] or kernel_size, options["padding"]
        first = torch.arange(y.shape[2]) * stride - padding
        positions = (places - first) // options["dilation"]
        return (y, positions, places) if return_indices else y

    @staticmethod
    def maxpool1d_backward(dy, positions, input_size, kernel_size, **options):
        rows = dy[:, :, None], positions[:, :, None], (1, input_size), (1, kernel_size)
        return Oracle.maxpool2d_backward(*rows, **rows_of_planes(options))[:, :, 0]

    @staticmethod
    def avgpool1d(x, kernel_size, **options):
        return torch.nn.functional.avg_pool1d(x, kernel_size, **options)

    @staticmethod
    def avgpool1d_backward(dy, input_size, kernel_size, **options):
        x = torch.zeros((*dy.shape[:2], input_size), dtype=dy.dtype)
        return autograd(lambda x: Oracle.avgpool1d(x, kernel_size, **options), dy, x)

    @staticmethod
    def adaptive_avgpool2d(x, output_size):
        return torch.nn.functional.adaptive_avg_pool2d(x, output_size or (None, None))

    @staticmethod
    def adaptive_avgpool2d_backward(dy, input_size):
        x = torch.zeros((*dy.shape[:2], *input_size), dtype=dy.dtype)
        return autograd(lambda x: Oracle.adaptive_avgpool2d(x, dy.shape[2:]), dy, x)

    @staticmethod
    def adaptive_maxpool2d(x, output_size, *, return_indices=False):
        return torch.nn.functional.adaptive_max_pool2d(x, output_size or (None, None), return_indices)

    @staticmethod
    def adaptive_maxpool2d_backward(dy, indices, input_size):
        x = torch.zeros((*dy.shape[:2], *input_size), dtype=dy.dtype)
        return torch.ops.aten.adaptive_max_pool2d_backward(dy, x, indices)

    @staticmethod
    def interpolate(x, size, scale_factor, **options):
        return torch.nn.functional.interpolate(x, size, scale_factor, **options)

    @staticmethod
    def interpolate_backward(dy, input_size, size, scale_factor, **options):
        x = torch.zeros((*dy.shape[:2], *input_size), dtype=dy.dtype)
        return autograd(lambda x: Oracle.interpolate(x, size, scale_factor, **options), dy, x)

    @staticmethod
    def embedding(x, w, *, padding_idx=None):
        return torch.nn.functional.embedding(x, w, padding_idx)

    @staticmethod
    def index_select(x, dim, index):
        return torch.index_select(x, dim, index.long())

    @staticmethod
    def embedding_backward(dy, x, num_embeddings, *, padding_idx=-1):
        return torch.ops.aten.embedding_dense_backward(dy, x.long(), num_embeddings, padding_idx, False)

    @staticmethod
    def matmul(a, b):
        return a @ b

    @staticmethod
    def linear(x, w, b=None, *, activation=None):
        y = torch.nn.functional.linear(x, w, b)
        return torch.relu(y) if activation == "relu" else y

    @staticmethod
    def linear_backward(dy, x, w, *, needs=("dx", "dw", "db")):
        b = torch.zeros(w.shape[0], dtype=w.dtype)
        return autograd(torch.nn.functional.linear, dy, x, w, b)

    @staticmethod
    def batch_norm(
        x, running_mean=None, running_var=None, w=None, b=None, *, training=False, momentum=0.1, eps=1e-5,
        activation=None, return_statistics=False,
    ):  # fmt: skip
        y, mean, invstd = torch.native_batch_norm(x, w, b, running_mean, running_var, training, momentum, eps)
        if not training:
            mean, invstd = running_mean, 1 / torch.sqrt(running_var + eps)
        y = torch.relu(y) if activation == "relu" else y
        return (y, *((mean, invstd) if return_statistics else ()), running_mean, running_var)

    @staticmethod
    def batch_norm_backward(dy, x, w, mean, invstd, *, training=True, y=None, needs=("dx", "dw", "db")):
        if y is not None:
            dy = torch.ops.aten.threshold_backward(dy, torch.as_tensor(y), 0)
        w = torch.ones(x.shape[1], dtype=x.dtype) if w is None else w
        running = mean, invstd**-2  # what it goes by without training
        wanted = [name in needs for name in ("dx", "dw", "db")]
        backward = torch.ops.aten.native_batch_norm_backward
        return backward(dy, x, w, *running, mean, invstd, training, 0.0, wanted)

    @staticmethod
    def layer_norm(x, shape, w=None, b=None, *, eps=1e-5, return_statistics=False):
        y, mean, invstd = torch.native_layer_norm(x, list(shape) if isinstance(shape, tuple) else [shape], w, b, eps)
        lead = x.shape[: mean.ndim - (1 if isinstance(shape, int) else len(shape))]
        return (y, mean.reshape(lead), invstd.reshape(lead)) if return_statistics else y

    @staticmethod
    def layer_norm_backward(dy, x, shape, w, mean, invstd, *, needs=("dx", "dw", "db")):
        shape = list(shape) if isinstance(shape, tuple) else [shape]
        w = torch.ones(shape, dtype=x.dtype) if w is None else w
        mean, invstd = (a.reshape(*a.shape, *(1 for _ in shape)) for a in (mean, invstd))
        return torch.ops.aten.native_layer_norm_backward(dy, x, shape, mean, invstd, w, w, [True] * 3)

    @staticmethod
    def group_norm(x, groups, w=None, b=None, *, eps=1e-5, return_statistics=False):
        N, C, P = x.shape[0], x.shape[1], x[0, 0].numel()
        y, mean, invstd = torch.native_group_norm(x, w, b, N, C, P, groups, eps)
        return (y, mean, invstd) if return_statistics else y

    @staticmethod
    def group_norm_backward(dy, x, groups, w, mean, invstd, *, needs=("dx", "dw", "db")):
        N, C, P = x.shape[0], x.shape[1], x[0, 0].numel()
        w = torch.ones(C, dtype=x.dtype) if w is None else w
        return torch.ops.aten.native_group_norm_backward(dy, x, mean, invstd, w, N, C, P, groups, [True] * 3)

    @staticmethod
    def instance_norm(
        x, running_mean=None, running_var=None, w=None, b=None, *, momentum=0.1, eps=1e-5, return_statistics=False
    ):  # fmt: skip
        y = torch.nn.functional.instance_norm(x, running_mean, running_var, w, b, momentum=momentum, eps=eps)
        var, mean = torch.var_mean(x.flatten(2), 2, correction=0)
        return (y, *((mean, 1 / torch.sqrt(var + eps)) if return_statistics else ()), running_mean, running_var)

    @staticmethod
    def instance_norm_backward(dy, x, w, mean, invstd, **options):
        return Oracle.group_norm_backward(dy, x, x.shape[1], w, mean, invstd, **options)

    @staticmethod
    def local_response_norm(x, size, **options):
        return torch.nn.functional.local_response_norm(x, size, **options)

    @staticmethod
    def local_response_norm_backward(dy, x, size, **options):
        return autograd(lambda x: Oracle.local_response_norm(x, size, **options), dy, x)

    @staticmethod
    def relu(x):
        return torch.relu(x)

    @staticmethod
    def tanh(x):
        return torch.tanh(x)

    @staticmethod
    def sigmoid(x):
        return torch.sigmoid(x)

    @staticmethod
    def softmax(x, *, dim=-1):
        return torch.softmax(x, dim)

    @staticmethod
    def log_softmax(x, *, dim=-1):
        return torch.log_softmax(x, dim)

    @staticmethod
    def relu_backward(dy, y):
        return torch.ops.aten.threshold_backward(dy, y, 0)

    @staticmethod
    def sigmoid_backward(dy, y):
        return torch.ops.aten.sigmoid_backward(dy, y)

    @staticmethod
    def tanh_backward(dy, y):
        return torch.ops.aten.tanh_backward(dy, y)

    @staticmethod
    def softmax_backward(dy, y, *, dim=-1):
        return torch.ops.aten._softmax_backward_data(dy, y, dim, dy.dtype)

    @staticmethod
    def log_softmax_backward(dy, y, *, dim=-1):
        return torch.ops.aten._log_softmax_backward_data(dy, y, dim, dy.dtype)

    @staticmethod
    def prelu_backward(dy, x, w, *, needs=("dx", "dw")):
        return autograd(torch.nn.functional.prelu, dy, x, w)

    @staticmethod
    def flatten(x, start_dim=1, end_dim=-1):
        return torch.flatten(x, start_dim, end_dim)

    @staticmethod
    def unflatten(x, dim, sizes):
        return torch.unflatten(x, dim, sizes)

    @staticmethod
    def _step(optimizer, p, g, state, **options):
        """One step of an optimizer that keeps `state`; the parameter and the state after it."""
        p = p.clone().requires_grad_()
        p.grad = g
        optimizer = optimizer([p], **options)
        before = optimizer.state[p]
        before.update({k: torch.as_tensor(v, dtype=p.dtype).clone() for k, v in state.items() if v is not None})
        optimizer.step()
        return p.detach(), *(None if v is None else before[k] for k, v in state.items())

    @staticmethod
    def sgd_step(p, g, buffer=None, **options):
        return Oracle._step(torch.optim.SGD, p, g, {"momentum_buffer": buffer}, **options)

    @staticmethod
    def adam_step(p, g, m, v, top=None, *, step, **options):
        state = {"exp_avg": m, "exp_avg_sq": v, "max_exp_avg_sq": top, "step": step - 1}
        return Oracle._step(torch.optim.Adam, p, g, state, amsgrad=top is not None, **options)[:4]

    @staticmethod
    def nadam_step(p, g, m, v, *, step, mu_product, **options):
        state = {"exp_avg": m, "exp_avg_sq": v, "step": step - 1, "mu_product": mu_product}
        p, m, v, _, mu_product = Oracle._step(torch.optim.NAdam, p, g, state, **options)
        return mu_product, p, m, v

    @staticmethod
    def rmsprop_step(p, g, v, buffer=None, m=None, **options):
        state = {"square_avg": v, "momentum_buffer": buffer, "grad_avg": m, "step": 0}
        return Oracle._step(torch.optim.RMSprop, p, g, state, centered=m is not None, **options)[:4]

    @staticmethod
    def adagrad_step(p, g, v, *, step, **options):
        return Oracle._step(torch.optim.Adagrad, p, g, {"sum": v, "step": step - 1}, **options)[:2]

    @staticmethod
    def clip_grad_norm_(g, *arguments, **options):
        p = torch.zeros_like(g, requires_grad=True)
        p.grad = g.clone()
        return torch.nn.utils.clip_grad_norm_(p, *arguments, **options), p.grad

    @staticmethod
    def clip_grad_value_(g, clip_value):
        p = torch.zeros_like(g, requires_grad=True)
        p.grad = g.clone()
        torch.nn.utils.clip_grad_value_(p, clip_value)
        return p.grad


LOSSES = (
    *("cross_entropy", "nll_loss", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "kl_div"),
    *("binary_cross_entropy", "binary_cross_entropy_with_logits"),
)


def add_loss(name):
    """A loss and its gradient, both of which PyTorch has by the same name and with the same options."""

    def loss(x, target, **options):
        options = {k: torch.from_numpy(v.copy()) if isinstance(v, np.ndarray) else v for k, v in options.items()}
        target = target if target.is_floating_point() else target.long()
        return getattr(torch.nn.functional, name)(x, target, **options)

    def backward(x, target, *, dloss=1.0, **options):
        value = loss(x, target, **options)
        return autograd(
            lambda x: loss(x, target, **options), torch.as_tensor(dloss, dtype=x.dtype).expand(value.shape), x
        )

    setattr(Oracle, name, staticmethod(loss))
    setattr(Oracle, f"{name}_backward", staticmethod(backward))


for loss_name in LOSSES:
    add_loss(loss_name)


def oracle(op):
    """What PyTorch has for it: written out above, or of the same name and arguments in its functional."""
    if hasattr(Oracle, op):
        return getattr(Oracle, op)
    function = getattr(torch.nn.functional, op.removesuffix("_backward"))
    if not op.endswith("_backward"):
        return function
    return lambda dy, x, *settings, **named: autograd(lambda x: function(x, *settings, **named), dy, x)


def answerable(case):
    """Whether PyTorch has an answer: it refuses some empty batches, and of several NaN it reports the last."""
    if case.op.startswith("dropout"):
        return False  # its generator is not PyTorch's: test_dropout_layers.py has published values of it
    args, _ = case.inputs(np.float32)
    empty = any(isinstance(a, np.ndarray) and a.size == 0 for a in args)
    return not empty and case.label != "all-nan"


@pytest.mark.skipif(torch is None, reason="PyTorch is not installed")
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides the total loss:UserWarning")
@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")  # of its own speed
@pytest.mark.parametrize("case", [c for c in CASES if answerable(c)] if torch else [None], ids=str)
def test_pytorch_agrees(case):
    args, kwargs = case.inputs(np.float32)
    tensors = [torch.from_numpy(a.copy()) if isinstance(a, np.ndarray) else a for a in as_float64(args)]
    result = oracle(case.op)(*tensors, **as_float64(kwargs))
    results = result if isinstance(result, tuple) else (result,)
    results = [None if r is None else r.numpy() for r in results]
    compare(case, results)


# Optimisers and schedules of PyTorch, for twenty steps. Gradients are 0.5 to 1.5 in magnitude, so that weight decay
# (at most 0.3 of parameters below 1.5) cannot cancel them.

STEPS = 20
REACH = 100  # of a step over its rate, cancelled terms included: RMSprop's first has 10, times 10 with momentum
OPTIMISERS = [
    # class, options, terms of p and of all its state in a step, as tests/cases/optim.py counts them
    ("SGD", {}, 6, 0),
    ("SGD", {"momentum": 0.9, "weight_decay": 0.1}, 6, 3),
    ("SGD", {"momentum": 0.9, "dampening": 0.3, "maximize": True}, 6, 3),
    ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}, 6, 3),
    ("Adam", {}, 11, 9),
    ("Adam", {"betas": (0.7, 0.9), "eps": 1e-3, "weight_decay": 0.1, "amsgrad": True}, 11, 14),
    ("Adam", {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}, 11, 9),
    ("AdamW", {}, 11, 9),
    ("AdamW", {"amsgrad": True, "weight_decay": 0.5, "maximize": True}, 11, 14),
    ("NAdam", {}, 11, 9),
    ("NAdam", {"weight_decay": 0.1, "momentum_decay": 0.1, "maximize": True}, 11, 9),
    ("NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True}, 11, 9),
    ("RMSprop", {}, 10, 5),
    ("RMSprop", {"momentum": 0.9, "weight_decay": 0.1, "alpha": 0.9}, 10, 13),
    ("RMSprop", {"momentum": 0.5, "centered": True, "maximize": True}, 10, 17),
    ("Adagrad", {}, 7, 4),
    ("Adagrad", {"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5, "maximize": True}, 7, 4),
]


@pytest.fixture
def torch_in_double():
    """Numbers that PyTorch keeps in tensors are not rounded to float32."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.skipif(torch is None, reason="PyTorch is not installed")
@pytest.mark.usefixtures("torch_in_double")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("name", "options", "terms", "kept"), OPTIMISERS, ids=lambda v: str(v).replace(" ", ""))
def test_twenty_steps_are_pytorchs(name, options, terms, kept, dtype):
    """What a step adds in rounding is added up, and what it leaves in the state goes into all later ones."""
    rng = np.random.default_rng(3)
    values = [rng.uniform(-1, 1, shape).astype(dtype) for shape in ((5, 7), (40,), (1,))]
    ours = [fnn.Parameter(v.copy()) for v in values]
    theirs = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in values]
    groups = [[{"params": p[:1], "lr": 0.003}, {"params": p[1:]}] for p in (ours, theirs)]
    mine = getattr(fnn, name)(groups[0], **{"lr": 0.002, **options})
    other = getattr(torch.optim, name)(groups[1], **{"lr": 0.002, **options})
    largest = 1.0
    for step in range(STEPS):
        for i, (p, q) in enumerate(zip(ours, theirs, strict=True)):
            g = (rng.uniform(0.5, 1.5, p.data.shape) * rng.choice([-1, 1], p.data.shape)).astype(dtype)
            missing = i == 2 and step in (0, 7)
            p.grad = None if missing else g
            q.grad = None if missing else torch.from_numpy(g.astype(np.float64))
        mine.step()
        other.step()
        largest = max(largest, *(float(np.abs(p.data).max()) for p in ours))
    eps = float(np.finfo(dtype).eps)
    bound = (STEPS * (terms + 2) + STEPS * (STEPS + 1) / 2 * kept) * eps * (largest + STEPS * 0.003 * REACH)
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=0, atol=bound)


SCHEDULES = [
    ("StepLR", {"step_size": 3, "gamma": 0.5}),
    ("MultiStepLR", {"milestones": [2, 5, 5, 11]}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("LambdaLR", {"lr_lambda": lambda t: 1 / (1 + t)}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.1, "end_factor": 0.5, "total_iters": 9}),
    ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.01}),
    ("OneCycleLR", {"max_lr": [0.5, 0.2], "total_steps": 20}),
    ("OneCycleLR", {"max_lr": 0.5, "epochs": 4, "steps_per_epoch": 5, "three_phase": True}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 21, "anneal_strategy": "linear", "pct_start": 0.45}),
]


@pytest.mark.skipif(torch is None, reason="PyTorch is not installed")
@pytest.mark.filterwarnings("ignore::UserWarning")  # that no step of the optimiser came first
@pytest.mark.parametrize("kind", ["SGD", "AdamW"])
@pytest.mark.parametrize(
    ("name", "options"), SCHEDULES, ids=lambda value: value if isinstance(value, str) else "-".join(value)
)
def test_schedules_are_pytorchs(name, options, kind):
    """PyTorch goes from rate to rate, some roundings each; a cosine near its zero cancels down to parts of the rate."""
    ours, theirs = _pair(kind)
    mine = getattr(fnn.lr_scheduler, name)(ours, **options)
    other = getattr(torch.optim.lr_scheduler, name)(theirs, **options)
    for _ in range(STEPS):
        np.testing.assert_allclose(mine.get_last_lr(), other.get_last_lr(), rtol=1e-12, atol=1e-15)
        for group, wanted in zip(ours.param_groups, theirs.param_groups, strict=True):
            key = "momentum" if kind == "SGD" else "betas"
            assert group[key] == pytest.approx(wanted[key], rel=1e-12)
        mine.step()
        other.step()


@pytest.mark.skipif(torch is None, reason="PyTorch is not installed")
@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
def test_plateaus_are_pytorchs(mode, threshold_mode):
    rng = np.random.default_rng(0)
    options = {"mode": mode, "threshold_mode": threshold_mode, "patience": 2, "cooldown": 2, "threshold": 0.05}
    options |= {"factor": 0.5, "min_lr": [0.01, 0.0]}
    ours, theirs = _pair("SGD")
    mine = fnn.lr_scheduler.ReduceLROnPlateau(ours, **options)
    other = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **options)
    for metric in rng.uniform(-1, 1, 60):
        mine.step(metric)
        other.step(metric)
        assert mine.get_last_lr() == other.get_last_lr()
    assert mine.get_last_lr()[1] < 0.01


def _two_groups(kind, parameter):
    momentum = {"momentum": 0.9} if kind.__name__ == "SGD" else {}
    return kind([{"params": [parameter()]}, {"params": [parameter()], "lr": 0.05}], lr=0.1, **momentum)


def _pair(name):
    """An optimiser of ours and one of theirs, each of two groups of one parameter."""
    ours = _two_groups(getattr(fnn, name), lambda: fnn.Parameter(np.ones(1)))
    return ours, _two_groups(getattr(torch.optim, name), lambda: torch.ones(1, requires_grad=True))


SPECIAL = np.repeat([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e300, -1e300, 2.5, -2.5], 8)  # whole vectors of each


@pytest.mark.skipif(torch is None, reason="PyTorch is not installed")
@pytest.mark.parametrize("op", ["sigmoid", "tanh", "prelu", *(f.name for f in OF_INPUT)])
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_pytorch_has_the_same_nan_and_infinities(op, implementation):
    slopes = (np.array([-0.5]),) if op == "prelu" else ()
    ours = getattr(fnn.functional, op)
    special = SPECIAL[~np.isinf(SPECIAL)] if op == "gelu" else SPECIAL  # at infinity ours has the limits: see below
    with fnn.implementation(implementation):
        y = ours(special, *slopes)
        seen = y if op in ("sigmoid", "tanh") else special
        dx = getattr(fnn.functional, f"{op}_backward")(np.ones_like(special), seen, *slopes)
    dx = dx[0] if op == "prelu" else dx
    tensors = [torch.from_numpy(a) for a in (special, *slopes)]
    np.testing.assert_allclose(y, oracle(op)(*tensors), rtol=1e-14)
    theirs = oracle(f"{op}_backward")(
        torch.ones(special.size, dtype=torch.float64), torch.from_numpy(seen), *tensors[1:]
    )
    theirs = theirs if isinstance(theirs, torch.Tensor) else theirs[0]
    np.testing.assert_allclose(dx, theirs, rtol=1e-14)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gelu_has_its_limits_at_infinity(implementation, dtype):
    ends = np.repeat(np.array([-np.inf, np.inf], dtype), 20)
    with fnn.implementation(implementation):
        np.testing.assert_array_equal(fnn.functional.gelu(ends), np.maximum(ends, 0))
        np.testing.assert_array_equal(fnn.functional.gelu_backward(np.ones_like(ends), ends), (ends > 0).astype(dtype))
