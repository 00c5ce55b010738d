"""Read local files as text: which encoding, how much could not be read, and what is no text.

Standard library only.
"""

from __future__ import annotations

import codecs
import stat
from pathlib import Path

from hfterm.errors import HftermError
from hfterm.hub.text_document import TextDocument
from hfterm.job import Job
from hfterm.paths import expanded

MAX_DOCUMENT = 1 << 28
"""Bytes of the largest file that is read whole (256 MiB); larger ones are for `iter_texts`."""
BLOCK = 1 << 22
"""Bytes read between two progress reports."""
SNIFF = 1 << 16
"""Bytes looked at to tell text from binary."""
UNREADABLE = 0.3
"""Share of undecodable bytes from which a file is no UTF-8 text."""

# UTF-32 first: its little-endian mark begins as that of UTF-16 does
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def open_document(path: Path, job: Job) -> TextDocument:
    """Read a whole file as text; its newlines stay as they are.

    UTF-8, or what a byte-order mark says. Bytes that are invalid become U+FFFD and are counted.

    Raises:
        HftermError: missing, a folder, unreadable, larger than `MAX_DOCUMENT`, or not text.
    """
    path = expanded(path)
    size = file_size(path)
    if size > MAX_DOCUMENT:
        raise HftermError(
            "too-large",
            f"{path} has {size:,} bytes; a text of more than {MAX_DOCUMENT:,} is not opened whole.",
            "Name it in “statistics of” on the Audit tab, which reads it in pieces, or cut it.",
        )
    data = bytearray()
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                data += block
                if len(data) > MAX_DOCUMENT:  # it grows while it is read
                    break
                job.progress(f"reading {path.name}", len(data), max(size, len(data)), "bytes")
    except OSError as error:
        raise _unreadable(path, error) from error
    encoding, mark = detect(path, bytes(data[:SNIFF]))
    body = memoryview(data)[mark:]
    refuse_nul(path, bytes(body) if encoding == "utf-8" else b"")
    text, replaced, first = _decode(body, encoding)
    if replaced > UNREADABLE * len(body):
        raise HftermError(
            "binary",
            f"{path} is not {encoding.upper()} text: {replaced:,} of its {len(body):,} bytes "
            "can't be decoded.",
            "If it is text in another encoding, convert it: iconv -f LATIN1 -t UTF-8.",
        )
    if replaced:
        encoding += f", invalid bytes replaced (the first is byte {first + mark:,})"
    return TextDocument(
        path=str(path), text=text, encoding=encoding, replaced=replaced, size=len(data)
    )


def file_size(path: Path) -> int:
    """Bytes of a regular file.

    Raises:
        HftermError: there is none, it is a folder or a device, or it can't be looked at.
    """
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise HftermError(
            "not-found", f"There is no file {path}.", "Check the spelling of the path."
        ) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    except ValueError as error:  # a NUL in the name
        raise HftermError("not-found", f"{str(path)!r} is no path.", "Check it.") from error
    if stat.S_ISDIR(status.st_mode):
        raise HftermError("is-folder", f"{path} is a folder.", "Name a file in it.")
    if not stat.S_ISREG(status.st_mode):
        raise HftermError(
            "not-a-file", f"{path} is a device or a pipe.", "Copy what it gives into a file."
        )
    return status.st_size


def sniff(path: Path) -> tuple[str, int]:
    """The encoding of a file by its first bytes, and how many of them are the byte-order mark.

    Raises:
        HftermError: it can't be read, or it is not text.
    """
    try:
        with path.open("rb") as file:
            head = file.read(SNIFF)
    except OSError as error:
        raise _unreadable(path, error) from error
    encoding, mark = detect(path, head)
    if encoding == "utf-8":
        refuse_nul(path, head)
    return encoding, mark


def detect(path: Path, head: bytes) -> tuple[str, int]:
    """The encoding that a byte-order mark names, else UTF-8; and the length of the mark.

    Raises:
        HftermError: the file is of a kind that begins with a known magic number.
    """
    for magic, what in ((b"\x1f\x8b", "gzip"), (b"PK\x03\x04", "zip"), (b"%PDF-", "PDF")):
        if head.startswith(magic):
            raise HftermError(
                "binary", f"{path} is a {what} file, not text.", "Unpack or convert it first."
            )
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding, len(mark)
    return "utf-8", 0


def refuse_nul(path: Path, data: bytes) -> None:
    """Refuse what holds NUL bytes.

    Raises:
        HftermError: it does.
    """
    at = data.find(b"\x00")
    if at >= 0:
        raise HftermError(
            "binary",
            f"{path} is not text: it holds NUL bytes (the first is byte {at:,}).",
            "If it is UTF-16 without a byte-order mark, convert it: iconv -f UTF-16LE -t UTF-8.",
        )


def _decode(body: memoryview, encoding: str) -> tuple[str, int, int]:
    """The text, how many characters stand for invalid bytes, and the first such byte."""
    try:
        return str(body, encoding), 0, 0
    except UnicodeDecodeError as error:
        first = error.start
    text = str(body, encoding, "replace")
    written = str(body, encoding, "ignore").count("\ufffd")
    return text, text.count("\ufffd") - written, first


def _unreadable(path: Path, error: OSError) -> HftermError:
    return HftermError(
        "unreadable",
        f"{path} can't be read: {error.strerror or error}.",
        "Check that it is a file and that you may read it.",
    )
