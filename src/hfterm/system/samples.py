"""What the machine is doing right now: processor, memory, and NVIDIA GPUs where there are any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from hfterm.system.cgroup import memory_limit


class GpuSample(msgspec.Struct, frozen=True):
    """One GPU. What its driver does not tell is None.

    Attributes:
        name: the product, such as ``NVIDIA A100-SXM4-40GB``.
        utilization: percent of the last second that a kernel ran.
        memory_used: bytes.
        memory_total: bytes.
        temperature: degrees Celsius.
    """

    name: str
    utilization: int | None
    memory_used: int | None
    memory_total: int | None
    temperature: int | None


class SystemSample(msgspec.Struct, frozen=True):
    """The machine at one moment.

    Attributes:
        cpu_percent: over all cores, 0 to 100, since the last sample.
        ram_used: bytes.
        ram_total: bytes: the machine's, or the container's where that is less.
        gpus: the NVIDIA GPUs, in the driver's order.
    """

    cpu_percent: float
    ram_used: int
    ram_total: int
    gpus: list[GpuSample]


class Sampler:
    """Takes samples. The first one opens the GPU driver, which can take a second: use a thread.

    Attributes:
        gpu_problem: why there are no GPUs in the samples, in words; empty when there are, or
            when no sample has been taken.
    """

    def __init__(self) -> None:
        self.gpu_problem = ""
        self._gpus: list[tuple[str, Any]] | None = None

    def sample(self) -> SystemSample:
        """Take a sample, in about a millisecond after the first. Never raises for a GPU."""
        import psutil

        if self._gpus is None:
            self._gpus = self._open_gpus()
            psutil.cpu_percent()  # the load is counted from here; a first answer is always 0
        memory = psutil.virtual_memory()
        used, total = memory.total - memory.available, memory.total
        if (limit := memory_limit()) and limit.limit < total:
            used, total = limit.used, limit.limit
        return SystemSample(psutil.cpu_percent(), used, total, self._sample_gpus())

    def _open_gpus(self) -> list[tuple[str, Any]]:
        """Names and handles of the GPUs. Asked once: a missing driver does not appear later."""
        import pynvml

        try:
            pynvml.nvmlInit()
            handles = [
                pynvml.nvmlDeviceGetHandleByIndex(index)
                for index in range(pynvml.nvmlDeviceGetCount())
            ]
            gpus = [(_text(pynvml.nvmlDeviceGetName(handle)), handle) for handle in handles]
        except (pynvml.NVMLError, OSError) as error:
            self.gpu_problem = f"NVIDIA driver: {error}"
            return []
        if not gpus:
            self.gpu_problem = "NVIDIA driver: it knows of no GPU"
        return gpus

    def _sample_gpus(self) -> list[GpuSample]:
        if not self._gpus:
            return []
        import pynvml

        samples: list[GpuSample] = []
        for name, handle in list(self._gpus):
            memory = _ask(pynvml.nvmlDeviceGetMemoryInfo, handle)
            rates = _ask(pynvml.nvmlDeviceGetUtilizationRates, handle)
            heat = _ask(pynvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU)
            if memory is None and rates is None and heat is None:
                # It fell off the bus: asking again each second would only slow the machine.
                self._gpus.remove((name, handle))
                self.gpu_problem = f"{name} no longer answers"
                continue
            samples.append(
                GpuSample(
                    name=name,
                    utilization=None if rates is None else int(rates.gpu),
                    memory_used=None if memory is None else int(memory.used),
                    memory_total=None if memory is None else int(memory.total),
                    temperature=None if heat is None else int(heat),
                )
            )
        return samples


def _ask(question: Callable[..., Any], *arguments: object) -> Any:
    """The driver's answer, or None when this GPU has none (a laptop's, a MIG slice)."""
    import pynvml

    try:
        return question(*arguments)
    except pynvml.NVMLError:
        return None


def _text(name: str | bytes) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else name
