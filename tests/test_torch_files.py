"""PyTorch's files: read as PyTorch wrote them, and nothing of them is run."""

import os
import pickle
import zipfile
from contextlib import suppress

import numpy as np
import pytest

from fastnn.interop.torch import load_torch
from torch_pickles import KINDS, archive, call, integer, known, mapping, pickled, storage, stream, tensor, tensors, text

NONE = b"N"


def state():
    rng = np.random.default_rng(0)
    arrays = {f"of {kind}": rng.integers(0, 2, (2, 3)).astype(kind) for kind in KINDS}
    return arrays | {"scalar": np.array(2.5, "f4"), "empty": np.empty((0, 3), "f4"), "w": rng.random((4, 3, 2, 2))}


def put(path, content, storages, *, old=False):
    if not old:
        return archive(path, content, storages)
    elements = {key: len(raw) // 4 for key, raw in storages.items()}
    return stream(path, content, storages, elements)


@pytest.mark.parametrize("old", [False, True])
def test_a_state_dict(tmp_path, old):
    arrays = state()
    content, storages = tensors(arrays, *([NONE] if old else []))
    if old:
        elements = dict(zip(storages, (array.size for array in arrays.values()), strict=True))
        path = stream(tmp_path / "a.pt", content, storages, elements)
    else:
        path = archive(tmp_path / "a.pt", content, storages, version=b"3\n", byteorder=b"little")
    found = load_torch(path)
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
        found[name][...] = 0  # its own


@pytest.mark.parametrize("old", [False, True])
def test_views_share_storages_and_dicts_have_names_joined_by_dots(tmp_path, old):
    values = np.arange(12, dtype="f4")
    of = storage("FloatStorage", "0", 12)
    parameter = call(known("torch._utils", "_rebuild_parameter"), tensor(of, 2, (2,), (5,)), b"\x88", mapping({}))
    inner = {"turned": tensor(of, 0, (4, 3), (1, 4)), "part": tensor(of, 6, (2, 2), (3, 1)), "repeated": parameter}
    content = mapping({"net": mapping(inner), "epoch": integer(3), "name": text("x"), 5: tensor(of, 11, (), ())})
    found = load_torch(put(tmp_path / "a.pt", content, {"0": values.tobytes()}, old=old))
    assert list(found) == ["net.turned", "net.part", "net.repeated", "5"]
    np.testing.assert_array_equal(found["net.turned"], values.reshape(3, 4).T)
    np.testing.assert_array_equal(found["net.part"], [[6, 7], [9, 10]])
    np.testing.assert_array_equal(found["net.repeated"], [2, 7])
    assert found["5"] == 11


@pytest.mark.parametrize("old", [False, True])
def test_what_pytorch_writes(tmp_path, old):
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    weight = torch.arange(6.0).reshape(2, 3)
    content = {"net": net.state_dict(), "own": torch.nn.Parameter(weight.T), "half": weight.half(), "epoch": 3}
    content["bf16"] = (weight / 3).bfloat16().T
    torch.save(content, tmp_path / "a.pt", _use_new_zipfile_serialization=not old)
    found = load_torch(tmp_path / "a.pt")
    assert list(found) == [*(f"net.{name}" for name in net.state_dict()), "own", "half", "bf16"]
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(found[f"net.{name}"], value.numpy())
    np.testing.assert_array_equal(found["own"], weight.T.numpy())
    assert found["half"].dtype == np.float16
    np.testing.assert_array_equal(found["bf16"], content["bf16"].float().numpy())
    assert found["bf16"].dtype == np.float32


# Hostile files.


class Runs:
    """Its pickle calls a function."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("old", [False, True])
def test_no_code_is_run(tmp_path, protocol, old):
    target = tmp_path / "ran"
    calls = (os.mkdir, (str(target),)), (eval, ("1 / 0",)), (exec, (f"open({str(target)!r}, 'w')",))
    for function, arguments in calls:
        raw = pickle.dumps({"w": Runs(function, *arguments)}, protocol)
        path = tmp_path / "a.pt"
        if old:
            path.write_bytes(raw)
        else:
            with zipfile.ZipFile(path, "w") as file:
                file.writestr("archive/data.pkl", raw)
        with pytest.raises(ValueError, match=r"a\.pt: asks for .*, expected a state dict"):
            load_torch(path)
        assert not target.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (known("builtins", "eval"), "asks for builtins.eval"),
        (known("torch._utils", "_rebuild_sparse_tensor"), "asks for torch._utils._rebuild_sparse_tensor"),
        (known("torch", "QInt8Storage"), "asks for torch.QInt8Storage"),
        (known("torch._utils", "__loader__"), "asks for torch._utils.__loader__"),
        (text("torch") + text("nn.Linear") + b"\x93", "asks for torch.nn.Linear"),
        (b"(iposix\nsystem\n", "asks for the opcode INST"),
        (known("collections", "OrderedDict") + b")\x81", "asks for the opcode NEWOBJ"),
        (b"\x82\x01", "asks for the opcode EXT1"),
        (b"\x8e" + (2**40).to_bytes(8, "little"), "corrupt"),  # BINBYTES8
        (b"r" + (2**31 - 1).to_bytes(4, "little"), "corrupt"),  # LONG_BINPUT: a memo of 32 GB
        (mapping({"w": integer(1)}) + b"}(" + text("append") + text("x") + b"ub", None),  # attributes of a dict
        (known("torch._utils", "_rebuild_tensor_v2") + b"N}(" + text("x") + text("y") + b"u\x86b", "corrupt"),
        (integer(3), "holds a int"),
        (b"](" + integer(3) + b"e", "holds a list"),
        (call(known("collections", "OrderedDict")) + b"(" + b")" + integer(1) + b"u", "has a tuple as a name"),
        (b"(" + text("storage") + b"tQ", "corrupt"),
        (b"(" + b"".join(map(text, "abcd")) + integer(1) + b"tQ", "asks for something that is no storage"),
        (b"}q\x00(" + text("own") + b"h\x00u", "corrupt"),  # a dict inside itself
    ],
)
@pytest.mark.parametrize("old", [False, True])
def test_what_is_no_state_dict(tmp_path, content, message, old):
    path = put(tmp_path / "a.pt", content, {}, old=old)
    if message is None:
        assert load_torch(path) == {}
    else:
        with pytest.raises(ValueError, match=rf"a\.pt: .*{message}"):
            load_torch(path)


BAD_VIEWS = {
    "too long": (tensor(storage("FloatStorage", "0", 4), 0, (5,), (1,)), "in a storage of 4 elements"),
    "beyond the end": (tensor(storage("FloatStorage", "0", 4), 3, (2,), (1,)), "in a storage of 4 elements"),
    "huge": (tensor(storage("FloatStorage", "0", 4), 0, (2**40, 2**40), (0, 0)), "in a storage of 4 elements"),
    "huge steps": (tensor(storage("FloatStorage", "0", 4), 0, (2,), (2**70,)), "in a storage of 4 elements"),
    "huge and empty": (tensor(storage("FloatStorage", "0", 4), 0, (0, 2**70), (1, 1)), "corrupt"),
    "backwards": (tensor(storage("FloatStorage", "0", 4), 3, (2,), (-1,)), r"strides \(-1,\)"),
    "before the start": (tensor(storage("FloatStorage", "0", 4), -1, (2,), (1,)), "corrupt"),
    "negative": (tensor(storage("FloatStorage", "0", 4), 0, (-2,), (1,)), "corrupt"),
    "uneven": (tensor(storage("FloatStorage", "0", 4), 0, (2, 2), (1,)), "corrupt"),
    "more than there is": (tensor(storage("FloatStorage", "0", 2**40), 0, (4,), (1,)), "corrupt"),
    "more than a number holds": (tensor(storage("FloatStorage", "0", 2**80), 0, (4,), (1,)), "corrupt"),
    "fewer than there are": (tensor(storage("FloatStorage", "0", 3), 0, (3,), (1,)), "corrupt"),
    "elsewhere": (tensor(storage("FloatStorage", "../../0", 4), 0, (4,), (1,)), "corrupt"),
    "no storage": (tensor(text("x"), 0, (4,), (1,)), "corrupt"),
}


@pytest.mark.parametrize("name", BAD_VIEWS)
@pytest.mark.parametrize("old", [False, True])
def test_tensors_that_cannot_be(tmp_path, name, old):
    view, message = BAD_VIEWS[name]
    path = put(tmp_path / "a.pt", mapping({"w": view}), {"0": np.arange(4, dtype="f4").tobytes()}, old=old)
    with pytest.raises(ValueError, match=rf"a\.pt: .*{message}"):
        load_torch(path)


@pytest.mark.parametrize("old", [False, True])
def test_a_truncated_file_is_named(tmp_path, old):
    content, storages = tensors({"w": np.arange(300, dtype="f4")})
    whole = put(tmp_path / "whole.pt", content, storages, old=old).read_bytes()
    path = tmp_path / "a.pt"
    for length in (*range(0, len(whole), 41), len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"a\.pt: truncated, corrupt"):
            load_torch(path)


def test_the_time_in_a_truncated_archive_is_no_opcode(tmp_path):
    """A byte of this time is the end of a line. So the archive was read as a pickle, whose first opcode is "P"."""
    content, _ = tensors({"w": np.arange(300, dtype="f4")})
    with zipfile.ZipFile(tmp_path / "whole.pt", "w") as file:
        file.writestr(zipfile.ZipInfo("archive/data.pkl", (2026, 12, 1, 20, 56, 20)), pickled(content))
    path = tmp_path / "a.pt"
    path.write_bytes((tmp_path / "whole.pt").read_bytes()[:200])
    with pytest.raises(ValueError, match=r"a\.pt: truncated, corrupt"):
        load_torch(path)


def test_any_changed_byte_of_an_archive_is_an_error_or_changes_nothing(tmp_path):
    arrays = {"w": np.arange(30, dtype="f4")}
    content, storages = tensors(arrays)
    whole = archive(tmp_path / "whole.pt", content, storages).read_bytes()
    path = tmp_path / "a.pt"
    for place in range(0, len(whole), 3):
        changed = bytearray(whole)
        changed[place] ^= 0x55
        path.write_bytes(changed)
        with suppress(ValueError):
            np.testing.assert_array_equal(load_torch(path)["w"], arrays["w"])


def test_an_archive_that_unpacks_to_more_than_it_is(tmp_path):
    path = tmp_path / "a.pt"
    content, _ = tensors({"w": np.zeros(10**6, "f4")})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", pickled(content))
        file.writestr("archive/data/0", bytes(4 * 10**6))
    with pytest.raises(ValueError, match="unpacks to 4,000,"):
        load_torch(path)


def test_other_files(tmp_path):
    path = archive(tmp_path / "a.pt", *tensors({"w": np.ones(2, "f4")}), byteorder=b"big")
    with pytest.raises(ValueError, match="other byte order"):
        load_torch(path)
    np.savez(tmp_path / "b.npz", w=np.ones(2))
    path.write_bytes(pickle.dumps({"w": 1}))
    for name in ("a.pt", "b.npz"):
        with pytest.raises(ValueError, match=rf"{name}: truncated, corrupt or no file of PyTorch's"):
            load_torch(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        load_torch(tmp_path / "none.pt")
