"""How the language model is loaded, what that takes, and how fast it was here before."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static
from textual.worker import Worker

from hfterm.chat.lab_types import WayResult, spec_of
from hfterm.chat.measured import fastest, way_of
from hfterm.chat.types import LlmSpec
from hfterm.engine.client import EngineClient
from hfterm.engine.lab import measure_ways
from hfterm.engine.model_requests import EstimateMemory
from hfterm.errors import HftermError
from hfterm.job import Progress
from hfterm.models.memory_types import MemoryReport
from hfterm.models.types import ModelSpec
from hfterm.text import foreign
from hfterm.widgets.chat_load_form import ChatLoadForm
from hfterm.widgets.chat_tables import PREDICTED, ways_rows, ways_shown
from hfterm.widgets.data_grid import DataGrid
from hfterm.widgets.fields import Choice
from hfterm.widgets.job_line import JobLine
from hfterm.widgets.modals import Modal
from hfterm.widgets.notice import Notice

if TYPE_CHECKING:
    from hfterm.screens.chat.session import Session

CONTEXT = 2048
"""Tokens that the verdict is about when none are named."""

TOKENS = 24
"""Tokens that each way generates to be measured: enough to tell them apart, and soon there."""

ELSEWHERE = {
    "llama.cpp": "A GGUF file is loaded as it was quantized: there are no ways to choose from.",
    "server": "The server has loaded the model its own way: nothing of it takes memory here.",
}
"""Engines to which the table of ways does not apply, and why."""


class ChatLoadModal(Modal[LlmSpec | None]):
    """The form, and a table of the ways."""

    HELP = """\
## Load
How the model is loaded. The table says what each way takes at a context of 2,048 tokens (or the
one you type), whether it fits what is free now, and how fast it was on this machine: ★ is the
fastest of those that were measured: with every answer, in the Lab, or now with `F5`, which loads
the model in each way, one after the other (`Esc` stops that). `Enter` on a row takes that way.
`alt+l` loads, `Tab` moves, `Esc` closes.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        # priority: a terminal sends the letter along, which a field would take
        Binding("alt+l", "load", "Load", priority=True, id="chat-load.load",
                tooltip="Load it with these settings"),
        Binding("f5", "measure", "Measure", priority=True, id="chat-load.measure",
                tooltip="Load it in each way, one after the other, and measure how fast it is"),
    ]  # fmt: skip

    DEFAULT_CSS = """
    ChatLoadModal DataGrid { height: 7; margin-top: 1; }
    ChatLoadModal Static.about { color: $text-muted; height: auto; }
    """

    def __init__(self, engine: EngineClient, lab: EngineClient, session: Session) -> None:
        super().__init__()
        self._engine = engine
        self._lab = lab
        self._spec = session.spec
        self._loaded = session.info
        self._measured = session.measured
        self._report: MemoryReport | None = None
        self._measuring: Worker[None] | None = None
        self._job = JobLine()
        self._notice = Notice()

    def compose(self) -> ComposeResult:
        """Form, ways, words."""
        with Vertical() as box:
            box.border_title = "Load a language model"
            box.border_subtitle = "alt+l load · Enter on a row takes it · F5 measures · Esc close"
            yield ChatLoadForm()
            yield DataGrid(id="chat-ways")
            yield Static("", id="chat-advice", classes="about", markup=False)
            yield self._job
            yield self._notice

    def on_mount(self) -> None:
        """As it is loaded now."""
        self.query_one(ChatLoadForm).show(self._spec)
        self._show()
        self._estimate()

    def _now(self) -> LlmSpec | None:
        try:
            return self.query_one(ChatLoadForm).spec(self._spec)
        except HftermError:
            return None  # said when it is loaded

    def _show(self) -> None:
        spec = self._now() or self._spec
        speeds = self._measured.of(spec.ref, spec.device)
        loaded = self._loaded
        dtype = loaded.dtype if loaded is not None and loaded.spec.ref == spec.ref else ""
        self.query_one("#chat-ways", DataGrid).set_source(
            ways_rows(self._report, speeds, way_of(spec, dtype))
        )
        best = fastest(speeds)
        engine = self.query_one("#chat-engine", Choice).value
        told = ELSEWHERE.get(engine) or (f"★ {best} was the fastest here." if best else (
            "F5 measures how fast each way is here; every answer of 16 tokens is measured too."
        ))  # fmt: skip
        self.query_one("#chat-advice", Static).update(foreign(told))

    @work(group="estimate", exclusive=True, exit_on_error=False)
    async def _estimate(self) -> None:
        spec = self._now()
        if spec is None or spec.engine != "transformers" or not spec.ref:
            return
        model = ModelSpec(ref=spec.ref, auto="AutoModelForCausalLM", device=spec.device)
        request = EstimateMemory(spec=model, context=spec.context or CONTEXT)
        self._job.show(Progress("looking what each way takes"))
        try:
            self._report = await self._engine.call(request, self._job.show)
        except HftermError as error:
            self._notice.show_error(error)
            return
        finally:
            self._job.clear()
        self._show()

    @on(Choice.Changed)
    def _chosen(self, event: Choice.Changed) -> None:
        event.stop()
        self._notice.clear()
        self._show()
        if event.control.id == "chat-engine":
            self._estimate()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        """A field: look what that costs."""
        event.stop()
        self._notice.clear()
        self._estimate()

    @on(DataGrid.RowChosen, "#chat-ways")
    def _take(self, event: DataGrid.RowChosen) -> None:
        """Take the way of a row."""
        event.stop()
        spec = self._now() or self._spec
        ways = ways_shown(self._measured.of(spec.ref, spec.device))
        if event.row >= len(ways):  # another model has been typed meanwhile
            return
        self.query_one(ChatLoadForm).show(spec_of(spec, ways[event.row]))
        self._show()

    def action_load(self) -> None:
        """Answer with the spec, if the fields hold one."""
        if self._busy:
            self._notice.show("The ways are being measured.", "Esc stops that.", "warning")
            return
        try:
            self.dismiss(self.query_one(ChatLoadForm).spec(self._spec))
        except HftermError as error:
            self._notice.show_error(error)

    # -- measuring -------------------------------------------------------------------------------

    @property
    def _busy(self) -> bool:
        return self._measuring is not None and self._measuring.is_running

    def action_measure(self) -> None:
        """Measure every way."""
        if self._busy:
            return
        try:
            spec = self.query_one(ChatLoadForm).spec(self._spec)
        except HftermError as error:
            self._notice.show_error(error)
            return
        if spec.engine != "transformers":
            self._notice.show(
                f"{spec.engine} loads in one way only.", "Its answers are measured.", "note"
            )
            return
        self._notice.clear()
        self._measuring = self._measure(spec)

    @work(group="measure", exit_on_error=False)
    async def _measure(self, spec: LlmSpec) -> None:
        def each(result: WayResult) -> None:
            self._measured.note_way(spec, result)
            self._show()

        try:
            results = await measure_ways(
                self._lab, spec, PREDICTED, each, show=self._job.show, new_tokens=TOKENS
            )
        except HftermError as error:
            self._notice.show_error(error)
            return
        finally:
            self._job.clear()
        failed = [result for result in results if result.error]
        if failed:
            self._notice.show(f"{failed[0].way} could not be measured.", failed[0].error)

    def action_close(self) -> None:
        """Stop measuring; else close."""
        if self._measuring is not None and self._busy:
            self._measuring.cancel()
            self._notice.show("Stopped.", "What was measured is kept.", "note")
            return
        super().action_close()
