"""What a layer makes of an image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.plots.figure import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HEIGHT = 4.2  # inches of a panel


def feature_maps(image: np.ndarray, maps: Mapping[str, np.ndarray], *, title: str = "") -> Figure:
    """An image and, beside it, the feature maps that layers make of it, one grid a layer.

    All maps share one scale with zero in white, so that grids can be compared: what ReLU takes away was blue.

    Parameters
    ----------
    image : (H, W) or (1, H, W) grey, or (3, H, W) colour
    maps : a name for each layer to its output for that image, (C, h, w)
    title : above the picture
    """
    shapes = {name: _grid(len(stack)) for name, stack in maps.items()}
    # Panels: the image, a grid a layer, the colour scale.
    widths = [3.2, *(_HEIGHT * 1.06 * columns / rows for rows, columns in shapes.values()), 0.7]
    figure = new_figure(sum(widths), _HEIGHT + 0.6)
    panels = figure.subfigures(1, len(widths), width_ratios=widths, squeeze=False)[0]

    axes = panels[0].subplots()
    axes.imshow(_displayable(image), cmap="gray")
    axes.set_axis_off()
    panels[0].suptitle("image", fontsize=11)

    limit = max((float(np.abs(stack).max(initial=0)) for stack in maps.values()), default=0) or 1.0
    drawn: Any = None
    for panel, (name, stack) in zip(panels[1:-1], maps.items(), strict=True):
        rows, columns = shapes[name]
        cells = panel.subplots(rows, columns, squeeze=False, gridspec_kw={"wspace": 0.02, "hspace": 0.02})
        for i, cell in enumerate(cells.flat):
            cell.set(xticks=[], yticks=[])
            cell.spines[:].set(color="0.75", linewidth=0.5)
            if i < len(stack):
                drawn = cell.imshow(stack[i], cmap="RdBu_r", vmin=-limit, vmax=limit)
            else:
                cell.set_axis_off()
        panel.suptitle(f"{name}: {len(stack)} maps of {stack.shape[1]} x {stack.shape[2]}", fontsize=11)
    if drawn is not None:
        panels[-1].colorbar(drawn, cax=panels[-1].add_axes((0.1, 0.1, 0.25, 0.75)))
    if title:
        figure.suptitle(title)
    return figure


def _grid(count: int) -> tuple[int, int]:
    """Rows and columns for `count` tiles, a little wider than high."""
    rows = max(1, math.isqrt(count))
    return rows, math.ceil(count / rows)


def _displayable(image: np.ndarray) -> np.ndarray:
    """The image as imshow takes it: (H, W), or (H, W, 3)."""
    if image.ndim == 3:
        return image[0] if len(image) == 1 else np.moveaxis(image, 0, -1)
    return image
