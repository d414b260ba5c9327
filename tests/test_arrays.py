"""Arrays from .npz and .mat files, whole and broken."""

import struct
import warnings
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from fastnn.data import read_arrays

scipy_io = pytest.importorskip("scipy.io")
OF_SCIPY = sorted((Path(scipy_io.__file__).parent / "matlab" / "tests" / "data").glob("*.mat"))  # not in all packages


def put(path):
    arrays = {"x": np.arange(600.0).reshape(20, 30), "y": np.arange(5, dtype=np.int32)[:, None]}
    if path.suffix == ".npz":
        np.savez_compressed(path, **arrays)
    else:
        scipy_io.savemat(path, arrays, do_compression=True)
    return arrays


@pytest.mark.parametrize("name", ["a.npz", "a.mat", "A.MAT"])
def test_all_or_some(tmp_path, name):
    arrays = put(tmp_path / "a.mat" if name == "A.MAT" else tmp_path / name)
    if name == "A.MAT":
        (tmp_path / "a.mat").rename(tmp_path / name)
    everything = read_arrays(tmp_path / name)
    assert sorted(everything) == ["x", "y"]
    for key, array in arrays.items():
        np.testing.assert_array_equal(everything[key], array)
        assert everything[key].dtype == array.dtype
    assert list(read_arrays(tmp_path / name, "y")) == ["y"]
    with pytest.raises(ValueError, match=r"a\.(npz|mat): has no array 'z'; it has x, y|A\.MAT: has no array 'z'"):
        read_arrays(tmp_path / name, "x", "z")


@pytest.mark.parametrize("name", ["bad.npz", "bad.mat"])
@pytest.mark.parametrize("share", [0, 0.01, 0.1, 0.5, 0.9])
def test_a_truncated_file_is_named(tmp_path, name, share):
    put(tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=rf"{name}: truncated or corrupt"):
        read_arrays(tmp_path / name, "x", "y")


@pytest.mark.parametrize("name", ["bad.npz", "bad.mat"])
def test_a_flipped_bit_is_noticed(tmp_path, name):
    put(tmp_path / name)
    content = bytearray((tmp_path / name).read_bytes())
    content[len(content) // 2] ^= 16
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}: truncated or corrupt"):
        read_arrays(tmp_path / name)


