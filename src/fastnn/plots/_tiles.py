"""Many small pictures in one pair of axes: an axes for each would take seconds to lay out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.plots.figure import add_title, new_figure, short

GAP = 0.06  # between tiles, whose longer side is 1
_FONT = 9.0  # points
_LETTER = 0.6 * (_FONT + 1) / 72  # inches, of a row's name
_CAPTION_LETTER = 0.064  # inches, on average


def grid(count: int) -> tuple[int, int]:
    """Rows and columns for `count` tiles, a little wider than high."""
    rows = max(1, math.isqrt(count))
    return rows, math.ceil(count / rows)


def limit_of(values: np.ndarray) -> float:
    """The end of a scale about zero; never 0."""
    return float(np.abs(values).max(initial=0)) or 1.0


def draw_tiles(axes: Any, tiles: Sequence[np.ndarray] | np.ndarray, columns: int, **show: Any) -> Any:
    """Draw framed tiles, (H, W) or (H, W, 3), row by row; returns the last image (for a colour scale)."""
    rows = math.ceil(len(tiles) / columns)
    places = [(i % columns * (1 + GAP), i // columns * (1 + GAP)) for i in range(len(tiles))]
    image = _draw(axes, tiles, places, **show)
    _close(axes, 0, columns * (1 + GAP) - GAP, rows * (1 + GAP) - GAP)
    return image


def gallery(
    tiles: Sequence[np.ndarray | None],
    columns: int,
    captions: Sequence[str],
    *,
    tile: float,
    title: str,
    row_names: Sequence[str] = (),
    pairs: bool = False,
) -> Any:
    """A figure of images, row by row, with a caption of one or two lines below each.

    Parameters
    ----------
    tiles : (H, W) or (H, W, 3), in 0..1, of any sizes: each fills a square as far as its shape allows; None is a gap
    columns : tiles in a row
    captions : one for each tile
    tile : inches
    title : above the picture
    row_names : to the left of the rows
    pairs : the first row of each two has no captions
    """
    rows = math.ceil(len(tiles) / columns)
    lines = max(caption.count("\n") + 1 for caption in captions)
    below = (0.04 + lines * 1.25 * _FONT / 72) / tile  # in tiles, as all that follows
    tops = [row * (1 + GAP) + (row // 2 if pairs else row) * below for row in range(rows)]
    bottom = tops[-1] + 1 + below
    left = (0.1 + _LETTER * max(map(len, row_names))) / tile if row_names else 0.0
    right = columns * (1 + GAP) - GAP

    figure = new_figure(max((left + right) * tile + 0.15, 3.6), bottom * tile + 0.15 + 0.35 * bool(title))
    axes = figure.subplots()
    places = [(i % columns * (1 + GAP), tops[i // columns]) for i in range(len(tiles))]
    there = [(image, place) for image, place in zip(tiles, places, strict=True) if image is not None]
    _draw(axes, [image for image, _ in there], [place for _, place in there], cmap="gray", vmin=0, vmax=1)
    for (x, top), caption in zip(places, captions, strict=True):
        if caption:
            shown = short(caption, int(tile / _CAPTION_LETTER))
            axes.text(x + 0.5, top + 1.03, shown, ha="center", va="top", fontsize=_FONT, linespacing=1.1)
    for top, name in zip(tops, row_names, strict=False):
        axes.text(-0.1 / tile, top + 0.5, name, ha="right", va="center", fontsize=_FONT + 1)
    _close(axes, -left, right, bottom)
    add_title(figure, title)
    return figure


def add_scale(figure: Any, axes: Any, image: Any) -> None:
    """A colour scale as high as the tiles, at their right."""
    figure.colorbar(image, cax=axes.inset_axes((1.03, 0, 0.04, 1))).ax.tick_params(labelsize=_FONT)


def _draw(axes: Any, tiles: Any, places: Sequence[tuple[float, float]], **show: Any) -> Any:
    from matplotlib.collections import PolyCollection

    image, frames = None, []
    for tile, (x, y) in zip(tiles, places, strict=True):
        height, width = (side / max(tile.shape[:2]) for side in tile.shape[:2])
        left, top = x + (1 - width) / 2, y + (1 - height) / 2
        right, bottom = left + width, top + height
        extent = (left, right, bottom, top)
        image = axes.imshow(tile, extent=extent, interpolation="nearest", aspect="auto", **show)
        frames.append([(left, top), (right, top), (right, bottom), (left, bottom)])
    axes.add_collection(PolyCollection(frames, facecolors="none", edgecolors="0.75", linewidths=0.5, zorder=2))
    return image


def _close(axes: Any, left: float, right: float, bottom: float) -> None:
    axes.set(xlim=(left - 0.01, right + 0.01), ylim=(bottom + 0.01, -0.01), aspect="equal")
    axes.set_axis_off()


def size_of(rows: int, columns: int, tile: float) -> tuple[float, float]:
    """Width and height in inches of that many tiles of `tile` inches."""
    return columns * (1 + GAP) * tile, rows * (1 + GAP) * tile
