"""Progress is shown to whoever is there to see it, and ends nothing where nobody is."""

import gc
import io
import sys
import types

import pytest

from fastnn.training import progress, write
from fastnn.training.progress import Progress
from test_training import blobs, make


class Plain:
    """A stream that some IDEs have: it can be written to, and no more."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text


class Terminal(io.StringIO):
    """A terminal that is gone after some writes."""

    encoding = "ascii"

    def __init__(self, writes=10**9):
        super().__init__()
        self.left = writes

    def isatty(self):
        return True

    def write(self, text):
        text.encode(self.encoding)
        self.left -= 1
        if self.left < 0:
            raise BrokenPipeError(32, "Broken pipe")
        return super().write(text)


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


class Unreadable(io.StringIO):
    def isatty(self):
        raise OSError("no such device")

    def write(self, text):
        raise OSError("no space left on device")


STREAMS = {"none": lambda: None, "closed": closed, "plain": Plain, "full": Unreadable, "gone": lambda: Terminal(4)}


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_fit_bears_any_standard_error(monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream())
    trainer = make()
    trainer.fit(blobs(), iterations=20)
    assert trainer.history.iterations == 20
    if isinstance(sys.stderr, Plain):
        assert len(sys.stderr.text.splitlines()) == 10


@pytest.mark.parametrize("stream", [*STREAMS.values(), lambda: io.TextIOWrapper(io.BytesIO(), "ascii")])
def test_lines_of_ones_own_bear_any_standard_output(monkeypatch, stream):
    monkeypatch.setattr(sys, "stdout", stream())
    write("5 µs → 3 µs")
    if isinstance(sys.stdout, io.TextIOWrapper):
        assert sys.stdout.buffer.getvalue() == b"5 ?s ? 3 ?s\n"


def test_a_name_that_the_terminal_lacks_letters_for(monkeypatch):
    pytest.importorskip("tqdm")
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with Progress(3, metric="точность") as shown:
        for _ in range(3):
            shown.step(1.0, 0.5)
    assert "iteration 3/3  loss 1.0000, ???????? 0.500" in stream.getvalue()


def test_a_notebook_without_widgets_has_plain_lines(monkeypatch, capsys):
    """tqdm's own bar for notebooks fails there, and once more when it is deleted."""
    notebook = pytest.importorskip("tqdm.notebook")
    monkeypatch.setattr(notebook, "IProgress", None)
    shell = type("ZMQInteractiveShell", (), {})()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    make().fit(blobs(), iterations=20)
    gc.collect()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert all(line.startswith("iteration") for line in lines)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.mark.parametrize(
    ("total", "seconds", "lines"), [(1, 1, 1), (7, 1, 7), (15, 1, 10), (19, 1, 10), (1234, 0.01, 10), (1000, 5, 90)]
)
def test_ten_lines_and_one_a_minute(monkeypatch, capsys, total, seconds, lines):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    times = []
    with Progress(total) as shown:
        for _ in range(total):
            clock.now += seconds
            shown.step(1.0, None)
            times += [clock.now] * bool(capsys.readouterr().err)
    assert len(times) == lines
    assert all(later - earlier <= 60 for earlier, later in zip([1000.0, *times], times, strict=False))
    assert times[-1] == clock.now


def test_the_mean_shown_forgets_nan_and_infinity(capsys):
    with Progress(4) as shown:
        for value in (0.5, float("nan"), float("inf"), 1.0):
            shown.step(2.0, value)
    assert capsys.readouterr().err.splitlines()[-1].endswith("loss 2.0000, accuracy 0.750")
