"""The command `fastnn`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from fastnn import __version__, recipes, show_config
from fastnn._console import write
from fastnn.recipes._frame.record import gone_on_with, is_finished
from fastnn.recipes._frame.report import REPORT
from fastnn.recipes._frame.settings import CommonSettings, UsageError, lengths, nearest, parse
from fastnn.training import DivergenceError

USAGE = """\
usage: fastnn COMMAND ...

commands:
  train RECIPE [options]  train one of the recipes and write a run folder
  train --list            list the recipes and the systems that they run
  train RECIPE --help     list a recipe's options
  train RECIPE --resume FOLDER  go on with a run
  sweep RECIPE --grid NAME=VALUE,VALUE ... [options]
                          train a recipe with every combination of some settings
  read PHOTO ... --model RUN [--out FOLDER]
                          print the text of photographs, by the network of a run of the recipe text
  bench [options]         measure against the reference, PyTorch, ONNX Runtime and OpenVINO, whichever is installed
  config                  show version, instruction sets, threads, NumPy

options:
  -h, --help              show this text; after a command, that of the command
  --version               show the version

environment:
  FASTNN_DATA             folder with data sets already downloaded
  FASTNN_NUM_THREADS      number of threads
  FASTNN_ISA              instruction set"""
COMMANDS = ("train", "sweep", "read", "bench", "config")
_NO_READER = 128 + 13  # as shells have it for a program that SIGPIPE ended


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns
    -------
    int
        The exit status: 0; 1 for a failed run; 2 for a wrong command line; 130 after Ctrl-C; 141 where nobody reads
        what was asked for.
    """
    try:
        return _command(list(sys.argv[1:] if arguments is None else arguments))
    except UsageError as error:
        write(f"fastnn: {error}", error=True)
        return 2
    except BrokenPipeError:
        return _NO_READER
    except (ValueError, OSError, ImportError, MemoryError, DivergenceError) as error:
        write(f"fastnn: {_sentence(error)}", error=True)
        return 1
    except KeyboardInterrupt as error:
        write(f"fastnn: interrupted {error}".rstrip(), error=True)
        return 130
    finally:
        _drop_unread()


def _command(arguments: list[str]) -> int:
    match arguments:
        case ["-h" | "--help" | "help"]:
            _show(USAGE)
        case ["--version"]:
            _show(f"fastnn {__version__}")
        case ["train", *rest]:
            _train(rest)
        case ["sweep", *rest]:
            _sweep(rest)
        case ["read", *rest]:
            from fastnn.recipes._frame.read import main as read

            read(rest)
        case ["bench", *rest]:
            from fastnn._bench import main as bench

            return bench(rest)
        case ["config"]:
            show_config()
            print(end="", flush=True)
        case ["config", "-h" | "--help"]:
            _show("usage: fastnn config\n\nShow version, instruction sets, threads, memory, NumPy and Python.")
        case ["config", *rest]:
            raise UsageError(f"config: got {' '.join(rest)!r}, expected no arguments")
        case []:
            raise UsageError(f"no command\n{USAGE}")
        case [name, *_]:
            like = nearest(name, COMMANDS)
            raise UsageError(f"unknown command {name!r}; commands: {', '.join(COMMANDS)} (fastnn --help){like}")
    return 0


def _train(arguments: list[str]) -> None:
    match arguments:
        case ["--list"]:
            _show(recipes.listing())
        case ["-h" | "--help"]:
            _show(USAGE)
        case [name, *rest] if name in recipes.NAMES:
            settings = _settings(name, rest)
            if settings.resume is not None and is_finished(name, settings):
                longer = "".join(f"; to train longer, give {option} more" for option in lengths(settings))
                write(f"{settings.resume}: this run is finished already; {REPORT} has its results{longer}")
            else:
                recipes.load(name).run(settings)
        case _:
            raise _no_recipe("train", arguments)


def _sweep(arguments: list[str]) -> None:
    match arguments:
        case ["-h" | "--help"]:
            _show(USAGE)
        case [name, *rest] if name in recipes.NAMES:
            from fastnn.recipes._frame.sweep import main as sweep

            sweep(name, rest)
        case _:
            raise _no_recipe("sweep", arguments)


def _no_recipe(command: str, arguments: list[str]) -> UsageError:
    name = next((each for each in arguments if not each.startswith("-")), "")
    known = ", ".join(recipes.NAMES)
    if name in recipes.NAMES:
        return UsageError(f"{command}: the recipe comes first: fastnn {command} {name} [options]")
    if arguments[:1] == [name]:
        return UsageError(f"{command}: unknown recipe {name!r}; recipes: {known}{nearest(name, recipes.NAMES)}")
    return UsageError(f"{command}: no recipe named; recipes: {known} (fastnn train --list)")


def _settings(name: str, arguments: list[str]) -> CommonSettings:
    """A recipe's settings by the command line, and where that does not name them, by the run to go on with."""
    recipe = recipes.load(name)
    given = parse(recipe.Settings, arguments, f"fastnn train {name}", recipe.CARD.title)
    if "resume" in given:
        return gone_on_with(name, recipe.Settings, given)
    settings: CommonSettings = recipe.Settings(**given)
    return settings


def _show(text: str) -> None:
    """Print what was asked for. Here it matters whether anybody reads it."""
    print(text, flush=True)


def _sentence(error: BaseException) -> str:
    """What went wrong, for those who know no Python."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    if isinstance(error, MemoryError):
        return f"not enough memory{': ' if str(error) else ''}{error}"
    return str(error)


def _drop_unread() -> None:
    """Drop what a stream could not be rid of: the interpreter would stumble over it at its end."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
