"""The command `fastnn`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from fastnn import __version__, recipes, show_config
from fastnn.recipes.run import saved_settings
from fastnn.recipes.settings import CommonSettings, UsageError, parse
from fastnn.training import DivergenceError

USAGE = """\
usage: fastnn COMMAND ...

commands:
  train RECIPE [options]  train one of the recipes and write a run folder
  train --list            list the recipes
  train RECIPE --help     list a recipe's options
  train RECIPE --resume FOLDER  go on with a run
  sweep RECIPE --grid NAME=VALUE,VALUE ... [options]
                          train a recipe with every combination of some settings
  read PHOTO ... --model RUN [--out FOLDER]
                          print the text of photographs, by the network of a run of the recipe text
  bench [options]         measure against the reference, PyTorch, ONNX Runtime and OpenVINO, whichever is installed
  config                  show version, instruction sets, threads, NumPy

options:
  -h, --help              show this text
  --version               show the version"""
COMMANDS = ("train", "sweep", "read", "bench", "config")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0, 1 for a failed run, 2 for a wrong command line."""
    try:
        return _command(list(sys.argv[1:] if arguments is None else arguments))
    except UsageError as error:
        print(f"fastnn: {error}", file=sys.stderr)
        return 2
    except (ValueError, OSError, ImportError, DivergenceError) as error:
        print(f"fastnn: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as error:
        print(f"fastnn: interrupted {error}" if str(error) else "fastnn: interrupted", file=sys.stderr)
        return 130


def _command(arguments: list[str]) -> int:
    match arguments:
        case ["-h" | "--help"]:
            print(USAGE)
        case ["--version"]:
            print(f"fastnn {__version__}")
        case ["train", *rest]:
            _train(rest)
        case ["sweep", name, *rest] if name in recipes.NAMES:
            from fastnn.recipes.sweep import main as sweep

            sweep(name, rest)
        case ["sweep", *_]:
            raise UsageError(f"sweep: no recipe named; recipes: {', '.join(recipes.NAMES)}")
        case ["read", *rest]:
            from fastnn.recipes.read import main as read

            read(rest)
        case ["bench", *rest]:
            from fastnn._bench import main as bench

            return bench(rest)
        case ["config"]:
            show_config()
        case ["config", *rest]:
            raise UsageError(f"config: got {' '.join(rest)!r}, expected no arguments")
        case []:
            raise UsageError(f"no command\n{USAGE}")
        case [name, *_]:
            raise UsageError(f"unknown command {name!r}; commands: {', '.join(COMMANDS)} (fastnn --help)")
    return 0


def _train(arguments: list[str]) -> None:
    match arguments:
        case ["--list"]:
            print(recipes.listing())
        case ["-h" | "--help"]:
            print(USAGE)
        case [name, *rest] if name in recipes.NAMES:
            recipes.load(name).run(_settings(name, rest))
        case [name, *_] if not name.startswith("-"):
            raise UsageError(f"train: unknown recipe {name!r}; recipes: {', '.join(recipes.NAMES)}")
        case _:
            raise UsageError(f"train: no recipe named; recipes: {', '.join(recipes.NAMES)}")


def _settings(name: str, arguments: list[str]) -> CommonSettings:
    """A recipe's settings by the command line, and where that does not name them, by the run to go on with."""
    recipe = recipes.load(name)
    prog, description = f"fastnn train {name}", recipe.CARD.system
    settings: CommonSettings = parse(recipe.Settings, arguments, prog, description)
    if settings.resume is None:
        return settings
    return parse(recipe.Settings, arguments, prog, description, given=saved_settings(name, settings.resume))
