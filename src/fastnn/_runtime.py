"""How fastnn runs: the ISA tier, threads, memory, randomness, and which implementation is in use."""

from __future__ import annotations

import math
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

import numpy as np

import fastnn._kernels._table as _table
from fastnn._kernels._memory import empty as empty  # for all who ask for memory
from fastnn._version import __version__

MAX_THREADS = 256
IMPLEMENTATIONS = ("kernels", "reference")


# Implementation

_reference_in_use: ContextVar[bool] = ContextVar("fastnn_reference", default=False)


def use_reference() -> bool:
    """Whether the NumPy twins are in use in this thread or task."""
    return _reference_in_use.get()


@contextmanager
def implementation(name: Literal["kernels", "reference"]) -> Iterator[None]:
    """Run what is inside on the compiled kernels or on their NumPy twins.

    Parameters
    ----------
    name : {"kernels", "reference"}

    Examples
    --------
    >>> net, x = fnn.Linear(4, 2), np.ones((1, 4), np.float32)
    >>> with fnn.implementation("reference"):
    ...     scores = net(x)
    """
    if name not in IMPLEMENTATIONS:
        raise ValueError(f"name: got {name!r}; expected one of {', '.join(map(repr, IMPLEMENTATIONS))}")
    token = _reference_in_use.set(name == "reference")
    try:
        yield
    finally:
        _reference_in_use.reset(token)


# Environment


def _bad_variable(message: str) -> ImportError:
    """An error that ``python -m fastnn``, told by its name that it is the package's own, shows without a traceback."""
    return ImportError(message, name="fastnn")


# ISA tiers


def isa() -> str:
    """The ISA tier in use: "baseline", "v3" (AVX2 and FMA), "v4" (AVX-512) or "amx" (v4, and AMX for products)."""
    return str(_table.isa())


def isa_available() -> tuple[str, ...]:
    """The ISA tiers that this build and this CPU have, from the plainest to the widest."""
    return tuple(_table.isa_names())


def _choose_isa() -> None:
    available = isa_available()
    name = os.environ.get("FASTNN_ISA") or available[-1]
    if name not in available:
        raise _bad_variable(f"FASTNN_ISA: got {name!r}; expected one of {', '.join(available)}, which this CPU has")
    _table.use_isa(name)


# Threads


def _text(path: str) -> str:
    """What the system says, whatever encoding is usual: the names of groups are bytes.

    Without pathlib, which is a tenth of the time that importing fastnn takes.
    """
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def _cgroup_quota() -> float:
    """The CPUs that the control group (a container's limit) allows, or infinity."""
    quota = math.inf
    try:
        own = _text("/proc/self/cgroup").splitlines()
    except OSError:
        return quota
    for line in own:
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # version 2: the limits of all groups above hold too
            root, files = "/sys/fs/cgroup", ["cpu.max"]
        elif "cpu" in controllers.split(","):
            root, files = "/sys/fs/cgroup/cpu", ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
        else:
            continue
        folder = f"{root}/{path.strip('/')}".rstrip("/")
        while folder:
            try:
                limit, period = " ".join(_text(f"{folder}/{f}") for f in files).split()
                if limit not in ("max", "-1"):
                    quota = min(quota, int(limit) / int(period))
            except (OSError, ValueError):
                pass
            folder = folder.rpartition("/")[0]
    return quota


def _default_threads() -> int:
    asked = os.environ.get("FASTNN_NUM_THREADS")
    if asked:
        count = _count(asked)
        if count is None:
            raise _bad_variable(f"FASTNN_NUM_THREADS: got {asked!r}; expected a whole number from 1")
        return count
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(cpus, _cgroup_quota(), _share())))


def _share() -> float:
    """The threads that OMP_NUM_THREADS allows, or infinity: joblib says so what part of the CPUs a worker has.

    It may have a number for each level of nesting, of which the first counts. What is no number others may refuse.
    """
    return _count(os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]) or math.inf


def _count(text: str) -> int | None:
    """The number of threads that a text says, at most `MAX_THREADS`; None where it says none."""
    digits = text.strip().lstrip("0")
    if not (digits.isascii() and digits.isdigit()):
        return None
    return min(int(digits[:9]), MAX_THREADS)  # Python refuses to read thousands of digits


def set_num_threads(n: int) -> None:
    """Use at most `n` threads from now on, the caller's included. Results do not depend on it, to the bit."""
    if not isinstance(n, int | np.integer) or isinstance(n, bool):
        raise TypeError(f"n: got {type(n).__name__}; expected an int")
    if n < 1:
        raise ValueError(f"n: got {n}; expected at least 1")
    _table.set_threads(min(int(n), MAX_THREADS))


def get_num_threads() -> int:
    """The number of threads in use, the caller's included."""
    return int(_table.get_threads())


@contextmanager
def num_threads(n: int) -> Iterator[None]:
    """Use at most `n` threads inside; the setting is the process's, not this thread's alone."""
    before = get_num_threads()
    set_num_threads(n)
    try:
        yield
    finally:
        set_num_threads(before)


def register_threadpoolctl() -> None:
    """Let threadpoolctl see and limit the pool; done at import when threadpoolctl was imported before fastnn."""
    import threadpoolctl

    class Controller(threadpoolctl.LibController):
        user_api = "fastnn"
        internal_api = "fastnn"
        filename_prefixes = ("_table",)
        check_symbols = ("PyInit__table",)

        def get_num_threads(self) -> int:
            return get_num_threads()

        def set_num_threads(self, n: int) -> None:
            set_num_threads(n)

        def get_version(self) -> str:
            return __version__

        def set_additional_attributes(self) -> None:
            self.isa = isa()

    threadpoolctl.register(Controller)


# Memory


def empty_cache() -> None:
    """Give the memory that is kept for the next outputs back to the system."""
    _table.empty_cache()


# Randomness

_random: dict[str, np.random.Generator] = {}  # filled at first use: numpy.random takes 15 ms to import


def manual_seed(seed: int) -> None:
    """Seed everything random in fastnn: initialisation, batches, augmentation."""
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool):
        raise TypeError(f"seed: got {type(seed).__name__}; expected an int")
    if seed < 0:
        raise ValueError(f"seed: got {seed}; expected at least 0")
    _random["generator"] = np.random.default_rng(seed)


def generator() -> np.random.Generator:
    """The generator that `manual_seed` sets."""
    found = _random.get("generator")
    # Another thread may seed one meanwhile, which is not to be replaced.
    return _random.setdefault("generator", np.random.default_rng()) if found is None else found


# Reporting


def show_config() -> None:
    """Print the version, ISA tiers available and in use, threads, memory, and versions of NumPy and Python."""
    live, cached = _table.memory_stats()
    rows = {
        "fastnn": __version__,
        "ISA tier": f"{isa()} (available: {', '.join(isa_available())})",
        "threads": get_num_threads(),
        "memory": f"{live / 2**20:.1f} MiB in use, {cached / 2**20:.1f} MiB cached",
        "NumPy": np.__version__,
        "Python": f"{platform.python_version()} on {sys.platform} {platform.machine()}",
    }
    for name, value in rows.items():
        print(f"{name:10} {value}")


_choose_isa()
_table.set_threads(_default_threads())
if "threadpoolctl" in sys.modules:
    register_threadpoolctl()
