"""Offline runs of Weights & Biases, as its client writes them."""

from __future__ import annotations

import struct
import zlib

from hfterm.training.foreign import wandb_offline
from hfterm.training.foreign.wandb_offline import START


def log(*records: bytes) -> bytes:
    """A wandb file; a record goes over blocks where it must."""
    out = bytearray(START)
    for record in records:
        left, first = record, True
        while first or left:
            room = wandb_offline.BLOCK - len(out) % wandb_offline.BLOCK
            if room < 7:
                out += bytes(room)
                continue
            part, left = left[: room - 7], left[room - 7 :]
            kind = (1 if not left else 2) if first else (4 if not left else 3)
            out += struct.pack("<IHB", zlib.crc32(part, zlib.crc32(bytes([kind]))), len(part), kind)
            out += part
            first = False
    return bytes(out)
