"""What a forward pass or a training step keeps in memory, found by running it without any data.

A model on torch's meta device runs every operation on shapes alone. A dispatch mode notes when
each storage is made and when it is freed, so the peak is known without a byte of it. Two models
with few layers are run, and what the others add is extrapolated: memory grows linearly with the
number of layers at each operation that both of them have.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from enum import IntEnum
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from torch import Tensor


class Kind(IntEnum):
    """What a storage is, as far as a plan tells it apart."""

    ACTIVATION = 0
    LOGITS = 1
    GRADIENT = 2
    CACHE = 3


MOST = 20_000
"""Operations after which a run is given up: a scan over the tokens, one by one, takes minutes."""

CHANCE = 8
"""Operations that may be alike by chance where two runs part."""

Bytes = tuple[int, int, int, int]
"""Bytes alive at one moment, by `Kind`."""


class Trace(msgspec.Struct, frozen=True):
    """One run.

    Attributes:
        names: the operation of each moment and how many numbers it made, for finding the same
            moment in another run.
        live: what is alive when it has run, its arguments included; weights are not counted.
        turn: index of the first moment of the backward pass; the length of `names` without one.
        alike: index of the first moment from which on each layer costs what the next one does.
    """

    names: list[tuple[str, int]]
    live: list[Bytes]
    turn: int
    alike: int

    def parts(self) -> tuple[Trace, Trace]:
        """The forward and the backward pass by themselves."""
        return (
            Trace(self.names[: self.turn], self.live[: self.turn], self.turn, self.alike),
            Trace(self.names[self.turn :], self.live[self.turn :], 0, 0),
        )


class _Allocation:
    """A storage's size, its kind, and the moments of its life."""

    __slots__ = ("born", "died", "kind", "reference", "size")

    def __init__(self, size: int, born: int, kind: Kind) -> None:
        self.size = size
        self.born = born
        self.died = -1
        self.kind = kind
        self.reference: object = None


class Recorder(Protocol):
    """The mode that `recording` gives: what runs under it is noted."""

    def classify(self, tensor: Tensor, kind: Kind) -> None:
        """Say what a tensor's storage is, from its birth on."""
        ...

    def alike(self) -> None:
        """Say that the layers from here on are alike."""
        ...

    def turn(self) -> None:
        """Say that the backward pass begins."""
        ...

    def trace(self) -> Trace:
        """What has run so far."""
        ...


@cache
def _modes() -> tuple[Callable[[Callable[[Tensor], bool]], Any], Callable[[], Any]]:
    """The recording mode and the attention mode, whose bases need torch."""
    import torch
    from torch.overrides import TorchFunctionMode
    from torch.utils._python_dispatch import TorchDispatchMode

    item = torch.ops.aten._local_scalar_dense.default
    attention = torch.nn.functional.scaled_dot_product_attention
    aten = torch.ops.aten
    pairwise = {aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor}
    single = {
        aten.neg.default, aten.rsqrt.default, aten.cos.default, aten.sin.default,
        aten.silu.default, aten.gelu.default, aten.tanh.default, aten.sigmoid.default,
        aten.pow.Tensor_Scalar, aten.mul.Scalar, aten.div.Scalar, aten.add.Scalar,
    }  # fmt: skip
    grouped = aten._grouped_mm.default
    empty_like = aten.empty_like.default
    flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu

    class Record(TorchDispatchMode):
        """Notes every storage that an operation makes, until nothing refers to it."""

        def __init__(self, is_logits: Callable[[Tensor], bool]) -> None:
            super().__init__()
            self._is_logits = is_logits
            self._known: dict[int, _Allocation] = {}
            self._all: list[_Allocation] = []
            self._names: list[tuple[str, int]] = []
            self._casts: dict[int, int] = {}
            self._turn: int | None = None
            self._alike = 0

        def ignore(self, tensors: Iterable[Tensor]) -> None:
            for tensor in tensors:
                self._add(tensor, 0, Kind.ACTIVATION)

        def classify(self, tensor: Tensor, kind: Kind) -> None:
            known = self._known.get(_address(tensor))
            if known is not None:
                known.kind = kind

        def alike(self) -> None:
            self._alike = self._alike or len(self._names)

        def turn(self) -> None:
            self._turn = len(self._names)

        def trace(self) -> Trace:
            count = len(self._names)
            changes = [[0] * (count + 1) for _ in Kind]
            for one in self._all:
                changes[one.kind][one.born] += one.size
                if one.died >= 0:
                    changes[one.kind][one.died] -= one.size
            for change in changes:
                for index in range(1, count):
                    change[index] += change[index - 1]
            for index, size in self._casts.items():
                changes[Kind.ACTIVATION][index] += size
            live: list[Bytes] = list(zip(*(change[:count] for change in changes), strict=True))
            turn = count if self._turn is None else self._turn
            return Trace(self._names, live, turn, self._alike)

        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if func is item:
                # Data that is not there: a mask is taken to hide something, a count to be 0.
                return {torch.bool: False, torch.long: 0}.get(args[0].dtype, 0.0)
            if (func in pairwise and _alike(args)) or (func in single and _alike(args[:1])):
                made = empty_like(args[0])  # the same, in a tenth of the time
            elif func is grouped:
                made = _grouped(*args[:3])
            else:
                made = func(*args, **(kwargs or {}))
            if func in pairwise and (size := _cast_bytes(args, made)):
                self._casts[len(self._names)] = size
            values = 0
            for tensor in made if isinstance(made, list | tuple) else (made,):
                if isinstance(tensor, torch.Tensor):
                    values += tensor.numel()
                    key = _address(tensor)
                    if key not in self._known:
                        kind = Kind.LOGITS if self._is_logits(tensor) else Kind.ACTIVATION
                        self._add(tensor, tensor.untyped_storage().nbytes(), kind)
            if len(self._names) >= MOST:
                raise RuntimeError(f"more than {MOST} operations")
            self._names.append((func._name, values))
            return made

        def _add(self, tensor: Tensor, size: int, kind: Kind) -> None:
            key = _address(tensor)
            if key in self._known:
                return
            one = self._known[key] = _Allocation(size, len(self._names), kind)
            one.reference = weakref.ref(tensor.untyped_storage(), partial(self._free, key))
            self._all.append(one)

        def _free(self, key: int, _: object) -> None:
            self._known.pop(key).died = len(self._names)

    class Attention(TorchFunctionMode):
        """Scaled dot products by the kernel torch takes on a CPU.

        The meta device always takes the one that writes out every score; a CPU only does so when
        attention weights are dropped (`use_flash_attention_cpp` in ATen's sdp_utils_cpp.cpp).
        """

        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if func is attention:
                return self._attend(*args, **(kwargs or {}))
            return func(*args, **(kwargs or {}))

        def _attend(
            self,
            query: Tensor,
            key: Tensor,
            value: Tensor,
            attn_mask: Tensor | None = None,
            dropout_p: float = 0.0,
            is_causal: bool = False,
            scale: float | None = None,
            enable_gqa: bool = False,
        ) -> Tensor:
            if dropout_p or query.shape[-1] != value.shape[-1]:
                return attention(
                    query, key, value, attn_mask, dropout_p, is_causal, scale=scale,
                    enable_gqa=enable_gqa,
                )  # fmt: skip
            if attn_mask is not None and attn_mask.dtype == torch.bool:
                attn_mask = torch.zeros_like(attn_mask, dtype=query.dtype)
            return flash(query, key, value, 0.0, is_causal, attn_mask=attn_mask, scale=scale)[0]

    return Record, Attention


