"""Runs of other programs that the user added: where they are, and whose they are."""

from __future__ import annotations

from pathlib import Path

import msgspec

from hfterm import paths
from hfterm.errors import CHECK_SPACE, HftermError
from hfterm.system.whole_file import write_atomic


class WatchedPath(msgspec.Struct, frozen=True):
    """A run of another program.

    Attributes:
        path: its folder or file, absolute.
        kind: ``trainer``, ``tensorboard``, ``wandb``, ``llama-factory``.
        name: for a table.
    """

    path: str
    kind: str
    name: str


def list_file() -> Path:
    """Where the list is."""
    return paths.state_dir() / "watched.json"


def watched_paths() -> list[WatchedPath]:
    """The list; a broken file is an empty one."""
    try:
        return msgspec.json.decode(list_file().read_bytes(), type=list[WatchedPath])
    except (OSError, msgspec.MsgspecError):
        return []


def add_path(path: str) -> list[WatchedPath]:
    """Add the runs in a folder, or of a file. Gives those that were found there.

    Raises:
        HftermError: nothing that is known is there, or the list can't be written.
    """
    from hfterm.training.foreign.detect import detect_all

    found = [
        WatchedPath(str(Path(one.path).absolute()), one.kind, one.name) for one in detect_all(path)
    ]
    known = watched_paths()
    _write([*known, *(one for one in found if one not in known)])
    return found


def remove_path(entry: WatchedPath) -> None:
    """Forget a run; nothing of it is touched."""
    _write([one for one in watched_paths() if one != entry])


def _write(entries: list[WatchedPath]) -> None:
    try:
        list_file().parent.mkdir(parents=True, exist_ok=True)
        write_atomic(list_file(), msgspec.json.encode(entries))
    except OSError as error:
        raise HftermError(
            "unwritable", f"The list of watched paths can't be written: {error.strerror}.",
            CHECK_SPACE,
        ) from error  # fmt: skip
