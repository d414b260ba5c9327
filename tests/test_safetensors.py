"""Weights as .safetensors files."""

import sys

import numpy as np
import pytest

from fastnn.interop import load_safetensors, save_safetensors

safetensors = pytest.importorskip("safetensors.numpy")


@pytest.fixture
def state():
    rng = np.random.default_rng(0)
    return {
        "0.weight": rng.normal(size=(4, 3, 5, 2)).astype(np.float32),
        "0.bias": rng.normal(size=4),
        "scalar": np.array(3.0, np.float32),
        "empty": np.zeros((0, 7), np.float32),
        "steps": np.arange(3),
    }


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].dtype == b[name].dtype
        np.testing.assert_array_equal(a[name], b[name])


def test_round_trip(tmp_path, state):
    save_safetensors(tmp_path / "w.safetensors", state)
    loaded = load_safetensors(tmp_path / "w.safetensors")
    assert_same(loaded, state)
    assert all(array.flags.writeable for array in loaded.values())
    assert_same(safetensors.load_file(tmp_path / "w.safetensors"), state)
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


def test_any_layout_is_saved_by_value(tmp_path, state):
    w = state["0.weight"]
    layouts = {"fortran": np.asfortranarray(w), "strided": w[::2, :, ::-1], "transposed": w.T, "wide": w.astype(">f4")}
    save_safetensors(tmp_path / "w.safetensors", layouts)
    for name, array in load_safetensors(tmp_path / "w.safetensors").items():
        np.testing.assert_array_equal(array, layouts[name])


@pytest.mark.parametrize("cut", [0, 5, 40, -1])
def test_a_truncated_file_is_named(tmp_path, state, cut):
    path = tmp_path / "cut.safetensors"
    save_safetensors(path, state)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ValueError, match=r"cut\.safetensors: truncated or corrupt"):
        load_safetensors(path)


def test_another_format_is_named(tmp_path):
    path = tmp_path / "other.safetensors"
    path.write_bytes(b"PK\x03\x04" + bytes(range(256)))
    with pytest.raises(ValueError, match=r"other\.safetensors: truncated or corrupt"):
        load_safetensors(path)


def test_a_type_that_numpy_has_not_is_named(tmp_path):
    header = b'{"w":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}}'
    path = tmp_path / "eighth.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 4)
    with pytest.raises(ValueError, match=r"eighth\.safetensors: .*F8_E4M3"):
        load_safetensors(path)


def test_half_precision_becomes_float32(tmp_path):
    torch = pytest.importorskip("torch")
    torch_files = pytest.importorskip("safetensors.torch")
    values = torch.tensor([[1.5, -3e38, 1e-40], [float("inf"), float("nan"), -0.0]])
    halves = {"brain": values.bfloat16(), "half": values.half(), "empty": torch.zeros(0, 3).bfloat16()}
    torch_files.save_file(halves, tmp_path / "w.safetensors")
    for name, array in load_safetensors(tmp_path / "w.safetensors").items():
        assert array.dtype == np.float32
        assert array.flags.writeable
        np.testing.assert_array_equal(array, halves[name].float().numpy())
        np.testing.assert_array_equal(np.signbit(array), np.signbit(halves[name].float().numpy()))


def test_missing_package_names_the_extra(tmp_path, monkeypatch, state):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match=r'safetensors is needed .*pip install "fastnn-kernels\[weights\]"'):
        save_safetensors(tmp_path / "w.safetensors", state)
