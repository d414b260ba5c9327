"""States of optimisers from PyTorch and to it, in memory and in files."""

from contextlib import suppress

import numpy as np
import pytest

import fastnn as fnn
from fastnn.interop.torch import load_torch, load_torch_optimizer, optimizer_from_torch, optimizer_to_torch
from torch_oracles import torch
from torch_pickles import archive, integer, mapping, storage, stream, tensor

WITH_TORCH = pytest.mark.skipif(torch is None, reason="PyTorch is not installed")
OPTIMISERS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("Adam", {"amsgrad": True, "weight_decay": 0.1}),
    ("AdamW", {"betas": (0.8, 0.9)}),
    ("NAdam", {"decoupled_weight_decay": True}),
    ("RMSprop", {"momentum": 0.5, "centered": True}),
    ("Adagrad", {"initial_accumulator_value": 0.5}),
]
SHAPES = ((5, 7), (3,))


def values():
    rng = np.random.default_rng(3)
    return [rng.uniform(-1, 1, shape) for shape in SHAPES]


def step(params, optimizer, seed, wrap=lambda g: g):
    rng = np.random.default_rng(seed)
    for p, shape in zip(params, SHAPES, strict=True):
        p.grad = wrap(rng.uniform(0.5, 1.5, shape))
    optimizer.step()


@WITH_TORCH
@pytest.mark.parametrize("old", [False, True], ids=["archive", "stream"])
@pytest.mark.parametrize("in_a_dict", [False, True], ids=["alone", "in a dict"])
@pytest.mark.parametrize(("name", "options"), OPTIMISERS)
def test_a_file_of_pytorchs(tmp_path, name, options, in_a_dict, old):
    """Training goes on from it as PyTorch's own does."""
    theirs = [torch.tensor(v, requires_grad=True) for v in values()]
    other = getattr(torch.optim, name)([("a", theirs[0]), ("b", theirs[1])], **options)
    for seed in range(3):
        step(theirs, other, seed, torch.from_numpy)
    saved = {"optimizer": other.state_dict(), "epoch": 3} if in_a_dict else other.state_dict()
    torch.save(saved, tmp_path / "a.pt", _use_new_zipfile_serialization=not old)
    state = load_torch_optimizer(tmp_path / "a.pt", "optimizer" if in_a_dict else None)
    ours = [fnn.Parameter(p.detach().numpy().copy()) for p in theirs]
    mine = getattr(fnn, name)(ours)
    mine.load_state_dict(state)
    wanted = optimizer_from_torch(other)
    assert state["param_groups"] == wanted["param_groups"]
    for number, each in wanted["state"].items():
        for key, value in each.items():
            np.testing.assert_array_equal(state["state"][number][key], value)
    for seed in range(3, 6):
        step(ours, mine, seed)
        step(theirs, other, seed, torch.from_numpy)
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-6)  # PyTorch has numbers in float32


@WITH_TORCH
@pytest.mark.parametrize(("name", "options"), OPTIMISERS)
def test_a_state_goes_over_and_comes_back(name, options):
    ours = [fnn.Parameter(v) for v in values()]
    mine = getattr(fnn, name)(ours, **options)
    for seed in range(3):
        step(ours, mine, seed)
    theirs = [torch.tensor(p.data, requires_grad=True) for p in ours]
    other = getattr(torch.optim, name)(theirs)
    other.load_state_dict(optimizer_to_torch(mine.state_dict()))
    copies = [fnn.Parameter(p.data.copy()) for p in ours]
    again = getattr(fnn, name)(copies)
    again.load_state_dict(optimizer_from_torch(other))
    for seed in range(3, 6):
        step(ours, mine, seed)
        step(theirs, other, seed, torch.from_numpy)
        step(copies, again, seed)
    for p, q, r in zip(ours, theirs, copies, strict=True):
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-6)
        np.testing.assert_allclose(p.data, r.data, rtol=1e-6)


@WITH_TORCH
def test_it_is_a_copy():
    p = fnn.Parameter(np.ones(3))
    optimizer = fnn.SGD([p], lr=0.1, momentum=0.9)
    p.grad = np.ones(3)
    optimizer.step()
    state = optimizer.state_dict()
    optimizer_to_torch(state)["state"][0]["momentum_buffer"].zero_()
    assert state["state"][0]["momentum_buffer"].tolist() == [1, 1, 1]


