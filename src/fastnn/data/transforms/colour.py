"""Transforms that change the values of pixels. Images are in 0..1, and stay in it where it says so."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastnn.data.transforms.base import Transform, interval

_IN_CACHE = 2**18  # bytes of images that are changed together, so that they and what is made of them stay in the cache
_GREY = (0.2989, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601)


class Normalize(Transform):
    """(x - mean) / std, channel by channel.

    Parameters
    ----------
    mean, std : one number for each channel
    layout : as of `Transform`
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], *, layout: str = "NCHW") -> None:
        super().__init__(layout=layout)
        self.mean, self.std = np.asarray(mean, float), np.asarray(std, float)
        if self.mean.ndim != 1 or self.mean.shape != self.std.shape:
            raise ValueError(f"mean, std: got {mean} and {std}, expected one number for each channel in both")
        if not (self.std > 0).all():
            raise ValueError(f"std: got {std}, expected numbers above 0")

    def apply(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        _check_channels(x, len(self.mean))
        mean, std = (array.astype(x.dtype)[:, None, None] for array in (self.mean, self.std))
        result: np.ndarray = (x - mean) / std
        return result


class ColorJitter(Transform):
    """Change brightness, contrast, saturation and hue of each image, by factors of its own.

    The four follow one another in an order that is drawn for the batch (torchvision draws one for each image). Values
    stay in 0..1. Of grey images (one channel) only brightness and contrast are changed.

    Parameters
    ----------
    brightness, contrast, saturation : bounds of the factor, which is uniform in them; or one number a, for
        ``(max(0, 1 - a), 1 + a)``. A factor of 0 gives black, the image's mean grey, and a grey image
    hue : bounds within -0.5..0.5, or one number for both sides of 0: how far the hue is turned, in turns
    layout : as of `Transform`
    """

    def __init__(
        self,
        brightness: float | tuple[float, float] = 0.0,
        contrast: float | tuple[float, float] = 0.0,
        saturation: float | tuple[float, float] = 0.0,
        hue: float | tuple[float, float] = 0.0,
        *,
        layout: str = "NCHW",
    ) -> None:
        super().__init__(layout=layout)
        self.brightness = interval("brightness", brightness, 1.0, 0.0)
        self.contrast = interval("contrast", contrast, 1.0, 0.0)
        self.saturation = interval("saturation", saturation, 1.0, 0.0)
        self.hue = interval("hue", hue, 0.0, -0.5)
        if self.hue[1] > 0.5:
            raise ValueError(f"hue: got {hue}, expected bounds within -0.5 to 0.5")

    def apply(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        _check_channels(x, 1, 3)
        steps = (
            (_brighten, self.brightness, 1.0),
            (_contrast, self.contrast, 1.0),
            (_saturate, self.saturation, 1.0),
            (_turn_hue, self.hue, 0.0),
        )
        changes = []
        for place in rng.permutation(len(steps)):
            change, bounds, neutral = steps[place]
            amount = rng.uniform(*bounds, (len(x), 1, 1, 1)).astype(x.dtype)
            if bounds != (neutral, neutral):
                changes.append((change, amount))
        y = np.array(x, order="C")
        few = max(1, _IN_CACHE // max(1, x[:1].nbytes))
        for start in range(0, len(x), few):
            part = slice(start, start + few)
            for change, amount in changes:
                y[part] = change(y[part], amount[part])
        return y


class Lighting(Transform):
    """Add one colour to all pixels of an image: noise along the principal components of colours.

    The colour is ``vectors @ (a * values)``, a normal with standard deviation `std`, drawn for each image (Krizhevsky
    et al. 2012). Values may leave 0..1.

    Parameters
    ----------
    std : of the noise
    values, vectors : square roots of the eigenvalues of the colours' covariance, (3,), and its eigenvectors as columns,
        (3, 3); by default those of ImageNet; `colour_components` finds those of other images
    layout : as of `Transform`
    """

    IMAGENET_VALUES = (0.2175, 0.0188, 0.0045)
    IMAGENET_VECTORS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))

    def __init__(
        self,
        std: float = 0.1,
        values: Sequence[float] | np.ndarray = IMAGENET_VALUES,
        vectors: Sequence[Sequence[float]] | np.ndarray = IMAGENET_VECTORS,
        *,
        layout: str = "NCHW",
    ) -> None:
        super().__init__(layout=layout)
        if std < 0:
            raise ValueError(f"std: got {std}, expected at least 0")
        self.std, self.values, self.vectors = float(std), np.asarray(values, float), np.asarray(vectors, float)
        if self.values.shape != (3,) or self.vectors.shape != (3, 3):
            raise ValueError(
                f"values, vectors: got shapes {self.values.shape} and {self.vectors.shape}, expected (3,) and (3, 3)"
            )

    def apply(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        _check_channels(x, 3)
        amount = rng.normal(0.0, self.std, (len(x), 3)) * self.values
        colour = (amount[:, None, :] * self.vectors).sum(axis=2)
        result: np.ndarray = x + colour.astype(x.dtype)[:, :, None, None]
        return result


def colour_components(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The principal components of the colours of images, for `Lighting`.

    Parameters
    ----------
    x : (N, 3, H, W)

    Returns
    -------
    values : (3,) standard deviation along each component, largest first
    vectors : (3, 3) the components, as columns
    """
    if x.ndim != 4 or x.shape[1] != 3:
        raise ValueError(f"x: got an array of shape {x.shape}, expected (N, 3, H, W)")
    squares, vectors = np.linalg.eigh(np.cov(np.moveaxis(x, 1, 0).reshape(3, -1)))
    return np.sqrt(np.maximum(squares[::-1], 0)), vectors[:, ::-1]


def _brighten(x: np.ndarray, factor: np.ndarray) -> np.ndarray:
    y = x * factor
    return np.clip(y, 0, 1, out=y)


def _contrast(x: np.ndarray, factor: np.ndarray) -> np.ndarray:
    return _blend(x, _grey(x).mean(axis=(1, 2, 3), keepdims=True), factor)


def _saturate(x: np.ndarray, factor: np.ndarray) -> np.ndarray:
    return x if x.shape[1] == 1 else _blend(x, _grey(x), factor)


def _turn_hue(x: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Through HSV and back: a channel is the value less the chroma times a trapezium of the hue (Smith 1978)."""
    if x.shape[1] == 1:
        return x
    red, green, blue = x[:, 0], x[:, 1], x[:, 2]
    value = x.max(axis=1)
    chroma = value - x.min(axis=1)
    divisor = np.where(chroma == 0, 1, chroma)
    sixths = np.where(
        value == red,
        (green - blue) / divisor,
        np.where(value == green, (blue - red) / divisor + 2, (red - green) / divisor + 4),
    )
    sixths = sixths + 6 * turn[:, 0]
    y = np.empty_like(x)
    for channel, offset in enumerate((5, 3, 1)):
        k = sixths + offset
        k -= 6 * np.floor(k / 6)  # what % does, in a fifth of its time
        np.clip(np.minimum(k, 4 - k, out=k), 0, 1, out=k)
        np.subtract(value, np.multiply(chroma, k, out=k), out=y[:, channel])
    return y


def _grey(x: np.ndarray) -> np.ndarray:
    if x.shape[1] == 1:
        return x
    red, green, blue = (x[:, k : k + 1] * x.dtype.type(share) for k, share in enumerate(_GREY))
    grey: np.ndarray = red + green + blue
    return grey


def _blend(x: np.ndarray, other: np.ndarray, factor: np.ndarray) -> np.ndarray:
    y = factor * x
    y += (1 - factor) * other
    return np.clip(y, 0, 1, out=y)


def _check_channels(x: np.ndarray, *expected: int) -> None:
    if x.shape[1] not in expected:
        counts = " or ".join(map(str, expected))
        raise ValueError(f"x: got {x.shape[1]} channels, expected {counts}")
