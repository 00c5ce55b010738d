"""Config: what the tokenizer is."""

from __future__ import annotations

import textwrap

from textual.app import ComposeResult

from hfterm.engine.requests import OpenTokenizer
from hfterm.screens.tokenize.page import Subject, TokenizePage
from hfterm.text import displayable
from hfterm.tokenization.code import config_code
from hfterm.tokenization.types import TokenizerInfo
from hfterm.widgets.data_grid import Cell, DataGrid, GridColumn, GridSource, Rows

NOTE_WIDTH = 48
"""Characters of a note in a row; it fits beside the names at 80 columns."""


class ConfigPage(TokenizePage):
    """Facts about the tokenizer."""

    HELP = """\
## Config
Class, backend, vocabulary, pipeline, limits, sides and special tokens, as `AutoTokenizer` loads
them, and what tokenizer.json stores besides (truncation and padding, which hfterm does not obey).
"""

    def body(self) -> ComposeResult:
        """A table of facts."""
        yield DataGrid(id="config-grid", empty="What the tokenizer is stands here; F6 opens one.")

    def refresh_page(self, subject: Subject) -> None:
        """Ask what it is."""
        self.start(self._load(subject))

    async def _load(self, subject: Subject) -> None:
        info = await self.ask(OpenTokenizer(ref=subject.ref))
        if info is not None:
            self.query_one("#config-grid", DataGrid).set_source(_facts(info))

    def exported(self) -> tuple[str, GridSource] | None:
        """The facts."""
        grid = self.query_one("#config-grid", DataGrid)
        return ("config", grid.source) if len(grid.source) else None

    def code(self) -> str:
        """The same facts in Python."""
        return config_code(self.subject.source) if self.subject else ""


def _facts(info: TokenizerInfo) -> Rows:
    rows: list[tuple[str, str]] = [
        ("class", info.cls),
        ("backend", f"{info.backend} ({'Rust' if info.kind == 'fast' else 'Python'})"),
        ("folder", info.path),
        ("vocabulary", f"{info.vocab_size:,} tokens, {info.added_tokens:,} of them added"),
        ("model_max_length", f"{info.model_max_length:,}" if info.model_max_length else "no limit"),
        ("padding_side", info.padding_side),
        ("truncation_side", info.truncation_side),
        *((f"stage: {name}", component) for name, component in info.pipeline),
        *((special.role, f"{special.token}  id {special.id}") for special in info.special_tokens),
        ("chat templates", ", ".join(info.chat_templates) or "none"),
        (
            "stored truncation",
            f"{info.stored_truncation} tokens (not obeyed here)"
            if info.stored_truncation
            else "none",
        ),
        (
            "stored padding",
            f"{info.stored_padding} (not obeyed here)" if info.stored_padding else "none",
        ),
        *((name, line) for note in info.notes for name, line in _wrapped("note", note)),
    ]
    cells = [[Cell(displayable(name), "dim"), Cell(displayable(value))] for name, value in rows]
    columns = (GridColumn("property"), GridColumn("value", most=400, stretch=True))
    return Rows(columns, cells, rows)


def _wrapped(name: str, text: str) -> list[tuple[str, str]]:
    """A long text as several rows."""
    lines = textwrap.wrap(text, NOTE_WIDTH)
    return [(name if index == 0 else "", line) for index, line in enumerate(lines)]
