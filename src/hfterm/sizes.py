"""How sizes are written, of files as of memory."""

from __future__ import annotations


def size_text(count: int) -> str:
    """Bytes as a person reads them, in powers of ten as disks are sold: ``1.2 GB``, ``538 MB``."""
    if count < 1000:
        return f"{count} B"
    size = count / 1000
    for unit in ("kB", "MB", "GB"):
        if round(size) < 1000:
            return f"{size:.{_decimals(size)}f} {unit}"
        size /= 1000
    return f"{size:,.{_decimals(size)}f} TB"


def _decimals(size: float) -> int:
    return 1 if round(size, 1) < 100 else 0
