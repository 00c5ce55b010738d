"""Conversations, kept: a tree of messages each, searched by what was said.

Nothing heavy is here: the interface keeps every token as it comes.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self, cast

import msgspec

from hfterm.chat.conversation_schema import (
    connect,
    forget_deleted,
    transaction,
    troubles,
)
from hfterm.chat.conversation_search import listed
from hfterm.chat.conversation_types import (
    AnswerNote,
    ChatMessage,
    Conversation,
    ConversationRow,
)
from hfterm.chat.types import LlmSpec, Role, Sampling, Token
from hfterm.errors import HftermError
from hfterm.surrogates import whole_text
from hfterm.training.run_files import is_alive, mark_of
from hfterm.training.run_types import ProcessMark

TITLE = 60
"""Characters of a title at most."""

_pack = msgspec.msgpack.encode
_token = msgspec.msgpack.Decoder(Token)
_tokens = msgspec.msgpack.Decoder(tuple[Token, ...])
_note = msgspec.msgpack.Decoder(AnswerNote)
_mark = msgspec.msgpack.Decoder(ProcessMark | None)


def title_of(text: str) -> str:
    """What a conversation that begins with `text` is called."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    if not line:
        return "New conversation"
    return line if len(line) <= TITLE else f"{line[: TITLE - 1].rstrip()}…"


