"""The networks that are timed."""

from __future__ import annotations

from typing import Any

from fastnn._bench.settings import Network

LENET = (
    *(("conv", 1, 20, 5, 0), ("relu",), ("maxpool", 2)),
    *(("conv", 20, 50, 5, 0), ("relu",), ("maxpool", 2), ("flatten",)),
    *(("linear", 800, 500), ("relu",), ("linear", 500, 10)),
)

MLP = (
    ("flatten",),
    *(("linear", 784, 666), ("relu",), ("linear", 666, 666), ("relu",), ("linear", 666, 10)),
)

CNN = (
    *(("conv", 3, 32, 3, 0), ("batchnorm", 32), ("relu",), ("maxpool", 2)),
    *(("conv", 32, 64, 3, 1), ("batchnorm", 64), ("relu",), ("maxpool", 2)),
    *(("conv", 64, 128, 3, 1), ("batchnorm", 128), ("relu",), ("maxpool", 2), ("flatten",)),
    *(("linear", 1152, 256), ("relu",), ("dropout", 0.5), ("linear", 256, 10)),
)

SMALL_VGG = (
    *(("conv", 1, 16, 3, 3), ("relu",), ("conv", 16, 16, 3, 1), ("relu",), ("maxpool", 2)),
    *(("conv", 16, 32, 3, 1), ("relu",), ("conv", 32, 32, 3, 1), ("relu",), ("maxpool", 2)),
    *(("conv", 32, 64, 3, 1), ("relu",), ("conv", 64, 64, 3, 1), ("relu",), ("maxpool", 2), ("flatten",)),
    *(("linear", 1024, 500), ("relu",), ("linear", 500, 500), ("relu",), ("linear", 500, 10)),
)

VGG11 = (
    *(("conv", 3, 32, 3, 1), ("relu",), ("maxpool", 2)),
    *(("conv", 32, 64, 3, 1), ("relu",), ("conv", 64, 64, 3, 1), ("relu",), ("maxpool", 2)),
    *(("conv", 64, 128, 3, 1), ("relu",), ("conv", 128, 128, 3, 1), ("relu",), ("maxpool", 2)),
    *(("conv", 128, 256, 3, 1), ("relu",), ("conv", 256, 256, 3, 1), ("relu",), ("maxpool", 2), ("flatten",)),
    *(("linear", 4096, 1024), ("relu",), ("linear", 1024, 512), ("relu",), ("linear", 512, 2)),
)

AUTOENCODER = (
    *(("linear", 1024, 32), ("relu",), ("linear", 32, 32), ("relu",), ("linear", 32, 32), ("relu",)),
    *(("linear", 32, 1024), ("sigmoid",)),
)


def _block(inputs: int, outputs: int, stride: int) -> tuple[tuple[Any, ...], ...]:
    """A residual block and its ReLU."""

    def convolved(inputs: int, kernel: int, stride: int) -> tuple[tuple[Any, ...], ...]:
        return ("conv", inputs, outputs, kernel, kernel // 2, stride), ("batchnorm", outputs)

    body = "sequential", *convolved(inputs, 3, stride), ("relu",), *convolved(outputs, 3, 1)
    shortcut = (("sequential", *convolved(inputs, 1, stride)),) if stride > 1 else ()
    return ("residual", body, *shortcut), ("relu",)


def _fire(inputs: int, squeeze: int, expand: int) -> tuple[tuple[Any, ...], ...]:
    expands = (("sequential", ("conv", squeeze, expand, kernel, kernel // 2), ("relu",)) for kernel in (1, 3))
    return ("conv", inputs, squeeze, 1, 0), ("relu",), ("concat", *expands)


RESNET = (
    *(("conv", 3, 32, 3, 1), ("batchnorm", 32), ("relu",)),
    *(*_block(32, 32, 1), *_block(32, 64, 2), *_block(64, 64, 1), *_block(64, 128, 2)),
    *(("avgpool", 16), ("flatten",), ("linear", 128, 2)),
)
SQUEEZENET = (
    *(("conv", 3, 64, 3, 0, 2), ("relu",), ("maxpool", 3, 2), *_fire(64, 16, 64), *_fire(128, 16, 64)),
    *(("maxpool", 3, 2), *_fire(128, 32, 128), *_fire(256, 32, 128), ("maxpool", 3, 2)),
    *(*_fire(256, 48, 192), *_fire(384, 48, 192), *_fire(384, 64, 256), *_fire(512, 64, 256)),
    *(("dropout", 0.5), ("conv", 512, 17, 1, 0), ("relu",), ("avgpool", 5), ("flatten",)),
)

NETWORKS = {
    "lenet": Network("LeNet", LENET, (1, 1, 28, 28)),
    "cnn": Network("CNN", CNN, (1, 3, 32, 32)),
    "svgg": Network("SmallVGG", SMALL_VGG, (1, 1, 28, 28)),
    "vgg11": Network("VGG-11", VGG11, (1, 3, 64, 64), classes=2),
    "resnet": Network("residual network", RESNET, (1, 3, 64, 64), classes=2),
    "squeezenet": Network("SqueezeNet", SQUEEZENET, (1, 3, 96, 96), classes=17),
    "mlp": Network("MLP", MLP, (1, 1, 28, 28)),
    "autoencoder": Network("autoencoder", AUTOENCODER, (1, 1024), classes=None, lr=3e-5),
}
