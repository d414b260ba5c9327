"""The networks that are timed: those of `fastnn.networks`, and what they are given."""

from __future__ import annotations

from functools import partial

from fastnn import layers, networks
from fastnn._bench.settings import Network

# The two workloads that SimpleChains.jl has published: LeNet-5, and this.
TANH = partial(networks.mlp, 4, (32, 16), 4, activation=layers.Tanh)

NETWORKS = {
    "lenet": Network("LeNet", networks.lenet, (1, 1, 28, 28), 431_080),
    "cnn": Network("CNN", networks.cnn, (1, 3, 32, 32), 391_434),
    "svgg": Network("SmallVGG", networks.small_vgg, (1, 1, 28, 28), 839_802),
    "vgg11": Network("VGG-11", networks.vgg11, (1, 3, 64, 64), 5_884_162, classes=2),
    "resnet": Network("residual network", networks.resnet, (1, 3, 64, 64), 381_602, classes=2),
    "squeezenet": Network("SqueezeNet", partial(networks.squeezenet, 17), (1, 3, 96, 96), 731_217, classes=17),
    "lenet5": Network("LeNet-5", networks.lenet5, (1, 1, 28, 28), 44_426, optimizer="adam"),
    "mlp": Network("MLP", networks.mlp, (1, 1, 28, 28), 973_702),
    "autoencoder": Network("autoencoder", networks.autoencoder, (1, 1024), 68_704, classes=None, lr=3e-5),
    "tanh": Network("4-32-16-4", TANH, (1, 4), 756, classes=4, optimizer="adam"),
}
