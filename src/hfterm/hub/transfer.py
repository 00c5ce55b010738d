"""Bring one file of a known size here, with progress, cancel, and resume from where it stopped."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import msgspec

from hfterm.errors import HftermError
from hfterm.hub.http_stream import HttpStream, Unreachable, pause
from hfterm.hub.starter_pip import OFFLINE_REMEDY, Access
from hfterm.job import Job

CHUNK = 256 * 1024
ATTEMPTS = 5
BACKOFF_SECONDS = 0.5

_RETRY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


LONGEST_WAIT = 120.0
"""Seconds that a server may ask to wait; longer is for the user to decide."""


class Remedies(msgspec.Struct, frozen=True):
    """What to do about a failure; it depends on where the file comes from."""

    login: str
    missing: str
    offline: str
    tampered: str


PIP = Remedies(
    login="Put the login into pip's index-url, or check the proxy. " + OFFLINE_REMEDY,
    missing="Check pip's index (pip config list). " + OFFLINE_REMEDY,
    offline=OFFLINE_REMEDY,
    tampered="Check pip's index (pip config list) and try again.",
)


class Download(msgspec.Struct, frozen=True):
    """One file to bring.

    Attributes:
        url: where it is: ``http``, ``https`` or ``file``.
        part: the file to fill; its folder exists.
        size: bytes that the whole file has.
        title: its name for people.
        access: certificates, proxy and logins.
        remedies: what to do about a failure.
    """

    url: str
    part: Path
    size: int
    title: str
    access: Access
    remedies: Remedies = PIP

    @property
    def stage(self) -> str:
        """What is being done, in words."""
        return f"downloading {self.title}"

    @property
    def host(self) -> str:
        """Where it comes from, for a person."""
        return urlsplit(self.url).netloc.rpartition("@")[2] or self.url

    def length(self) -> int:
        """Bytes that are here already."""
        try:
            return self.part.stat().st_size
        except FileNotFoundError:
            return 0


def transfer(file: Download, job: Job) -> None:
    """Bring what is missing of `file`, and leave it in its `part`.

    What is here already is kept and gone on from; it stays when this fails or is cancelled.

    Raises:
        HftermError: it can't be had (``not-found``, ``unauthorized``, ``certificate``,
            ``unreachable``) or is longer than it should be (``checksum``: `part` is removed).
        OSError: the disk is full, or the folder can't be written.
        Cancelled: the job was cancelled.
    """
    local = file.url.startswith("file:")
    failures = 0
    while (before := file.length()) < file.size:
        job.progress(file.stage, before, file.size, "bytes")
        try:
            if local:
                _copy_file(file, job)
            else:
                _request(file, job)
            if file.length() < file.size:
                raise Unreachable("the connection was cut")
        except Unreachable as error:
            # As long as something arrives each time, the line is bad but worth going on with.
            failures = 1 if file.length() > before else failures + 1
            if error.wait > LONGEST_WAIT:
                raise HftermError(
                    "rate-limited",
                    f"{file.host} asks to wait {error.wait:,.0f} seconds before {file.title} is "
                    "asked for again (429).",
                    "What has arrived is kept: try again then, and the download goes on from it.",
                ) from error
            if local or failures >= ATTEMPTS:
                raise HftermError(
                    "unreachable",
                    f"{file.title} can't be had from {file.host} ({error}).",
                    "What has arrived is kept and the next try goes on from it. "
                    f"{file.remedies.offline}",
                ) from error
            seconds = max(BACKOFF_SECONDS * 2 ** (failures - 1), error.wait)
            pause(seconds, job, file.host if error.wait else "")


def _copy_file(file: Download, job: Job) -> None:
    """The same for a folder of wheels on this machine (pip's find-links)."""
    path = Path(urllib.request.url2pathname(urlsplit(file.url).path))
    start = file.length()
    try:
        source = path.open("rb")
    except OSError as error:
        raise Unreachable(f"{path}: {error.strerror}") from error
    with source, file.part.open("ab") as out:
        source.seek(start)
        _write(iter(lambda: source.read(CHUNK), b""), out, file, job)


def _request(file: Download, job: Job) -> None:
    """One request, for what `part` lacks."""
    start = file.length()
    with HttpStream(file.url, start, file.access, job) as stream:
        if stream.status == 416:
            file.part.unlink()
            raise Unreachable("the server has less of the file than this machine")
        if stream.status not in (200, 206):
            raise _refused(file, stream.status, stream.retry_after)
        if stream.status == 206 and stream.first_byte != start:
            file.part.unlink(missing_ok=True)
            raise Unreachable("the server sent another part of the file than was asked for")
        # A server that ignores Range answers 200 with the whole file: start over.
        with file.part.open("ab" if stream.status == 206 else "wb") as out:
            _write(stream.chunks(), out, file, job)


def _write(chunks: Iterable[bytes], out: BinaryIO, file: Download, job: Job) -> None:
    done = out.tell()
    for chunk in chunks:
        done += len(chunk)
        if done > file.size:
            file.part.unlink()
            raise HftermError(
                "checksum",
                f"What {file.host} sends for {file.title} is longer than the {file.size:,} bytes "
                "it should have.",
                f"Nothing of it is kept. {file.remedies.tampered}",
            )
        out.write(chunk)
        job.progress(file.stage, done, file.size, "bytes")


def _refused(file: Download, status: int, wait: float) -> HftermError | Unreachable:
    if status in _RETRY_STATUS:
        return Unreachable(f"it answers {status}", wait)
    if status in (401, 403, 407):
        return HftermError(
            "unauthorized",
            f"{file.host} refuses the download of {file.title} ({status}).",
            file.remedies.login,
        )
    return HftermError(
        "not-found",
        f"{file.host} does not have the file it is said to have ({status}): {file.url}",
        file.remedies.missing,
    )
