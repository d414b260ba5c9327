"""What is printed: consoles that lack letters, that are closed, that nobody reads."""

import io
import os
import subprocess
import sys

import pytest

import fastnn as fnn
from fastnn._console import write
from fastnn.training import Trainer
from fastnn.training import write as write_above_bars
from test_training import blobs, make

TEXT = "43 \N{MICRO SIGN}s \N{RIGHTWARDS ARROW} \N{CJK UNIFIED IDEOGRAPH-5B57} \udcff"


@pytest.mark.parametrize("encoding", ["gbk", "cp932", "cp949", "ascii", "cp1252", "utf-8"])
@pytest.mark.parametrize("say", [write, write_above_bars])
def test_letters_that_a_console_lacks_are_replaced(monkeypatch, encoding, say):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n")
    monkeypatch.setattr(sys, "stdout", stream)
    say(TEXT)
    assert stream.buffer.getvalue() == TEXT.encode(encoding, "replace") + b"\n"


class Broken(io.StringIO):
    def write(self, text):
        raise BrokenPipeError(32, "Broken pipe")


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [None, closed(), Broken(), object()])
def test_training_and_checks_go_on_without_a_console(monkeypatch, stream):
    monkeypatch.setattr(sys, "stdout", stream)
    write("lost")
    write_above_bars("lost")
    assert fnn.gradcheck(fnn.Linear(2, 2), fnn.init.initialise(fnn.Linear(2, 3), {}).weight.data)
    monkeypatch.setattr(sys, "stderr", io.StringIO() if stream is None else Broken())
    write("lost", error=True)
    trainer: Trainer = make()
    assert trainer.fit(blobs(), epochs=1, batch_size=20).iterations == 3


@pytest.mark.parametrize("encoding", ["gbk", "cp932", "ascii"])
def test_a_run_keeps_its_results_whatever_the_console_can_print(tmp_path, encoding):
    pytest.importorskip("matplotlib")
    pytest.importorskip("sklearn")
    pytest.importorskip("safetensors")
    out = str(tmp_path / "\N{CJK UNIFIED IDEOGRAPH-5B57}")
    environment = {**os.environ, "PYTHONUTF8": "0", "PYTHONIOENCODING": encoding}
    command = [sys.executable, "-m", "fastnn", "train", "parabola", "--quick", "--out", out]
    process = subprocess.run(command, capture_output=True, env=environment, timeout=120)
    assert process.returncode == 0, process.stderr
    assert " \N{MICRO SIGN}s".encode(encoding, "replace") in process.stdout
    assert os.path.exists(os.path.join(out, "report.html"))


posix = pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
ENDING = [
    ["train", "--list"],
    ["train", "--help"],
    ["train", "lenet", "--help"],
    ["sweep", "--help"],
    ["sweep", "mlp", "--help"],
    ["bench", "--list"],
    ["bench", "--help"],
    ["config"],
    ["config", "--help"],
    ["--help"],
    ["--version"],
]


def unread(arguments, unbuffered):
    """Run the command with an output that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    environment = {**os.environ, "PYTHONUNBUFFERED": "1" if unbuffered else ""}
    command = [sys.executable, "-m", "fastnn", *arguments]
    try:
        return subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, env=environment, timeout=120)
    finally:
        os.close(writing)


@posix
@pytest.mark.parametrize("unbuffered", [False, True])
@pytest.mark.parametrize("arguments", ENDING, ids=" ".join)
def test_what_nobody_reads_ends_quietly(arguments, unbuffered):
    process = unread(arguments, unbuffered)
    assert (process.returncode, process.stderr) == (141, "")


@posix
@pytest.mark.parametrize("unbuffered", [False, True])
def test_a_run_goes_on_when_nobody_reads(tmp_path, unbuffered):
    pytest.importorskip("matplotlib")
    pytest.importorskip("sklearn")
    pytest.importorskip("safetensors")
    process = unread(["train", "masks", "--out", str(tmp_path / "run")], unbuffered)
    assert (process.returncode, process.stderr) == (0, "")
    assert (tmp_path / "run" / "report.html").exists()
