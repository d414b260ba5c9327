"""Kernels read nothing outside their inputs.

Every input lies at the very end of a page that is followed by one that may not be touched, then at the very start of
one that is preceded by such a page: a read outside ends the process. Hence a process of its own, which prints the
name of each case before its call.
"""

import ctypes
import mmap
import os
from pathlib import Path

import numpy as np
import pytest

import fastnn as fnn
from cases import CASES, DTYPES

PAGE = mmap.PAGESIZE


class Fenced:
    """Copies of arrays between two pages that may not be touched."""

    def __init__(self, at_end: bool):
        self.at_end = at_end
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.maps = []

    def __call__(self, a):
        if not isinstance(a, np.ndarray) or a.size == 0:
            return a
        room = -(-a.nbytes // PAGE) * PAGE
        whole = mmap.mmap(-1, room + 2 * PAGE)
        self.maps.append(whole)
        start = ctypes.addressof(ctypes.c_char.from_buffer(whole))
        for fence in (start, start + PAGE + room):
            if self.libc.mprotect(ctypes.c_void_p(fence), ctypes.c_size_t(PAGE), 0):
                raise OSError(ctypes.get_errno(), "mprotect")
        place = PAGE + (room - a.nbytes if self.at_end else 0)
        copy = np.frombuffer(whole, a.dtype, a.size, place).reshape(a.shape)
        copy[...] = a
        return copy


def read_everything():
    for case in CASES:
        if case.large:
            continue
        for dtype in DTYPES:
            for at_end in (True, False):
                fenced = Fenced(at_end)
                args, kwargs = case.inputs(dtype)
                args = tuple(map(fenced, args))
                kwargs = {name: fenced(value) for name, value in kwargs.items()}
                print(case, np.dtype(dtype), "at the end" if at_end else "at the start", flush=True)
                getattr(fnn.functional, case.op)(*args, **kwargs)
    print("done")


posix = pytest.mark.skipif(os.name != "posix", reason="mprotect is needed")


@posix
def test_nothing_is_read_outside(run_python):
    for tier in fnn.isa_available():
        process = run_python("-X", "faulthandler", str(Path(__file__)), FASTNN_ISA=tier, FASTNN_NUM_THREADS="2")
        lines = process.stdout.splitlines()
        assert process.returncode == 0, f"{tier}: {lines[-1] if lines else ''}\n{process.stderr[-3000:]}"
        assert lines[-1] == "done"


@posix
def test_the_fence_holds(run_python):
    """A read past the end does end the process."""
    source = (
        "import numpy as np, ctypes, test_reads\n"
        "a = test_reads.Fenced(True)(np.ones(5, np.float32))\n"
        "print(a.sum(), flush=True)\n"
        "ctypes.string_at(a.ctypes.data, 21)"
    )
    process = run_python("-c", f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n{source}")
    assert process.stdout.strip() == "5.0", process.stderr
    assert process.returncode < 0


if __name__ == "__main__":
    read_everything()
