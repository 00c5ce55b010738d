"""A GPU that is none: its tensors are no main memory, and mix with none that are.

There is no GPU where the tests run. This stands in for one rule of a GPU and for nothing else: an
operation on tensors of two devices is refused, and so is `numpy` of what `cpu` did not fetch. What
is computed is computed by the processor. Torch then has an accelerator in this process, for good:
only for a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

GPU = "pretend:0"

aten = torch.ops.aten
COPIES = {aten.copy_.default, aten._to_copy.default}
INDEXES = {
    aten.index.Tensor, aten._unsafe_index.Tensor, aten.index_put.default, aten.index_put_.default,
    aten._index_put_impl_.default,
}  # fmt: skip
"""Operations that take indices in main memory."""


class Far(torch.Tensor):
    """A tensor on the GPU.

    Attributes:
        near: what it stands for.
    """

    near: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # pyright: ignore

    @staticmethod
    def __new__(cls, near: torch.Tensor) -> Far:
        far = torch.Tensor._make_wrapper_subclass(
            cls, near.size(), near.stride(), near.storage_offset(), dtype=near.dtype,
            device=torch.device(GPU), requires_grad=near.requires_grad,
        )  # fmt: skip
        far.near = near
        return far

    def tolist(self) -> Any:
        return self.near.tolist()

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return computed(func, args, kwargs or {})


class Rules(TorchDispatchMode):
    """Also tensors that come from none are made where they are wanted."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        return computed(func, args, kwargs or {})


def computed(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What an operation gives, where a GPU would have it."""
    tensors = [one for one in tree_flatten((args, kwargs))[0] if isinstance(one, torch.Tensor)]
    far = [one for one in tensors if isinstance(one, Far)]
    if far and func not in COPIES:
        if func in INDEXES:  # itself, and the values
            tensors = [one for one in (args[0], *args[2:3]) if isinstance(one, torch.Tensor)]
        for one in tensors:
            if not isinstance(one, Far) and one.dim() > 0:
                raise RuntimeError(f"{func}: expected all tensors to be on the same device")
    asked = torch.device(kwargs["device"]) if kwargs.get("device") is not None else None
    there = bool(far) if asked is None else asked.type == "pretend"
    if func in COPIES and asked is None:
        there = isinstance(args[0], Far)
    if asked is not None and there:
        kwargs = kwargs | {"device": "cpu"}
    near: Callable[[Any], Any] = lambda one: one.near if isinstance(one, Far) else one  # noqa: E731
    result = func(*tree_map(near, args), **tree_map(near, kwargs))
    written = {id(one.near): one for one in far} if func._schema.is_mutable else {}

    def put(one: Any) -> Any:
        if not isinstance(one, torch.Tensor) or isinstance(one, Far):
            return one
        return written[id(one)] if id(one) in written else Far(one) if there else one

    return tree_map(put, result)


_setup_privateuseone_for_python_backend("pretend")
torch.__future__.set_swap_module_params_on_conversion(True)  # tied weights stay tied
torch._C._set_only_lift_cpu_tensors(True)  # `torch.tensor` asks the rules where its numbers go
torch.inference_mode = torch.no_grad  # its tensors can't be views, where they are made in Python
