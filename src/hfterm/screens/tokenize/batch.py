"""Batch: several texts, padded and cut as a model would get them."""

from __future__ import annotations

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, Static, TextArea

from hfterm.engine.requests import EncodeBatch
from hfterm.screens.tokenize.page import Subject, TokenizePage
from hfterm.text import displayable, foreign, token_label
from hfterm.tokenization.code import batch_code
from hfterm.tokenization.views import BatchOptions, BatchResult, BatchRow
from hfterm.widgets.data_grid import Cell, DataGrid, GridColumn, GridSource, Rows
from hfterm.widgets.fields import Choice, Field
from hfterm.widgets.numbers import quoted, typed_whole
from hfterm.widgets.text_editor import TextEditor
from hfterm.widgets.words_scroll import WordsScroll

SAMPLE = """\
Hugging Face Transformers is great!
The quick brown fox jumps over the lazy dog. Then the dog got up and ran away because she \
didn't like foxes."""
"""The tutorial's batch."""

PAIR = " ||| "


class BatchPage(TokenizePage):
    """A batch and what padding and truncation make of it."""

    HELP = """\
## Batch
One text a line; ` ||| ` between a text and its pair. The grid draws the attention mask: `■` a
token, `◆` a special token, `·` padding. Choose padding and truncation as in the tokenizer's own
call; windows keep what truncation cuts, `stride` tokens of each in the next. The row under the
cursor is shown below with its ids, and decoded with and without special tokens.
"""

    def body(self) -> ComposeResult:
        """Texts, options, the grid of masks, and the row in full."""
        yield TextEditor(SAMPLE, id="batch-texts")
        with Horizontal(classes="options"):
            yield Choice("padding", ("longest", "max_length", "none"), id="padding")
            yield Choice("side", ("right", "left"), id="side")
            yield Choice(
                "truncation",
                ("none", "longest_first", "only_first", "only_second"),
                id="truncation",
            )
            yield Choice("windows", ("no", "yes"), id="windows")
        with Horizontal(classes="options"):
            yield Field("max length", "16", id="max-length")
            yield Field("stride", "0", id="stride")
            yield Field("multiple of", "", placeholder="any", id="multiple")
        yield Static("", id="batch-shape", markup=False)
        yield DataGrid(id="batch-grid", empty="Write one text a line above.")
        with WordsScroll(id="batch-detail", can_focus=True):
            yield Static("", id="batch-row", markup=False)

    _result: BatchResult | None = None

    def refresh_page(self, subject: Subject) -> None:
        """Another tokenizer: the same texts again."""
        self.start(self._load(subject))

    @on(TextArea.Changed)
    @on(Choice.Changed)
    @on(Input.Changed)
    def _changed(self) -> None:
        if self.subject is not None:
            self.start(self._load(self.subject))

    def _texts(self) -> tuple[list[str], list[str] | None]:
        lines = [
            line for line in self.query_one("#batch-texts", TextEditor).text.split("\n") if line
        ]
        parts = [line.split(PAIR, 1) for line in lines]
        texts = [part[0] for part in parts]
        pairs = [part[1] if len(part) > 1 else "" for part in parts]
        return texts, pairs if any(len(part) > 1 for part in parts) else None

    def _number(self, field: str, least: int) -> int | None:
        value = self.query_one(f"#{field}", Input).value.strip()
        if not value:
            return None
        number = typed_whole(value)
        if number is None or number < least:
            raise ValueError(
                f"{field.replace('-', ' ')} is {quoted(value)}: a whole number from {least}."
            )
        return number

    def _options(self) -> BatchOptions:
        value = {choice.id: choice.value for choice in self.query(Choice)}
        return msgspec.convert(
            {
                "padding": value["padding"],
                "padding_side": value["side"],
                "truncation": value["truncation"],
                "max_length": self._number("max-length", 1),
                "stride": self._number("stride", 0) or 0,
                "overflow": value["windows"] == "yes",
                "pad_to_multiple_of": self._number("multiple", 1),
            },
            BatchOptions,
        )

    async def _load(self, subject: Subject) -> None:
        texts, pairs = self._texts()
        if not texts:
            self._result = None
            self.notice.clear()
            self.query_one("#batch-grid", DataGrid).set_source(Rows((), ()))
            self.query_one("#batch-shape", Static).update("")
            self.query_one("#batch-row", Static).update("")
            return
        try:
            options = self._options()
        except ValueError as error:
            self.notice.show(str(error))
            return
        result = await self.ask(
            EncodeBatch(ref=subject.ref, texts=texts, pairs=pairs, options=options)
        )
        if result is None:
            return
        self._result = result
        self.query_one("#batch-shape", Static).update(_shape(result))
        self.query_one("#batch-grid", DataGrid).set_source(_rows(result))
        self._show_row(0)

    @on(DataGrid.RowHighlighted)
    def _row(self, event: DataGrid.RowHighlighted) -> None:
        event.stop()
        self._show_row(event.row)

    def _show_row(self, index: int) -> None:
        if self._result is not None and index < len(self._result.rows):
            self.query_one("#batch-row", Static).update(_detail(self._result.rows[index]))

    def exported(self) -> tuple[str, GridSource] | None:
        """The rows, with ids."""
        grid = self.query_one("#batch-grid", DataGrid)
        return ("batch", grid.source) if len(grid.source) else None

    def code(self) -> str:
        """The tokenizer's own call."""
        if self.subject is None:
            return ""
        try:
            options = self._options()
        except ValueError:
            return ""
        texts, pairs = self._texts()
        return batch_code(self.subject.source, texts, pairs, options)


