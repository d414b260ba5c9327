"""The images that a classifier is unsure of, and those that it is surest of and wrong about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.plots._arguments import by_place, images_as_shown, names_of, numbers, positive, same_length
from fastnn.plots._tiles import gallery, grid
from fastnn.plots.figure import add_title, new_figure, picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TILE = 0.9  # inches


@picture
def most_confusing(
    images: Sequence[np.ndarray] | np.ndarray,
    probabilities: np.ndarray,
    target: np.ndarray,
    *,
    class_names: Sequence[str] | None = None,
    per_class: int = 6,
    title: str = "",
) -> Figure:
    """The images of each class whose two highest probabilities are nearest to one another, a row for each class.

    Of two classes these are the images with a probability nearest to 0.5. Below each: the two classes with their
    probabilities.

    Parameters
    ----------
    images : N of them, each (H, W), (1, H, W), (3, H, W) or (H, W, 3)
    probabilities : (N, K), a softmax's rows, K of at least 2
    target : (N,) integer, the true classes
    class_names : K names; by default the classes' numbers
    per_class : images in a row
    title : above the picture

    Examples
    --------
    >>> images = np.random.default_rng(0).uniform(size=(2, 8, 8)).astype(np.float32)
    >>> probabilities = np.array([[0.55, 0.45], [0.2, 0.8]])
    >>> figure = plots.most_confusing(images, probabilities, np.array([0, 1]))
    """
    images, probabilities, target, names = _checked(images, probabilities, target, class_names)
    per_class = positive("per_class", per_class)
    order = np.argsort(-probabilities, axis=1, kind="stable")
    first, second = (np.take_along_axis(probabilities, order[:, i : i + 1], 1)[:, 0] for i in (0, 1))
    margin = first - second

    rows = [k for k in range(len(names)) if np.any(target == k)]
    columns = min(per_class, max(int(np.count_nonzero(target == k)) for k in rows))
    chosen: list[int] = []
    for k in rows:
        members = np.flatnonzero(target == k)
        best = members[np.argsort(margin[members], kind="stable")][:columns].tolist()
        chosen += best + [-1] * (columns - len(best))
    captions = [_two(names, probabilities[i], order[i]) if i >= 0 else "" for i in chosen]
    shown = iter(images_as_shown("images", [images[i] for i in chosen if i >= 0]))
    tiles = [next(shown) if i >= 0 else None for i in chosen]
    row_names = [names[k] for k in rows]
    return gallery(tiles, columns, captions, tile=_TILE, title=title or "Nearest to undecided", row_names=row_names)


@picture
def most_wrong(
    images: Sequence[np.ndarray] | np.ndarray,
    probabilities: np.ndarray,
    target: np.ndarray,
    *,
    class_names: Sequence[str] | None = None,
    count: int = 18,
    title: str = "",
) -> Figure:
    """The images that are taken for a wrong class with the highest probability, the surest first.

    Below each: true -> predicted, and the probability of the predicted class. A network without mistakes gives a
    picture that says so.

    Parameters
    ----------
    images : N of them, each (H, W), (1, H, W), (3, H, W) or (H, W, 3)
    probabilities : (N, K), a softmax's rows, K of at least 2
    target : (N,) integer, the true classes
    class_names : K names; by default the classes' numbers
    count : images at most
    title : above the picture

    Examples
    --------
    >>> images = np.random.default_rng(0).uniform(size=(2, 8, 8)).astype(np.float32)
    >>> probabilities = np.array([[0.9, 0.1], [0.2, 0.8]])
    >>> figure = plots.most_wrong(images, probabilities, np.array([1, 1]))
    """
    images, probabilities, target, names = _checked(images, probabilities, target, class_names)
    count = positive("count", count)
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != target)
    surest = wrong[np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")][:count].tolist()
    if not surest:
        figure = new_figure(4, 1)
        add_title(figure, title or "Wrong and sure of it")
        figure.text(0.5, 0.3, f"all {len(target):,} images are classified rightly", ha="center")
        return figure
    arrow = "\N{RIGHTWARDS ARROW}"
    between = f" {arrow} " if max(map(len, names)) <= 5 else f" {arrow}\n"
    captions = [
        f"{names[target[i]]}{between}{names[predicted[i]]}\n{probabilities[i, predicted[i]]:.1%}" for i in surest
    ]
    columns = grid(len(surest))[1] if len(surest) > 6 else len(surest)
    shown = images_as_shown("images", [images[i] for i in surest])
    return gallery(shown, columns, captions, tile=_TILE, title=title or "Wrong and sure of it")


def _checked(
    images: Sequence[np.ndarray] | np.ndarray,
    probabilities: np.ndarray,
    target: np.ndarray,
    class_names: Sequence[str] | None,
) -> tuple[Any, np.ndarray, np.ndarray, list[str]]:
    probabilities = numbers("probabilities", probabilities, 2, "(N, K), K of at least 2").astype(np.float64)
    target = numbers("target", target, 1, "(N,) integer classes")
    count, classes = probabilities.shape
    if classes < 2 or count == 0:
        raise ValueError(f"probabilities: got shape {probabilities.shape}, expected (N, K), K of at least 2")
    same_length("images", images, count, "row of probabilities")
    same_length("target", target, count, "row of probabilities")
    sums = probabilities.sum(axis=1)
    if not (np.all(probabilities >= 0) and np.allclose(sums, 1, atol=1e-3)):
        raise ValueError(
            f"probabilities: got a row that sums to {sums[np.abs(sums - 1).argmax()]:.4g}, expected a softmax's"
        )
    if target.dtype.kind not in "iu" or target.min() < 0 or target.max() >= classes:
        raise ValueError(
            f"target: got {target.dtype} in {target.min()}..{target.max()}, expected integers in 0..{classes - 1}"
        )
    return by_place(images), probabilities, target, names_of(class_names, classes)


def _two(names: list[str], probabilities: np.ndarray, order: np.ndarray) -> str:
    short = max(map(len, names)) <= 2
    return (", " if short else "\n").join(f"{names[k]} {probabilities[k]:.0%}" for k in order[:2])
