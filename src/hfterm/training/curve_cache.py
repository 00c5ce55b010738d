"""Curves that were read before: a binary file beside nothing that anyone would miss.

It is good while each file it was made of is the same one and only grew: the same inode, at least
as long as what was read, and the same bytes at its start and before the place where reading
stopped. What is damaged or was written by another version is as if it were not there.

Layout: a magic word, the length and checksum of a header in msgpack, the header, the arrays.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from contextlib import suppress
from pathlib import Path
from struct import Struct
from typing import BinaryIO, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from hfterm.job import Job
from hfterm.training.curve_pyramid import Growing
from hfterm.training.curve_track import Track
from hfterm.training.curves import AXES, Curves, CurveSource, Metric, Resume
from hfterm.training.metrics_file import CHUNK, MetricsTail

MAGIC = b"hfterm curves 1\n"
HEAD = Struct("<16sII")
"""Magic word, length of the header, its checksum."""

EDGE = 4096
"""Bytes of a file's start, and before the offset, that must be as they were."""

WORTH_IT = 1_000_000
"""Bytes read anew from which the cache is written again."""

LONGEST_HEADER = 1 << 28

T = TypeVar("T", bound=np.generic)


class _File(msgspec.Struct, frozen=True, array_like=True):
    path: bytes
    inode: int
    size: int
    edges: bytes


class _Lengths(msgspec.Struct, frozen=True, array_like=True):
    name: str
    live: int
    stale: int


class _Header(msgspec.Struct, frozen=True):
    kind: str
    files: list[_File]
    state: dict[str, object]
    rows: int
    skipped: int
    carry: list[float]
    resumes: list[tuple[float, float, int]]
    metrics: list[_Lengths]
    checksum: int


_decode = msgspec.msgpack.Decoder(_Header).decode


def open_curves(
    path: str | Path, cache_path: str | Path | None, job: Job
) -> tuple[Curves, MetricsTail]:
    """The curves of a ``metrics.jsonl``, from the cache as far as it goes.

    Args:
        path: the file; it need not be there yet.
        cache_path: where its cache is, or is put when much had to be read; None for no cache.
        job: told how far the reading is.

    Returns:
        The curves, and the reader that goes on with them.

    Raises:
        HftermError: the file is there and cannot be read.
        Cancelled: the caller no longer wants it.
    """
    tail = MetricsTail(path)
    read_all(tail, cache_path, job)
    return tail.curves, tail


def read_all(
    source: CurveSource, cache_path: str | Path | None, job: Job, *, loaded: bool = False
) -> None:
    """Bring a source up to date, by way of its cache when it was not yet read.

    Args:
        source: of any kind.
        cache_path: where its cache is, or is put when much had to be read; None for no cache.
        job: told how far the reading is.
        loaded: the source was read from its cache already.

    Raises:
        HftermError: the source cannot be read.
        Cancelled: the caller no longer wants it.
    """
    if cache_path is not None and not loaded:
        load_cache(source, Path(cache_path))
    known = sum(source.places().values())
    while source.read(4 * CHUNK):
        done = sum(source.places().values())
        job.progress("reading metrics", done, done + source.behind, "bytes")
    if cache_path is not None and sum(source.places().values()) - known > WORTH_IT:
        with suppress(OSError):  # a disk that is full or read-only costs time later, nothing else
            save_cache(source, Path(cache_path))


def load_cache(source: CurveSource, cache: Path) -> bool:
    """Put a source where it was when its cache was written; False when the cache is no good.

    Args:
        source: one that was not yet read.
        cache: from `save_cache`.
    """
    try:
        with cache.open("rb") as file:
            header = _header(file)
            if header is None or header.kind != type(source).__name__:
                return False
            if not all(_same(found) for found in header.files):
                return False
            curves = _curves(file, header)
        if curves is None:
            return False
        source.restore(curves, header.state)
    except (OSError, ValueError, KeyError, TypeError, msgspec.MsgspecError):
        return False
    return True