def _shape(result: BatchResult) -> Content:
    parts: list[str] = []
    if result.shape is not None:
        parts.append(f"input_ids int64[{result.shape[0]}, {result.shape[1]}]")
    else:
        parts.append(f"no tensor: {result.shape_error}")
    parts.append("keys " + ", ".join(result.keys))
    if result.padded:
        parts.append(f"{result.padded:,} padding ({result.pad_token} = {result.pad_id})")
    if result.cut:
        parts.append(f"{result.cut} of the texts cut")
    return foreign(" · ".join(parts), "$text-muted" if result.shape else "$warning")


def _rows(result: BatchResult) -> Rows:
    columns = (
        GridColumn("text", right=True),
        GridColumn("tokens", right=True),
        GridColumn("padding", right=True),
        GridColumn("attention mask", most=160, stretch=True),
    )
    cells: list[list[Cell]] = []
    values: list[list[str | int]] = []
    for row in result.rows:
        real = sum(row.mask)
        drawn = "".join(
            "·" if not mask else "◆" if special else "■"
            for mask, special in zip(row.mask, row.special, strict=True)
        )
        cells.append(
            [
                Cell(str(row.sample), "dim"),
                Cell(str(real)),
                Cell(str(len(row.mask) - real)),
                Cell(drawn),
            ]
        )
        values.append(
            [row.sample, real, len(row.mask) - real, " ".join(str(id_) for id_ in row.ids)]
        )
    return Rows(columns, cells, values)


def _detail(row: BatchRow) -> Content:
    def line(name: str, value: Content) -> Content:
        return Content.assemble((f"{name:<20}", "$text-muted"), value)

    def numbers(values: tuple[int, ...]) -> Content:
        return Content(" ".join(str(value) for value in values))

    tokens = Content(" ").join(
        [
            Content.styled(token_label(token), "italic $text-muted" if special else "")
            for token, special in zip(row.tokens, row.special, strict=True)
        ]
    )
    return Content("\n").join(
        [
            line("tokens", tokens),
            line("input_ids", numbers(row.ids)),
            line("attention_mask", numbers(row.mask)),
            line("token_type_ids", numbers(row.type_ids)),
            line("decode", foreign(row.decoded)),
            line("skip_special_tokens", foreign(displayable(row.decoded_clean))),
        ]
    )
