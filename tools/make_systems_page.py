"""Write docs/systems.md: the systems that the recipes run, from the recipes' cards.

python tools/make_systems_page.py
"""

from pathlib import Path

from fastnn import recipes
from fastnn.recipes._frame.card import UNKNOWN, figures

PAGE = Path(__file__).parents[1] / "docs" / "systems.md"
HEAD = """\
# Systems

Written by `tools/make_systems_page.py` from the recipes: not to be changed by hand.

Each system is published coursework: a network, its data and a training recipe. One command runs it and prints its
figures beside the published ones. [results.md](results.md) has the figures that full runs reach. A number with a letter
(S2b) is a further look at the system (S2). The time is that of a full run on two cores.

"""


def table(heads, rows):
    lines = [heads, ["---"] * len(heads), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def make():
    """The page."""
    systems = [
        [
            each.number,
            each.what,
            "; ".join(figures(each)).replace(" -> ", "→"),
            each.time,
            f"`{recipes.command(name, each.options)}`",
        ]
        for name, _, each in recipes.systems()
    ]
    cards = {name: card for name, card, _ in recipes.systems()}
    rows = [
        [
            f"`{name}`",
            ", ".join(dict.fromkeys(each.number for each in card.systems)),
            "not named" if card.source == UNKNOWN else card.source,
            card.data,
            card.size,
        ]
        for name, card in cards.items()
    ]
    return (
        HEAD
        + table(["system", "", "published", "time", "command"], systems)
        + "\n## Recipes\n\n"
        + table(["recipe", "systems", "course", "data", "network"], rows)
    )


if __name__ == "__main__":
    PAGE.write_text(make(), encoding="utf-8")
