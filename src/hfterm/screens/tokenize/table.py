"""Table: one row a token, in step with the cursor in the text."""

from __future__ import annotations

from textual.app import ComposeResult

from hfterm.screens.tokenize.page import Subject, TokenizePage
from hfterm.tokenization.code import table_code
from hfterm.widgets.data_grid import DataGrid, GridSource
from hfterm.widgets.token_source import TokenSource


class TablePage(TokenizePage):
    """The token table."""

    HELP = """\
## Table
Every token with its id, the text it stands for, where that stands (characters, end excluded),
its length in characters and UTF-8 bytes, the word (pre-token) and sequence it belongs to, its
type id, attention mask and whether it is special. The values are those of `AutoTokenizer`.
Moving here selects the span in the text, and the other way round.
"""

    def body(self) -> ComposeResult:
        """A grid."""
        yield DataGrid(id="tokens", empty="Type a text above: its tokens appear here.")

    @property
    def grid(self) -> DataGrid:
        """The table."""
        return self.query_one("#tokens", DataGrid)

    def refresh_page(self, subject: Subject) -> None:
        """Show the tokens of the subject."""
        if subject.encoding is None:
            return
        if subject.encoding.backend == "tokenizers":
            self.notice.clear()
        else:
            self.notice.show(
                "This is a Python-backend tokenizer: it reports neither offsets nor words.",
                severity="note",
            )
        self.grid.set_source(TokenSource(subject.encoding, (subject.text, subject.pair or "")))

    def select_token(self, index: int) -> None:
        """Go to a row."""
        self.grid.move_to(index)

    def exported(self) -> tuple[str, GridSource] | None:
        """The whole table."""
        return ("tokens", self.grid.source) if len(self.grid.source) else None

    def code(self) -> str:
        """How to get these rows."""
        if self.subject is None:
            return ""
        return table_code(
            self.subject.source,
            self.subject.script_text,
            self.subject.pair,
            self.subject.add_special_tokens,
            fast=self.subject.fast,
        )
