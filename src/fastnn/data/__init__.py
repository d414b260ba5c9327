"""Data sets, downloads and minibatches."""

from fastnn.data._digits import digits
from fastnn.data._mnist import mnist
from fastnn.data.batches import batches

__all__ = ["batches", "digits", "mnist"]
