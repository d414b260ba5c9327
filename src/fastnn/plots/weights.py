"""What layers have learned: weights as small pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from fastnn.plots._arguments import numbers, positive
from fastnn.plots._tiles import add_scale, draw_tiles, grid, limit_of, size_of
from fastnn.plots.figure import DIVERGING, add_title, new_figure, picture, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@picture
def weight_tiles(
    weights: np.ndarray | Mapping[str, np.ndarray],
    shape: tuple[int, int],
    *,
    count: int = 64,
    title: str = "",
    stacked: bool = False,
) -> Figure:
    """The weights of a linear layer, a tile for each unit, in the shape of the images that it looks at.

    Zero is white. Each array has a scale of its own, which its heading names: what a network starts from is much
    smaller than what it learns. A scale ends where 99.5 % of the weights are inside: a few are always far out.

    Parameters
    ----------
    weights : (units, H * W), as `Linear.weight`; or several by name, as ``{"before": w0, "after": w}``, side by side
    shape : (H, W)
    count : units that are drawn at most
    title : above the picture
    stacked : several arrays one below the other, for narrow screens

    Examples
    --------
    >>> figure = plots.weight_tiles(fnn.Linear(64, 10).state_dict()["weight"], (8, 8))
    """
    arrays = dict(weights) if isinstance(weights, Mapping) else {"": weights}
    count = positive("count", count)
    height, width = (positive("shape", side) for side in shape)
    if not arrays:
        raise ValueError("weights: got none, expected at least one array")
    tiles = {}
    for name, array in arrays.items():
        label = f"weights[{name!r}]" if name else "weights"
        array = numbers(label, array, 2, "(units, H * W)")
        if len(array) == 0 or array.shape[1] != height * width:
            raise ValueError(
                f"{label}: got shape {array.shape}, expected (units, {height * width}) for tiles of {shape}"
            )
        tiles[name] = array[:count].reshape(-1, height, width)

    rows, columns = grid(max(map(len, tiles.values())))
    wide, high = size_of(rows, columns, max(0.35, min(0.6, 3.6 / columns)))
    down, across = (len(tiles), 1) if stacked else (1, len(tiles))
    figure = new_figure((wide + 0.15) * across, (high + 0.4) * down + 0.4 * bool(title))
    for axes, (name, stack) in zip(figure.subplots(down, across, squeeze=False).flat, tiles.items(), strict=True):
        limit = float(np.quantile(np.abs(stack), 0.995)) or limit_of(stack)
        draw_tiles(axes, stack, columns, cmap=DIVERGING, vmin=-limit, vmax=limit)
        heading = f"blue {-limit:.2g}, white 0, red {limit:.2g}".replace("-", "\N{MINUS SIGN}")
        axes.set_title(f"{short(name)}: {heading}" if name else heading, fontsize=10)
    add_title(figure, title)
    return figure


@picture
def kernels(weight: np.ndarray, *, count: int = 64, channels: int = 8, title: str = "") -> Figure:
    """The kernels of a convolution: in colour if they look at colour images, else a tile for each input channel.

    A colour tile is grey where a weight is zero and fills the scale on its own, by its largest weight. Tiles of
    other kernels have a row for each output and a column for each input channel, one scale, and zero in white.

    Parameters
    ----------
    weight : (O, C, KH, KW), as `Conv2d.weight`
    count : kernels that are drawn at most
    channels : input channels that are drawn at most, where C is neither 1 nor 3
    title : above the picture

    Examples
    --------
    >>> figure = plots.kernels(fnn.Conv2d(3, 16, 5).state_dict()["weight"])
    """
    weight = numbers("weight", weight, 4, "(O, C, KH, KW)")
    count, channels = positive("count", count), positive("channels", channels)
    if len(weight) == 0:
        raise ValueError(f"weight: got shape {weight.shape}, expected at least one kernel")
    inputs = weight.shape[1]
    shown = weight[:count]
    if inputs in (1, 3):
        rows, columns = grid(len(shown))
        tiles = shown[:, 0] if inputs == 1 else _in_colour(shown)
    else:
        rows, columns = len(shown), min(inputs, channels)
        tiles = shown[:, :columns].reshape(-1, *weight.shape[2:])
    limit = limit_of(shown)

    wide, high = size_of(rows, columns, max(0.35, min(0.75, 5.5 / columns)))
    about = f"{len(shown)} of {len(weight)}" if len(shown) < len(weight) else f"{len(weight)}"
    about += f" kernels, {weight.shape[2]} x {weight.shape[3]}"
    if inputs == 3:
        about += ", in colour"
    elif inputs > 1:
        about += f"\nrows: kernels; columns: {columns} of {inputs} input channels"
    lines = about.count("\n") + 1
    figure = new_figure(max(wide, 3.0) + 0.8 * (inputs != 3), high + 0.2 + 0.2 * lines + 0.35 * bool(title))
    axes = figure.subplots()
    drawn = draw_tiles(axes, tiles, columns, cmap=DIVERGING, vmin=-limit, vmax=limit)
    axes.set_title(about)
    if inputs != 3:
        add_scale(figure, axes, drawn)
    add_title(figure, title)
    return figure


def _in_colour(kernels: np.ndarray) -> np.ndarray:
    largest = np.abs(kernels).max(axis=(1, 2, 3), keepdims=True)
    return np.moveaxis(0.5 + 0.5 * kernels / np.where(largest == 0, 1, largest), 1, -1)
