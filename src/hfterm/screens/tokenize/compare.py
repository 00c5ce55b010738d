"""Compare: several tokenizers on one text, and a Rust tokenizer against its Python twin."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, Static

from hfterm.engine.requests import CompareTokenizers, SlowAgainstFast
from hfterm.screens.tokenize.page import Subject, TokenizePage
from hfterm.text import displayable, elide_middle, foreign, token_label
from hfterm.tokenization.code import compare_code
from hfterm.tokenization.views import ComparedTokenizer, Comparison, SlowFast
from hfterm.widgets.data_grid import Cell, DataGrid, GridColumn, GridSource, Rows
from hfterm.widgets.fields import Choice, Field


class ComparePage(TokenizePage):
    """Tokenizers side by side."""

    HELP = """\
## Compare
Name several tokenizers, separated by spaces (starter names, paths, hub ids); `Enter` compares
them on the text above. First how many tokens each needs, then every span they cut differently.
With `slow twin` the Python class of the same tokenizer runs too: time, and whether the ids agree.
"""

    _asked = ""

    def body(self) -> ComposeResult:
        """Names, figures, and spans."""
        with Horizontal(classes="options"):
            yield Field(
                "with", "", placeholder="minilm smollm2 ./folder owner/name", id="compare-with"
            )
            yield Choice("slow twin", ("no", "yes"), id="compare-slow")
        yield DataGrid(id="compare-grid", empty="Name tokenizers above and press Enter.")
        yield Static("", id="compare-slow-result", markup=False)
        yield DataGrid(id="compare-spans", empty="Where they cut differently stands here.")

    def on_mount(self) -> None:
        """A second tokenizer to compare with, when there is one."""
        self.query_one("#compare-with", Input).value = "minilm smollm2"

    @property
    def refs(self) -> list[str]:
        """The tokenizers, the open one first, each once."""
        names = self.query_one("#compare-with", Input).value.replace(",", " ").split()
        first = [self.subject.ref] if self.subject else []
        return list(dict.fromkeys(first + names))

    def refresh_page(self, subject: Subject) -> None:
        """The text changed: compare again."""
        self.start(self._load(subject))

    @on(Input.Submitted)
    @on(Choice.Changed)
    def _changed(self) -> None:
        if self.subject is not None:
            self.start(self._load(self.subject))

    async def _load(self, subject: Subject) -> None:
        refs = self.refs
        comparison = await self.ask(CompareTokenizers(refs=refs, text=subject.text))
        if comparison is None:
            return
        self.say_scope(subject)
        self.query_one("#compare-grid", DataGrid).set_source(_figures(comparison))
        spans = self.query_one("#compare-spans", DataGrid)
        spans.empty = (
            "They cut this text alike." if subject.text else "Type a text above to compare on."
        )
        spans.set_source(_spans(comparison))
        result = self.query_one("#compare-slow-result", Static)
        shown = comparison.different_spans
        facts = f"{shown:,} spans cut differently" if shown else ""
        result.update(Content.styled(facts, "$text-muted"))
        if self.query_one("#compare-slow", Choice).value == "yes":
            twin = await self.ask(SlowAgainstFast(ref=subject.ref, text=subject.text))
            if twin is not None:
                result.update(_twin(twin))

    def exported(self) -> tuple[str, GridSource] | None:
        """The figures."""
        grid = self.query_one("#compare-grid", DataGrid)
        return ("compare", grid.source) if len(grid.source) else None

    def code(self) -> str:
        """The same comparison."""
        if self.subject is None:
            return ""
        return compare_code(self.refs, self.subject.script_text)


def _figures(comparison: Comparison) -> Rows:
    columns = (
        GridColumn("tokenizer", most=28),
        GridColumn("class", most=22),
        GridColumn("model", most=10),
        GridColumn("vocabulary", right=True),
        GridColumn("tokens", right=True),
        GridColumn("chars/token", right=True),
        GridColumn("bytes/token", right=True),
        GridColumn("unknown", right=True),
        GridColumn("ms", right=True),
        GridColumn("round trip", most=40),
    )
    values = [_values(row) for row in comparison.rows]
    cells = [_cells(row) for row in comparison.rows]
    return Rows(columns, cells, values)


def _values(row: ComparedTokenizer) -> list[str | int | float | bool]:
    return [
        row.ref, row.cls, row.model, row.vocab_size, row.tokens, row.characters_per_token,
        row.bytes_per_token, row.unknown, row.seconds * 1e3, row.error or row.roundtrip,
    ]  # fmt: skip


def _cells(row: ComparedTokenizer) -> list[Cell]:
    name = Cell(elide_middle(displayable(row.ref), 28))
    if row.error:
        dash = Cell("–", "dim")
        return [name, *([dash] * 8), Cell(f"✗ {displayable(row.error)}", "error")]
    return [
        name,
        Cell(displayable(row.cls)),
        Cell(displayable(row.model)),
        Cell(f"{row.vocab_size:,}"),
        Cell(f"{row.tokens:,}", "accent"),
        Cell(f"{row.characters_per_token:.2f}"),
        Cell(f"{row.bytes_per_token:.2f}"),
        Cell(f"{row.unknown:,}", "warning" if row.unknown else "dim"),
        Cell(f"{row.seconds * 1e3:.2f}"),
        Cell("✓ exact") if row.roundtrip else Cell("≠ changed", "dim"),
    ]


def _spans(comparison: Comparison) -> Rows:
    good = [row for row in comparison.rows if not row.error]
    columns = (
        GridColumn("span", right=True),
        GridColumn("text", most=20),
        *(GridColumn(elide_middle(displayable(row.ref), 26), most=26) for row in good),
    )
    cells = [
        [
            Cell(f"{difference.start}:{difference.end}", "dim"),
            Cell(token_label(difference.text)),
            *(
                Cell(" ".join(token_label(piece) for piece in pieces))
                for pieces in difference.pieces
            ),
        ]
        for difference in comparison.differences
    ]
    width = min((len(row) for row in cells), default=len(columns))
    return Rows(columns[:width], cells)


def _twin(twin: SlowFast) -> Content:
    ratio = twin.slow_seconds / twin.fast_seconds if twin.fast_seconds else 0.0
    same = "the same ids" if twin.equal else f"ids differ from token {twin.first_difference} on"
    text = (
        f"{twin.slow_cls} (Python) {twin.slow_seconds * 1e3:.2f} ms · {twin.fast_cls} (Rust) "
        f"{twin.fast_seconds * 1e3:.2f} ms · {ratio:.1f} × · {same}"
    )
    return foreign(f"{text} · {twin.note}" if twin.note else text, "" if twin.equal else "$warning")
