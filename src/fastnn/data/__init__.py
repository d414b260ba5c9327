"""Data sets, downloads, image files, augmentation and minibatches."""

from fastnn.data._characters import CHARACTERS, HW36, Characters, hw36, letters26, nist36
from fastnn.data._cifar10 import CIFAR10_CLASSES, cifar10
from fastnn.data._digits import digits
from fastnn.data._dogs_vs_cats import DOGS_VS_CATS_CLASSES, dogs_vs_cats
from fastnn.data._fashion_mnist import FASHION_CLASSES, fashion_mnist
from fastnn.data._flowers17 import FLOWERS17_CLASSES, flowers17
from fastnn.data._mnist import mnist
from fastnn.data.arrays import read_arrays
from fastnn.data.batches import batches
from fastnn.data.byte_images import ByteImages
from fastnn.data.download import data_folder
from fastnn.data.images import ImageFiles, ImageSet, image_folder, read_image

__all__ = [
    "CHARACTERS",
    "CIFAR10_CLASSES",
    "DOGS_VS_CATS_CLASSES",
    "FASHION_CLASSES",
    "FLOWERS17_CLASSES",
    "HW36",
    "ByteImages",
    "Characters",
    "ImageFiles",
    "ImageSet",
    "batches",
    "cifar10",
    "data_folder",
    "digits",
    "dogs_vs_cats",
    "fashion_mnist",
    "flowers17",
    "hw36",
    "image_folder",
    "letters26",
    "mnist",
    "nist36",
    "read_arrays",
    "read_image",
]
