"""Data sets, downloads and minibatches."""

from ._digits import digits
from ._mnist import mnist
from .batches import batches

__all__ = ["batches", "digits", "mnist"]
