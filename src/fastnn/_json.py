"""JSON that every reader takes: NaN is null, infinity a text, NumPy's numbers are numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

_NUMBERS = {None: math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def to_json(value: Any, indent: int | None = None) -> str:
    """`value` as JSON; what JSON has no word for, as a path, is its text."""
    return json.dumps(_plain(value), indent=indent, allow_nan=False)


def with_numbers(value: Any) -> Any:
    """What `json.loads` made of `to_json`'s text, with NaN and infinity in their places."""
    if isinstance(value, dict):
        return {name: with_numbers(each) for name, each in value.items()}
    if isinstance(value, list):
        return [with_numbers(each) for each in value]
    return _NUMBERS.get(value, value)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # arrays and numbers of NumPy, series, tensors
        value = value.tolist()
    if isinstance(value, float | np.floating):
        number = float(value)
        return number if math.isfinite(number) else None if number != number else f"{'-' * (number < 0)}Infinity"
    if value is None or isinstance(value, int | str):
        return value
    if isinstance(value, Mapping):
        return {str(_plain(name)): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    return str(value)
