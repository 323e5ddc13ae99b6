"""A CUDA device for tests on a machine that has none: it computes on the CPU and minds the device.

Inside `pretend_cuda()` tensors can be made on `"cuda"` or moved there. They say that they are on
`cuda:0` and keep their values in a CPU tensor, on which every operation runs. What real CUDA
refuses is refused: operands on different devices, indices on CUDA into a tensor on the CPU, a
generator of the other device, `numpy()`. So a test finds a tensor that was made on the wrong
device, or that nobody brought back.

It cannot find what only a GPU does: missing kernels, their rounding, the order in which they add
up, work that is not done yet when it is asked for, memory that runs out. `torch.autocast("cuda")`
changes nothing, inference mode is left out, and attention always takes PyTorch's open
implementation, never a fused one. Changing a tensor's shape in place (`resize_`, `out=` of another
shape) is refused although CUDA can do it.

How: `PretendTensor` is a wrapper subclass, and `_Operations` a mode that sees every operation below
autograd. Autograd asks a tensor's device for streams, which a build without CUDA cannot answer for
`cuda`; so to C++ the tensors are on `lazy:0`, a device that every build knows and that has no
kernels of its own. `_Names` says `lazy:0` for `cuda` in calls from Python.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

CPU, CUDA, INSIDE = torch.device("cpu"), torch.device("cuda:0"), torch.device("lazy:0")
aten = torch.ops.aten
BETWEEN_DEVICES = {aten.copy_, aten._foreach_copy_}
INDEXING = {aten.index, aten._unsafe_index, aten.index_put, aten.index_put_}
INDEXING |= {aten._index_put_impl_, aten._unsafe_index_put}
# Elementwise, so that they take 0-dimensional tensors of the CPU, but not tagged so by PyTorch.
ELEMENTWISE = {aten.fill, aten.fill_, aten.masked_fill, aten.masked_fill_, aten.floor_divide}
ELEMENTWISE |= {aten.floor_divide_, aten.rsub}
SAID = {
    # asked where PyTorch's own Python code makes a tensor; a real one must begin when it is needed
    "_lazy_init": torch.cuda._lazy_init if torch.cuda.is_available() else lambda: None,
    "is_available": lambda: True,
    "device_count": lambda: 1,
    "current_device": lambda: 0,
    "is_current_stream_capturing": lambda: False,
    "get_device_name": lambda device=None: "pretended",
    "is_bf16_supported": lambda including_emulation=True: True,
    "synchronize": lambda device=None: None,
    "get_rng_state": lambda device="cuda": torch.get_rng_state(),
    "set_rng_state": lambda state, device="cuda": torch.set_rng_state(state),
}


@contextmanager
def pretend_cuda() -> Iterator[None]:
    """Let `"cuda"` work as if the machine had one such device.

    Example:
        >>> with pretend_cuda():
        ...     x = torch.ones(2, device="cuda")
        ...     x + torch.ones(2)
        Traceback (most recent call last):
        RuntimeError: Expected all tensors to be on the same device, but found at least two ...
    """
    swaps = torch.__future__.get_swap_module_params_on_conversion()
    lifts = torch._C._only_lift_cpu_tensors()
    with ExitStack() as stack:
        stack.enter_context(patch.multiple(torch.cuda, **SAID))
        stack.enter_context(patch.object(torch, "Generator", _Generator))
        # which a wrapper subclass cannot be in
        stack.enter_context(patch.object(torch, "inference_mode", lambda mode=True: nullcontext()))
        # Module.to then changes the parameters themselves, as on CUDA, instead of replacing them
        torch.__future__.set_swap_module_params_on_conversion(True)
        stack.callback(torch.__future__.set_swap_module_params_on_conversion, swaps)
        # torch.tensor then makes its tensor on the CPU and moves it where the mode can see it
        torch._C._set_only_lift_cpu_tensors(True)
        stack.callback(torch._C._set_only_lift_cpu_tensors, lifts)
        # which PyTorch takes apart on devices other than CPU and CUDA, and rounds otherwise
        library = stack.enter_context(torch.library._scoped_library("aten", "IMPL"))
        library.impl("silu_backward", torch.library.fallthrough_kernel, "AutogradLazy")
        stack.enter_context(_Operations())
        stack.enter_context(_Names())
        yield


class PretendTensor(Tensor):
    """A tensor that says it is on `cuda:0`; its values are in `held`, on the CPU."""

    __torch_function__ = torch._C._disabled_torch_function_impl
    held: Tensor
    device = CUDA
    is_cuda = True

    @staticmethod
    def __new__(cls, held: Tensor) -> PretendTensor:
        """Wrap a CPU tensor."""
        self = Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            layout=held.layout,
            device=INSIDE,
        )
        self.held = held
        return self

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation that no mode ran, once the context has ended."""
        return _run(func, args, kwargs or {})

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """Refuse, as CUDA does, unless forced."""
        if not force:
            raise TypeError(
                "can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the "
                "tensor to host memory first."
            )
        return self.detach().cpu().numpy()

    # Asked of the values themselves: PyTorch refuses to answer for a subclass.

    def tolist(self) -> Any:
        return self.held.tolist()

    def untyped_storage(self) -> torch.UntypedStorage:
        return self.held.untyped_storage()

    def __format__(self, spec: str) -> str:
        return format(self.held, spec) if self.ndim == 0 else object.__format__(self, spec)

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"<cuda:0 {self.held!r}>"


