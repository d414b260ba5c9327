"""Published networks as functions: each makes a new `Sequential` of its widths, its classes and its dtype.

>>> from fastnn import networks
>>> net = networks.lenet(classes=10)
>>> sum(parameter.data.size for parameter in net.parameters())
431080
"""

from fastnn.networks.cnn import cnn
from fastnn.networks.lenet import lenet, lenet5
from fastnn.networks.perceptron import autoencoder, mlp
from fastnn.networks.resnet import resnet
from fastnn.networks.squeezenet import squeezenet
from fastnn.networks.vgg import small_vgg, vgg11

__all__ = ["autoencoder", "cnn", "lenet", "lenet5", "mlp", "resnet", "small_vgg", "squeezenet", "vgg11"]
