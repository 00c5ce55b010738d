"""A TensorBoard run: files named ``*tfevents*``, one or all of a folder, read as they grow.

Scalars of one step that follow each other are one row. A file that begins before the place where
an older one ended tells that the run was resumed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from hfterm.errors import HftermError
from hfterm.training.curve_pyramid import Floats, Ints
from hfterm.training.curves import AxisName, Curves
from hfterm.training.foreign.names import AXIS_OF, own_name
from hfterm.training.foreign.tensorboard_events import Scalars, scalars
from hfterm.training.foreign.tfrecord import frames
from hfterm.training.metrics_file import unreadable

PATTERN = "*tfevents*"
CHUNK = 4 << 20
BIGGEST = 16 << 20
"""Bytes of a record; a bigger one is no scalar (an image, a graph) and is passed over."""


@dataclass
class _File:
    """How far an event file was read."""

    inode: int = 0
    offset: int = 0
    size: int = 0
    begun: bool = False
    damaged: bool = False


class TensorBoardRun:
    """The scalars of an event file, or of those that lie in one folder.

    Attributes:
        path: the file or folder.
        curves: what was read; the same object from the first reading on.
        total_steps: 0, the files do not tell.
        finished: None, they do not tell.
        status_text: that a file is damaged, or nothing.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.curves = Curves()
        self.total_steps = 0
        self.finished: bool | None = None
        self.status_text = ""
        self._files: dict[str, _File] = {}
        self._newest: dict[str, float] = {}

    @property
    def behind(self) -> int:
        """Bytes that are known to be there and were not yet read."""
        return sum(max(one.size - one.offset, 0) for one in self._files.values() if not one.damaged)

    def read(self, limit_bytes: int | None = None) -> bool:
        """Read the records that are new, or about `limit_bytes` of them; True if there were some.

        Raises:
            HftermError: a file cannot be read, or the first is none of TensorBoard's.
        """
        new = self._look()
        left = limit_bytes
        for path, file in self._files.items():
            before = file.offset
            try:
                new |= self._read(path, file, left)
            except OSError as error:
                raise unreadable(Path(path), error) from error
            if left is not None:
                left -= file.offset - before
                if left <= 0:
                    break
        return new

    def places(self) -> dict[str, int]:
        """Each event file, and how much of it was read."""
        return {path: file.offset for path, file in self._files.items()}

    def state(self) -> dict[str, object]:
        """What `restore` needs besides the curves."""
        return {
            "files": [
                (os.fsencode(path), file.inode, file.offset, file.begun, file.damaged)
                for path, file in self._files.items()
            ],
            "newest": self._newest,
            "text": self.status_text,
        }

    def restore(self, curves: Curves, state: dict[str, object]) -> None:
        """Go on from a state."""
        self.curves = curves
        files = cast("list[tuple[bytes, int, int, bool, bool]]", state["files"])
        self._files = {
            os.fsdecode(path): _File(inode, offset, offset, begun, damaged)
            for path, inode, offset, begun, damaged in files
        }
        self._newest = cast("dict[str, float]", state["newest"])
        self.status_text = cast(str, state["text"])

    def _look(self) -> bool:
        """Find the files; True when what was read is no longer so."""
        try:
            found = sorted(self.path.glob(PATTERN)) if self.path.is_dir() else [self.path]
            stats = {str(path): path.stat() for path in found}
        except FileNotFoundError:
            return False
        except OSError as error:
            raise unreadable(self.path, error) from error
        renewed = any(
            path not in stats
            or stats[path].st_ino != file.inode
            or stats[path].st_size < file.offset
            for path, file in self._files.items()
        )
        if renewed:
            self._files, self._newest, self.status_text = {}, {}, ""
            self.curves.clear()
        for path, stat in stats.items():
            file = self._files.setdefault(path, _File(stat.st_ino))
            file.size = stat.st_size
        return renewed

    def _read(self, path: str, file: _File, limit: int | None) -> bool:
        if file.damaged or file.offset >= file.size:
            return False
        new = False
        end = file.size if limit is None else min(file.size, file.offset + max(limit, 1))
        size = CHUNK
        with Path(path).open("rb", buffering=0) as opened:
            while file.offset < end:
                data = os.pread(opened.fileno(), min(size, file.size - file.offset), file.offset)
                found = frames(data)
                if found.end:
                    self._take(file, scalars(data, found))
                    file.offset += found.end
                    new, size = True, CHUNK
                elif found.beyond > BIGGEST and file.offset + found.beyond <= file.size:
                    file.offset += found.beyond
                    new = True
                elif size < found.beyond <= BIGGEST:
                    size = found.beyond
                elif not found.damaged:  # the last record is still being written
                    break
                if found.damaged:
                    self._damaged(path, file)
                    break
        return new

    def _damaged(self, path: str, file: _File) -> None:
        if not file.offset and not len(self.curves):
            raise HftermError(
                "damaged",
                f"{path} is no TensorBoard event file, or its start is damaged.",
                "Name another file or folder.",
            )
        file.damaged = True
        self.status_text = (
            f"{Path(path).name} is damaged at byte {file.offset:,}: what is before it is shown."
        )

    def _take(self, file: _File, found: Scalars) -> None:
        """Add the scalars of a piece as rows."""
        self.curves.skipped += found.broken
        count = len(found.tag)
        if not count:
            return
        groups = np.argsort(found.tag, kind="stable")
        groups = np.split(groups, np.flatnonzero(np.diff(found.tag[groups])) + 1)
        parts = {found.tags[found.tag[group[0]]]: group for group in groups}
        if not file.begun:
            file.begun = True
            self._resumed(found, parts)
        base = len(self.curves)
        changed = np.empty(count, np.bool_)
        changed[1:] = found.step[1:] != found.step[:-1]
        newest = self.curves.axes["step"].view[-1:]
        changed[0] = not (base and not self.curves.stale.view[-1] and newest[0] == found.step[0])
        rows = np.cumsum(changed) - 1
        heads = np.flatnonzero(changed)
        axes: dict[AxisName, Floats] = {"step": found.step[heads], "time": found.time[heads]}
        points: dict[str, tuple[Ints, Floats]] = {}
        told: dict[AxisName, float] = {}
        for tag, group in sorted(parts.items(), key=lambda part: int(part[1][0])):
            at, values = rows[group], found.value[group]
            self._newest[tag] = float(found.step[group].max())
            if tag in AXIS_OF:
                column = np.full(len(heads), np.nan)
                column[at[at >= 0]] = values[at >= 0]
                axes[AXIS_OF[tag]] = column
                if at[0] < 0:
                    told[AXIS_OF[tag]] = float(values[0])
            elif own_name(tag) in points:
                points[own_name(tag)] = _merged(points[own_name(tag)], (at, values))
            else:
                points[own_name(tag)] = (at, values)
        for axis, value in told.items():
            self.curves.amend(axis, value)
        self.curves.extend(len(heads), axes, points)

    def _resumed(self, found: Scalars, parts: dict[str, Ints]) -> None:
        """What the older files have of the steps that this one repeats is superseded."""
        again = [
            group[0]
            for tag, group in parts.items()
            if not own_name(tag).startswith(("eval_", "test_"))
            and found.step[group[0]] <= self._newest.get(tag, -np.inf)
        ]
        if again:
            first = min(again)
            self.curves.resume(float(found.step[first]) - 1, float(found.time[first]))


def _merged(one: tuple[Ints, Floats], other: tuple[Ints, Floats]) -> tuple[Ints, Floats]:
    """The points of two tags that are one metric here."""
    rows = np.concatenate([one[0], other[0]])
    order = np.argsort(rows, kind="stable")
    return rows[order], np.concatenate([one[1], other[1]])[order]
