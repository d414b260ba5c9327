"""Writing: what was there stays until the new file is whole; links, permissions, pipes and devices stay as they are.

Each writer of the package is tried, since each could open files by itself.
"""

import os
import stat
import sys
import threading

import numpy as np
import pytest

from fastnn._files import atomic_file, remove_temporaries
from fastnn.training import History
from fastnn.training._archive import write_archive

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="links, modes and pipes as Unix has them")
LONG = "n" * 251


def a_history(path):
    History(loss=[1.0], lr=[0.1]).save(path)


def an_archive(path):
    write_archive(path, {"weights": np.arange(5.0)})


def weights(path):
    pytest.importorskip("safetensors")
    from fastnn.interop import save_safetensors

    save_safetensors(path, {"w": np.arange(5.0)})


def a_picture(path):
    pytest.importorskip("matplotlib")
    from fastnn import plots

    plots.save(plots.confusion_matrix(np.eye(2, dtype=int)), path)


def a_table(path):
    from fastnn.training.sweep import Point, _write_table

    _write_table(path, [Point({"lr": 0.1}, {"score": 0.5})])


def a_submission(path):
    pytest.importorskip("matplotlib")
    from fastnn.recipes.solver import write_submission

    write_submission(path, np.arange(3))


def a_benchmark(path):
    from fastnn._bench.command import _write

    _write(path, "content")


WRITERS = {
    "json": a_history,
    "npz": an_archive,
    "safetensors": weights,
    "png": a_picture,
    "svg": a_picture,
    "csv": a_table,
    "submission.csv": a_submission,
    "md": a_benchmark,
}

writers = pytest.mark.parametrize(("ending", "write"), WRITERS.items(), ids=WRITERS)


@POSIX
@writers
def test_links_stay_and_lead_to_the_new_file(tmp_path, ending, write):
    (tmp_path / "store").mkdir()
    target, link, second = tmp_path / "store" / f"a.{ending}", tmp_path / f"b.{ending}", tmp_path / f"c.{ending}"
    link.symlink_to(f"store/a.{ending}")
    second.symlink_to(link)
    write(second)  # at first there is nothing at its end
    new = target.read_bytes()
    target.write_bytes(b"old")
    write(second)
    assert len(target.read_bytes()) == len(new)
    assert os.readlink(link) == f"store/a.{ending}"
    assert os.readlink(second) == str(link)
    assert [path.name for path in target.parent.iterdir()] == [target.name]


@POSIX
@writers
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_permissions_stay(tmp_path, ending, write, mode):
    path = tmp_path / f"a.{ending}"
    path.touch()
    path.chmod(mode)
    write(path)
    assert path.stat().st_size > 3
    assert stat.S_IMODE(path.stat().st_mode) == mode


@POSIX
def test_new_files_have_the_permissions_that_the_user_chose(tmp_path):
    before = os.umask(0o027)
    try:
        a_history(tmp_path / "a.json")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == 0o640


@POSIX
@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="only the superuser gives files away")
def test_the_owner_stays(tmp_path):
    path = tmp_path / "a.json"
    path.touch()
    os.chown(path, 12345, 54321)
    a_history(path)
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 54321)


@POSIX
@writers
def test_pipes_get_the_content(tmp_path, ending, write):
    pipe, content = tmp_path / f"a.{ending}", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: content.append(pipe.read_bytes()))
    reader.start()
    write(pipe)
    reader.join()
    write(tmp_path / f"b.{ending}")
    assert len(content[0]) == (tmp_path / f"b.{ending}").stat().st_size
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@POSIX
@writers
def test_devices_stay(tmp_path, ending, write):
    link = tmp_path / f"a.{ending}"
    link.symlink_to("/dev/null")
    write(link)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert os.readlink(link) == "/dev/null"


@pytest.mark.skipif(sys.platform != "linux", reason="the device is Linux's")
@writers
def test_a_full_device_is_named(tmp_path, ending, write):
    link = tmp_path / f"a.{ending}"
    link.symlink_to("/dev/full")
    with pytest.raises(OSError, match=rf"No space left on device: '{link}'"):
        write(link)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Unix's, the signal ignored")