def save_cache(source: CurveSource, cache: Path) -> None:
    """Write the cache of a source.

    Args:
        source: as far as it was read.
        cache: replaced at once, or not at all.

    Raises:
        OSError: it cannot be written.
    """
    curves = source.curves
    arrays = list(_arrays(curves))
    checksum = 0
    for array in arrays:
        checksum = zlib.crc32(array.data, checksum)
    header = _Header(
        kind=type(source).__name__,
        files=[_file(path, size) for path, size in source.places().items()],
        state=source.state(),
        rows=len(curves),
        skipped=curves.skipped,
        carry=[curves.carry[name] for name in AXES],
        resumes=[(one.step, one.time, one.row) for one in curves.resumes],
        metrics=[
            _Lengths(name, len(one.live), len(one.stale)) for name, one in curves.metrics.items()
        ],
        checksum=checksum,
    )
    packed = msgspec.msgpack.encode(header)
    cache.parent.mkdir(parents=True, exist_ok=True)
    part = cache.with_name(f"{cache.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(HEAD.pack(MAGIC, len(packed), zlib.crc32(packed)))
            file.write(packed)
            for array in arrays:
                file.write(array.data)
        part.replace(cache)
    finally:
        part.unlink(missing_ok=True)


def _header(file: BinaryIO) -> _Header | None:
    start = file.read(HEAD.size)
    if len(start) < HEAD.size:
        return None
    magic, length, checksum = HEAD.unpack(start)
    if magic != MAGIC or length > LONGEST_HEADER:
        return None
    packed = file.read(length)
    return _decode(packed) if zlib.crc32(packed) == checksum else None


def _curves(file: BinaryIO, header: _Header) -> Curves | None:
    checksum = 0

    def array(dtype: type[T], count: int) -> NDArray[T]:
        nonlocal checksum
        data = np.fromfile(file, dtype, count)
        if len(data) < count:
            raise ValueError("the file is too short")
        checksum = zlib.crc32(data.data, checksum)
        return data

    curves = Curves()
    for name, carried in zip(AXES, header.carry, strict=True):
        curves.axes[name] = Growing(np.float64, array(np.float64, header.rows))
        curves.carry[name] = carried
    curves.stale = Growing(np.bool_, array(np.bool_, header.rows))
    for one in header.metrics:
        live = Track(array(np.int32, one.live), array(np.float64, one.live))
        stale = Track(array(np.int32, one.stale), array(np.float64, one.stale))
        curves.metrics[one.name] = Metric(live, stale)
    curves.skipped = header.skipped
    curves.resumes = [Resume(*one) for one in header.resumes]
    return curves if checksum == header.checksum else None


def _arrays(curves: Curves) -> list[NDArray[np.generic]]:
    """Every array in the order in which the cache has them."""
    arrays: list[NDArray[np.generic]] = [curves.axes[name].view for name in AXES]
    arrays.append(curves.stale.view)
    for one in curves.metrics.values():
        for track in (one.live, one.stale):
            arrays += [track.rows.view, track.values.view]
    return arrays


def _file(path: str, size: int) -> _File:
    return _File(os.fsencode(path), Path(path).stat().st_ino, size, _edges(path, size))


def _same(known: _File) -> bool:
    path = os.fsdecode(known.path)
    found = Path(path).stat()
    whole = found.st_ino == known.inode and found.st_size >= known.size
    return whole and _edges(path, known.size) == known.edges


def _edges(path: str, size: int) -> bytes:
    """A hash of the first bytes of a file and of the last ones before `size`."""
    length = min(EDGE, size)
    with Path(path).open("rb", buffering=0) as file:
        first = os.pread(file.fileno(), length, 0)
        last = os.pread(file.fileno(), length, size - length)
    return hashlib.blake2b(first + last, digest_size=16).digest()
