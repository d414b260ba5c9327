"""A recipe's settings: a dataclass, whose fields are at the same time the options of its command."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NoReturn

_LARGEST = 2**63 - 1


class UsageError(ValueError):
    """A command line that cannot be understood."""


class Parser(argparse.ArgumentParser):
    """An argument parser that raises UsageError, naming the options there are, instead of leaving the program."""

    def error(self, message: str) -> NoReturn:
        options = [action.option_strings[-1] for action in self._actions if action.option_strings]
        unknown = message.removeprefix("unrecognized arguments: ").split()[0] if "unrecognized" in message else ""
        like = nearest(unknown.partition("=")[0], options)
        there_are = f"\noptions: {', '.join(options)}" if options else ""
        raise UsageError(f"{self.prog.removeprefix('fastnn ')}: {message}{like}{there_are}")

    def print_help(self, file: Any = None) -> None:
        print(self.format_help(), end="", file=file, flush=True)


def nearest(name: str, names: Iterable[str]) -> str:
    """A question that ends a message about an unknown name, if one of the known `names` is like it."""
    known = {each.lower().lstrip("-"): each for each in names}
    found = difflib.get_close_matches(name.lower().lstrip("-"), known, n=1)
    return f"; did you mean {known[found[0]]}?" if found else ""


def option(
    default: Any,
    help: str,
    kind: Callable[[str], Any] = str,
    choices: Sequence[str] | None = None,
    *,
    quick: Any = None,
    length: bool = False,
) -> Any:
    """A dataclass field that is also an option.

    Parameters
    ----------
    default : the value that it has unless told otherwise, or a function that finds it from the settings before it; a
        field whose default is False becomes a switch
    help : for the command's help
    kind : how a text becomes a value
    choices : the only values there are
    quick : the default of a quick run, where that is another one
    length : it says how long the run is, so a run that goes on may change it
    """
    about = {"help": help, "kind": kind, "choices": choices, "default": default, "quick": quick, "length": length}
    return field(default=False if default is False else None, metadata=about)


def at_least_one(text: str) -> int:
    """A whole number of at least 1."""
    return _whole(text, 1)


def not_negative(text: str) -> int:
    """A whole number of at least 0."""
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    digits = text.lstrip("0") or text[:1]
    if not (digits.isascii() and digits.isdigit() and least <= int(digits[:20]) <= _LARGEST):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number of at least {least}, below 2**63")
    return int(digits)


def widths(text: str) -> str:
    """Widths of hidden layers, as "100x50"."""
    try:
        for each in text.split("x"):
            at_least_one(each)
    except argparse.ArgumentTypeError:
        message = f"got {text!r}, expected the width of each hidden layer, as 100 or 100x50"
        raise argparse.ArgumentTypeError(message) from None
    return text


def folder_name(text: str) -> str:
    """A folder; an empty text is that of a variable that has no value."""
    if not text:
        raise argparse.ArgumentTypeError("got '', expected a folder")
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
    """What every recipe can be told. A setting that is None gets its default, which a quick run may have of its own."""

    seed: int = option(0, "seed of all that is random; the same seed gives the same bits", not_negative)
    threads: int | None = option(None, "threads of the kernels (default: all cores allowed)", at_least_one)
    out: str | None = option(None, "run folder, new or empty (default: runs/RECIPE-TIME)", folder_name)
    resume: str | None = option(
        None,
        "go on with the run in this folder, with its settings; only --threads and what says how long it is can change",
        folder_name,
    )
    quick: bool = option(False, "a short run on few data, to see that everything works")

    def __post_init__(self) -> None:
        for each in fields(self):
            about = each.metadata
            if getattr(self, each.name) is None:
                value = about["quick"] if self.quick and about["quick"] is not None else about["default"]
                object.__setattr__(self, each.name, value(self) if callable(value) else value)
            choices, value = about["choices"], getattr(self, each.name)
            if choices and value not in choices:
                raise ValueError(f"{each.name}: got {value!r}, expected one of {', '.join(choices)}")


def option_of(name: str) -> str:
    """The option of a setting."""
    return "--" + name.replace("_", "-")


def lengths(settings: CommonSettings) -> list[str]:
    """The options that say how long a run is."""
    return [option_of(each.name) for each in fields(settings) if each.metadata["length"]]


def parse(settings: type, arguments: Sequence[str], prog: str, description: str) -> dict[str, Any]:
    """The settings that a command line names.

    Raises
    ------
    UsageError
        An unknown option or an unusable value; lists the options.
    """
    parser = Parser(prog=prog, description=description, allow_abbrev=False, argument_default=argparse.SUPPRESS)
    for each in fields(settings):
        about = each.metadata
        if about["default"] is False:
            parser.add_argument(option_of(each.name), action="store_true", help=about["help"])
            continue
        parser.add_argument(
            option_of(each.name),
            type=about["kind"],
            choices=about["choices"],
            metavar=None if about["choices"] else each.name.upper(),
            help=about["help"] + _defaults(about),
        )
    return vars(parser.parse_args(arguments))


def _defaults(about: Mapping[str, Any]) -> str:
    """For a help: the defaults, where it does not name them itself, and whether a run that goes on may change it."""
    facts = []
    if not (about["default"] is None or callable(about["default"])):
        facts.append(f"default: {about['default']}")
    if about["quick"] is not None:
        facts.append(f"with --quick: {about['quick']}")
    if about["length"]:
        facts.append("can change with --resume")
    return f" ({'; '.join(facts)})" if facts else ""
