"""Packages that are not needed to import fastnn: imported where they are used, through here."""

from __future__ import annotations

import importlib
from typing import Any

_DISTRIBUTION = "fastnn-kernels"


def require(module: str, purpose: str, extra: str = "train") -> Any:
    """Import `module`, or raise an ImportError that names the extra to install.

    Parameters
    ----------
    module : dotted name
    purpose : what it is needed for, as in "matplotlib is needed for plots"
    extra : the distribution's extra that brings it
    """
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        # A package that is there but broken, or lacks something of its own, must show its own error.
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise ImportError(
            f'{package} is needed for {purpose}: pip install "{_DISTRIBUTION}[{extra}]"', name=package
        ) from error
