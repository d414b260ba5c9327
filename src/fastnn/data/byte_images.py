"""Images kept as bytes, a quarter of the memory that floats take."""

from __future__ import annotations

from typing import Any

import numpy as np


class ByteImages:
    """Bytes as an array of floats: what is indexed comes as float32 in 0..1.

    It is indexed like an array along its first axis, and stands for the examples wherever batches are taken from them.

    Parameters
    ----------
    pixels : uint8 (N, C, H, W)

    Attributes
    ----------
    pixels : the bytes
    shape, dtype, ndim : as of the array of floats
    """

    dtype = np.dtype(np.float32)
    ndim = 4

    def __init__(self, pixels: np.ndarray) -> None:
        if pixels.dtype != np.uint8 or pixels.ndim != 4:
            raise ValueError(f"pixels: got {pixels.dtype} {pixels.shape}, expected uint8 (N, C, H, W)")
        self.pixels = pixels

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, H, W)."""
        return self.pixels.shape

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: Any) -> np.ndarray:
        floats: np.ndarray = np.divide(self.pixels[index], np.float32(255), dtype=np.float32)
        return floats

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """All images at once, as np.asarray makes an array of them."""
        if copy is False:
            raise ValueError("bytes cannot become an array of floats without a copy")
        return self[:] if dtype is None else self[:].astype(dtype, copy=False)

    def subset(self, index: Any) -> ByteImages:
        """Some of the images, still as bytes: a part for training, one for testing."""
        return ByteImages(self.pixels[index])
