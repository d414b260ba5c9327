"""Arrays from .npz and .mat files, whole and broken."""

import numpy as np
import pytest

from fastnn.data import read_arrays

scipy_io = pytest.importorskip("scipy.io")


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
    (tmp_path / "new.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + bytes(600))
    with pytest.raises(ValueError, match=r"new\.mat: of MATLAB's version 7\.3 .*-v7"):
        read_arrays(tmp_path / "new.mat")
    with pytest.raises(ValueError, match=r"got the ending '\.csv', expected one of \.npz, \.mat"):
        read_arrays(tmp_path / "a.csv")
    with pytest.raises(FileNotFoundError):
        read_arrays(tmp_path / "nowhere.mat")
