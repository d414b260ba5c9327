"""The options of ``fastnn bench``."""

from __future__ import annotations

import argparse
import re
from functools import partial
from pathlib import Path
from typing import Any

from fastnn._bench.contestants import ON_REQUEST, PEERS
from fastnn._destination import prepare
from fastnn.plots import figure
from fastnn.recipes._frame.settings import Parser

SWEEPS = ("linear", "conv", "pool", "norm", "map", "train", "all")


def parser() -> argparse.ArgumentParser:
    made = Parser(
        prog="fastnn bench",
        description="Time fastnn against the NumPy reference, PyTorch, ONNX Runtime and OpenVINO, whichever is "
        "installed: in turns, in one run, on the same number of threads. FASTNN_ISA chooses fastnn's instruction set.",
    )
    made.add_argument(
        "--against",
        type=_peers,
        metavar="NAMES",
        help=f"whom to compare with, of {','.join(PEERS)}, or none (default: those installed, "
        f"but {','.join(ON_REQUEST)})",
    )
    made.add_argument(
        "--threads", type=_threads, default=[1, 2], metavar="N,N", help="numbers of threads (default: 1,2)"
    )
    made.add_argument(
        "--cases", type=_pattern, default=re.compile(""), metavar="REGEX", help="only cases whose name matches"
    )
    made.add_argument("--quick", action="store_true", help="a minute's worth: small layers, short blocks")
    made.add_argument("--seconds", type=_seconds, metavar="S", help="for each case (default: 1, quick 0.3, sweep 0.5)")
    made.add_argument("--json", type=_file, metavar="FILE", help="also write everything measured as JSON")
    made.add_argument("--markdown", type=_file, metavar="FILE", help="also write the table as Markdown")
    made.add_argument("--chart", type=_picture, metavar="FILE.png", help="also draw the ratios to the fastest peer")
    instead = made.add_argument_group("other tables, of training steps on the largest number of threads")
    one = instead.add_mutually_exclusive_group()
    one.add_argument("--busy", **_study_flag("busy"), help="with one core too few, against an idle machine")
    one.add_argument("--memory", **_study_flag("memory"), help="resident memory: the peak, and what steps add")
    one.add_argument("--scaling", **_study_flag("scaling"), help="one thread and all; an image of batches of 1 to 512")
    sweep = made.add_argument_group("layers and networks of random shapes, against PyTorch")
    sweep.add_argument(
        "--sweep", nargs="?", const="all", choices=SWEEPS, help="of which kind (default: all)", metavar="|".join(SWEEPS)
    )
    sweep.add_argument("--seed", type=_whole, default=0, metavar="N", help="where the shapes come from (default: 0)")
    sweep.add_argument(
        "--count", type=partial(_whole, least=1), default=40, metavar="N", help="shapes of each kind (default: 40)"
    )
    made.add_argument("--list", action="store_true", help="only list the cases")
    return made


def _study_flag(name: str) -> dict[str, Any]:
    return {"dest": "study", "action": "store_const", "const": name}


def _peers(text: str) -> list[str]:
    names = [] if text == "none" else text.split(",")
    for name in names:
        if name not in PEERS:
            raise argparse.ArgumentTypeError(f"got {name!r}; expected some of {', '.join(PEERS)}, or none")
    return list(dict.fromkeys(names))


def _threads(text: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = [0]
    if min(numbers) < 1:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected numbers of at least 1, as in 1,2")
    return list(dict.fromkeys(numbers))


def _whole(text: str, least: int = 0) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a whole number of at least {least}")
    return int(text)


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a regular expression ({error})") from None


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a number of seconds")
    return value


def _picture(text: str) -> Path:
    try:
        figure.check_ending(text)
    except (ValueError, ImportError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return _file(text)


def _file(text: str) -> Path:
    path = Path(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"got {text!r}; there is no folder {str(path.parent)!r}")
    try:
        prepare(path)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"got {text!r}: {error.strerror}") from None
    return path
