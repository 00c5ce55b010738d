"""How much memory this process takes, and giving back what it does not need."""

from __future__ import annotations

from contextlib import suppress


def own_memory() -> int:
    """Bytes of main memory that this process has in use now (resident)."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def trim() -> None:
    """Return freed memory to the system, which the C library else keeps for itself."""
    import ctypes

    with suppress(OSError, AttributeError):  # another C library has no malloc_trim
        ctypes.CDLL("libc.so.6").malloc_trim(0)
