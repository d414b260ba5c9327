"""MNIST as one MATLAB file, as courses hand it out: mnist_all.mat."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastnn.data.arrays import read_arrays

MAT = "mnist_all.mat"


def read_mnist_mat(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Bytes (N, 28, 28) and labels (N,) for training and for testing, sorted by class."""
    arrays = read_arrays(path, *(f"{part}{digit}" for part in ("train", "test") for digit in range(10)))
    for name, images in arrays.items():
        if images.dtype != np.uint8 or images.ndim != 2 or images.shape[1] != 784:
            raise ValueError(f"{path}: {name} is {images.dtype} {images.shape}, expected uint8 (n, 784)")
    parts = []
    for part in ("train", "test"):
        stacks = [arrays[f"{part}{digit}"] for digit in range(10)]
        images = np.concatenate(stacks).reshape(-1, 28, 28)
        parts.append((images, np.repeat(np.arange(10), [len(stack) for stack in stacks])))
    return parts
