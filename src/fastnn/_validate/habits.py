"""What PyTorch has and fastnn has not, or has under another name: where to look.

Imported when somebody has asked for such a name, and not before.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any

NO_GRAPH = "there is no graph to cut: backward is called layer by layer, and net.eval() keeps nothing for it"
ARRAYS = "arrays are NumPy's, as np.array(values, np.float32)"
DTYPES = "dtypes are NumPy's: np.float32 or np.float64"
ON_CPU = "everything is on the CPU: leave it out"
SUBMODULES = ("cli", "data", "interop", "layers", "losses", "plots", "recipes", "training", "vision")

OF_PACKAGE = {
    **dict.fromkeys(("no_grad", "enable_grad", "inference_mode", "set_grad_enabled", "is_grad_enabled"), NO_GRAPH),
    **dict.fromkeys(("autograd",), "net.backward(criterion.backward()) gives the gradients"),
    **dict.fromkeys(("Tensor", "tensor", "as_tensor", "from_numpy", "asarray", "array", "FloatTensor"), ARRAYS),
    **dict.fromkeys(("zeros", "ones", "full", "arange", "linspace", "empty", "stack", "where", "ndarray"), ARRAYS),
    **dict.fromkeys(("rand", "randn", "randint", "randperm"), "random arrays are NumPy's: np.random.default_rng(0)"),
    **dict.fromkeys(("float32", "float64", "float", "double", "int64", "long", "dtype"), DTYPES),
    **dict.fromkeys(("float16", "half", "bfloat16", "set_default_dtype"), DTYPES),
    **dict.fromkeys(("cuda", "device", "mps", "backends", "set_default_device", "amp"), ON_CPU),
    "nn": "layers and losses are in fastnn itself, as fastnn.Linear, and functions in fastnn.functional",
    "utils": "minibatches are made by fastnn.data.batches, gradients are clipped by fastnn.clip_grad_norm_",
    "Trainer": "it is fastnn.training.Trainer",
    "DataLoader": "minibatches are made by fastnn.data.batches, or by fastnn.training.Trainer",
    "Dataset": "data are arrays: fastnn.data has the readers",
    "compile": "in eval mode a Sequential runs in one call of compiled code without it",
    "jit": "in eval mode a Sequential runs in one call of compiled code without it",
    "seed": "fastnn.manual_seed(seed)",
    "random": "fastnn.manual_seed(seed) seeds, and NumPy draws",
    "hub": "there are no trained networks to load",
    "ParameterList": "parameters are attributes of their layer",
    "ParameterDict": "parameters are attributes of their layer",
    "Softmax2d": "it is Softmax(dim=1)",
    "UpsamplingNearest2d": "it is Upsample(scale_factor=2)",
    "UpsamplingBilinear2d": "it is Upsample(scale_factor=2, mode='bilinear', align_corners=True)",
    "CrossMapLRN2d": "it is LocalResponseNorm",
    "SyncBatchNorm": "it is BatchNorm2d",
    "NLLLoss2d": "it is NLLLoss, which takes images of labels",
    "Swish": "it is SiLU",
}

OF_FUNCTIONAL = {
    "one_hot": "np.eye(classes, dtype=np.float32)[labels]",
    "normalize": "x / np.linalg.norm(x, axis=1, keepdims=True)",
    "upsample": "it is interpolate",
    "relu_": "it is relu, which gives another array",
}

OF_MODULES = {
    **dict.fromkeys(("cuda", "device", "mps", "share_memory", "xpu"), ON_CPU),
    **dict.fromkeys(("half", "bfloat16"), "parameters are float32 or float64: net.float() or net.double()"),
    "type": "net.to(np.float32) or net.to(np.float64)",
    "compile": "in eval mode a Sequential runs in one call of compiled code without it",
    "register_backward_hook": "hooks are called after a forward: register_forward_hook",
    "register_full_backward_hook": "hooks are called after a forward: register_forward_hook",
    "register_forward_pre_hook": "hooks are called after a forward: register_forward_hook",
    "register_module": "it is add_module",
    "get_parameter": "dict(net.named_parameters())[name]",
    "get_buffer": "dict(net.named_buffers())[name]",
    "step": "steps are taken by an optimiser, as fastnn.SGD(net.parameters(), lr=0.1)",
    "fit": "fastnn.training.Trainer(net, criterion, optimizer).fit((x, y), epochs=1)",
    "predict": "net.eval()(x), or fastnn.training.Trainer.predict, which goes piece by piece",
}

OF_LOSSES = dict.fromkeys(
    ("detach", "cpu", "cuda", "numpy", "data", "grad", "grad_fn", "requires_grad", "tolist", "retain_grad"),
    "it is a float, and belongs to no graph: use it as it is",
)


def no_name(owner: str, name: str, names: Collection[str], pointers: Mapping[str, str]) -> AttributeError:
    """The error for a `name` that a module of fastnn has not: what is in its place, or those of `names` like it."""
    message = f"{owner} has no {name}"
    if owner == "fastnn" and name in SUBMODULES:
        message += f" before it is imported: import fastnn.{name}"
    elif name in pointers:
        message += f": {pointers[name]}"
    elif not name.startswith("_"):  # what Python itself and its tools look for
        by_case = {each.lower(): each for each in names}
        near = difflib.get_close_matches(name.lower(), by_case, 3, 0.5)
        there = "; nearest: " + ", ".join(by_case[each] for each in near)
        message += there if near else f": dir({owner}) has all names"
    return AttributeError(message, name=name)


def no_attribute(owner: Any, name: str, pointers: Mapping[str, str]) -> AttributeError:
    """The error for an attribute that an object has not."""
    kind = owner.__name__ if isinstance(owner, type) else type(owner).__name__
    if name in pointers:
        return AttributeError(f"{kind} has no {name}: {pointers[name]}", name=name, obj=owner)
    return AttributeError(f"{kind!r} object has no attribute {name!r}", name=name, obj=owner)
