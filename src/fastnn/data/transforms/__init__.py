"""Augmentation: random changes of whole batches of images, under torchvision's names and with its arguments.

A transform is called with a batch and, if it draws, a generator: ``transform(x, rng)``; without one it takes the
package's generator, which `fastnn.manual_seed` seeds. Each image of the batch is changed in its own way. The batch
itself is left as it is.
"""

from fastnn.data.transforms.base import Compose, Transform
from fastnn.data.transforms.colour import ColorJitter, Lighting, Normalize, colour_components
from fastnn.data.transforms.geometry import RandomAffine, RandomCrop, RandomHorizontalFlip, RandomResizedCrop
from fastnn.data.transforms.strokes import RandomStrokeWidth

__all__ = [
    "ColorJitter",
    "Compose",
    "Lighting",
    "Normalize",
    "RandomAffine",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "RandomStrokeWidth",
    "Transform",
    "colour_components",
]
