"""Make the bundled digits (src/fastnn/data/digits/digits.npz) from the four real MNIST files.

    python tools/make_digits.py FOLDER

FOLDER holds train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and
t10k-labels-idx1-ubyte.gz. Of each class, 500 images are taken from the training file and 100 from the test
file, at even distances through the file: no random numbers, so the choice is the same everywhere and for ever.
The place of each image in its file is stored beside it. fastnn must be installed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from fastnn.data._mnist import FILES
from fastnn.data.download import check_sha256
from fastnn.data.idx import read_idx

CLASSES = 10
PER_CLASS = {"train": 500, "test": 100}
TARGET = Path(__file__).resolve().parent.parent / "src" / "fastnn" / "data" / "digits" / "digits.npz"


def evenly_spaced(labels: np.ndarray, per_class: int) -> np.ndarray:
    """Indices, ascending, of `per_class` images of each class, evenly spaced among those of the class."""
    chosen = []
    for k in range(CLASSES):
        places = np.flatnonzero(labels == k)
        chosen.append(places[np.arange(per_class) * len(places) // per_class])
    return np.sort(np.concatenate(chosen))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with the four MNIST files")
    folder = parser.parse_args().folder

    arrays = {}
    for part, per_class in PER_CLASS.items():
        for kind in ("images", "labels"):
            file = FILES[part, kind]
            check_sha256(folder / file.name, file.sha256)
        images = read_idx(folder / FILES[part, "images"].name, ndim=3)
        labels = read_idx(folder / FILES[part, "labels"].name, ndim=1)
        index = evenly_spaced(labels, per_class)
        arrays[f"{part}_images"] = images[index]
        arrays[f"{part}_labels"] = labels[index]
        arrays[f"{part}_index"] = index.astype(np.uint16)
    np.savez_compressed(TARGET, **arrays)
    print(f"{TARGET}: {TARGET.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
