"""Whether a file can be written at the end is known before the work."""

import os
import sys
from pathlib import Path

import pytest

import fastnn as fnn
from fastnn._bench import command
from fastnn._destination import prepare
from fastnn.recipes._frame.settings import UsageError
from fastnn.training import Callback, Checkpoint, sweep
from test_training import blobs, make


class Never(Callback):
    def on_step_end(self, _trainer):
        raise AssertionError("a step was taken")


def unusable(folder):
    """Places where no file can be written, and what the error says."""
    (folder / "file").write_text("kept")
    (folder / "there").mkdir()
    places = [(folder / "file" / "c.npz", "file"), (folder / "there", "there"), (folder / ("n" * 300), "n" * 300)]
    if sys.platform != "win32" and os.geteuid() != 0:
        (folder / "closed").mkdir(mode=0o555)
        (folder / "read only").touch(mode=0o444)
        places += [(folder / "closed" / "c.npz", "closed"), (folder / "read only", "read only")]
    if Path("/proc/self").exists():
        places.append((Path("/proc/none/c.npz"), "/proc/none"))
    return places


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    for path, words in unusable(tmp_path):
        with pytest.raises(OSError, match="expected a file that can be written in the folder") as caught:
            prepare(path)
        assert words in str(caught.value)
        assert str(path.parent) in str(caught.value)
        assert caught.value.errno is not None
    assert (tmp_path / "file").read_text() == "kept"


def test_folders_are_made_and_nothing_else(tmp_path):
    prepare(tmp_path / "a" / "b" / "c.npz")
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "b"]
    (tmp_path / "there.npz").write_bytes(b"kept")
    prepare(tmp_path / "there.npz")
    assert (tmp_path / "there.npz").read_bytes() == b"kept"


@pytest.mark.skipif(sys.platform == "win32", reason="links and pipes are other things there")
def test_links_and_pipes(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "c.npz")
    prepare(tmp_path / "link")
    assert (tmp_path / "elsewhere").is_dir()
    assert (tmp_path / "link").is_symlink()
    os.mkfifo(tmp_path / "pipe")
    prepare(tmp_path / "pipe")
    prepare("/dev/null")
    (tmp_path / "round").symlink_to(tmp_path / "round")
    with pytest.raises(OSError, match="round"):
        prepare(tmp_path / "round")


def test_a_checkpoint_makes_its_folder(tmp_path):
    make(callbacks=[Checkpoint(tmp_path / "missing" / "too" / "c.npz")]).fit(blobs(), iterations=1)
    assert [path.name for path in (tmp_path / "missing" / "too").iterdir()] == ["c.npz"]


def test_a_checkpoint_that_cannot_be_written_is_known_before_the_first_step(tmp_path):
    for path, words in unusable(tmp_path):
        with pytest.raises(OSError, match="expected a file that can be written") as caught:
            make(callbacks=[Never(), Checkpoint(path)]).fit(blobs(), iterations=1)
        assert words in str(caught.value)


def test_a_sweep_that_cannot_be_written_is_known_before_the_first_run(tmp_path):
    pytest.importorskip("joblib")

    def run(lr):
        raise AssertionError("a run began")

    (tmp_path / "file").touch()
    (tmp_path / "out" / "results.csv").mkdir(parents=True)
    for out, words in [
        (tmp_path / "file", "file"),
        (tmp_path / "file" / "out", "file"),
        (tmp_path / "out", "results.csv"),
    ]:
        with pytest.raises(OSError, match="expected a file that can be written") as caught:
            sweep(run, {"lr": [1]}, out=out, draw=False)
        assert words in str(caught.value)


@pytest.mark.parametrize("option", ["--json", "--markdown", "--chart"])
def test_a_benchmark_that_cannot_be_written_is_known_before_it_is_run(tmp_path, monkeypatch, option):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(command, "_ratios", lambda *_: pytest.fail("something was timed"))
    (tmp_path / "there.png").mkdir()
    with pytest.raises(UsageError, match="expected a file that can be written in the folder"):
        command.main([option, str(tmp_path / "there.png"), "--quick"])
    assert fnn.get_num_threads() >= 1
