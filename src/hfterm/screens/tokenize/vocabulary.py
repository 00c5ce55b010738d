"""Vocabulary: search it by text, regular expression or id, and decode any ids."""

from __future__ import annotations

from typing import Literal, cast

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, Static

from hfterm.engine.requests import DecodeIds, SearchVocabulary
from hfterm.errors import HftermError
from hfterm.screens.tokenize.page import Subject, TokenizePage
from hfterm.text import foreign, token_label
from hfterm.tokenization import views
from hfterm.tokenization.code import decode_code, vocabulary_code
from hfterm.tokenization.parsing import parse_ids
from hfterm.widgets.data_grid import Cell, DataGrid, GridColumn, GridSource
from hfterm.widgets.fields import Choice, Field

PAGE = 5_000
"""Entries shown at most; the count says how many there are."""

Mode = Literal["text", "regex", "id", "all"]


class VocabularyPage(TokenizePage):
    """A searchable vocabulary."""

    HELP = """\
## Vocabulary
Type to search: part of a token, a regular expression, or ids (`101`, `100-120`). `decoded` is
what the id alone decodes to. Below, type any ids (`101 7592 102`, `[101, 7592]`) to decode them.
"""

    def body(self) -> ComposeResult:
        """A search line, the entries, and a line to decode ids."""
        with Horizontal(classes="options"):
            yield Field("search", placeholder="all tokens", id="vocabulary-query")
            yield Choice("by", ("text", "regex", "id"), id="vocabulary-mode")
        yield DataGrid(id="vocabulary-grid", empty="The tokens that match stand here.")
        with Horizontal(classes="options"):
            yield Field("decode ids", placeholder="101 7592 2088 102", id="vocabulary-ids")
        yield Static("", id="vocabulary-decoded", markup=False)

    def refresh_page(self, subject: Subject) -> None:
        """Another tokenizer: search and decode again."""
        self.start(self._search(subject))
        self._decode_changed()

    @on(Input.Changed, "#vocabulary-query")
    @on(Choice.Changed)
    def _changed(self) -> None:
        if self.subject is not None:
            self.start(self._search(self.subject))

    @on(Input.Submitted, "#vocabulary-ids")
    @on(Input.Changed, "#vocabulary-ids")
    def _decode_changed(self) -> None:
        if self.subject is not None:  # a search goes on beside it
            decode = self._decode(self.subject)
            self.run_worker(decode, group="vocabulary-ids", exclusive=True, exit_on_error=False)

    @property
    def _query(self) -> tuple[str, Mode]:
        query = self.query_one("#vocabulary-query", Input).value
        mode = self.query_one("#vocabulary-mode", Choice).value
        return query, cast("Mode", mode if query else "all")

    async def _search(self, subject: Subject) -> None:
        query, mode = self._query
        page = await self.ask(SearchVocabulary(ref=subject.ref, query=query, mode=mode, limit=PAGE))
        if page is None:
            return
        grid = self.query_one("#vocabulary-grid", DataGrid)
        grid.empty = "No token matches."
        grid.set_source(_Entries(page), cursor=0)
        if page.total > len(page.entries):
            self.notice.show(
                f"{page.total:,} tokens match; the first {len(page.entries):,} are shown.",
                severity="note",
            )

    async def _decode(self, subject: Subject) -> None:
        line = self.query_one("#vocabulary-decoded", Static)
        text = self.query_one("#vocabulary-ids", Input).value
        if not text.strip():
            line.update("")
            self.notice.clear()
            return
        try:
            ids = parse_ids(text)
        except HftermError as error:
            self.notice.show_error(error)
            return
        decoded = await self.ask(DecodeIds(ref=subject.ref, ids=ids))
        if decoded is not None:
            tokens = " ".join(token_label(token) for token in decoded.tokens)
            line.update(
                Content("\n").join(
                    [
                        Content.assemble(("tokens   ", "$text-muted"), tokens),
                        Content.assemble(("decoded  ", "$text-muted"), foreign(decoded.text)),
                        Content.assemble(("skipping ", "$text-muted"), foreign(decoded.clean)),
                    ]
                )
            )

    def exported(self) -> tuple[str, GridSource] | None:
        """The entries that are shown."""
        grid = self.query_one("#vocabulary-grid", DataGrid)
        return ("vocabulary", grid.source) if len(grid.source) else None

    def code(self) -> str:
        """The search; or the decoding, when ids are typed."""
        if self.subject is None:
            return ""
        text = self.query_one("#vocabulary-ids", Input).value
        if text.strip():
            try:
                return decode_code(self.subject.source, parse_ids(text))
            except HftermError:
                return ""
        return vocabulary_code(
            self.subject.source, *self._query, limit=PAGE, fast=self.subject.fast
        )


class _Entries:
    """Vocabulary entries as rows, made when they are drawn."""

    columns = (
        GridColumn("id", right=True),
        GridColumn("token", most=32),
        GridColumn("decoded", most=32),
        GridColumn("bytes", right=True),
        GridColumn("score", right=True),
        GridColumn("kind", most=14, stretch=True),
    )

    def __init__(self, page: views.VocabularyPage) -> None:
        self._entries = page.entries

    def __len__(self) -> int:
        return len(self._entries)

    def row(self, index: int) -> list[Cell]:
        """What is drawn."""
        entry = self._entries[index]
        tone = "special" if entry.special else ""
        return [
            Cell(str(entry.id), "dim"),
            Cell(token_label(entry.token), tone),
            Cell(token_label(entry.decoded), tone),
            Cell(str(len(entry.decoded.encode("utf-8", "replace")))),
            Cell("–" if entry.score is None else f"{entry.score:.3f}", "dim"),
            Cell(_kind(entry), "dim"),
        ]

    def values(self, index: int) -> list[str | int | float | None]:
        """What is exported."""
        entry = self._entries[index]
        size = len(entry.decoded.encode("utf-8", "replace"))
        return [entry.id, entry.token, entry.decoded, size, entry.score, _kind(entry)]


def _kind(entry: views.VocabularyEntry) -> str:
    return "special" if entry.special else "added" if entry.added else ""
