"""Which device a model is put on.

Imports torch inside functions: for a process that loads models.
"""

from __future__ import annotations

from hfterm.errors import HftermError
from hfterm.models.types import AUTO_DEVICE


def device_for(wanted: str, process: int = 0) -> str:
    """The device by name: ``cpu``, ``cuda:0`` …

    Args:
        wanted: one of these, or ``auto``.
        process: which of several on this machine, that each take a device of their own.

    Raises:
        HftermError: there is no such device.
    """
    import torch

    here = torch.accelerator.current_accelerator(check_available=True)
    if wanted == AUTO_DEVICE:
        return "cpu" if here is None else f"{here.type}:{process}"
    try:
        named = torch.device(wanted)
        there = named.type == "cpu" or (
            here is not None
            and named.type == here.type
            and (named.index or 0) < torch.accelerator.device_count()
        )
    except RuntimeError:  # torch knows no such name
        there = False
    if not there:
        raise HftermError(
            "no-device",
            f"There is no device {wanted!r} here.",
            "Choose auto or cpu; hfterm doctor says what there is.",
        )
    return wanted
