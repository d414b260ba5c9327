"""What a layer makes of an image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from fastnn.plots._arguments import images_as_shown, numbers, positive
from fastnn.plots._tiles import add_scale, draw_tiles, grid, limit_of
from fastnn.plots.figure import DIVERGING, add_title, new_figure, picture, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PANEL, _IMAGE = 3.3, 2.2  # inches


@picture
def feature_maps(
    image: np.ndarray, maps: Mapping[str, np.ndarray], *, count: int = 64, title: str = "", stacked: bool = False
) -> Figure:
    """An image and, beside it, the feature maps that layers make of it, one grid a layer.

    Zero is white. Layers of one shape share a scale, so that they can be compared: what ReLU takes away was blue.

    Parameters
    ----------
    image : (H, W) or (1, H, W) grey, or (3, H, W) colour
    maps : a name for each layer to its output for that image, (C, h, w), or (1, C, h, w) as layers return it
    count : maps of a layer that are drawn at most
    title : above the picture
    stacked : all below the image, for narrow screens

    Examples
    --------
    >>> image = np.eye(8, dtype=np.float32)
    >>> figure = plots.feature_maps(image, {"conv1": fnn.Conv2d(1, 4, 3)(image[None, None])})
    """
    count = positive("count", count)
    stacks = {name: _stack(name, stack) for name, stack in maps.items()}
    if not stacks:
        raise ValueError("maps: got none, expected at least one layer's output")
    (shown,) = images_as_shown("image", [image])
    limits: dict[tuple[int, ...], float] = {}
    for stack in stacks.values():
        limits[stack.shape] = max(limits.get(stack.shape, 0), limit_of(stack[:count]))

    last_of_shape = {stack.shape: name for name, stack in stacks.items()}

    tallest = max(down / across for down, across in (grid(min(len(stack), count)) for stack in stacks.values()))
    columns = 1 if stacked else min(len(stacks), 2)
    rows = math.ceil(len(stacks) / columns)
    width, height = (_PANEL + 0.5) * columns, (_PANEL * tallest + 0.35) * rows
    if stacked:
        figure = new_figure(width, _IMAGE + height + 0.3 * bool(title))
        cells = figure.add_gridspec(1 + rows, 1, height_ratios=[_IMAGE, *[height / rows] * rows])
        places = [cells[i, 0] for i in range(1 + rows)]
    else:
        figure = new_figure(_IMAGE + width, height + 0.3 * bool(title))
        cells = figure.add_gridspec(rows, 1 + columns, width_ratios=[_IMAGE, *[width / columns] * columns])
        places = [cells[:, 0], *(cells[row, 1 + column] for row in range(rows) for column in range(columns))]
    axes = figure.add_subplot(places[0])
    axes.imshow(shown, cmap="gray", vmin=0, vmax=1)
    axes.set_axis_off()
    axes.set_title("image")
    for place, (name, stack) in zip(places[1:], stacks.items(), strict=False):
        axes = figure.add_subplot(place)
        limit = limits[stack.shape]
        tiles = stack[:count]
        drawn = draw_tiles(axes, tiles, grid(len(tiles))[1], cmap=DIVERGING, vmin=-limit, vmax=limit)
        many = f"{len(stack)}" if len(stack) == len(tiles) else f"{len(tiles)} of {len(stack)}"
        axes.set_title(f"{short(name)}: {many} map{'s' * (len(stack) > 1)}, {stack.shape[1]} x {stack.shape[2]}")
        if last_of_shape[stack.shape] == name:
            add_scale(figure, axes, drawn)
    add_title(figure, title)
    return figure


def _stack(name: str, stack: np.ndarray) -> np.ndarray:
    stack = np.asarray(stack)
    if stack.ndim == 4 and len(stack) == 1:
        stack = stack[0]
    stack = numbers(f"maps[{name!r}]", stack, 3, "(C, h, w), of one image")
    if len(stack) == 0:
        raise ValueError(f"maps[{name!r}]: got no maps")
    return stack
