"""The table that `Module.summary` returns."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastnn._validate import IntPair

_HEAD = ("layer", "input", "kernel", "stride", "output", "parameters")


class Row(NamedTuple):
    """One layer, run on an empty batch."""

    name: str
    kind: str
    input: tuple[int, ...]
    kernel: IntPair | None
    stride: IntPair | None
    output: tuple[int, ...]
    parameters: tuple[Any, ...]


def table(rows: list[Row], N: int) -> str:
    """Lay out `rows` for a batch of `N`, with the sum of the parameters below, each of which is counted once."""
    counted: set[Any] = set()
    counts = []
    for row in rows:
        counts.append(sum(p.size for p in row.parameters if p not in counted))
        counted.update(row.parameters)
    cells = [
        (
            f"{row.name} {row.kind}".lstrip(),
            _times((N, *row.input[1:])),
            _times(row.kernel),
            _times(row.stride),
            _times((N, *row.output[1:])),
            f"{count:,}",
        )
        for row, count in zip(rows, counts, strict=True)
    ]
    cells.append(("total", "", "", "", "", f"{sum(counts):,}"))
    widths = [max(map(len, column)) for column in zip(_HEAD, *cells, strict=True)]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    lines = [_line(line, widths) for line in (_HEAD, *cells)]
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])


def _times(size: IntPair | tuple[int, ...] | None) -> str:
    if size is None:
        return ""
    return " x ".join(map(str, (size, size) if isinstance(size, int) else size))


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    *texts, last = cells
    return "  ".join([*(text.ljust(width) for text, width in zip(texts, widths, strict=False)), last.rjust(widths[-1])])
