"""Images with what a network makes of them: reconstructions, and boxes on a photograph."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fastnn.plots._arguments import by_place, images_as_shown, numbers, positive, same_length
from fastnn.plots._tiles import gallery
from fastnn.plots.figure import COLORS, add_title, new_figure, picture, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TILE = 0.8  # inches
_FINEST = 1000  # pixels of a photograph's shorter side that are drawn, and up to twice as many


@picture
def reconstructions(originals: np.ndarray, reconstructed: np.ndarray, *, columns: int = 10, title: str = "") -> Figure:
    """Originals, and below each its reconstruction with the peak signal-to-noise ratio of the two.

    Parameters
    ----------
    originals, reconstructed : images of one shape, (N, H, W), (N, 1, H, W) or (N, 3, H, W), in 0..1 or 0..255
    columns : images in a row
    title : above the picture

    Examples
    --------
    >>> images = np.random.default_rng(0).uniform(size=(3, 8, 8)).astype(np.float32)
    >>> figure = plots.reconstructions(images, 0.9 * images)
    """
    originals, reconstructed = np.asarray(originals), np.asarray(reconstructed)
    columns = positive("columns", columns)
    if len(originals) == 0 or originals.shape != reconstructed.shape:
        raise ValueError(
            f"reconstructed: got shape {reconstructed.shape}, expected that of originals, {originals.shape}, not empty"
        )
    count = len(originals)
    both = images_as_shown("originals", [*originals, *reconstructed])
    columns = min(columns, count)
    tiles: list[np.ndarray | None] = []
    captions: list[str] = []
    for start in range(0, count, columns):
        above, below = both[:count][start : start + columns], both[count:][start : start + columns]
        gaps = [None] * (columns - len(above))
        tiles += [*above, *gaps, *below, *gaps]
        ratios = [f"{_psnr(a, b):.1f} dB" for a, b in zip(above, below, strict=True)]
        captions += [*[""] * columns, *ratios, *[""] * len(gaps)]
    names = ["original", "rebuilt"] * math.ceil(count / columns)
    return gallery(tiles, columns, captions, tile=_TILE, title=title, row_names=names, pairs=True)


def _psnr(original: np.ndarray, reconstructed: np.ndarray) -> float:
    """In dB, of images in 0..1."""
    error = float(np.mean((original - reconstructed) ** 2))
    return math.inf if error == 0 else -10 * math.log10(error)


def _smaller(image: np.ndarray, step: int) -> np.ndarray:
    """The means of squares of pixels; a rest below and on the right is left out."""
    if step == 1:
        return image
    high, wide = image.shape[0] // step, image.shape[1] // step
    squares = image[: high * step, : wide * step].reshape(high, step, wide, step, *image.shape[2:])
    means: np.ndarray = squares.mean(axis=(1, 3), dtype=np.float32)
    return means


@picture
def boxes(
    image: np.ndarray,
    places: np.ndarray | Sequence[Sequence[float]],
    *,
    labels: Sequence[str] | None = None,
    truth: Sequence[str] | None = None,
    title: str = "",
) -> Figure:
    """A photograph with boxes on it, each with what was read in it; what was read wrongly is orange and dashed.

    The axes count pixels: row 0 is from 0 to 1, so that a box is drawn around all of its pixels.

    Parameters
    ----------
    image : (H, W) or (1, H, W) grey, (H, W, 3) or (3, H, W) colour
    places : (N, 4): top, left, bottom, right of each box, in pixels, as `fastnn.vision.Box`: bottom and right are the
        first row and the first column beyond it
    labels : what was read in each box
    truth : what stands in each box; where a label differs, it is shown as "read, not true"
    title : above the picture

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import plots
    >>> figure = plots.boxes(np.ones((40, 60)), [(5, 10, 20, 30)], labels=["3"])
    >>> figure.axes[0].patches[0].get_bbox().extents.tolist()  # left, top, right, bottom
    [10.0, 5.0, 30.0, 20.0]
    """
    (shown,) = images_as_shown("image", [image])
    sides = "(N, 4): top, left, bottom, right of each box, bottom below top and right of left"
    places = numbers("places", places if len(places) else np.zeros((0, 4)), 2, sides)
    if places.shape[1] != 4 or not np.all(places[:, :2] < places[:, 2:]):
        raise ValueError(f"places: got {places.tolist()[:3]}, expected {sides}")
    for name, texts in (("labels", labels), ("truth", truth)):
        if texts is not None:
            same_length(name, texts, len(places), "box")
    if truth is not None and labels is None:
        raise ValueError("truth: got no labels to compare it with")
    labels, truth = by_place(labels), by_place(truth)

    high, wide = shown.shape[:2]
    scale = 7.5 / max(wide, 0.8 * high)
    figure = new_figure(max(3.0, wide * scale), high * scale + 0.4 * bool(title))
    axes = figure.subplots()
    step = max(1, min(high, wide) // _FINEST)
    shown = _smaller(shown, step)
    edges = (0, shown.shape[1] * step, shown.shape[0] * step, 0)
    axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="antialiased", extent=edges)
    from matplotlib.patches import Rectangle

    points = 72 * scale * float(np.median(places[:, 2] - places[:, 0])) if len(places) else 0  # a usual box's height
    letters, line = min(max(0.5 * points, 6), 10), min(max(points / 15, 0.8), 2)  # small boxes stay legible
    for i, (top, left, bottom, right) in enumerate(places.tolist()):
        wrong = labels is not None and truth is not None and str(labels[i]) != str(truth[i])
        color = COLORS[1] if wrong else COLORS[0]
        size = right - left, bottom - top
        frame = Rectangle((left, top), *size, fill=False, lw=line, ec=color, ls="--" if wrong else "-")
        axes.add_patch(frame)
        if labels is not None:
            text = f"{short(labels[i])}, not {short(truth[i])}" if wrong and truth is not None else short(labels[i])
            axes.text(
                left,
                top,
                text,
                color="white",
                weight="bold",
                fontsize=letters,
                va="bottom",
                zorder=4 if wrong else 3,  # not covered by the next one, which is shorter
                bbox={"fc": color, "ec": "none", "pad": 0.15 * letters},
            )
    axes.set_axis_off()
    add_title(figure, title)
    return figure
