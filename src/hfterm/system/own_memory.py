"""How much memory this process takes."""

from __future__ import annotations


def own_memory() -> int:
    """Bytes of main memory that this process has in use now (resident)."""
    import psutil

    return int(psutil.Process().memory_info().rss)
