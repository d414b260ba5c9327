"""Benchmarks: the cases, who runs them, and the command ``fastnn bench``. ``bench/`` uses the same cases."""

from fastnn._bench.command import main

__all__ = ["main"]