class ConversationStore:
    """The conversations in a file. One thread uses it at a time; several processes may."""

    def __init__(self, base: sqlite3.Connection, file: Path | None) -> None:
        self._base = base
        self._file = file
        self._lock = threading.RLock()
        self._writer = _pack(mark_of(os.getpid()))

    @classmethod
    def open(cls, file: Path | None) -> Self:
        """Open a file, or one in memory for None; answers that were cut off are made whole.

        Raises:
            HftermError: as `connect`.
        """
        store = cls(connect(file), file)
        store._fold_forsaken()
        return store

    def close(self) -> None:
        """Let the file go."""
        self._base.close()

    @contextmanager
    def _change(self) -> Generator[sqlite3.Connection]:
        with self._lock, troubles(self._file), transaction(self._base):
            yield self._base

    @contextmanager
    def _read(self) -> Generator[None]:
        """Everything that is read in it is of one moment."""
        with self._lock, troubles(self._file):
            if self._base.in_transaction:
                yield
                return
            with transaction(self._base, writes=False):
                yield

    def _all(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        with self._lock, troubles(self._file):
            return self._base.execute(sql, values).fetchall()

    def _one(self, sql: str, *values: object) -> tuple[object, ...]:
        rows = self._all(sql, *values)
        if not rows:
            raise HftermError(
                "gone", "This conversation is no longer there.", "Choose another one on History."
            )
        return rows[0]

    # -- conversations ---------------------------------------------------------------------------

    def create(self, title: str, spec: LlmSpec | None, sampling: Sampling, system: str) -> int:
        """Begin a conversation; its number."""
        now = time.time()
        with self._change() as base:
            made = base.execute(
                "INSERT INTO conversation (title, spec, sampling, system, created, updated)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (whole_text(title), _pack(spec), _pack(sampling), whole_text(system), now, now),
            )
            return cast("int", made.lastrowid)

    def get(self, conversation: int) -> Conversation:
        """A conversation.

        Raises:
            HftermError: it is gone.
        """
        with self._read():
            return self._get(conversation)

    def _get(self, conversation: int) -> Conversation:
        row = self._one(
            "SELECT id, title, spec, sampling, system, leaf, created, updated FROM conversation"
            " WHERE id = ?", conversation,
        )  # fmt: skip
        names = ("id", "title", "spec", "sampling", "system", "leaf", "created", "updated")
        values = dict(zip(names, row, strict=True))
        spec, sampling = cast("bytes", values["spec"]), cast("bytes", values["sampling"])
        values["spec"] = msgspec.msgpack.decode(spec, type=LlmSpec | None)
        values["sampling"] = msgspec.msgpack.decode(sampling, type=Sampling)
        return msgspec.convert(values, Conversation)

    def save_settings(
        self, conversation: int, spec: LlmSpec | None, sampling: Sampling, system: str
    ) -> None:
        """Keep what a conversation is had with now."""
        with self._change() as base:
            base.execute(
                "UPDATE conversation SET spec = ?, sampling = ?, system = ? WHERE id = ?",
                (_pack(spec), _pack(sampling), whole_text(system), conversation),
            )

    def rename(self, conversation: int, title: str) -> None:
        """Call it otherwise."""
        self.get(conversation)
        with self._change() as base:
            base.execute(
                "UPDATE conversation SET title = ? WHERE id = ?", (whole_text(title), conversation)
            )

    def delete(self, conversation: int) -> None:
        """Delete it and all that was said, also from the index and the file's free pages."""
        self.get(conversation)
        with self._change() as base:
            base.execute(
                "DELETE FROM piece WHERE message IN"
                " (SELECT id FROM message WHERE conversation = ?)", (conversation,),
            )  # fmt: skip
            base.execute("DELETE FROM message WHERE conversation = ?", (conversation,))
            base.execute("DELETE FROM conversation WHERE id = ?", (conversation,))
        with self._lock, troubles(self._file):
            forget_deleted(self._base)

    def list(self, search: str = "", limit: int = 100, offset: int = 0) -> list[ConversationRow]:
        """Conversations, the last one first.

        Args:
            search: words that must all have been said in one message, each at least begun so.
            limit: at most so many.
            offset: after so many.
        """
        with self._lock, troubles(self._file):
            rows = listed(self._base, search, limit, offset)
        return list(rows)

    # -- messages --------------------------------------------------------------------------------

    def messages(self, conversation: int) -> list[ChatMessage]:
        """All messages of all branches, in the order they were begun."""
        with self._read():
            rows = self._all(
                "SELECT id, parent, role, content, created, note, writer FROM message"
                " WHERE conversation = ? ORDER BY id", conversation,
            )  # fmt: skip
            return [self._message(row) for row in rows]

    def _message(self, row: tuple[object, ...]) -> ChatMessage:
        id_, parent, role, content, created, note, writer = row
        if writer is not None:
            content = cast("str", content) + "".join(t.text for t in self._pieces(cast("int", id_)))
        return ChatMessage(
            id=cast("int", id_),
            parent=cast("int | None", parent),
            role=cast("Role", role),
            content=cast("str", content),
            created=cast("float", created),
            note=_note.decode(cast("bytes", note)) if note is not None else None,
        )

    def path(self, conversation: int) -> list[ChatMessage]:
        """The branch in sight, from its first message."""
        with self._read():
            by_id = {said.id: said for said in self.messages(conversation)}
            at = self.get(conversation).leaf
        path: list[ChatMessage] = []
        while at is not None and at in by_id:
            path.append(by_id[at])
            at = by_id[at].parent
        return path[::-1]

    def conversation_of(self, message: int) -> int:
        """The conversation that a message is of.

        Raises:
            HftermError: both are gone.
        """
        (found,) = self._one("SELECT conversation FROM message WHERE id = ?", message)
        return cast("int", found)

    def siblings(self, message: int) -> list[int]:
        """The messages that stand in the same place, this one among them, oldest first."""
        rows = self._all(
            "SELECT other.id FROM message AS this JOIN message AS other"
            " ON other.conversation = this.conversation AND other.parent IS this.parent"
            " WHERE this.id = ? ORDER BY other.id", message,
        )  # fmt: skip
        return [cast("int", id_) for (id_,) in rows]

    def add(
        self, conversation: int, parent: int | None, role: Role, content: str,
        note: AnswerNote | None = None,
    ) -> int:  # fmt: skip
        """Add a message after another one; the branch in sight ends with it. Its number.

        Raises:
            HftermError: the conversation or the other message is gone.
        """
        with self._change() as base:
            return self._add(base, conversation, parent, role, content, note, None)

    def _add(
        self, base: sqlite3.Connection, conversation: int, parent: int | None, role: str,
        content: str, note: AnswerNote | None, writer: bytes | None,
    ) -> int:  # fmt: skip
        now = time.time()
        if parent is not None:
            self._check(base, conversation, parent)
            self._see(base, parent)
        made = base.execute(
            "INSERT INTO message (conversation, parent, role, content, note, created, seen, writer)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (conversation, parent, role, whole_text(content), _pack(note) if note else None,
             now, now, writer),
        )  # fmt: skip
        changed = base.execute(
            "UPDATE conversation SET leaf = ?, updated = ? WHERE id = ?",
            (made.lastrowid, now, conversation),
        )
        if not changed.rowcount:
            raise HftermError(
                "gone", "This conversation is no longer there.", "alt+n begins a new one."
            )
        return cast("int", made.lastrowid)

    def activate(self, conversation: int, message: int) -> None:
        """Bring the branch through a message in sight, to what was last looked at below it."""
        with self._change() as base:
            self._check(base, conversation, message)
            self._see(base, message)
            leaf = message
            while below := base.execute(
                "SELECT id FROM message WHERE parent = ? ORDER BY seen DESC, id DESC LIMIT 1",
                (leaf,),
            ).fetchone():
                (leaf,) = below
            base.execute("UPDATE conversation SET leaf = ? WHERE id = ?", (leaf, conversation))

    @staticmethod
    def _see(base: sqlite3.Connection, message: int) -> None:
        """Whoever looks at a message looks at the branch that leads to it."""
        base.execute(
            "WITH RECURSIVE above (id, parent) AS (SELECT id, parent FROM message WHERE id = ?"
            " UNION ALL SELECT message.id, message.parent FROM message JOIN above"
            " ON message.id = above.parent)"
            " UPDATE message SET seen = ? WHERE id IN (SELECT id FROM above)",
            (message, time.time()),
        )

    @staticmethod
    def _check(base: sqlite3.Connection, conversation: int, message: int) -> None:
        there = base.execute(
            "SELECT 1 FROM message WHERE id = ? AND conversation = ?", (message, conversation)
        )
        if there.fetchone() is None:
            raise HftermError(
                "gone", "This message is no longer there.", "Open the conversation again."
            )

    # -- an answer as it comes -------------------------------------------------------------------

    def begin_answer(
        self, conversation: int, parent: int, prefix: str = "", begun: Sequence[Token] = (),
        note: AnswerNote | None = None,
    ) -> int:  # fmt: skip
        """Begin an answer; its number.

        Args:
            conversation: whose.
            parent: what is answered.
            prefix: the text it begins with, where its tokens are not known.
            begun: the tokens it begins with.
            note: what is known of it until it is finished.
        """
        with self._change() as base:
            number = self._add(
                base, conversation, parent, "assistant", "" if begun else prefix,
                note or AnswerNote(), self._writer,
            )  # fmt: skip
            self._keep(base, number, begun)
            return number

    def append(self, answer: int, tokens: Sequence[Token]) -> None:
        """Keep tokens that came; what is kept outlives this process, however it ends."""
        with self._lock, troubles(self._file):
            self._keep(self._base, answer, tokens)

    def _keep(self, base: sqlite3.Connection, answer: int, tokens: Sequence[Token]) -> None:
        # an answer that was deleted elsewhere, or made whole, takes no more
        base.executemany(
            "INSERT INTO piece (message, token) SELECT id, ? FROM message"
            " WHERE id = ? AND writer = ?",
            [(_packed(token), answer, self._writer) for token in tokens],
        )

    def finish(self, answer: int, note: AnswerNote) -> None:
        """The answer is over: its tokens become one text."""
        with self._change() as base:
            self._fold(base, answer, note)

    def discard(self, answer: int) -> None:
        """Forget an answer of which nothing came; the branch ends before it again."""
        with self._change() as base:
            base.execute("DELETE FROM piece WHERE message = ?", (answer,))
            base.execute(
                "UPDATE conversation SET leaf = (SELECT parent FROM message WHERE id = ?)"
                " WHERE leaf = ?", (answer, answer),
            )  # fmt: skip
            base.execute("DELETE FROM message WHERE id = ?", (answer,))

    def _fold(self, base: sqlite3.Connection, answer: int, note: AnswerNote) -> None:
        pieces = self._pieces(answer)
        row = base.execute(
            "SELECT content, conversation FROM message WHERE id = ? AND writer IS NOT NULL",
            (answer,),
        ).fetchone()
        if row is None:
            base.execute("DELETE FROM piece WHERE message = ?", (answer,))
            return  # deleted meanwhile
        text = row[0] + "".join(token.text for token in pieces)
        base.execute(
            "UPDATE message SET content = ?, tokens = ?, note = ?, writer = NULL WHERE id = ?",
            (whole_text(text), _pack(pieces) if not row[0] else None, _pack(note), answer),
        )
        base.execute("DELETE FROM piece WHERE message = ?", (answer,))
        base.execute(
            "UPDATE conversation SET updated = ?, model = ? WHERE id = ?",
            (time.time(), note.model, row[1]),
        )

    def _pieces(self, answer: int) -> tuple[Token, ...]:
        rows = self._all("SELECT token FROM piece WHERE message = ? ORDER BY rowid", answer)
        return tuple(_token.decode(cast("bytes", token)) for (token,) in rows)

    def tokens(self, message: int) -> tuple[Token, ...]:
        """The tokens of an answer; none when they are not known."""
        with self._read():
            rows = self._all("SELECT tokens, writer FROM message WHERE id = ?", message)
            if not rows:
                return ()
            tokens, writer = rows[0]
            if writer is not None:
                return self._pieces(message)
            return _tokens.decode(cast("bytes", tokens)) if tokens is not None else ()

    def _fold_forsaken(self) -> None:
        """Make whole what a process that is gone was writing."""
        rows = self._all("SELECT id, writer, note FROM message WHERE writer IS NOT NULL")
        for id_, writer, note in rows:
            with troubles(self._file):
                mark = _mark.decode(cast("bytes", writer))
                told = _note.decode(cast("bytes", note))
            if not is_alive(mark):
                with self._change() as base:
                    self._fold(base, cast("int", id_), told)


def _packed(token: Token) -> bytes:
    try:
        return _pack(token)
    except UnicodeEncodeError:
        text, name = whole_text(token.text), whole_text(token.name)
        return _pack(msgspec.structs.replace(token, text=text, name=name))
