"""States of optimisers, to PyTorch's and from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastnn._extras import require
from fastnn.optim import Optimizer

State = dict[str, Any]


def optimizer_to_torch(optimizer: Optimizer | Mapping[str, Any]) -> State:
    """Make the state of an optimiser one that PyTorch's optimiser of the same class takes.

    Parameters
    ----------
    optimizer : Optimizer, or what its `state_dict` returned
        The parameters go by their numbers: those of PyTorch's optimiser must have the same order.

    Returns
    -------
    state_dict : for ``load_state_dict`` of ``torch.optim``, with tensors (copied) in the place of arrays

    Raises
    ------
    ImportError
        PyTorch is not installed: ``pip install "fastnn-kernels[torch]"``.
    TypeError, ValueError
        It is neither.

    Examples
    --------
    >>> from fastnn.interop.torch import optimizer_to_torch, to_torch
    >>> import torch
    >>> net = fnn.Linear(4, 2)
    >>> optimizer = fnn.Adam(net.parameters(), lr=0.01)
    >>> other = torch.optim.Adam(to_torch(net).parameters())
    >>> other.load_state_dict(optimizer_to_torch(optimizer))
    >>> other.param_groups[0]["lr"]
    0.01
    """
    torch = require("torch", "making the state of a PyTorch optimiser", "torch")
    state = _checked(optimizer.state_dict() if isinstance(optimizer, Optimizer) else optimizer, "optimizer")
    counts = not any("nesterov" in group for group in state["param_groups"])  # SGD does not count its steps there

    def tensor(name: str, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return torch.from_numpy(np.array(value, order="C"))
        return torch.tensor(value, dtype=torch.get_default_dtype()) if name in ("step", "mu_product") else value

    states = {
        number: {name: tensor(name, value) for name, value in each.items() if counts or name != "step"}
        for number, each in state["state"].items()
    }
    groups = [{**group, "params": list(group["params"])} for group in state["param_groups"]]
    return {"state": states, "param_groups": groups}


def optimizer_from_torch(state_dict: Any) -> State:
    """Make the state of PyTorch's optimiser one of arrays, for `load_state_dict` of fastnn's of the same class.

    Parameters
    ----------
    state_dict : what ``optimizer.state_dict()`` of ``torch.optim`` returned, or the optimiser

    Returns
    -------
    state_dict : with arrays (copied) in the place of tensors; options that are tensors have become numbers

    Raises
    ------
    TypeError, ValueError
        It is neither.

    Examples
    --------
    >>> import torch
    >>> from fastnn.interop.torch import from_torch, optimizer_from_torch
    >>> net = torch.nn.Linear(4, 2)
    >>> other = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    >>> optimizer = fnn.SGD(from_torch(net).parameters())
    >>> optimizer.load_state_dict(optimizer_from_torch(other))
    >>> optimizer.param_groups[0]["momentum"]
    0.9
    """
    given = state_dict if isinstance(state_dict, Mapping) or not hasattr(state_dict, "state_dict") else None
    state = _checked(state_dict.state_dict() if given is None else given, "state_dict")
    states = {number: {name: _array(value) for name, value in each.items()} for number, each in state["state"].items()}
    return {"state": states, "param_groups": [_numbers(group) for group in state["param_groups"]]}


def _array(value: Any) -> Any:
    return np.array(value.detach().cpu().numpy(), order="C") if hasattr(value, "detach") else value


def _numbers(group: Mapping[str, Any]) -> State:
    def number(value: Any) -> Any:
        if isinstance(value, tuple | list):
            return type(value)(number(each) for each in value)
        return value.item() if hasattr(value, "detach") else value

    return {name: number(value) for name, value in group.items()}


def _checked(state: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(state, Mapping):
        raise TypeError(f"{name}: got {type(state).__name__}; expected an optimiser, or what its state_dict() returned")
    if set(state) != {"state", "param_groups"}:
        raise ValueError(f"{name}: got {', '.join(map(str, state)) or 'nothing'}; expected state and param_groups")
    return state