@WITH_TORCH
def test_a_rate_that_is_a_tensor():
    p = torch.ones(3, requires_grad=True)
    state = optimizer_from_torch(torch.optim.Adam([p], lr=torch.tensor(0.25)))
    assert state["param_groups"][0]["lr"] == 0.25
    optimizer = fnn.Adam([fnn.Parameter(np.ones(3))])
    optimizer.load_state_dict(state)
    assert optimizer.param_groups[0]["lr"] == 0.25


@WITH_TORCH
def test_what_is_no_state():
    with pytest.raises(TypeError, match=r"optimizer: got int; expected an optimiser"):
        optimizer_to_torch(3)
    with pytest.raises(ValueError, match=r"state_dict: got weight; expected state and param_groups"):
        optimizer_from_torch({"weight": 1})


# Files of others.

VIEW = tensor(storage("FloatStorage", "0", 4), 0, (4,), (1,))
ARRAY = {"0": np.arange(4, dtype="f4").tobytes()}


def test_a_file_without_pytorch(tmp_path):
    group = mapping({"lr": b"G" + b"\x3f\xb9\x99\x99\x99\x99\x99\x9a", "params": b"](" + integer(0) + b"e"})
    content = mapping({"state": mapping({0: mapping({"momentum_buffer": VIEW})}), "param_groups": b"](" + group + b"e"})
    state = load_torch_optimizer(archive(tmp_path / "a.pt", content, ARRAY))
    assert state["param_groups"] == [{"lr": 0.1, "params": [0]}]
    assert state["state"][0]["momentum_buffer"].tolist() == [0, 1, 2, 3]


def test_any_changed_or_missing_byte_is_an_error_or_another_state(tmp_path):
    content = mapping({"state": mapping({0: mapping({"exp_avg": VIEW})}), "param_groups": b"](" + mapping({}) + b"e"})
    whole = stream(tmp_path / "whole.pt", content, ARRAY, {"0": 4}).read_bytes()
    path = tmp_path / "a.pt"
    for place in range(len(whole)):
        for changed in (whole[:place], whole[:place] + bytes([whole[place] ^ 0x15]) + whole[place + 1 :]):
            path.write_bytes(changed)
            with suppress(ValueError):
                assert set(load_torch_optimizer(path)) == {"state", "param_groups"}


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (mapping({"weight": VIEW}), None, "holds weight, expected state and param_groups"),
        (mapping({"net": VIEW}), "optimizer", "holds net, and no state under 'optimizer'"),
        (integer(3), None, "holds int"),
        (mapping({"state": mapping({}), "param_groups": b"]q\x07(h\x07e"}), None, "corrupt.*RecursionError"),
    ],
)
def test_what_is_no_state_of_an_optimiser(tmp_path, content, name, message):
    path = archive(tmp_path / "a.pt", content, ARRAY)
    with pytest.raises(ValueError, match=rf"a\.pt: .*{message}"):
        load_torch_optimizer(path, name)


def many(depth, item):
    """A list of ten lists of ten lists ..., each of which is in the file once."""
    content = b"](" + item + b"e"
    for place in range(depth):
        content = (
            b"]("
            + content
            + b"r"
            + (50 + place).to_bytes(4, "little")
            + (b"j" + (50 + place).to_bytes(4, "little")) * 9
            + b"e"
        )
    return content


def test_a_small_file_cannot_ask_for_much(tmp_path):
    filler = b"](" + b"N" * 60 + b"e"  # there are at least as many objects as a number in the memo
    state = mapping({"state": mapping({}), "param_groups": many(12, integer(1))})
    path = archive(tmp_path / "a.pt", mapping({"filler": filler, "it": state}), {})
    with pytest.raises(ValueError, match=r"a\.pt: .*asks for more than 16 times its size"):
        load_torch_optimizer(path, "it")
    view = tensor(storage("FloatStorage", "0", 10**5), 0, (10**5,), (1,))
    same = {f"w{place}": b"h\x30" for place in range(40)}
    path = archive(
        tmp_path / "a.pt",
        mapping({"filler": filler, "w": view + b"q\x30", **same}),
        {"0": np.zeros(10**5, "f4").tobytes()},
    )
    with pytest.raises(ValueError, match=r"a\.pt: .*asks for more than 16 times its size"):
        load_torch(path)
