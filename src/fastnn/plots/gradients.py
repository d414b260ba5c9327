"""How far gradients from differences are from those of the backward."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.plots.figure import COLORS, MARKERS, PUBLISHED, add_title, in_legend, new_figure, picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@picture
def gradient_error(errors: Mapping[float, float] | Mapping[str, Mapping[float, float]], *, title: str = "") -> Figure:
    """The error of finite differences against their step, both on log scales; 1 / eps is the axis on top.

    Central differences are wrong by something like eps² until rounding takes over. That is dotted, if most steps before
    the least error keep to it; near a kink of the function they do not. Errors of exactly 0 are drawn as hollow marks
    at the lower edge.

    Parameters
    ----------
    errors : eps to the largest difference between analytic and numeric gradients, as
        `Gradcheck.largest_difference`; or several such, by name
    title : above the picture

    Examples
    --------
    >>> figure = plots.gradient_error({1e-2: 1e-4, 1e-3: 1e-6, 1e-4: 1e-8})
    """
    several = bool(errors) and all(isinstance(value, Mapping) for value in errors.values())
    lines = {str(name): line for name, line in errors.items()} if several else {"": errors}
    points = {name: _points(name, line) for name, line in lines.items()}  # type: ignore[arg-type]

    figure = new_figure(5.6, 4.2)
    axes = figure.subplots()
    axes.set(xscale="log", yscale="log", xlabel="eps", ylabel="largest |analytic \N{MINUS SIGN} numeric|")
    every = np.concatenate([error for _, error in points.values()])
    smallest = every[every > 0].min(initial=np.inf)
    floor = smallest / 10 if np.isfinite(smallest) else 1e-17
    for place, (name, (eps, error)) in enumerate(points.items()):
        color, marker = COLORS[place % len(COLORS)], MARKERS[place % len(MARKERS)]
        axes.plot(eps, np.where(error > 0, error, np.nan), "-", color=color, lw=1.5)
        axes.plot(eps[error > 0], error[error > 0], marker, color=color, ms=6, label=in_legend(name) or "measured")
        axes.plot(eps[error == 0], np.full(np.count_nonzero(error == 0), floor), marker, mec=color, mfc="white", ms=7)
    eps, error = next(iter(points.values()))
    falling = (error > 0) & (eps > eps[np.where(error > 0, error, np.inf).argmin()])
    factor = error[falling] / eps[falling] ** 2
    usual = np.median(factor) if factor.size else np.nan
    if np.count_nonzero(np.abs(np.log(factor / usual)) < np.log(2)) > factor.size / 2:
        guide = usual * eps**2
        seen = guide >= floor
        axes.plot(eps[seen], guide[seen], ":", color=PUBLISHED, lw=1.2, label="falling as eps²", zorder=1)
    axes.invert_xaxis()
    top = axes.secondary_xaxis("top", functions=(_inverse, _inverse))
    top.set_xlabel("1 / eps")
    axes.grid(visible=True)
    axes.legend(loc="best")
    add_title(figure, title)
    return figure


def _inverse(values: Any) -> Any:
    with np.errstate(divide="ignore"):
        return 1 / np.asarray(values, float)


def _points(name: str, line: Mapping[float, float]) -> tuple[np.ndarray, np.ndarray]:
    label = f"errors[{name!r}]" if name else "errors"
    if not line:
        raise ValueError(f"{label}: got none, expected at least one eps and its error")
    eps = np.array(sorted(line), float)
    error = np.array([line[key] for key in sorted(line)], float)
    if not (np.all(eps > 0) and np.all(error >= 0)):
        raise ValueError(f"{label}: got {dict(line)}, expected eps above 0 and errors of at least 0")
    return eps, error
