"""The command ``fastnn bench``: one table of ratios that a person can read."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from fastnn import _files
from fastnn._bench import busy, memory, report, scaling, sweep, timing
from fastnn._bench.cases import CASES, QUICK, BenchCase, draw
from fastnn._bench.chart import ratio_chart
from fastnn._bench.contestants import PEERS, Contestant, all_on, fastnn_kernels, installed_peers, takes_part
from fastnn._bench.options import parser as options_of_bench
from fastnn._bench.sweep import summary
from fastnn._bench.table import Table
from fastnn._console import write
from fastnn._json import to_json
from fastnn.plots import figure

LEAST_BLOCKS = 5

STUDIES: dict[str, Callable[[Sequence[Contestant], Sequence[BenchCase], int, float], list[Table]]] = {
    "busy": busy.tables,
    "memory": memory.tables,
    "scaling": scaling.tables,
}


def main(args: Sequence[str]) -> int:
    """Run ``fastnn bench`` with these arguments; returns the exit status."""
    parser = options_of_bench()
    options = parser.parse_args(args)
    if options.sweep:
        return _sweep(parser, options)
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
        if warning := report.busy_warning([result.spread for result in of_n]):
            write(warning)
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


def _sweep(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Random shapes against PyTorch."""
    if options.study or options.quick or options.cases.pattern or options.against not in (None, ["torch"]):
        parser.error("--sweep: it times random shapes against PyTorch, and nothing else")
    kinds = list(sweep.KINDS) if options.sweep == "all" else [options.sweep]
    drawn = [each for kind in kinds for each in sweep.draw(kind, options.seed, options.count)]
    if options.list:
        write("\n".join(f"{each.kind:7} {each.text}" for each in drawn))
        return 0
    about = report.machine() | {"torch": sweep.pytorch_version()}
    heading = [f"{report.versions(about)}, PyTorch {about['torch']}", f"seed {options.seed}; {summary.ABOUT}"]
    write("\n".join([*heading, summary.COLUMNS]))
    measured = []
    for n in options.threads:
        for m in sweep.measure(drawn, n, 0.5 if options.seconds is None else options.seconds):
            write(summary.line(m))
            measured.append(m)
    write("\n" + summary.summary(measured))
    _write(options.json, summary.as_json(about, options.seed, measured))
    _write(options.markdown, summary.as_markdown(heading, measured))
    if options.chart:
        title = "PyTorch's time divided by fastnn's"
        figure.save(sweep.heat_map(measured, title=title, caption=heading[0]), options.chart)
        write(f"written: {options.chart}")
    return 0


def _run(case: BenchCase, n: int, peers: list[Contestant], seconds: float, names: list[str]) -> report.Result:
    arrays = draw(case)
    works = {c.name: c.prepare(case, arrays) for c in (fastnn_kernels(), *peers) if takes_part(c.name, case)}
    block = min(timing.BLOCK, seconds / LEAST_BLOCKS)
    result = report.Result(case, n, timing.in_turns(works, seconds=seconds, least_blocks=LEAST_BLOCKS, block=block))
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
