"""Fashion-MNIST: 60,000 training and 10,000 test images of clothes (Xiao, Rasul and Vollgraf, 2017; MIT licence)."""

from __future__ import annotations

from pathlib import Path

from fastnn.data._mnist import Examples, File, read_set
from fastnn.data.download import folders

FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
MIRRORS = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)
FOLDER = "fashion-mnist"
DEBIAN = Path("/usr/share/datasets/fashion-mnist")  # of its package dataset-fashion-mnist

# The names are those of MNIST's files, and Debian packed the files anew: so what is inside is checked too.
FILES = {
    ("train", "images"): File(
        "train-images-idx3-ubyte.gz",
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    ),
    ("train", "labels"): File(
        "train-labels-idx1-ubyte.gz",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ),
    ("test", "images"): File(
        "t10k-images-idx3-ubyte.gz",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    ),
    ("test", "labels"): File(
        "t10k-labels-idx1-ubyte.gz",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
}


def fashion_mnist(root: str | Path | None = None) -> Examples:
    """Fashion-MNIST: as MNIST, but ten kinds of clothes (`fastnn.data.FASHION_CLASSES`).

    The four .gz files are looked for in the folder `fashion-mnist/` of `root` and of the folder that the environment
    variable FASTNN_DATA names, then where Debian's package dataset-fashion-mnist puts them, and else downloaded into
    `root/fashion-mnist/` or, without `root`, into the user's cache folder. Their content is checked.

    Returns
    -------
    x_train, y_train, x_test, y_test :
        images float32 (60000, 1, 28, 28) and (10000, 1, 28, 28) in 0..1; labels int64 (60000,) and (10000,)

    Raises
    ------
    ValueError
        A file is truncated, corrupt or not Fashion-MNIST (MNIST's files have the same names); names the file.
    ConnectionError
        A file is not there and cannot be downloaded; says which file to put where.
    """
    return read_set(FILES, [*folders(root, FOLDER), DEBIAN], MIRRORS, root, FOLDER)
