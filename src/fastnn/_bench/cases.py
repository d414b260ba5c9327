"""What is timed: the shapes of the networks that fastnn is made for. Add a shape to a table and all follows."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._bench.networks import NETWORKS
from fastnn._bench.settings import (
    Conv,
    ConvTranspose,
    Elementwise,
    Frame,
    Linear,
    Network,
    Pairs,
    Patches,
    Pool,
    Resample,
    Signal,
    Table,
)

Array = NDArray[Any]


@dataclass(frozen=True)
class BenchCase:
    """One thing to time. `flop` and `moved` are its arithmetic and the bytes it must read and write at least."""

    family: str
    name: str
    direction: str
    setting: Any
    flop: float = 0.0
    moved: float = 0.0

    def __str__(self) -> str:
        return f"{self.family}/{self.name}/{self.direction}"

    @property
    def shape(self) -> str:
        """What it works on, in a few letters."""
        return f"{self.setting.parameters:,} numbers" if self.family in STEPS else str(self.setting)

    @property
    def group(self) -> str:
        """What its ratio is averaged with."""
        return f"{GROUPS.get(self.family, self.family)} {self.direction}"

    def rate(self, seconds: float) -> str:
        """What a time means in GFLOP/s, or in GB/s where no arithmetic to speak of is done."""
        if self.flop:
            return f"{self.flop / seconds / 1e9:.0f} GFLOP/s"
        return f"{self.moved / seconds / 1e9:.1f} GB/s" if self.moved else ""


# Functions element by element whose backward sees the input; that of the others sees the output.
OF_INPUT = ("leaky_relu", "prelu", "elu", "selu", "gelu", "silu", "softplus", "hardtanh", "hardswish", "relu6")

GROUPS = {
    **dict.fromkeys(("adaptive_avg_pool2d", "adaptive_max_pool2d", "interpolate"), "resampling"),
    **dict.fromkeys(("max_pool2d", "avg_pool2d", "max_pool1d", "avg_pool1d"), "pooling"),
    **dict.fromkeys(("adam", "adamw", "nadam", "rmsprop", "adagrad"), "adaptive"),
    **dict.fromkeys(("relu", "sigmoid", "tanh", "softmax", "log_softmax"), "activations"),
    **dict.fromkeys(("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "kl_div", "nll_loss"), "losses"),
    **dict.fromkeys(("binary_cross_entropy", "binary_cross_entropy_with_logits"), "losses"),
    **dict.fromkeys(OF_INPUT, "later activations"),
}

CONVS = {
    "lenet1": Conv((64, 1, 28, 28), 20, 5),
    "lenet2": Conv((64, 20, 12, 12), 50, 5),
    "svgg1": Conv((64, 1, 28, 28), 16, 3, 1, 3),
    "svgg2": Conv((64, 16, 32, 32), 16, 3, 1, 1),
    "svgg4": Conv((64, 32, 16, 16), 32, 3, 1, 1),
    "svgg6": Conv((64, 64, 8, 8), 64, 3, 1, 1),
    "vgg1": Conv((128, 3, 64, 64), 32, 3, 1, 1),
    "vgg2": Conv((128, 32, 32, 32), 64, 3, 1, 1),
    "vgg3": Conv((128, 64, 32, 32), 64, 3, 1, 1),
    "vgg5": Conv((128, 128, 16, 16), 128, 3, 1, 1),
    "vgg7": Conv((128, 256, 8, 8), 256, 3, 1, 1),
    "cmu1": Conv((32, 3, 32, 32), 32, 3),
    "cmu2": Conv((32, 32, 15, 15), 64, 3, 1, 1),
    "cmu3": Conv((32, 64, 7, 7), 128, 3, 1, 1),
    "sq1": Conv((8, 3, 224, 224), 64, 3, 2),
    "sq1x1": Conv((8, 64, 55, 55), 16, 1),
    "res1x1": Conv((8, 256, 56, 56), 64, 1),
    "res_s2": Conv((8, 128, 56, 56), 128, 3, 2, 1),
    "dilated": Conv((8, 64, 56, 56), 64, 3, 1, 2, dilation=2),
    "grouped": Conv((8, 128, 56, 56), 128, 3, 1, 1, groups=32),
    "depthwise": Conv((8, 64, 56, 56), 64, 3, 1, 1, groups=64),
}

# A generator's way from 28 to 56 pixels.
CONV_TRANSPOSES = {"dcgan": ConvTranspose((8, 128, 28, 28), 64, 4, 2, 1)}

# A second of sound, cut into features; convolved, and pooled.
SIGNALS = {
    "conv1d": Signal((16, 64, 1000), 64, 5, 1, 2),
    "max_pool1d": Signal((16, 64, 1000), 64, 2, 2),
    "avg_pool1d": Signal((16, 64, 1000), 64, 2, 2),
}
IMAGES: dict[str, Patches | Frame] = {
    "unfold": Patches((32, 16, 32, 32), 3, 1),
    "pad": Frame((32, 16, 32, 32), 1, "reflect"),
}

POOLS = {
    "lenet": Pool((64, 20, 24, 24), 2, 2),
    "vgg": Pool((128, 64, 32, 32), 2, 2),
    "squeeze": Pool((8, 64, 111, 111), 3, 2),
}

RESAMPLES = {
    "adaptive_avg_pool2d": {"squeeze": Resample((8, 512, 13, 13), (1, 1)), "alex": Resample((32, 256, 13, 13), (6, 6))},
    "adaptive_max_pool2d": {"alex": Resample((32, 256, 13, 13), (6, 6))},
    "interpolate": {
        "nearest": Resample((8, 64, 28, 28), (56, 56), "nearest"),
        "bilinear": Resample((8, 64, 28, 28), (56, 56), "bilinear"),
        "bicubic": Resample((8, 64, 28, 28), (56, 56), "bicubic"),
    },
}

TABLES = {"words": Table((64, 64), 10_000, 128)}
SELECTIONS = {"minibatch": Table((64,), 10_000, 784)}

LINEARS = {
    "mlp": Linear(64, 784, 666),
    "mlp-hidden": Linear(100, 666, 666),
    "vgg": Linear(128, 4096, 1024),
    "one-image": Linear(1, 784, 500),
}

ACTIVATIONS: dict[str, dict[str, Elementwise]] = {
    "relu": {"lenet": Elementwise((64, 500)), "vgg": Elementwise((128, 64, 32, 32))},
    "sigmoid": {"characters": Elementwise((64, 1024)), "large": Elementwise((128, 16, 32, 32))},
    "tanh": {"characters": Elementwise((64, 1024)), "large": Elementwise((128, 16, 32, 32))},
    "softmax": {"digits": Elementwise((64, 10)), "imagenet": Elementwise((128, 1000))},
    "log_softmax": {"digits": Elementwise((64, 10)), "imagenet": Elementwise((128, 1000))},
}

# Behind the first convolution of a small network, PReLU with a slope for each channel.
ACTIVATIONS |= {name: {"cmu1": Elementwise((32, 32, 30, 30))} for name in OF_INPUT}

# Behind the convolutions of a small and of a large network, and behind a linear layer.
NORMS = {
    "cmu1": Elementwise((32, 32, 30, 30)),
    "cmu3": Elementwise((32, 128, 7, 7)),
    "vgg3": Elementwise((128, 64, 32, 32)),
    "mlp": Elementwise((64, 500)),
}

# Behind the convolutions of a small network, and of AlexNet; behind a linear layer.
OTHER_NORMS = {
    "layer_norm": {"mlp": Elementwise((64, 500)), "transformer": Elementwise((512, 768))},
    "group_norm": {"cmu1": Elementwise((32, 32, 30, 30)), "cmu3": Elementwise((32, 128, 7, 7))},
    "instance_norm": {"cmu1": Elementwise((32, 32, 30, 30))},
    "local_response_norm": {"alexnet": Elementwise((8, 64, 27, 27))},
}

DROPOUTS = {"mlp": Elementwise((64, 256)), "vgg3": Elementwise((128, 64, 32, 32))}

# What comes out of branches of a network: for one image, and for a minibatch.
JOINS = {"one": Elementwise((1, 64, 32, 32)), "res": Elementwise((32, 64, 32, 32))}

LOSSES = {"digits": Elementwise((64, 10)), "characters": Elementwise((64, 36)), "imagenet": Elementwise((128, 1000))}

# A batch of the autoencoder's pictures.
PAIRS = {
    **dict.fromkeys(("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"), Pairs((36, 1024))),
    "binary_cross_entropy": Pairs((36, 1024), "probabilities"),
    "binary_cross_entropy_with_logits": Pairs((36, 1024)),
    "kl_div": Pairs((36, 1024), "logarithms"),
}

# The minibatches that each is trained on, and those that it is asked about.
TRAINED_ON = {
    "lenet": (64,),
    "cnn": (32,),
    "svgg": (64,),
    "vgg11": (128,),
    "resnet": (32,),
    "squeezenet": (16,),
    "mlp": (100, 4),
    "autoencoder": (36,),
    "lenet5": (2048, 128, 32),
    "tanh": (10_000, 100),
}
ASKED_ABOUT = (1, 64)

# The networks whose parameters an optimiser changes, and the arrays that it reads and writes of each parameter.
STEPS = {
    "sgd": (("lenet", "svgg", "mlp", "autoencoder"), 5),
    "adam": (("lenet", "autoencoder"), 7),
    "adamw": (("lenet",), 7),
    "nadam": (("lenet",), 7),
    "rmsprop": (("lenet",), 5),
    "adagrad": (("lenet",), 5),
}

FLOAT = 4  # bytes


def _network_cases() -> Iterator[BenchCase]:
    for name, net in NETWORKS.items():
        for n in TRAINED_ON[name]:
            yield BenchCase("training", f"{name}-b{n}", "step", net.batch(n))
    for name, net in NETWORKS.items():
        for n in ASKED_ABOUT if net.optimizer == "sgd" else ():
            yield BenchCase("inference", f"{name}-b{n}", "forward", net.batch(n))


def _window_cases() -> Iterator[BenchCase]:
    for name, conv in CONVS.items():
        flop = 2.0 * math.prod(conv.y) * math.prod(conv.w[1:])
        yield BenchCase("conv", name, "forward", conv, flop)
        yield BenchCase("conv", name, "backward", conv, 2 * flop)
    for name, transposed in CONV_TRANSPOSES.items():
        flop = 2.0 * math.prod(transposed.x) * math.prod(transposed.w[1:])
        yield BenchCase("conv_transpose", name, "forward", transposed, flop)
        yield BenchCase("conv_transpose", name, "backward", transposed, 2 * flop)
    for family, signal in SIGNALS.items():
        flop = 2.0 * math.prod(signal.y) * math.prod(signal.w[1:]) if family == "conv1d" else 0
        size = FLOAT * (math.prod(signal.x) + math.prod(signal.y))
        yield BenchCase(family, "sound", "forward", signal, flop, size)
        yield BenchCase(family, "sound", "backward", signal, 2 * flop, size)
    for family, images in IMAGES.items():
        size = FLOAT * (math.prod(images.x) + math.prod(images.y))
        yield BenchCase(family, "svgg", "forward", images, 0, size)
        yield BenchCase(family, "svgg", "backward", images, 0, size)
    for name, pool in POOLS.items():
        x, y = FLOAT * math.prod(pool.x), FLOAT * math.prod(pool.y)
        places = y / FLOAT  # a byte each
        yield BenchCase("max_pool2d", name, "forward", pool, 0, x + y + places)
        yield BenchCase("max_pool2d", name, "backward", pool, 0, x + y + places)
        yield BenchCase("avg_pool2d", name, "forward", pool, 0, x + y)
        yield BenchCase("avg_pool2d", name, "backward", pool, 0, x + y)
    for family, resamples in RESAMPLES.items():
        for name, resample in resamples.items():
            size = FLOAT * (math.prod(resample.x) + math.prod(resample.y))
            yield BenchCase(family, name, "forward", resample, 0, size)
            yield BenchCase(family, name, "backward", resample, 0, size)


def _row_cases() -> Iterator[BenchCase]:
    for name, table in TABLES.items():
        size = FLOAT * math.prod(table.x) * table.columns
        yield BenchCase("embedding", name, "forward", table, 0, 2 * size)
        yield BenchCase("embedding", name, "backward", table, 0, 2 * size + FLOAT * table.rows * table.columns)
    for name, table in SELECTIONS.items():
        yield BenchCase("index_select", name, "forward", table, 0, 2 * FLOAT * math.prod(table.x) * table.columns)
    for name, linear in LINEARS.items():
        flop = 2.0 * linear.rows * linear.inputs * linear.outputs
        yield BenchCase("linear", name, "forward", linear, flop)
        yield BenchCase("linear", name, "backward", linear, 2 * flop)


def _elementwise_cases() -> Iterator[BenchCase]:
    for family, settings in ACTIVATIONS.items():
        for name, setting in settings.items():
            size = FLOAT * math.prod(setting.x)
            yield BenchCase(family, name, "forward", setting, 0, 2 * size)
            yield BenchCase(family, name, "backward", setting, 0, 3 * size)
    for name, setting in NORMS.items():
        size = FLOAT * math.prod(setting.x)
        yield BenchCase("batch_norm", name, "forward", setting, 0, 2 * size)
        yield BenchCase("batch_norm", name, "backward", setting, 0, 3 * size)
    for family, settings in OTHER_NORMS.items():
        for name, setting in settings.items():
            size = FLOAT * math.prod(setting.x)
            yield BenchCase(family, name, "forward", setting, 0, 2 * size)
            yield BenchCase(family, name, "backward", setting, 0, 3 * size)
    for name, setting in DROPOUTS.items():
        size = FLOAT * math.prod(setting.x)
        yield BenchCase("dropout", name, "forward", setting, 0, 2 * size)
        yield BenchCase("dropout", name, "backward", setting, 0, 2 * size)
    for name, setting in JOINS.items():
        size = FLOAT * math.prod(setting.x)
        yield BenchCase("add", name, "forward", setting, 0, 3 * size)
        yield BenchCase("cat", name, "forward", setting, 0, 4 * size)


def _loss_cases() -> Iterator[BenchCase]:
    for name, setting in LOSSES.items():
        size = FLOAT * math.prod(setting.x)
        yield BenchCase("cross_entropy", name, "forward", setting, 0, size)
        yield BenchCase("cross_entropy", name, "backward", setting, 0, 2 * size)
    for direction in ("forward", "backward"):
        yield BenchCase("nll_loss", "imagenet", direction, LOSSES["imagenet"])
        for family, pairs in PAIRS.items():
            yield BenchCase(family, "pictures", direction, pairs)


def _step_cases() -> Iterator[BenchCase]:
    for family, (names, arrays) in STEPS.items():
        for name in names:
            yield BenchCase(family, name, "step", NETWORKS[name], 0, arrays * FLOAT * NETWORKS[name].parameters)


CASES: tuple[BenchCase, ...] = (
    *_network_cases(),
    *_window_cases(),
    *_row_cases(),
    *_elementwise_cases(),
    *_loss_cases(),
    *_step_cases(),
)

# A minute's worth that touches every family: the networks' own layers at their own sizes.
QUICK = re.compile(r"lenet|(add|cat)/one|digits|mlp-b|(linear|norm|dropout)/mlp/|characters|svgg[16]/")


def cases_of(*families: str) -> tuple[BenchCase, ...]:
    return tuple(case for case in CASES if case.family in families)


def draw(case: BenchCase) -> dict[str, Array]:
    """The arrays of a case, the same for everybody, float32."""
    rng = np.random.default_rng(1)

    def normal(*shape: int) -> Array:
        return rng.standard_normal(shape, dtype=np.float32)

    match case.setting:
        case Conv() | ConvTranspose() | Signal() as s:
            return {
                "x": normal(*s.x),
                "w": normal(*s.w) * np.float32(0.1),
                "b": normal(s.filters),
                "dy": normal(*s.y),
            }
        case Table() as s:
            return {
                "x": rng.integers(0, s.rows, s.x),
                "w": normal(s.rows, s.columns),
                "dy": normal(*s.x, s.columns),
            }
        case Pool() | Resample() | Patches() | Frame() as s:
            return {"x": normal(*s.x), "dy": normal(*s.y)}
        case Linear() as s:
            return {
                "x": normal(s.rows, s.inputs),
                "w": normal(s.outputs, s.inputs) * np.float32(0.1),
                "b": normal(s.outputs),
                "dy": normal(s.rows, s.outputs),
            }
        case Network() as s:
            x = rng.random(s.x, dtype=np.float32)
            return {"x": x, "target": x if s.classes is None else rng.integers(0, s.classes, s.x[0])}
        case Pairs() as s:
            x, p = normal(*s.x), rng.random(s.x, dtype=np.float32)
            outputs = {"scores": x, "probabilities": p, "logarithms": -np.abs(x)}[s.outputs]
            return {"x": outputs, "target": rng.random(s.x, dtype=np.float32)}
        case Elementwise() as s:
            arrays = {"x": normal(*s.x), "dy": normal(*s.x), "labels": rng.integers(0, s.x[-1], s.x[0])}
            return {**arrays, "w": normal(*s.x[1:2]), "b": normal(*s.x[1:2])}
    raise AssertionError(f"no arrays for {case}")
