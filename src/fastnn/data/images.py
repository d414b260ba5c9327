"""Image files, decoded when they are asked for: sets of images that need not fit into memory."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from fastnn._extras import require
from fastnn._runtime import get_num_threads
from fastnn.data._folders import SUFFIXES, all_images_in, folders_in, identity

_CHANNELS = {"L": 1, "RGB": 3}
_FITS = ("crop", "stretch")


def read_image(
    path: str | Path, *, size: int | tuple[int, int] | None = None, mode: str = "RGB", fit: str = "crop"
) -> np.ndarray:
    """Read an image file.

    Turned upright as its EXIF data says; what is transparent becomes white.

    Parameters
    ----------
    path : any format that pillow reads, 8 bits a channel
    size : (height, width), or one number for both; by default as it is
    mode : "RGB" or "L" (grey)
    fit : how it comes to that size: "crop" scales it until it covers the size and takes the middle, "stretch"
        scales height and width apart

    Returns
    -------
    image : float32 (C, H, W) in 0..1

    Raises
    ------
    ValueError
        The file is truncated, corrupt or no image; names the file.
    """
    return _as_floats(_decode(Path(path), None if size is None else _pair(size), _mode(mode), _fit(fit)))


class ImageFiles:
    """Image files as an array (N, C, H, W): what is indexed is read and decoded, by several threads.

    It is indexed like an array along its first axis, by a number, a slice, or an array of numbers or of truth values;
    what comes is a float32 array in 0..1. So it stands for the examples wherever batches are taken from them.

    Parameters
    ----------
    paths : one file an image
    size, mode, fit : as for `read_image`; all images get the same size
    workers : threads that decode; by default as many as the kernels have (`fastnn.set_num_threads`)

    Attributes
    ----------
    paths : list of Path
    shape, dtype, ndim : as of an array
    """

    dtype = np.dtype(np.float32)
    ndim = 4

    def __init__(
        self,
        paths: Sequence[str | Path],
        size: int | tuple[int, int],
        *,
        mode: str = "RGB",
        fit: str = "crop",
        workers: int | None = None,
    ) -> None:
        require("PIL.Image", "reading images")
        if workers is not None and workers < 1:
            raise ValueError(f"workers: got {workers}, expected at least 1")
        self.paths = [Path(path) for path in paths]
        self.workers = workers
        self._size, self._mode, self._fit = _pair(size), _mode(mode), _fit(fit)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W)."""
        return (len(self.paths), _CHANNELS[self._mode], *self._size)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Any) -> np.ndarray:
        chosen = np.arange(len(self))[index]
        if chosen.ndim == 0:
            return self._read([int(chosen)])[0]
        if chosen.ndim != 1:
            raise IndexError(f"index: got one of {chosen.ndim} axes, expected images to be chosen by one axis")
        return self._read(chosen.tolist())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """All images at once, as np.asarray makes an array of them."""
        if copy is False:
            raise ValueError("images in files cannot become an array without a copy")
        return self[:] if dtype is None else self[:].astype(dtype, copy=False)

    def subset(self, index: Any) -> ImageFiles:
        """Some of the images, still in their files: a part for training, one for testing."""
        paths = [self.paths[i] for i in np.arange(len(self))[index].tolist()]
        return ImageFiles(paths, self._size, mode=self._mode, fit=self._fit, workers=self.workers)

    def _read(self, numbers: list[int]) -> np.ndarray:
        out = np.empty((len(numbers), *self.shape[1:]), np.float32)

        def read(place: int) -> None:
            _as_floats(_decode(self.paths[numbers[place]], self._size, self._mode, self._fit), out[place])

        workers = min(self.workers or get_num_threads(), len(numbers))
        if workers <= 1:
            for place in range(len(numbers)):
                read(place)
        else:
            with ThreadPoolExecutor(workers) as pool:  # of this call: nothing to close, to pickle or to lose in a fork
                list(pool.map(read, range(len(numbers))))
        return out


def is_litter(name: str) -> bool:
    """Whether a system left this file or folder beside somebody's images."""
    return name.startswith((".", "@", "$")) or name in ("__MACOSX", "Thumbs.db", "desktop.ini")


