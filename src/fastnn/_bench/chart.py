"""The table of ratios as a picture: which rows and bars results become."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastnn._bench import report
from fastnn.plots import benchmark_chart

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def ratio_chart(about: dict[str, Any], titles: dict[str, str], results: list[report.Result]) -> Figure:
    """Ratios to the fastest peer of each case, one bar for each number of threads.

    Networks have a row for each case; operations one for each group, with a line from the least to the largest ratio.
    """
    peers = [title for name, title in titles.items() if name != "reference"] or list(titles.values())
    title = (
        "Time of the fastest peer\ndivided by fastnn's" if len(peers) > 1 else f"{peers[0]}:\ntime divided by fastnn's"
    )
    caption = (
        f"fastnn {about['fastnn']} ({about['isa']}) against {', '.join(peers)}; float32; {about['cpu']}, "
        f"{about['cores']} cores. Above 1 fastnn is faster. Operations: geometric mean of all shapes, and a line from "
        "the least to the largest."
    )
    return benchmark_chart(_rows(results), title=title, caption=caption)


def _rows(results: list[report.Result]) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Section, row, number of threads: the ratios."""
    rows: dict[str, dict[str, dict[str, list[float]]]] = {}
    for r in results:
        network = r.case.setting
        match r.case.family:
            case "training":
                section, label = "training step", f"{network.title}, batch {network.x[0]}"
            case "inference":
                section, label = f"inference, batch {network.x[0]}", network.title
            case _:
                section, label = "operations", r.case.group
        bars = rows.setdefault(section, {}).setdefault(label, {})
        bars.setdefault(report.threads_title(r.threads), []).append(r.ratio(r.fastest_peer() or "reference"))
    return rows