def _grouped(left: Tensor, right: Tensor, ends: Tensor | None = None) -> Tensor:
    """The products of a mixture of experts, in every type: torch's shapes know only bfloat16."""
    rows, columns = left.shape[-2], right.shape[-1]
    groups = left.shape[0] if left.ndim == 3 else 0 if ends is None else ends.numel()
    split = left.ndim == right.ndim
    return left.new_empty((groups, rows, columns) if split else (rows, columns))


def _address(tensor: Tensor) -> int:
    """The storage, as a number: on the meta device there is no data whose address would tell."""
    return tensor.untyped_storage()._cdata  # pyright: ignore[reportPrivateUsage]


def _alike(args: Sequence[Any]) -> bool:
    """Whether what an operation makes of these has the shape and type of the first."""
    import torch

    first = args[0]
    if not (isinstance(first, torch.Tensor) and first.is_floating_point()):
        return False
    if len(args) == 1:
        return True
    other = args[1]
    return (
        not isinstance(other, torch.Tensor)
        or (other.ndim == 0 and first.ndim > 0)
        or (other.shape == first.shape and other.dtype == first.dtype)
    )


def checkpointed(run: Callable[..., Any], *args: Any) -> Any:
    """A layer under activation checkpointing, as peft enables it: run again in the backward pass.

    That pass does not know the modes it was started under, so attention is told of its own again.
    """
    from torch.utils.checkpoint import checkpoint

    return checkpoint(partial(_attended, run), *args, use_reentrant=True, preserve_rng_state=False)


def _attended(run: Callable[..., Any], *args: Any) -> Any:
    _, attention = _modes()
    with attention():
        return run(*args)


@contextmanager
def recording(
    known: Iterable[Tensor], is_logits: Callable[[Tensor], bool]
) -> Generator[Recorder, None, None]:
    """Note what runs inside.

    Args:
        known: what is counted elsewhere: the weights and the inputs.
        is_logits: whether a new tensor is a score for each word of the vocabulary.
    """
    record, attention = _modes()
    recorder = record(is_logits)
    recorder.ignore(known)
    with recorder, attention():
        yield recorder


def peak(few: Trace, more: Trace, steps: float) -> Bytes:
    """The most that is alive at once in a run with more layers than were traced.

    Args:
        few: a run with few layers.
        more: the same with some layers more.
        steps: how often those layers are to be added to `few`; 0 to leave it as it is.
    """
    best: Bytes = (0, 0, 0, 0)
    for one, other in zip(few.parts(), more.parts(), strict=True):
        for moment in [*other.live, *_added(one, other, steps)] if steps else one.live:
            if sum(moment) > sum(best):
                best = moment
    return best


def _added(few: Trace, more: Trace, steps: float) -> Generator[Bytes, None, None]:
    """Extrapolated moments: those that both runs share from the start, and from the end.

    Moments in the middle lie between them, since memory is linear in a layer's place too.
    """
    count = min(len(few.names), len(more.names))
    for sign in (1, -1):
        places = [place if sign > 0 else -place - 1 for place in range(count)]
        shared = next(
            (place for place, index in enumerate(places) if few.names[index] != more.names[index]),
            count,
        )
        for index in places[: max(0, shared - CHANCE)]:
            if sign > 0 or len(few.names) + index >= few.alike:
                yield _line(few.live[index], more.live[index], steps)


def _line(few: Bytes, more: Bytes, steps: float) -> Bytes:
    a, b, c, d = (max(0, round(x + steps * (y - x))) for x, y in zip(few, more, strict=True))
    return a, b, c, d


def _cast_bytes(args: Sequence[object], made: Tensor) -> int:
    """What a CPU takes for a moment to bring two tensors to one type (ATen's TensorIterator)."""
    import torch

    return sum(
        one.numel() * made.itemsize
        for one in args[:2]
        if isinstance(one, torch.Tensor) and one.ndim and one.dtype != made.dtype
    )