def test_a_full_disk_leaves_the_old_file(tmp_path, run_python):
    """A limit on the size of files stands for a disk that is full."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    code = (
        "import resource, signal, sys; from fastnn._files import atomic_file;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "with atomic_file(sys.argv[1]) as file: file.write(bytes(100_000))"
    )
    ended = run_python("-c", code, str(path))
    assert f"File too large: '{path}'" in ended.stderr
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@POSIX
def test_standard_output_gets_the_content(run_python):
    code = "from fastnn._files import atomic_file\nwith atomic_file('/dev/stdout') as file: file.write(b'ab')"
    ended = run_python("-c", code)
    assert (ended.stdout, ended.stderr) == ("ab", "")


@POSIX
@writers
def test_names_may_be_as_long_as_the_system_allows(tmp_path, ending, write):
    path = tmp_path / f"{LONG[: 254 - len(ending)]}.{ending}"
    write(path)
    write(path)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@POSIX
@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() == 0, reason="the superuser may write everywhere")
def test_what_must_not_be_written_stays(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    for protected, mode in ((path, 0o444), (tmp_path, 0o555)):
        before = stat.S_IMODE(protected.stat().st_mode)
        protected.chmod(mode)
        with pytest.raises(PermissionError, match=rf"Permission denied: '{path}'"):
            a_history(path)
        protected.chmod(before)
        assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@writers
def test_a_folder_that_is_not_there_is_named(tmp_path, ending, write):
    path = tmp_path / "none" / f"a.{ending}"
    with pytest.raises(FileNotFoundError) as error:
        write(path)
    assert error.value.filename == str(path)


@POSIX
def test_a_folder_or_a_circle_of_links_is_refused(tmp_path):
    with pytest.raises(IsADirectoryError):
        a_history(tmp_path)
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        a_history(tmp_path / "a")
    assert (tmp_path / "a").is_symlink()


@POSIX
def test_an_error_leaves_a_link_and_its_target(tmp_path):
    (tmp_path / "a").write_text("old")
    (tmp_path / "b").symlink_to("a")

    def interrupted():
        with atomic_file(tmp_path / "b") as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (tmp_path / "a").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


@POSIX
def test_other_hard_links_keep_the_old_content(tmp_path):
    (tmp_path / "a").write_text("old")
    os.link(tmp_path / "a", tmp_path / "kept")
    a_history(tmp_path / "a")
    assert (tmp_path / "kept").read_text() == "old"


def test_errors_of_other_files_keep_their_names(tmp_path):
    def reads_another():
        with atomic_file(tmp_path / "a"):
            (tmp_path / "other").read_bytes()

    with pytest.raises(FileNotFoundError) as error:
        reads_another()
    assert error.value.filename == str(tmp_path / "other")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_of_a_file_and_of_no_other_is_removed(tmp_path, run_python):
    code = (
        "import os, sys; from fastnn._files import atomic_file\n"
        "with atomic_file(sys.argv[1]) as file: file.write(b'half'); file.flush(); os._exit(1)"
    )
    for name in ("a.npz", "b.npz", f"{LONG}.npz"):
        run_python("-c", code, str(tmp_path / name))
    before = sorted(tmp_path.iterdir())
    assert len(before) == 3
    assert all(path.name.startswith(".") and path.read_bytes() == b"half" for path in before)
    for name in ("a.npz", f"{LONG}.npz"):
        remove_temporaries(tmp_path / name)
    (left,) = tmp_path.iterdir()
    assert left in before
    remove_temporaries(tmp_path / "b.npz")
    assert list(tmp_path.iterdir()) == []


@POSIX
def test_what_was_left_behind_a_link_is_removed(tmp_path, run_python):
    (tmp_path / "store").mkdir()
    (tmp_path / "a.npz").symlink_to("store/b.npz")
    code = (
        "import os, sys; from fastnn._files import atomic_file\n"
        "with atomic_file(sys.argv[1]) as file: file.write(b'half'); file.flush(); os._exit(1)"
    )
    run_python("-c", code, str(tmp_path / "a.npz"))
    assert len(list((tmp_path / "store").iterdir())) == 1
    remove_temporaries(tmp_path / "a.npz")
    assert list((tmp_path / "store").iterdir()) == []
