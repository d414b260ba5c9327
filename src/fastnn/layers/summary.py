"""The table that `Module.summary` returns."""

from __future__ import annotations

from typing import NamedTuple

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
    parameters: int


def table(rows: list[Row], N: int) -> str:
    """Lay out `rows` for a batch of `N`, with the sum of the parameters below."""
    cells = [
        (
            f"{row.name} {row.kind}".lstrip(),
            _times((N, *row.input[1:])),
            _times(row.kernel),
            _times(row.stride),
            _times((N, *row.output[1:])),
            f"{row.parameters:,}",
        )
        for row in rows
    ]
    cells.append(("total", "", "", "", "", f"{sum(row.parameters for row in rows):,}"))
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
