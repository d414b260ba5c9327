"""Data sets, downloads, image files, augmentation and minibatches."""

from fastnn.data._digits import digits
from fastnn.data._fashion_mnist import FASHION_CLASSES, fashion_mnist
from fastnn.data._mnist import mnist
from fastnn.data.arrays import read_arrays
from fastnn.data.batches import batches
from fastnn.data.download import data_folder
from fastnn.data.images import ImageFiles, ImageSet, image_folder, read_image

__all__ = [
    "FASHION_CLASSES",
    "ImageFiles",
    "ImageSet",
    "batches",
    "data_folder",
    "digits",
    "fashion_mnist",
    "image_folder",
    "mnist",
    "read_arrays",
    "read_image",
]
