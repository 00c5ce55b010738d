"""The session's file: one JSON object, for the user's eyes only."""

from __future__ import annotations

from pathlib import Path

import msgspec

from hfterm.paths import expanded
from hfterm.session.types import Place, Session
from hfterm.surrogates import whole_text
from hfterm.system.whole_file import write_atomic

LARGEST = 32_000_000
"""Bytes of a file that is read: a larger one was not written here."""


def read_session(path: Path) -> Session:
    """What was kept. Never raises: what can't be read is a session that begins anew."""
    try:
        if path.stat().st_size > LARGEST:
            return Session()
        return msgspec.json.decode(path.read_bytes(), type=Session)
    except (OSError, msgspec.MsgspecError):
        return Session()


def write_session(path: Path, session: Session) -> None:
    """Put it in its place in one step, whatever ends the process meanwhile.

    Raises:
        OSError: it can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomic(path, msgspec.json.encode(session), 0o600)


def storable(place: Place) -> Place:
    """A place as JSON holds it: half a surrogate pair is � in a text, and no name."""
    changes: dict[str, str | None] = {}
    for field in Place.__struct_fields__:
        value: object = getattr(place, field)
        if isinstance(value, str) and (kept := whole_text(value)) != value:
            changes[field] = kept if field in ("text", "pair") else ""
    return msgspec.structs.replace(place, **changes) if changes else place


def without_what_is_gone(place: Place) -> tuple[Place, list[str]]:
    """A place without the folder and the file that are not there any more, and their names."""
    gone: list[str] = []
    if place.ref.startswith(("/", "~", "./", "../")) and not _is_there(place.ref):
        gone.append(place.ref)
        place = msgspec.structs.replace(place, ref="")
    if place.file and not _is_there(place.file):
        gone.append(place.file)
        place = msgspec.structs.replace(place, file="")
    return place, gone


def _is_there(path: str) -> bool:
    try:
        return expanded(path).exists()
    except (OSError, ValueError):
        return False
