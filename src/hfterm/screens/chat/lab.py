"""The Lab tab: one model, loaded in every way, measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input

from hfterm.chat.lab_types import TEXT, WAYS, WayResult
from hfterm.engine.chat_requests import WriteLab
from hfterm.engine.lab import measure_ways
from hfterm.engine.requests import ReadDocument
from hfterm.errors import HftermError
from hfterm.paths import full_path
from hfterm.screens.chat.page import ChatPage
from hfterm.widgets.data_grid import DataGrid, GridSource
from hfterm.widgets.fields import Field
from hfterm.widgets.lab_chart import LabChart
from hfterm.widgets.lab_table import LabRows
from hfterm.widgets.numbers import whole_number

if TYPE_CHECKING:
    from hfterm.engine.client import EngineClient
    from hfterm.screens.chat.session import Session


class LabPage(ChatPage):
    """A table that grows by a row a way."""

    HELP = """\
## Lab
`F5` (or `Enter` in a field) loads the model in float32, bfloat16, int8, nf4 and fp4, one after the
other, each in a process of its own, and measures: the size of the weights, the time to load, tokens
a second and the first token of a greedy answer, the memory of the process; and on a text:
perplexity, the mean KL divergence of the next-token distribution from that of float32, and how
often both hold the same token most probable. `Esc` stops after what is under way. `Ctrl+E` exports
the table, `alt+w` writes the chart.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("alt+w", "figure", "Figure", priority=True, id="lab.figure",
                tooltip="Write the chart to a .png or .svg file"),
    ]  # fmt: skip

    def __init__(self, engine: EngineClient, lab: EngineClient, session: Session, id: str) -> None:
        super().__init__(engine, id=id)
        self._lab = lab
        self.session = session
        self._results: list[WayResult] = []

    def body(self) -> ComposeResult:
        """Options and the table."""
        with Horizontal(classes="options"):
            yield Field("ways", " ".join(WAYS), id="lab-ways")
            yield Field("tokens", "64", id="lab-tokens")
            yield Field("text", "", placeholder="a file; else a page of prose", id="lab-text")
        yield DataGrid(
            id="lab-grid",
            empty="F5 loads the model in every way, measures each, and compares them here.",
        )
        yield LabChart(id="lab-chart")

    def come(self) -> None:
        """The table."""
        self.query_one("#lab-grid").focus()

    def _value(self, name: str) -> str:
        return self.query_one(f"#lab-{name}", Input).value.strip()

    @on(Input.Submitted)
    def again(self) -> None:
        """Measure; one measuring would take the processor, and the model, from another."""
        if self.busy:
            self.notice.show("The ways are being measured.", "Esc stops that.", "note")
            return
        spec = self.session.spec
        ways = self._value("ways").replace(",", " ").split()
        unknown = [way for way in ways if way not in (*WAYS, "gguf")]
        tokens = whole_number(self.notice, "tokens", self._value("tokens"))
        if tokens is None:
            return
        if not spec.ref or not ways or unknown:
            what = (
                f"“{unknown[0]}” is not a way to load a model." if unknown else "Nothing is chosen."
            )
            self.notice.show(what, f"Ways are {', '.join(WAYS)} and gguf; F6 chooses a model.")
            return
        self.notice.clear()
        self.start(self._measure(ways, max(2, tokens)))

    async def _measure(self, ways: list[str], tokens: int) -> None:
        text = TEXT
        if self._value("text"):
            document = await self.ask(ReadDocument(path=full_path(self._value("text"))))
            if document is None:
                return
            text = document.text
        self._results = []
        self._asking += 1
        self.query_one("#lab-grid", DataGrid).set_source(LabRows(()))
        self.query_one(LabChart).show(())
        try:
            await measure_ways(
                self._lab, self.session.spec, ways, self._add, show=self.job_line.show, text=text,
                new_tokens=tokens,
            )  # fmt: skip
        except HftermError as error:
            self.notice.show_error(error)
        finally:
            self._asking -= 1
            self.job_line.clear()

    def _add(self, result: WayResult) -> None:
        self._results.append(result)
        self.session.measured.note_way(self.session.spec, result)
        self.query_one("#lab-grid", DataGrid).set_source(LabRows(self._results))
        self.query_one(LabChart).show(self._results)

    @work(group="lab-figure", exclusive=True, exit_on_error=False)
    async def action_figure(self) -> None:
        """Write the chart."""
        from hfterm.widgets.modals import Prompt

        if not self._results:
            self.notice.show("Nothing was measured yet.", "F5 measures.", "note")
            return
        path = await self.app.push_screen_wait(
            Prompt("Write the chart", "A .png or .svg; none is overwritten.", "quant-lab.png")
        )
        if not path:
            return
        name, out = self.session.spec.ref, full_path(path)
        try:
            await self.engine.call(WriteLab(name=name, results=tuple(self._results), out=out))
        except HftermError as error:
            self.notice.show_error(error)
            return
        self.notice.show(f"Wrote {out}.", severity="note")

    def exported(self) -> tuple[str, GridSource] | None:
        """The table."""
        return ("quant-lab", LabRows(self._results)) if self._results else None
