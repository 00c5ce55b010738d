"""Steps: the pipeline, stage by stage, as the library does it."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from hfterm.engine.requests import ShowSteps
from hfterm.screens.tokenize.page import Subject, TokenizePage
from hfterm.text import displayable, foreign
from hfterm.tokenization.code import steps_code
from hfterm.tokenization.views import Piece, Stage, Steps
from hfterm.widgets.data_grid import Cell, GridColumn, GridSource, Rows

SHOWN = 2_000
"""Characters of the text that go through the stages; more could not be read anyway."""


class StepsPage(TokenizePage):
    """The stages of one text."""

    HELP = """\
## Steps
What each stage makes of the text: added tokens, normalizer, pre-tokenizer, model,
post-processor, ids, and back by decoding; then the tutorial's way, call by call. Offsets of the
pre-tokenizer refer to the normalized text. `F2` shows the script.
"""

    _steps: Steps | None = None

    def body(self) -> ComposeResult:
        """A text that scrolls."""
        yield VerticalScroll(id="stages", can_focus=True)

    def refresh_page(self, subject: Subject) -> None:
        """Ask for the stages."""
        self.start(self._load(subject))

    async def _load(self, subject: Subject) -> None:
        steps = await self.ask(
            ShowSteps(ref=subject.ref, text=subject.text[: SHOWN + 1], pair=subject.pair)
        )
        if steps is not None:
            self._steps = steps
            self.say_scope(subject, pair=True)
            stages = self.query_one("#stages", VerticalScroll)
            with self.app.batch_update():
                await stages.remove_children()
                await stages.mount_all(_widgets(steps))

    def exported(self) -> tuple[str, GridSource] | None:
        """One row a piece."""
        if self._steps is None:
            return None
        columns = [
            GridColumn(name) for name in ("stage", "component", "piece", "start", "end", "id")
        ]
        rows = [
            (stage.name, stage.component, piece.text, piece.start, piece.end, piece.id)
            for stage in self._steps.stages
            for piece in (stage.pieces or (Piece(stage.text or ""),))
        ]
        cells = [[Cell(displayable(str(value))) for value in row] for row in rows]
        return "steps", Rows(columns, cells, rows)

    def copy_text(self) -> str:
        """The stages as text."""
        return draw(self._steps).plain if self._steps else ""

    def code(self) -> str:
        """The same stages in Python."""
        if self.subject is None:
            return ""
        subject = self.subject
        return steps_code(subject.source, subject.text[:SHOWN], subject.pair, fast=subject.fast)


def draw(steps: Steps) -> Content:
    """All stages as one text."""
    lines: list[Content] = []
    for number, stage in enumerate(steps.stages, 1):
        lines += [_head(number, stage), *_body(stage), Content("")]
    return Content("\n").join(lines)


def _widgets(steps: Steps) -> list[Static]:
    widgets: list[Static] = []
    if steps.shortened is not None:
        note = f"The first {steps.shortened:,} characters of a longer text."
        widgets.append(Static(foreign(note, "$warning")))
    for number, stage in enumerate(steps.stages, 1):
        widgets.append(Static(_head(number, stage), classes="stage-head"))
        widgets.append(Static(Content("\n").join(_body(stage)), classes="stage"))
    return widgets


def _head(number: int, stage: Stage) -> Content:
    return Content.assemble(
        (f"{number:>2} ", "$text-muted"),
        (displayable(stage.name), "bold"),
        "  ",
        foreign(stage.component, "$accent"),
        "  ",
        foreign(stage.call, "$text-muted"),
    )


def _body(stage: Stage) -> list[Content]:
    lines: list[Content] = []
    if stage.text is not None:
        lines.append(foreign(stage.text, space=stage.name != "ids"))
    if stage.pieces and stage.name != "ids":  # the list says it already
        lines.append(_pieces(stage.pieces))
    if stage.note:
        lines.append(foreign(stage.note, "italic $text-muted"))
    return lines


def _pieces(pieces: tuple[Piece, ...]) -> Content:
    parts: list[Content] = []
    for index, piece in enumerate(pieces):
        tint = "on $foreground 22%" if index % 2 else "on $foreground 8%"
        parts.append(
            foreign(piece.text, "italic $text-muted" if piece.special else tint, space=True)
        )
        facts = "" if piece.id is None else str(piece.id)
        if piece.start is not None:
            facts += f"{' ' if facts else ''}{piece.start}:{piece.end}"
        parts.append(foreign(f" {facts}  " if facts else "  ", "$text-muted"))
    return Content("").join(parts)
