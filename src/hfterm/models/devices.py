"""This machine's devices and the memory that is free on them."""

from __future__ import annotations

from hfterm.models.memory_types import DeviceRoom
from hfterm.system.samples import Sampler


def devices(sampler: Sampler | None = None) -> list[DeviceRoom]:
    """Main memory as ``cpu``, then each GPU that tells its memory, as ``cuda:0 NVIDIA A100``.

    Args:
        sampler: one that has opened the GPU driver already; opening it can take a second.
    """
    sample = (sampler or Sampler()).sample()
    rooms = [DeviceRoom("cpu", sample.ram_total, sample.ram_total - sample.ram_used)]
    rooms += [
        DeviceRoom(f"cuda:{index} {gpu.name}", gpu.memory_total, gpu.memory_total - gpu.memory_used)
        for index, gpu in enumerate(sample.gpus)
        if gpu.memory_total is not None and gpu.memory_used is not None
    ]
    return rooms
