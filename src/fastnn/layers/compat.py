"""Methods that modules have because PyTorch's have them, and where to look for those that there are not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

from fastnn import _validate as check


class Elsewhere:
    """An attribute that there is not: whoever asks for it is told what is in its place.

    A ``__getattr__`` would be in the way of all attributes, and cost what a small network does.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, owner: Any, kind: type) -> Any:
        from fastnn._validate import habits

        raise habits.no_attribute(kind if owner is None else owner, self._name, habits.OF_MODULES)


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

    def children(self) -> Iterator[Any]:
        """The layers right inside this one."""
        return (child for _, child in self.named_children())

    def buffers(self) -> Iterator[Any]:
        """All buffers."""
        return (buffer for _, buffer in self.named_buffers())

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients, whatever `set_to_none` says. Only a backward with `accumulate` needs that."""
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


for _name in (
    *("bfloat16", "compile", "cuda", "device", "fit", "get_buffer", "get_parameter", "half", "mps", "predict"),
    *("register_backward_hook", "register_forward_pre_hook", "register_full_backward_hook", "register_module"),
    *("share_memory", "step", "type", "xpu"),
):
    setattr(PyTorchHabits, _name, Elsewhere(_name))
del _name
