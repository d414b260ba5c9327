"""A recipe's settings: a dataclass, whose fields are at the same time the options of its command."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")


class UsageError(ValueError):
    """A command line that cannot be understood."""


class Parser(argparse.ArgumentParser):
    """An argument parser that raises UsageError, naming the options there are, instead of leaving the program."""

    def error(self, message: str) -> NoReturn:
        options = [action.option_strings[-1] for action in self._actions if action.option_strings]
        raise UsageError(f"{self.prog}: {message}\noptions: {', '.join(options)}")


def option(default: Any, help: str, kind: Callable[[str], Any] = str, choices: Sequence[str] | None = None) -> Any:
    """A dataclass field that is also an option: its default, its help, how its text becomes a value.

    A field whose default is False becomes a switch.
    """
    return field(default=default, metadata={"help": help, "kind": kind, "choices": choices})


def at_least_one(text: str) -> int:
    """A whole number of at least 1."""
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number of at least 1")
    return int(text)


def not_negative(text: str) -> int:
    """A whole number of at least 0."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number of at least 0")
    return int(text)


def widths(text: str) -> str:
    """Widths of hidden layers, as "100x50"."""
    for each in text.split("x"):
        at_least_one(each)
    return text


def number(text: str) -> float:
    """A number of at least 0."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a number of at least 0")
    return value


@dataclass(frozen=True)
class CommonSettings:
    """What every recipe can be told."""

    seed: int = option(0, "seed of all that is random; the same seed gives the same bits", not_negative)
    threads: int | None = option(None, "threads of the kernels (default: all cores allowed)", at_least_one)
    out: str | None = option(None, "run folder, new or empty (default: runs/RECIPE-TIME)")
    resume: str | None = option(None, "go on with the run in this folder; options not given are those of that run")
    quick: bool = option(False, "a short run, to see that everything works")

    def __post_init__(self) -> None:
        for each in fields(self):
            choices, value = each.metadata["choices"], getattr(self, each.name)
            if choices and value not in choices:
                raise ValueError(f"{each.name}: got {value!r}, expected one of {', '.join(choices)}")


def parse(
    settings: type[T], arguments: Sequence[str], prog: str, description: str, given: Mapping[str, Any] | None = None
) -> T:
    """Settings from a command line; `given` are values of options that it does not name.

    Raises
    ------
    UsageError
        An unknown option or an unusable value; lists the options.
    """
    parser = Parser(prog=prog, description=description, allow_abbrev=False)
    for each in fields(settings):  # type: ignore[arg-type]
        name = "--" + each.name.replace("_", "-")
        assert each.default is not MISSING, "a setting without a default cannot be an option"
        if each.default is False:
            parser.add_argument(name, action="store_true", help=each.metadata["help"])
            continue
        shown = "" if each.default is None else " (default: %(default)s)"
        parser.add_argument(
            name,
            type=each.metadata["kind"],
            choices=each.metadata["choices"],
            default=each.default,
            metavar=None if each.metadata["choices"] else each.name.upper(),
            help=each.metadata["help"] + shown,
        )
    parser.set_defaults(**(given or {}))
    return settings(**vars(parser.parse_args(arguments)))
