"""The operations as functions on NumPy arrays: the door to the kernels.

Every function follows one pattern: check the arguments, hand over to the NumPy twin if ``implementation("reference")``
is in force, allocate the output, call the kernel, return. The twins carry the documentation, and their docstrings are
given to the functions here at the end of the file.

Arrays are float32 or float64, all of one dtype in a call. They need not be contiguous, aligned or writeable: a kernel
is handed a copy when it needs one. Outputs are new, C-contiguous arrays.
"""

from typing import TYPE_CHECKING

from fastnn import reference
from fastnn.functional.activation import (
    elu,
    elu_backward,
    gelu,
    gelu_backward,
    hardswish,
    hardswish_backward,
    hardtanh,
    hardtanh_backward,
    leaky_relu,
    leaky_relu_backward,
    prelu,
    prelu_backward,
    relu,
    relu_backward,
    selu,
    selu_backward,
    sigmoid,
    sigmoid_backward,
    silu,
    silu_backward,
    softplus,
    softplus_backward,
    tanh,
    tanh_backward,
)
from fastnn.functional.clip import clip_grad_norm_, clip_grad_value_
from fastnn.functional.conv import (
    col2im,
    conv1d,
    conv1d_backward,
    conv2d,
    conv2d_backward,
    fold,
    im2col,
    unfold,
)
from fastnn.functional.conv_transpose import conv_transpose2d, conv_transpose2d_backward
from fastnn.functional.drop import dropout, dropout2d, dropout2d_backward, dropout_backward
from fastnn.functional.embedding import embedding, embedding_backward, index_select
from fastnn.functional.join import add, cat
from fastnn.functional.localnorm import local_response_norm, local_response_norm_backward
from fastnn.functional.loss import cross_entropy, cross_entropy_backward, nll_loss, nll_loss_backward
from fastnn.functional.matmul import linear, linear_backward, matmul
from fastnn.functional.norm import batch_norm, batch_norm_backward
from fastnn.functional.optim import adagrad_step, adam_step, nadam_step, rmsprop_step, sgd_step
from fastnn.functional.pad import pad2d, pad2d_backward
from fastnn.functional.pair_loss import (
    binary_cross_entropy,
    binary_cross_entropy_backward,
    binary_cross_entropy_with_logits,
    binary_cross_entropy_with_logits_backward,
    huber_loss,
    huber_loss_backward,
    kl_div,
    kl_div_backward,
    l1_loss,
    l1_loss_backward,
    mse_loss,
    mse_loss_backward,
    smooth_l1_loss,
    smooth_l1_loss_backward,
)
from fastnn.functional.pool import (
    avgpool1d,
    avgpool1d_backward,
    avgpool2d,
    avgpool2d_backward,
    maxpool1d,
    maxpool1d_backward,
    maxpool2d,
    maxpool2d_backward,
)
from fastnn.functional.resample import (
    adaptive_avgpool2d,
    adaptive_avgpool2d_backward,
    adaptive_maxpool2d,
    adaptive_maxpool2d_backward,
    interpolate,
    interpolate_backward,
)
from fastnn.functional.rownorm import (
    group_norm,
    group_norm_backward,
    instance_norm,
    instance_norm_backward,
    layer_norm,
    layer_norm_backward,
)
from fastnn.functional.shape import flatten, unflatten
from fastnn.functional.softmax import log_softmax, log_softmax_backward, softmax, softmax_backward

__all__ = [
    "adagrad_step",
    "adam_step",
    "adaptive_avgpool2d",
    "adaptive_avgpool2d_backward",
    "adaptive_maxpool2d",
    "adaptive_maxpool2d_backward",
    "add",
    "avgpool1d",
    "avgpool1d_backward",
    "avgpool2d",
    "avgpool2d_backward",
    "batch_norm",
    "batch_norm_backward",
    "binary_cross_entropy",
    "binary_cross_entropy_backward",
    "binary_cross_entropy_with_logits",
    "binary_cross_entropy_with_logits_backward",
    "cat",
    "clip_grad_norm_",
    "clip_grad_value_",
    "col2im",
    "conv1d",
    "conv1d_backward",
    "conv2d",
    "conv2d_backward",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "cross_entropy",
    "cross_entropy_backward",
    "dropout",
    "dropout2d",
    "dropout2d_backward",
    "dropout_backward",
    "elu",
    "elu_backward",
    "embedding",
    "embedding_backward",
    "flatten",
    "fold",
    "gelu",
    "gelu_backward",
    "group_norm",
    "group_norm_backward",
    "hardswish",
    "hardswish_backward",
    "hardtanh",
    "hardtanh_backward",
    "huber_loss",
    "huber_loss_backward",
    "im2col",
    "index_select",
    "instance_norm",
    "instance_norm_backward",
    "interpolate",
    "interpolate_backward",
    "kl_div",
    "kl_div_backward",
    "l1_loss",
    "l1_loss_backward",
    "layer_norm",
    "layer_norm_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "linear",
    "linear_backward",
    "local_response_norm",
    "local_response_norm_backward",
    "log_softmax",
    "log_softmax_backward",
    "matmul",
    "maxpool1d",
    "maxpool1d_backward",
    "maxpool2d",
    "maxpool2d_backward",
    "mse_loss",
    "mse_loss_backward",
    "nadam_step",
    "nll_loss",
    "nll_loss_backward",
    "pad2d",
    "pad2d_backward",
    "prelu",
    "prelu_backward",
    "relu",
    "relu_backward",
    "rmsprop_step",
    "selu",
    "selu_backward",
    "sgd_step",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "smooth_l1_loss",
    "smooth_l1_loss_backward",
    "softmax",
    "softmax_backward",
    "softplus",
    "softplus_backward",
    "tanh",
    "tanh_backward",
    "unflatten",
    "unfold",
]

for _name in __all__:
    globals()[_name].__doc__ = getattr(reference, _name).__doc__
del _name

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Refuse, and say what is in the place of a name that PyTorch has."""
        from fastnn._validate import habits

        raise habits.no_name("fastnn.functional", name, __all__, habits.OF_FUNCTIONAL)