def test_other_files(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3))
    (tmp_path / "a.npy").rename(tmp_path / "a.npz")
    with pytest.raises(ValueError, match=r"a\.npz: .*np\.load reads"):
        read_arrays(tmp_path / "a.npz")
    np.savez(tmp_path / "objects.npz", x=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match=r"objects\.npz: .*allow_pickle"):
        read_arrays(tmp_path / "objects.npz")
    for start in (b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM", b"\x89HDF\r\n\x1a\n"):
        (tmp_path / "new.mat").write_bytes(start + bytes(600))
        with pytest.raises(ValueError, match=r"new\.mat: of MATLAB's version 7\.3 .*-v7, or read it by h5py"):
            read_arrays(tmp_path / "new.mat")
    with pytest.raises(ValueError, match=r"got the ending '\.csv', expected one of \.npz, \.mat"):
        read_arrays(tmp_path / "a.csv")
    with pytest.raises(FileNotFoundError):
        read_arrays(tmp_path / "nowhere.mat")


# -- what MATLAB puts beside arrays, made by hand: SciPy does not write it


def element(kind, content, order="<"):
    """An element; one of up to four bytes is in its tag, as MATLAB has it."""
    if 0 < len(content) <= 4:
        return struct.pack(f"{order}I", len(content) << 16 | kind) + content.ljust(4, b"\0")
    return struct.pack(f"{order}II", kind, len(content)) + content + bytes(-len(content) % 8)


def matrix(family, name, *parts, shape=(1, 1), order="<", shape_kind=5, name_kind=1):
    """An array: its class, its shape, its name, and what it is made of."""
    head = (
        struct.pack(f"{order}IIII", 6, 8, family, 0),
        element(shape_kind, struct.pack(f"{order}{len(shape)}i", *shape), order),
        element(name_kind, name, order),
    )
    return element(14, b"".join((*head, *parts)), order)


def unnamed(*names):
    """An object of MATLAB's newer kinds (string, table, datetime), which refers to the workspace at the file's end."""
    parts = b"".join(element(1, name) for name in names)
    return element(14, struct.pack("<IIII", 6, 8, 17, 0) + parts + matrix(13, b"", element(6, bytes(24)), shape=(6, 1)))


def numbers(name=b"x", order="<", **options):
    return matrix(
        6, name, element(9, struct.pack(f"{order}6d", *range(6)), order), shape=(2, 3), order=order, **options
    )


def mat(*variables, order="<", packed=False):
    mark = struct.pack(f"{order}H", 0x100) + (b"IM" if order == "<" else b"MI")
    if packed:
        variables = [struct.pack(f"{order}II", 15, len(c := zlib.compress(each))) + c for each in variables]
    return b"MATLAB 5.0 MAT-file".ljust(124) + mark + b"".join(variables)


BESIDE = {
    "nothing": [],
    "function handle": [matrix(16, b"f", matrix(2, b"", element(5, b"\4\0\0\0"), element(1, b"")))],
    "string": [unnamed(b"s", b"MCOS", b"string")],
    "table": [unnamed(b"t", b"MCOS", b"table"), matrix(9, b"", element(2, bytes(64)), shape=(1, 64))],
    "name that is no ASCII": [matrix(6, "größe".encode(), element(9, bytes(8)), name_kind=16)],
    "class of later": [matrix(99, b"later")],
    "damaged content": [matrix(6, b"d", element(77, bytes(8)))],
    "struct without fields": [matrix(2, b"e", element(5, b"\5\0\0\0"), element(1, b""), shape=(1, 4000))],
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("beside", BESIDE.values(), ids=BESIDE)
def test_an_array_is_read_whatever_is_beside_it(tmp_path, beside, first, packed):
    path = tmp_path / "a.mat"
    path.write_bytes(mat(*([numbers()] if first else []), *beside, *([] if first else [numbers()]), packed=packed))
    (x,) = read_arrays(path, "x").values()
    np.testing.assert_array_equal(x, [[0, 2, 4], [1, 3, 5]])
    with pytest.raises(ValueError, match=r"a\.mat: has no array 'y'; it has .*x"):
        read_arrays(path, "y")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("options", [{}, {"shape_kind": 6}, {"name_kind": 16}, {"name": b"x" * 63}])
def test_forms_of_one_array(tmp_path, order, options, packed):
    """Dimensions as uint32, a name as UTF-8, long names, both orders of bytes."""
    path = tmp_path / "a.mat"
    path.write_bytes(mat(numbers(order=order, **options), order=order, packed=packed))
    (x,) = read_arrays(path).values()
    np.testing.assert_array_equal(x, [[0, 2, 4], [1, 3, 5]])


def test_objects_have_their_names_and_workspaces_are_left_out(tmp_path):
    (tmp_path / "a.mat").write_bytes(mat(*BESIDE["table"], numbers()))
    assert list(read_arrays(tmp_path / "a.mat")) == ["t", "x"]


def test_what_comes_after_the_arrays_may_be_cut_off(tmp_path):
    content = mat(numbers(), numbers(b"y"))
    (tmp_path / "a.mat").write_bytes(content[:-20])
    assert read_arrays(tmp_path / "a.mat", "x")["x"].shape == (2, 3)
    for names in ((), ("x", "y"), ("y",)):
        with pytest.raises(ValueError, match=r"a\.mat: truncated or corrupt"):
            read_arrays(tmp_path / "a.mat", *names)


@pytest.mark.parametrize("path", OF_SCIPY, ids=[path.name for path in OF_SCIPY])
def test_files_of_scipys_own_tests(path):
    """What SciPy reads of them is read, and looks the same."""

    def shown(load):
        with warnings.catch_warnings(), suppress(Exception):
            warnings.simplefilter("ignore")
            found = {name: value for name, value in load().items() if not name.startswith("__")}
            return {name: (type(value), repr(value)) for name, value in found.items()}
        return None

    theirs = shown(lambda: scipy_io.loadmat(path))
    assert shown(lambda: read_arrays(path)) == theirs
    for name in theirs or ():
        assert shown(lambda name=name: read_arrays(path, name)) == {name: theirs[name]}
