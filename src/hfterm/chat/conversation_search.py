"""Find conversations by what was said in them."""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from collections.abc import Iterator

from hfterm.chat.conversation_types import ConversationRow
from hfterm.surrogates import whole_text

LONGEST = 200
"""Characters of a search that are looked at."""

BEFORE, AFTER = 12, 80
"""Characters shown before what was found, few, so that it is seen in a narrow column, and from it.
"""

_WORD = re.compile(r"\w")


def listed(
    base: sqlite3.Connection, search: str, limit: int, offset: int
) -> Iterator[ConversationRow]:
    """Conversations, the last one first; with words, those in which they were said.

    All is read from `base` at once. What was said around the words is looked for as the rows are
    taken, when whoever waits for `base` need not wait for that.
    """
    words = [word for word in search[:LONGEST].replace("\0", " ").split() if _WORD.search(word)]
    if not words:
        rows = base.execute(
            "SELECT id, title, updated, messages, model FROM conversation"
            " ORDER BY updated DESC, id DESC LIMIT ? OFFSET ?",
            (limit, offset),
        ).fetchall()
        return map(_row, rows)
    # quoted, a word is nothing but a word to FTS5
    query = " ".join('"' + whole_text(word).replace('"', '""') + '"*' for word in words)
    # A table that takes only the first message of each conversation is filled in a third of the
    # time that it takes to group them; texts are read only of what is listed.
    base.execute("DELETE FROM best")
    base.execute(
        "INSERT OR IGNORE INTO best SELECT rowid >> 32, rowid & 0xFFFFFFFF FROM said"
        " WHERE said MATCH ?",
        (query,),
    )
    rows = base.execute(
        "SELECT conversation.id, title, updated, messages, model, content"
        " FROM best JOIN conversation ON conversation.id = best.conversation"
        " JOIN message ON message.id = best.message"
        " ORDER BY updated DESC, conversation.id DESC LIMIT ? OFFSET ?",
        (limit, offset),
    ).fetchall()
    return (_row(row[:5], snippet(row[5], words)) for row in rows)


def _row(row: tuple[int, str, float, int, str], found: str = "") -> ConversationRow:
    id_, title, updated, messages, model = row
    return ConversationRow(
        id=id_, title=title, updated=updated, messages=messages, model=model, snippet=found
    )


def snippet(text: str, words: list[str]) -> str:
    """What was said around the first of the words."""
    flat = "".join(map(_plain, text))
    sought = ["".join(map(_plain, word)) for word in words]
    places = [place for word in sought if (place := flat.find(word)) >= 0]
    at = min(places, default=0)
    start, end = max(0, at - BEFORE), at + AFTER
    cut = " ".join(text[start:end].split())
    return f"{'…' if start else ''}{cut}{'…' if end < len(text) else ''}"


def _plain(letter: str) -> str:
    """A letter without accent and case: one character for one, so that places hold."""
    return unicodedata.normalize("NFD", letter)[0].lower()[0]
