"""The command ``fastnn bench``: one table of ratios that a person can read."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fastnn import _files
from fastnn._bench import busy, memory, report, scaling
from fastnn._bench.cases import CASES, QUICK, BenchCase, draw
from fastnn._bench.chart import ratio_chart
from fastnn._bench.contestants import PEERS, Contestant, all_on, fastnn_kernels, installed_peers, takes_part
from fastnn._bench.table import Table
from fastnn._bench.timing import in_turns
from fastnn._console import write
from fastnn._destination import prepare
from fastnn._json import to_json
from fastnn.plots import figure
from fastnn.recipes._frame.settings import Parser

STUDIES: dict[str, Callable[[Sequence[Contestant], Sequence[BenchCase], int, float], list[Table]]] = {
    "busy": busy.tables,
    "memory": memory.tables,
    "scaling": scaling.tables,
}


def main(args: Sequence[str]) -> int:
    """Run ``fastnn bench`` with these arguments; returns the exit status."""
    parser = _parser()
    options = parser.parse_args(args)
    cases = _chosen(options)
    if not cases:
        parser.error(f"--cases: got {options.cases.pattern!r}, which no case matches; --list prints them all")
    if options.list:
        print(*cases, sep="\n", flush=True)
        return 0
    peers = [PEERS[name]() for name in _compared(parser, options, cases)]
    seconds = options.seconds if options.seconds is not None else 0.3 if options.quick else 1.0
    if options.study:
        return _study(options, cases, peers, seconds)
    return _ratios(options, cases, peers, seconds)


def _ratios(options: argparse.Namespace, cases: list[BenchCase], peers: list[Contestant], seconds: float) -> int:
    """The table of ratios."""
    about, titles = report.machine(), {peer.name: peer.title for peer in peers}
    write("\n".join(report.header(about, list(titles.values()))))
    results: list[report.Result] = []
    for n in options.threads:
        write(f"\n{report.threads_title(n)}\n{report.columns(list(titles))}")
        with all_on([fastnn_kernels(), *peers], n):
            of_n = [_run(case, n, peers, seconds, list(titles)) for case in cases]
        if titles:
            write("\n".join(["geometric means", *report.mean_rows(of_n, list(titles))]))
        results += of_n
    _write(options.json, report.as_json(about, titles, results))
    _write(options.markdown, report.as_markdown(about, titles, results))
    if options.chart:
        figure.save(ratio_chart(about, titles, results), options.chart)
        write(f"written: {options.chart}")
    return 0


def _study(options: argparse.Namespace, cases: list[BenchCase], peers: list[Contestant], seconds: float) -> int:
    """The tables of what else was asked for, on the largest number of threads."""
    about, titles = report.machine(), {peer.name: peer.title for peer in peers}
    heading = [report.versions(about), f"float32; beside {', '.join(titles.values()) or 'nobody'}"]
    write("\n".join(heading))
    tables = STUDIES[options.study]([fastnn_kernels(), *peers], cases, max(options.threads), seconds)
    for table in tables:
        table.measure()
    measured = {table.title: table.measured for table in tables}
    _write(options.json, to_json({"machine": about, "peers": titles, "tables": measured}, indent=1) + "\n")
    _write(options.markdown, "\n".join(["  \n".join(heading) + "\n", *(table.as_markdown() for table in tables)]))
    return 0


def _run(case: BenchCase, n: int, peers: list[Contestant], seconds: float, names: list[str]) -> report.Result:
    arrays = draw(case)
    works = {c.name: c.prepare(case, arrays) for c in (fastnn_kernels(), *peers) if takes_part(c.name, case)}
    result = report.Result(case, n, in_turns(works, seconds=seconds, least_rounds=5))
    write(report.row(result, names))
    return result


def _chosen(options: argparse.Namespace) -> list[BenchCase]:
    cases = [case for case in CASES if options.cases.search(str(case))]
    if options.quick:
        cases = [case for case in cases if QUICK.search(str(case))]
    if options.study:
        cases = [case for case in cases if case.family == "training"]
    if options.study == "memory":
        cases = [case for case in cases if case.name in memory.STEPS]
    return cases


def _compared(parser: argparse.ArgumentParser, options: argparse.Namespace, cases: list[BenchCase]) -> list[str]:
    """The names of the peers; a combination of options that makes no sense ends here."""
    names = options.against
    if names is None:
        names = [name for name in installed_peers() if not options.study or name == "torch"]
    if options.chart and options.study:
        parser.error(f"--chart: it shows ratios to peers, which --{options.study} does not measure")
    if options.chart and not names:
        parser.error("--chart: there is nobody to compare with")
    if options.study in ("busy", "memory") and sys.platform == "win32":
        parser.error(f"--{options.study}: it asks the system for what Windows has not; expected Linux or macOS")
    if options.study and (strangers := [name for name in names if not takes_part(name, cases[0])]):
        parser.error(f"--against: {', '.join(strangers)} cannot train")
    return names


def _write(path: Path | None, text: str) -> None:
    if path is None:
        return
    with _files.atomic_file(path) as file:
        file.write(text.encode())
    write(f"written: {path}")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="fastnn bench",
        description="Time fastnn against the NumPy reference, PyTorch, ONNX Runtime and OpenVINO, whichever is "
        "installed: in turns, in one run, on the same number of threads. FASTNN_ISA chooses fastnn's instruction set.",
    )
    parser.add_argument(
        "--against",
        type=_peers,
        metavar="NAMES",
        help=f"whom to compare with, of {','.join(PEERS)}, or none (default: those installed)",
    )
    parser.add_argument(
        "--threads", type=_threads, default=[1, 2], metavar="N,N", help="numbers of threads (default: 1,2)"
    )
    parser.add_argument(
        "--cases", type=_pattern, default=re.compile(""), metavar="REGEX", help="only cases whose name matches"
    )
    parser.add_argument("--quick", action="store_true", help="a minute's worth: small layers, few rounds")
    parser.add_argument("--seconds", type=_seconds, metavar="S", help="for each case (default: 1, quick 0.3)")
    parser.add_argument("--json", type=_file, metavar="FILE", help="also write everything measured as JSON")
    parser.add_argument("--markdown", type=_file, metavar="FILE", help="also write the table as Markdown")
    parser.add_argument("--chart", type=_picture, metavar="FILE.png", help="also draw the ratios to the fastest peer")
    instead = parser.add_argument_group("other tables, of training steps on the largest number of threads")
    one = instead.add_mutually_exclusive_group()
    one.add_argument("--busy", **_study_flag("busy"), help="with one core too few, against an idle machine")
    one.add_argument("--memory", **_study_flag("memory"), help="resident memory: the peak, and what steps add")
    one.add_argument("--scaling", **_study_flag("scaling"), help="one thread and all; an image of batches of 1 to 512")
    parser.add_argument("--list", action="store_true", help="only list the cases")
    return parser


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
