"""The memory limit of the container or the job hfterm runs in (Linux control groups, 1 and 2)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class MemoryLimit(NamedTuple):
    """A control group's memory, in bytes. `used` is without the page cache it could give back."""

    limit: int
    used: int


class _Names(NamedTuple):
    limit: str
    used: str
    reclaimable: str


_V1 = _Names("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_V2 = _Names("memory.max", "memory.current", "inactive_file")


def memory_limit(
    mount: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")
) -> MemoryLimit | None:
    """The tightest memory limit over this process, or None when there is none.

    Args:
        mount: where the control groups are mounted.
        membership: the file that says which groups this process is in.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:  # not Linux, or /proc is closed to us
        return None
    limits: list[MemoryLimit] = []
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if "memory" in controllers.split(","):
            limits += _limits(mount / "memory", path, _V1)
        elif not controllers:
            limits += _limits(mount, path, _V2)
    return min(limits, default=None)


def _limits(root: Path, path: str, names: _Names) -> list[MemoryLimit]:
    """The limits of a group and all groups above it.

    In a container the path is often the host's, where only the root is visible here.
    """
    group = root / path.lstrip("/")
    found: list[MemoryLimit] = []
    while True:
        limit, used = _number(group / names.limit), _number(group / names.used)
        if limit is not None and used is not None:
            found.append(MemoryLimit(limit, max(0, used - _reclaimable(group, names))))
        if group == root or root not in group.parents:
            return found
        group = group.parent


def _number(file: Path) -> int | None:
    """A number in a file of its own; None for ``max`` or no such file."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def _reclaimable(group: Path, names: _Names) -> int:
    try:
        lines = (group / "memory.stat").read_text().splitlines()
    except OSError:
        return 0
    for line in lines:
        name, _, value = line.partition(" ")
        if name == names.reclaimable and value.isdigit():
            return int(value)
    return 0
