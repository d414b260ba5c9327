"""Benchmarks for pytest-benchmark: one group per case, and in it everybody who can run it.

    pytest bench/ --benchmark-only                                    all of them: a quarter of an hour
    pytest bench/ --benchmark-only -k "lenet and not step"            those of LeNet's layers
    pytest bench/ --benchmark-only --benchmark-max-time=0.1 -k quick  a short run

The cases and the contestants are those of `fastnn bench`, which takes turns between contestants and so gives the
ratios to quote; here each has its own time and its spread, and `--benchmark-save` keeps them for later.
"""

from contextlib import ExitStack

import pytest

from fastnn._bench.cases import QUICK, draw
from fastnn._bench.contestants import PEERS, fastnn_kernels, installed_peers, takes_part

CONTESTANTS = [
    ("fastnn", 1),
    ("fastnn", 2),
    *((name, threads) for name in installed_peers() for threads in ((1,) if name == "reference" else (1, 2))),
]


def pytest_collection_modifyitems(items):
    """Nobody stands in a group without running its case; `-k quick` chooses what `fastnn bench --quick` runs."""

    def parameters(item):
        return item.callspec.params if hasattr(item, "callspec") else {}  # tests/ may be collected with bench/

    def left_out(item):
        case, (name, _) = parameters(item).get("case"), parameters(item).get("contestant", ("", 0))
        return name and not takes_part(name, case)

    items[:] = [item for item in items if not left_out(item)]
    for item in items:
        if QUICK.search(str(parameters(item).get("case", ""))):
            item.extra_keyword_matches.add("quick")


def pytest_generate_tests(metafunc):
    if "contestant" in metafunc.fixturenames:
        ids = [f"{name}-{threads}T" for name, threads in CONTESTANTS]
        metafunc.parametrize("contestant", CONTESTANTS, ids=ids)


@pytest.fixture
def compare(benchmark):
    """Time one contestant on one case, in the case's group."""

    def run(case, contestant):
        name, threads = contestant
        who = fastnn_kernels() if name == "fastnn" else PEERS[name]()
        benchmark.group = str(case)
        with ExitStack() as stack:
            stack.enter_context(who.threads(threads))
            work = who.prepare(case, draw(case))
            work()
            benchmark(work)
        seconds = benchmark.stats.stats.min if benchmark.stats else None
        if seconds:
            benchmark.extra_info["rate"] = case.rate(seconds)

    return run
