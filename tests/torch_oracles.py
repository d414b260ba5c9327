"""What PyTorch makes of the operations of the case list, by their names and with their arguments; float64 tensors.

`torch` is None where it is not installed.
"""

import math
import warnings

import numpy as np


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


def convolution(name):
    """The convolution of this name and its gradients, as the case list has them."""

    def function(*arrays, **options):
        return getattr(torch.nn.functional, name)(*arrays, **options)

    def forward(x, w, b=None, *, activation=None, **options):
        y = function(x, w, b, **options)
        return torch.relu(y) if activation == "relu" else y

    def backward(dy, x, w, *, needs=("dx", "dw", "db"), **options):
        b = torch.zeros(dy.shape[1], dtype=w.dtype)
        return autograd(lambda x, w, b: function(x, w, b, **options), dy, x, w, b)

    return staticmethod(forward), staticmethod(backward)


class Oracle:
    """The operations of the case list in PyTorch. Arrays come in and go out as tensors."""

    conv1d, conv1d_backward = convolution("conv1d")
    conv2d, conv2d_backward = convolution("conv2d")
    conv_transpose1d, conv_transpose1d_backward = convolution("conv_transpose1d")
    conv_transpose2d, conv_transpose2d_backward = convolution("conv_transpose2d")

    @staticmethod
    def add(a, b, *, activation=None):
        return torch.relu(a + b) if activation == "relu" else a + b

    @staticmethod
    def cat(arrays, dim=0):
        return torch.cat([torch.from_numpy(a) for a in arrays], dim)

    @staticmethod
    def pad(x, padding, mode="constant", value=None):
        sides = padding if isinstance(padding, tuple) else (padding,) * 4
        return torch.nn.functional.pad(x, sides, mode=mode, value=value)

    @staticmethod
    def pad_backward(dy, padding, mode="constant"):
        sides = padding if isinstance(padding, tuple) else (padding,) * 4
        x = torch.nn.functional.pad(dy, [-width for width in sides]).zero_()
        return autograd(lambda x: Oracle.pad(x, padding, mode=mode), dy, x)

    @staticmethod
    def unfold(x, kernel_size, **options):
        return torch.nn.functional.unfold(x, kernel_size, **options)

    @staticmethod
    def fold(cols, output_size, kernel_size, **options):
        return torch.nn.functional.fold(cols, output_size, kernel_size, **options)

    @staticmethod
    def max_pool2d(x, kernel_size, *, return_positions=False, return_indices=False, **options):
        arguments = pool_arguments(kernel_size, **options)
        y, places = torch.nn.functional.max_pool2d(x, *arguments, True)
        if not return_positions:
            return (y, places) if return_indices else y
        positions = as_positions(places, x.shape[2:], *arguments)
        return (y, positions, places) if return_indices else (y, positions)

    @staticmethod
    def max_pool2d_backward(dy, positions, input_size, kernel_size, **options):
        k, s, p, d, ceil_mode = pool_arguments(kernel_size, **options)
        places = torch.from_numpy(flat_positions(positions.numpy(), input_size, kernel_size, **options))
        x = torch.zeros((*dy.shape[:2], *input_size), dtype=dy.dtype)
        return torch.ops.aten.max_pool2d_with_indices_backward(dy, x, k, s, p, d, ceil_mode, places)

    @staticmethod
    def avg_pool2d(x, kernel_size, **options):
        return torch.nn.functional.avg_pool2d(x, kernel_size, **options)

    @staticmethod
    def avg_pool2d_backward(dy, input_size, kernel_size, **options):
        x = torch.zeros((*dy.shape[:2], *input_size), dtype=dy.dtype)
        return autograd(lambda x: Oracle.avg_pool2d(x, kernel_size, **options), dy, x)

    @staticmethod
    def max_pool1d(x, kernel_size, *, return_positions=False, return_indices=False, **options):
        y, places = torch.nn.functional.max_pool1d(x, kernel_size, **options, return_indices=True)
        stride, padding = options["stride"] or kernel_size, options["padding"]
        first = torch.arange(y.shape[2]) * stride - padding
        positions = (places - first) // options["dilation"]
        return (y, positions, places) if return_indices else y

    @staticmethod
    def max_pool1d_backward(dy, positions, input_size, kernel_size, **options):
        rows = dy[:, :, None], positions[:, :, None], (1, input_size), (1, kernel_size)
        return Oracle.max_pool2d_backward(*rows, **rows_of_planes(options))[:, :, 0]

    @staticmethod
    def avg_pool1d(x, kernel_size, **options):
        return torch.nn.functional.avg_pool1d(x, kernel_size, **options)

    @staticmethod
    def avg_pool1d_backward(dy, input_size, kernel_size, **options):
        x = torch.zeros((*dy.shape[:2], input_size), dtype=dy.dtype)
        return autograd(lambda x: Oracle.avg_pool1d(x, kernel_size, **options), dy, x)

    @staticmethod
    def adaptive_avg_pool1d(x, output_size):
        return torch.nn.functional.adaptive_avg_pool1d(x, output_size or x.shape[2])

    @staticmethod
    def adaptive_avg_pool1d_backward(dy, input_size):
        x = torch.zeros((*dy.shape[:2], *input_size), dtype=dy.dtype)
        return autograd(lambda x: Oracle.adaptive_avg_pool1d(x, dy.shape[2]), dy, x)

    @staticmethod
    def adaptive_max_pool1d(x, output_size, *, return_indices=False):
        return torch.nn.functional.adaptive_max_pool1d(x, output_size or x.shape[2], return_indices)

    @staticmethod
    def adaptive_max_pool1d_backward(dy, indices, input_size):
        return torch.zeros((*dy.shape[:2], *input_size), dtype=dy.dtype).scatter_add_(2, indices, dy)

    @staticmethod
    def adaptive_avg_pool2d(x, output_size):
        return torch.nn.functional.adaptive_avg_pool2d(x, output_size or (None, None))

    @staticmethod
    def adaptive_avg_pool2d_backward(dy, input_size):
        x = torch.zeros((*dy.shape[:2], *input_size), dtype=dy.dtype)
        return autograd(lambda x: Oracle.adaptive_avg_pool2d(x, dy.shape[2:]), dy, x)

    @staticmethod
    def adaptive_max_pool2d(x, output_size, *, return_indices=False):
        return torch.nn.functional.adaptive_max_pool2d(x, output_size or (None, None), return_indices)

    @staticmethod
    def adaptive_max_pool2d_backward(dy, indices, input_size):
        x = torch.zeros((*dy.shape[:2], *input_size), dtype=dy.dtype)
        return torch.ops.aten.adaptive_max_pool2d_backward(dy, x, indices)

    @staticmethod
    def interpolate(x, size, scale_factor, **options):
        return torch.nn.functional.interpolate(x, size, scale_factor, **options)

    @staticmethod
    def interpolate_backward(dy, input_size, size, scale_factor, **options):
        if options.get("mode") == "bicubic":  # its own copies dy where the size stays, whatever the scale is
            pixels = math.prod(input_size)
            eye = torch.eye(pixels, dtype=dy.dtype).reshape(1, pixels, *input_size)
            weights = Oracle.interpolate(eye, size, scale_factor, **options)[0]
            return torch.einsum("nchw,phw->ncp", dy, weights).reshape(*dy.shape[:2], *input_size)
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
    def pixel_shuffle(x, factor):
        return torch.nn.functional.pixel_shuffle(x, factor)

    @staticmethod
    def pixel_unshuffle(x, factor):
        return torch.nn.functional.pixel_unshuffle(x, factor)

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