class _Operations(TorchDispatchMode):
    """Sees every operation below autograd."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _Names(TorchFunctionMode):
    """Sees every call from Python: says `lazy:0` for `cuda`, and compares generators."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.device:
            return func(*args, **kwargs)
        if func is Tensor.cuda:
            func, args, kwargs = Tensor.to, (args[0], INSIDE), {}
        result = func(*tree_map(_inside, args), **tree_map(_inside, kwargs))
        if isinstance(generator := kwargs.get("generator"), torch.Generator):
            wanted, found = result.device.type, generator.device.type
            if {wanted, found} == {"cpu", "cuda"}:  # meta tensors take any
                raise RuntimeError(
                    f"Expected a '{wanted}' device type for generator but found '{found}'"
                )
        return result


class _Generator(torch.Generator):
    """Says which device it was made for, and draws on the CPU."""

    device: torch.device = CPU

    def __new__(cls, device: Any = CPU) -> _Generator:
        self = super().__new__(cls)
        self.device = CUDA if _inside(device) == INSIDE else CPU
        return self


def _inside(value: Any) -> Any:
    names_cuda = isinstance(value, str | torch.device) and str(value) in ("cuda", "cuda:0")
    return INSIDE if names_cuda else value


def _held(value: Any) -> Any:
    return value.held if isinstance(value, PretendTensor) else value


def _wrapped(value: Any) -> Any:
    return PretendTensor(value) if isinstance(value, Tensor) else value


def _tensors(values: Any) -> tuple[list[PretendTensor], list[Tensor]]:
    """Those on CUDA and those on the CPU."""
    found = [x for x in tree_leaves(values) if isinstance(x, Tensor)]
    on_cuda = [x for x in found if isinstance(x, PretendTensor)]
    return on_cuda, [x for x in found if not isinstance(x, PretendTensor)]


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """An operation on the CPU, its results where they would be with CUDA."""
    _check_devices(func, args, kwargs)
    on_cuda, _ = _tensors((args, kwargs))
    to_cuda = bool(on_cuda)
    if device := kwargs.get("device"):
        to_cuda = device in (INSIDE, CUDA)  # CUDA from code that `_Names` did not see
        kwargs = kwargs | {"device": CPU if to_cuda else device}
    results = func(*tree_map(_held, args), **tree_map(_held, kwargs))
    if any(x.shape != x.held.shape for x in on_cuda):
        raise NotImplementedError(f"{func} changes a shape in place, which pretend_cuda cannot")
    # What it wrote to and returns is wrapped anew, which nobody sees: PyTorch returns its argument.
    return tree_map(_wrapped, results) if to_cuda else results


def _check_devices(func: Any, args: Any, kwargs: dict[str, Any]) -> None:
    """Refuse what CUDA refuses.

    Raises:
        RuntimeError: As CUDA does.
    """
    declared = func._schema.arguments
    named = dict(zip((a.name for a in declared), args)) | kwargs
    operation = func.overloadpacket
    if operation in INDEXING:
        indices = named.pop("indices")
        if _tensors(named["self"])[1] and _tensors(indices)[0]:
            raise RuntimeError(
                "indices should be either on cpu or on the same device as the indexed tensor (cpu)"
            )
    on_cuda, on_cpu = _tensors(named)
    if not on_cuda or not on_cpu or operation in BETWEEN_DEVICES:
        return
    written = [named.get(a.name) for a in declared if a.alias_info and a.alias_info.is_write]
    scalars_may_mix = torch.Tag.pointwise in func.tags or operation in ELEMENTWISE | INDEXING
    if _tensors(written)[1] or not scalars_may_mix or any(x.ndim for x in on_cpu):
        raise RuntimeError(
            "Expected all tensors to be on the same device, but found at least two devices, "
            f"cuda:0 and cpu! ({func})"
        )
