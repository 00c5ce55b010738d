"""Audit: what a careful reader would check of an encoding; and the figures of a whole file."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Static

from hfterm.engine.requests import AuditText, CountFile
from hfterm.screens.tokenize.page import Subject, TokenizePage, TokenWanted
from hfterm.text import displayable, foreign, token_label
from hfterm.tokenization.code import audit_code
from hfterm.tokenization.views import Audit, Statistics
from hfterm.widgets.data_grid import Cell, DataGrid, GridColumn, GridSource, Rows, Tone
from hfterm.widgets.fields import Field

GLYPHS: dict[str, tuple[str, Tone]] = {
    "ok": ("✓", "dim"),
    "note": ("i", "accent"),
    "warning": ("!", "warning"),
}
BAR = 30


class AuditPage(TokenizePage):
    """Findings about the text, and statistics of a file."""

    HELP = """\
## Audit
Offsets against decoded text, unknown tokens, special tokens parsed out of the text, stored
truncation, invisible characters. `Enter` on a finding jumps to its first token. Below, name a
file or data set and press `Enter`: token statistics of all of it, in the background.
"""

    _audit: Audit | None = None

    def body(self) -> ComposeResult:
        """Findings, and a line for the statistics of a file."""
        yield DataGrid(id="audit-grid", empty="Type a text above to look into its encoding.")
        yield Static("", id="audit-detail", markup=False)
        with Horizontal(classes="options"):
            yield Field("statistics of", id="audit-source",
                        placeholder="a file, reviews or sms-spam, then Enter")  # fmt: skip
        yield DataGrid(id="audit-statistics")

    def on_mount(self) -> None:
        """Figures take room when there are some."""
        self.query_one("#audit-statistics").display = False

    def refresh_page(self, subject: Subject) -> None:
        """Audit the text; offer the file's name for statistics."""
        source = self.query_one("#audit-source", Input)
        if subject.path and not source.value:
            source.value = subject.path
        self.start(self._load(subject))

    async def _load(self, subject: Subject) -> None:
        audit = await self.ask(
            AuditText(ref=subject.ref, text=subject.text, path=subject.path,
                      add_special_tokens=subject.add_special_tokens)
        )  # fmt: skip
        if audit is not None:
            self._audit = audit
            self.say_scope(subject, follows_specials=True)
            grid = self.query_one("#audit-grid", DataGrid)
            grid.set_source(_findings(audit))
            self._show_detail(grid.cursor_row)

    @on(Input.Submitted, "#audit-source")
    def _count(self, event: Input.Submitted) -> None:
        if self.subject is not None and event.value.strip():
            self.start(self._statistics(self.subject.ref, event.value.strip()))

    async def _statistics(self, ref: str, source: str) -> None:
        statistics = await self.ask(CountFile(ref=ref, source=source))
        if statistics is not None:
            grid = self.query_one("#audit-statistics", DataGrid)
            grid.set_source(_figures(statistics))
            grid.display = True

    @on(DataGrid.RowChosen, "#audit-grid")
    def _chosen(self, event: DataGrid.RowChosen) -> None:
        found = self._audit.findings[event.row :] if self._audit else ()
        rows = found[0].rows if found else ()
        if rows:
            self.post_message(TokenWanted(rows[0]))

    @on(DataGrid.RowHighlighted)
    def _highlighted(self, event: DataGrid.RowHighlighted) -> None:
        event.stop()
        if event.grid.id == "audit-grid":
            self._show_detail(event.row)

    def _show_detail(self, row: int) -> None:
        """The finding under the cursor in full: its column is cut to the screen."""
        if self._audit is not None and row < len(self._audit.findings):
            detail = self._audit.findings[row].detail
            self.query_one("#audit-detail", Static).update(foreign(detail, "$text-muted"))

    def exported(self) -> tuple[str, GridSource] | None:
        """Statistics when they are there, else the findings."""
        for name in ("audit-statistics", "audit-grid"):
            grid = self.query_one(f"#{name}", DataGrid)
            if len(grid.source):
                return name, grid.source
        return None

    def code(self) -> str:
        """The same checks."""
        if self.subject is None:
            return ""
        return audit_code(
            self.subject.source, self.subject.script_text,
            add_special_tokens=self.subject.add_special_tokens,
        )  # fmt: skip


def _findings(audit: Audit) -> Rows:
    columns = (
        GridColumn("", name="severity"),
        GridColumn("what", most=34),
        GridColumn("count", right=True),
        GridColumn("detail", most=400, stretch=True),
    )
    cells: list[list[Cell]] = []
    for finding in audit.findings:
        glyph, tone = GLYPHS[finding.severity]
        cells.append(
            [
                Cell(glyph, tone),
                Cell(displayable(finding.title), tone if finding.severity == "warning" else ""),
                Cell(
                    f"{finding.count:,}" if finding.count else "–", "" if finding.count else "dim"
                ),
                Cell(displayable(finding.detail), "dim"),
            ]
        )
    values = [(f.severity, f.title, f.count, f.detail) for f in audit.findings]
    return Rows(columns, cells, values)


def _figures(statistics: Statistics) -> Rows:
    s = statistics
    per = s.characters / s.tokens if s.tokens else 0.0
    rows: list[tuple[str, str]] = [
        ("texts", f"{s.texts:,}"),
        ("characters", f"{s.characters:,}"),
        ("UTF-8 bytes", f"{s.utf8_bytes:,}"),
        ("tokens", f"{s.tokens:,}"),
        ("characters per token", f"{per:.2f}"),
        ("unknown tokens", f"{s.unknown:,}"),
        ("distinct tokens", f"{s.distinct:,} of {s.vocab_size:,}"),
        *((f"tokens per text, {name}", f"{value:,.1f}") for name, value in s.lengths.items()),
    ]
    if s.limit is not None and s.over_limit is not None:
        share = s.over_limit / s.texts if s.texts else 0.0
        rows.append((f"longer than {s.limit:,} tokens", f"{s.over_limit:,} texts ({share:.1%})"))
    highest = max((count for _, count in s.histogram), default=1) or 1
    rows += [
        (
            f"up to {bound:,} tokens",
            f"{'█' * max(1 if count else 0, round(BAR * count / highest))} {count:,}",
        )
        for bound, count in s.histogram
    ]
    rows.append(("most frequent", "  ".join(f"{token_label(t)} {n:,}" for t, n in s.top)))
    rows.append(("counted in", f"{s.seconds:.1f} s"))
    cells = [[Cell(name, "dim"), Cell(displayable(value))] for name, value in rows]
    return Rows(
        (GridColumn("figure", most=34), GridColumn("value", most=400, stretch=True)), cells, rows
    )