class ImageSet(NamedTuple):
    """Images, their classes as numbers, and the names of the classes."""

    x: ImageFiles
    y: np.ndarray
    classes: list[str]


def image_folder(
    root: str | Path,
    size: int | tuple[int, int],
    *,
    mode: str = "RGB",
    fit: str = "crop",
    workers: int | None = None,
) -> ImageSet:
    """The images of a folder that has one folder for each class, as ``root/cat/1.jpg``.

    Classes are numbered in the order of their folders' names, and images follow one another by class and name. Folders
    inside a class's folder belong to it. Links to files and folders are followed. What is not called like an image
    (.jpg, .png and so on) is left out, and so is what systems leave behind, at any depth: hidden files and folders,
    __MACOSX, @eaDir, Thumbs.db and the like.

    Parameters
    ----------
    root : the folder
    size, mode, fit, workers : as for `ImageFiles`

    Returns
    -------
    x : ImageFiles (N, C, H, W); np.asarray(x) reads all of it into memory
    y : int64 (N,)
    classes : the folders' names

    Raises
    ------
    FileNotFoundError
        There is no such folder, a class without images, or a link to what is not there; names it.
    """
    root = Path(root)
    folders = list(folders_in(root))
    if not folders:
        raise FileNotFoundError(f"{root}: has no folders, expected one for each class")
    paths: list[Path] = []
    labels: list[int] = []
    for label, folder in enumerate(folders):
        images = sorted(all_images_in(folder, frozenset([identity(root)])), key=lambda path: path.parts)
        if not images:
            raise FileNotFoundError(f"{folder}: has no images ({', '.join(SUFFIXES)})")
        paths += images
        labels += [label] * len(images)
    files = ImageFiles(paths, size, mode=mode, fit=fit, workers=workers)
    return ImageSet(files, np.array(labels, np.int64), [folder.name for folder in folders])


def decode_grey(file: BinaryIO, name: str) -> np.ndarray:
    """A grey image, uint8 (H, W); ValueError, with the name, where the file is none."""
    return _decode(file, None, "L", "crop", name)


def decode_rgb(file: BinaryIO, name: str, size: tuple[int, int]) -> np.ndarray:
    """A colour image of that size, uint8 (3, H, W); ValueError, with the name, where the file is none."""
    return np.ascontiguousarray(_decode(file, size, "RGB", "crop", name).transpose(2, 0, 1))


def _decode(
    file: Path | BinaryIO, size: tuple[int, int] | None, mode: str, fit: str, name: str | None = None
) -> np.ndarray:
    """Bytes (H, W) or (H, W, 3)."""
    Image = require("PIL.Image", "reading images")
    ImageOps = require("PIL.ImageOps", "reading images")
    try:
        with Image.open(file) as opened:
            if opened.mode.startswith(("I", "F")):
                raise ValueError(f"pixels of the kind {opened.mode}, expected 8 bits a channel")
            if size is not None:
                # A JPEG may come out smaller, which is faster; twice the size leaves the scaling its quality.
                opened.draft(None, (2 * max(size), 2 * max(size)))
            image = ImageOps.exif_transpose(opened)
            if image.has_transparency_data:
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
            image = image.convert(mode)
    except MemoryError:
        raise
    except Exception as error:  # a broken file shows in whatever pillow stumbles over
        if isinstance(error, OSError) and error.filename is not None:
            raise  # the system's, which names the file
        raise ValueError(f"{name or file}: truncated, corrupt or no image ({error})") from error
    if size is not None:
        height, width = size
        if fit == "crop":
            image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
        else:
            image = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image)


def _as_floats(pixels: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return np.divide(planes, np.float32(255), out=out, dtype=np.float32, order="C")


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else size
    if height < 1 or width < 1:
        raise ValueError(f"size: got {(height, width)}, expected at least 1 x 1")
    return height, width


def _mode(mode: str) -> str:
    if mode not in _CHANNELS:
        raise ValueError(f"mode: got {mode!r}, expected one of {', '.join(_CHANNELS)}")
    return mode


def _fit(fit: str) -> str:
    if fit not in _FITS:
        raise ValueError(f"fit: got {fit!r}, expected one of {', '.join(_FITS)}")
    return fit
