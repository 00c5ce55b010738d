"""The file that conversations are kept in: SQLite, and what is in it."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from hfterm.errors import HftermError

VERSION = 1
WAIT = 5.0
"""Seconds that another process may hold the file."""

SCHEMA = """
CREATE TABLE conversation (
    id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL, spec BLOB, sampling BLOB NOT NULL,
    system TEXT NOT NULL, leaf INTEGER, model TEXT NOT NULL DEFAULT '',
    messages INTEGER NOT NULL DEFAULT 0, created REAL NOT NULL, updated REAL NOT NULL
);
CREATE INDEX conversation_updated ON conversation (updated DESC);
CREATE TABLE message (
    id INTEGER PRIMARY KEY AUTOINCREMENT, conversation INTEGER NOT NULL, parent INTEGER,
    role TEXT NOT NULL, content TEXT NOT NULL, tokens BLOB, note BLOB, created REAL NOT NULL,
    seen REAL NOT NULL, writer BLOB
);
CREATE INDEX message_conversation ON message (conversation);
CREATE INDEX message_parent ON message (parent);
CREATE INDEX message_unfinished ON message (writer) WHERE writer IS NOT NULL;
CREATE TABLE piece (message INTEGER NOT NULL, token BLOB NOT NULL);
CREATE INDEX piece_message ON piece (message);
CREATE VIEW placed AS SELECT (conversation << 32) | id AS place, content FROM message;
CREATE VIRTUAL TABLE said USING fts5 (
    content, content = 'placed', content_rowid = 'place', tokenize = 'unicode61', prefix = '1 2 3'
);
CREATE TRIGGER message_added AFTER INSERT ON message BEGIN
    INSERT INTO said (rowid, content) VALUES ((new.conversation << 32) | new.id, new.content);
    UPDATE conversation SET messages = messages + 1 WHERE id = new.conversation;
END;
CREATE TRIGGER message_changed AFTER UPDATE OF content ON message BEGIN
    INSERT INTO said (said, rowid, content)
        VALUES ('delete', (old.conversation << 32) | old.id, old.content);
    INSERT INTO said (rowid, content) VALUES ((new.conversation << 32) | new.id, new.content);
END;
CREATE TRIGGER message_removed AFTER DELETE ON message BEGIN
    INSERT INTO said (said, rowid, content)
        VALUES ('delete', (old.conversation << 32) | old.id, old.content);
    UPDATE conversation SET messages = messages - 1 WHERE id = old.conversation;
END;
"""


def connect(file: Path | None) -> sqlite3.Connection:
    """Open the file, made if there is none; in memory when `file` is None.

    The file and its folder are for its owner only: what people say to a model is private.

    Raises:
        HftermError: it is no such file, of a newer hfterm, or can't be read or written.
    """
    with troubles(file):
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Before SQLite makes it, and its companions like it, with the mode of the umask. One
            # that is there is not opened: closing it would take the locks of another store of this
            # process away.
            with suppress(FileExistsError):
                os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            file.chmod(0o600)
        base = sqlite3.connect(
            file or ":memory:", isolation_level=None, check_same_thread=False, timeout=WAIT
        )
        try:
            _prepare(base, file)
        except BaseException:
            base.close()
            raise
    return base


def _prepare(base: sqlite3.Connection, file: Path | None) -> None:
    (version,) = base.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise HftermError(
            "newer",
            f"{file} was written by a newer hfterm (format {version}, this one knows {VERSION}).",
            "Update hfterm, or move the file away.",
        )
    _write_ahead(base)
    base.execute("PRAGMA synchronous = NORMAL")
    base.execute(
        "CREATE TEMP TABLE best (conversation INTEGER PRIMARY KEY, message INTEGER NOT NULL)"
    )
    base.execute("PRAGMA secure_delete = ON")
    if version == 0:
        with transaction(base):
            # another process may have been faster
            if base.execute("PRAGMA user_version").fetchone() == (0,):
                if base.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
                    raise HftermError(
                        "damaged", f"{file} is a database of something else.",
                        "Move it away; hfterm then begins a new one.",
                    )  # fmt: skip
                for statement in _statements(SCHEMA):
                    base.execute(statement)
                base.execute(f"PRAGMA user_version = {VERSION}")


def _write_ahead(base: sqlite3.Connection) -> None:
    """Turn the log on. SQLite does not wait for others by itself here, as it does elsewhere."""
    until = time.monotonic() + WAIT
    while True:
        try:
            base.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)  # whoever holds it tells nobody when it lets go
        else:
            return


def _statements(script: str) -> Generator[str]:
    """One at a time: `executescript` would commit before it begins."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


SMALL = 2_000
"""Blocks of an index (8 MB) that are put in order at once when something is deleted."""


def forget_deleted(base: sqlite3.Connection) -> None:
    """Take what was deleted out of the index and of the log as well: they keep it for later.

    In a large index, for which that takes seconds, it stays until SQLite next puts it in order.
    """
    (blocks,) = base.execute("SELECT count(*) FROM said_data").fetchone()
    if blocks <= SMALL:
        base.execute("INSERT INTO said (said) VALUES ('optimize')")
    base.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def transaction(base: sqlite3.Connection, *, writes: bool = True) -> Generator[None]:
    """All of it or nothing; reading, all of one moment."""
    base.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
    try:
        yield
        base.execute("COMMIT")
    except BaseException:
        if base.in_transaction:  # a full disk has ended it already
            base.execute("ROLLBACK")
        raise


@contextmanager
def troubles(file: Path | None) -> Generator[None]:
    """Say what SQLite says in words."""
    try:
        yield
    except (sqlite3.OperationalError, OSError) as error:
        raise HftermError(
            "not-kept",
            f"Conversations can't be kept in {file}: {error}.",
            "Free some space or make it writable; several hfterm may use it at once.",
        ) from error
    except (sqlite3.DatabaseError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise HftermError(
            "damaged",
            f"{file} is damaged, or no file of conversations: {error}.",
            "Move it away; hfterm then begins a new one.",
        ) from error
