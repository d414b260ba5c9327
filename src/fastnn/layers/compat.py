"""Methods that modules have because PyTorch's have them, and where to look for those that there are not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

from fastnn import _validate as check


class PyTorchHabits:
    """What a `Module` is asked for by those who know PyTorch's."""

    if TYPE_CHECKING:

        def modules(self) -> Iterator[Any]: ...
        def named_children(self) -> Iterator[tuple[str, Any]]: ...
        def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Any]]: ...
        def named_buffers(self) -> Iterator[tuple[str, Any]]: ...
        def named_arrays(self, prefix: str = "") -> Iterator[tuple[str, Any]]: ...

    else:

        def __new__(cls, *args: Any, **kwargs: Any) -> Self:
            if kwargs or args:
                check.known_arguments(cls, args, kwargs)
            return super().__new__(cls)

        def __getattr__(self, name: str) -> Any:
            from fastnn._validate import habits

            raise habits.no_attribute(self, name, habits.OF_MODULES)

    def children(self) -> Iterator[Any]:
        """The layers right inside this one."""
        return (child for _, child in self.named_children())

    def buffers(self) -> Iterator[Any]:
        """All buffers."""
        return (buffer for _, buffer in self.named_buffers())

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients, whatever `set_to_none` says: a backward replaces those there are, unless it is to add."""
        for _, p in self.named_parameters():
            p.grad = None

    def to(self, *args: Any, dtype: Any = None, device: Any = None, non_blocking: bool = False) -> Self:
        """Convert all parameters, gradients and buffers of floats to a dtype. Returns the module.

        What was kept for a backward is forgotten, if anything changes. Optimisers keep arrays of the dtype before: make
        them afterwards.

        Parameters
        ----------
        *args : float32 or float64, or a device
        dtype : float32 or float64
        device : "cpu"
        non_blocking : no effect, as in PyTorch on the CPU
        """
        wanted = check.destination(args, dtype, device)
        held = [h for _, h in self.named_arrays() if wanted is not None and h.data.dtype.kind == "f"]
        held = [h for h in held if h.data.dtype != wanted]
        for each in held:
            each.data = each.data.astype(wanted)
            if getattr(each, "grad", None) is not None:
                each.grad = each.grad.astype(wanted)
        for module in self.modules() if held else ():
            module._kept = None
        return self

    def cpu(self) -> Self:
        """The module itself: it is on the CPU."""
        return self

    def float(self) -> Self:
        """As `to` with float32."""
        return self.to("float32")

    def double(self) -> Self:
        """As `to` with float64."""
        return self.to("float64")
