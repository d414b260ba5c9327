"""A small table of figures, for the measurements that are not ratios of whole cases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastnn._console import write

Row = Mapping[str, Any]


@dataclass
class Table:
    """`rows` are measured as they are asked for, and kept; all have the same columns, a name first."""

    title: str
    note: str
    rows: Iterable[Row]
    measured: list[Row] = field(default_factory=list)

    def measure(self) -> None:
        """Print the table as it grows."""
        write(f"\n{self.title}\n{self.note}")
        for row in self.rows:
            if not self.measured:
                write(_line(row, list(row)))
            write(_line(row, [cell(value) for value in row.values()]))
            self.measured.append(row)

    def as_markdown(self) -> str:
        """The table under its title."""
        columns = list(self.measured[0])
        lines = [columns, ["---", *["--:"] * (len(columns) - 1)]]
        lines += [[cell(value) for value in row.values()] for row in self.measured]
        text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"### {self.title}\n\n{self.note}\n\n{text}\n"


def cell(value: Any) -> str:
    """Three figures of a number, or all before its point."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _line(row: Row, cells: list[str]) -> str:
    widths = [max(8, len(column)) for column in row]
    return f"{cells[0]:28}" + "".join(f" {c:>{width}}" for c, width in zip(cells[1:], widths[1:], strict=True))
