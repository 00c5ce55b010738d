"""What a model costs in memory, as plain data: the interface reads it, so nothing heavy is here."""

from __future__ import annotations

from typing import Literal

import msgspec

Purpose = Literal["inference", "full fine-tune", "LoRA", "QLoRA"]
Precision = Literal["float32", "bfloat16", "int8", "nf4"]
Way = tuple[Purpose, Precision]
Fit = Literal["fits", "tight", "does not fit"]


class MemoryPart(msgspec.Struct, frozen=True):
    """One thing that takes memory: ``weights``, ``KV cache``, ``gradients`` … and its bytes."""

    what: str
    size: int


class MemoryPlan(msgspec.Struct, frozen=True):
    """What one way of using a model takes at its peak.

    Attributes:
        purpose: what the model is used for.
        precision: what the weights are kept in.
        parts: what is there at the moment of the peak; the sizes add up to `total`.
        total: bytes at the peak, on the device, the process's libraries not counted.
        trainable: parameters that are trained; 0 for inference.
        note: what to know about it, or empty.
    """

    purpose: Purpose
    precision: Precision
    parts: tuple[MemoryPart, ...]
    total: int
    trainable: int = 0
    note: str = ""


class DeviceRoom(msgspec.Struct, frozen=True):
    """A device of this machine and its memory in bytes."""

    name: str
    total: int
    free: int


class MemoryVerdict(msgspec.Struct, frozen=True):
    """Whether a plan fits a device. `why` says it with the numbers."""

    device: str
    fit: Fit
    why: str


class JudgedPlan(msgspec.Struct, frozen=True):
    """A plan and what each device says to it."""

    plan: MemoryPlan
    verdicts: tuple[MemoryVerdict, ...]


class MemoryReport(msgspec.Struct, frozen=True):
    """What a model costs, for every purpose and precision.

    Attributes:
        ref: the model, as the user named it.
        cls: the concrete class that was counted.
        parameters: of that class, tied ones once.
        context: tokens a sequence.
        batch: sequences at once.
        weights: bytes of the weights alone by precision.
        kv_cache: bytes of the key-value cache at `context` and `batch` in bfloat16; 0 without one.
        devices: this machine's.
        plans: every purpose that is possible, with its verdicts.
    """

    ref: str
    cls: str
    parameters: int
    context: int
    batch: int
    weights: dict[str, int]
    kv_cache: int
    devices: tuple[DeviceRoom, ...]
    plans: tuple[JudgedPlan, ...]
