"""PyTorch's other modes: faster for some networks than the one that it starts in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastnn._bench.cases import Array
from fastnn._bench.contestants.pytorch import Torch
from fastnn._bench.settings import Network


class ChannelsLast(Torch):
    """Images, filters and networks in the memory format in which a pixel's channels lie side by side."""

    name = "torch-nhwc"

    def __init__(self) -> None:
        super().__init__()
        self.title += " in channels_last"

    def tensor(self, array: Array) -> Any:
        tensor = super().tensor(array)
        return tensor.contiguous(memory_format=self.torch.channels_last) if array.ndim == 4 else tensor

    def network(self, network: Network) -> Any:
        return super().network(network).to(memory_format=self.torch.channels_last)


class Compiled(Torch):
    """Networks, and networks with their loss, through ``torch.compile``.

    Raises
    ------
    ImportError
        It does not work here: it needs a C++ compiler, and Python's header files.
    """

    name = "torch-compile"

    def __init__(self) -> None:
        super().__init__()
        self.title += " with torch.compile"
        one = self.torch.ones(4)
        try:
            self.torch.compile(lambda x: x.sin() + x.cos())(one)
        except Exception as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise ImportError(f"torch.compile does not work here: {reason}") from error

    def called(self, function: Callable[..., Any]) -> Callable[..., Any]:
        self.torch.compiler.reset()  # of the networks before: it compiles a function for few kinds of inputs
        return self.torch.compile(function)
