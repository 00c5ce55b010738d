"""The rows of a token table, read from an encoding's columns as they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from hfterm.text import displayable, token_label
from hfterm.tokenization.types import NO_SEQUENCE, NONE, Encoding
from hfterm.widgets.data_grid import Cell, GridColumn, Tone, Value

NOTHING = Cell("–", "dim")


class TokenSource:
    """Rows of one encoding.

    Args:
        encoding: the tokens.
        texts: the text and, if there is one, the pair.
    """

    columns: Sequence[GridColumn] = (
        GridColumn("#", right=True),
        GridColumn("id", right=True),
        GridColumn("token", most=24),
        GridColumn("text", most=24),
        GridColumn("span", right=True),
        GridColumn("chars", right=True),
        GridColumn("bytes", right=True),
        GridColumn("word", right=True),
        GridColumn("seq", right=True),
        GridColumn("type", right=True),
        GridColumn("mask", right=True),
        GridColumn("special", most=9),
    )

    def __init__(self, encoding: Encoding, texts: Sequence[str]) -> None:
        self.encoding = encoding
        self.texts = texts

    @cached_property
    def _ids(self) -> memoryview[int]:
        return self.encoding.column("ids")

    @cached_property
    def _starts(self) -> memoryview[int]:
        return self.encoding.column("starts")

    @cached_property
    def _ends(self) -> memoryview[int]:
        return self.encoding.column("ends")

    @cached_property
    def _words(self) -> memoryview[int]:
        return self.encoding.column("words")

    def __len__(self) -> int:
        return len(self.encoding)

    def span(self, index: int) -> tuple[int, int, int] | None:
        """(sequence, start, end) of a token, None when it has no place in a text."""
        start = self._starts[index]
        if start == NONE or self.encoding.special[index]:
            return None
        sequence = self.encoding.sequences[index]
        return (0 if sequence == NO_SEQUENCE else sequence), start, self._ends[index]

    def text_of(self, index: int) -> str | None:
        """The part of the text that a token stands for."""
        span = self.span(index)
        return None if span is None else self.texts[span[0]][span[1] : span[2]]

    def token(self, index: int) -> str:
        """The token string."""
        return self.encoding.odd.get(index, self.encoding.pieces[self._ids[index]])

    def row(self, index: int) -> Sequence[Cell]:
        """What is drawn."""
        encoding = self.encoding
        id_ = self._ids[index]
        special = bool(encoding.special[index])
        unknown = id_ == encoding.unk_id
        tone: Tone = "special" if special else "warning" if unknown else ""
        text = self.text_of(index)
        span = self.span(index)
        word = self._words[index]
        sequence = encoding.sequences[index]
        return (
            Cell(str(index), "dim"),
            Cell(str(id_), tone),
            Cell(token_label(self.token(index)), tone),
            NOTHING if text is None else Cell(token_label(text) if text else "∅"),
            NOTHING if span is None else Cell(f"{span[1]}:{span[2]}"),
            NOTHING if text is None else Cell(str(len(text))),
            NOTHING if text is None else Cell(str(len(text.encode("utf-8", "replace")))),
            NOTHING if word == NONE else Cell(str(word)),
            NOTHING if sequence == NO_SEQUENCE else Cell(str(sequence)),
            Cell(str(encoding.type_ids[index])),
            Cell(str(encoding.mask[index])),
            Cell("special", "special") if special else Cell("unknown", "warning") if unknown
            else Cell(""),
        )  # fmt: skip

    def values(self, index: int) -> Sequence[Value]:
        """What is exported: the library's own values."""
        token = self.encoding.token(index)
        text = self.text_of(index)
        return (
            index,
            token.id,
            token.token,
            text,
            None if token.start is None else f"{token.start}:{token.end}",
            None if text is None else len(text),
            None if text is None else len(text.encode("utf-8", "replace")),
            token.word,
            token.sequence,
            token.type_id,
            token.mask,
            token.special,
        )


def describe(source: TokenSource, index: int) -> str:
    """One token in words, for the line under a token strip: code points included."""
    text = source.text_of(index)
    token = source.token(index)
    name = displayable(token)
    if text is None:
        return f"{name}  id {source.encoding.column('ids')[index]}"
    points = " ".join(f"U+{ord(character):04X}" for character in text[:8])
    return f"{name}  {points}{' …' if len(text) > 8 else ''}"
