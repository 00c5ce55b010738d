"""How the language model is loaded, what that takes, and how fast it was here before."""

from __future__ import annotations

from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from hfterm import paths
from hfterm.chat.measured import Measured, fastest, way_of
from hfterm.chat.types import LlmSpec
from hfterm.engine.client import EngineClient
from hfterm.engine.model_requests import EstimateMemory
from hfterm.errors import HftermError
from hfterm.models.memory_types import MemoryReport
from hfterm.models.types import ModelSpec
from hfterm.text import foreign
from hfterm.widgets.chat_load_form import ChatLoadForm
from hfterm.widgets.chat_tables import ways_rows
from hfterm.widgets.data_grid import DataGrid
from hfterm.widgets.fields import Choice
from hfterm.widgets.job_line import JobLine
from hfterm.widgets.modals import Modal
from hfterm.widgets.notice import Notice

CONTEXT = 2048
"""Tokens that the verdict is about when none are named."""


class ChatLoadModal(Modal[LlmSpec | None]):
    """The form, and a table of the ways."""

    HELP = """\
## Load
How the model is loaded. The table says what each way takes at a context of 2,048 tokens (or the
one you type), whether it fits what is free now, and how fast it was on this machine: ★ is the
fastest of those that were measured, with every answer. `Enter` on a row takes that way. `alt+l`
loads, `Tab` moves, `Esc` closes.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        # priority: a terminal sends the letter along, which a field would take
        Binding("alt+l", "load", "Load", priority=True, id="chat-load.load", tooltip="Load it so"),
    ]

    DEFAULT_CSS = """
    ChatLoadModal DataGrid { height: 6; margin-top: 1; }
    ChatLoadModal Static.about { color: $text-muted; height: auto; }
    """

    def __init__(self, engine: EngineClient, spec: LlmSpec) -> None:
        super().__init__()
        self._engine = engine
        self._spec = spec
        self._report: MemoryReport | None = None
        self._job = JobLine()
        self._notice = Notice()
        self._measured = Measured(paths.state_dir() / "speeds.json")

    def compose(self) -> ComposeResult:
        """Form, ways, words."""
        with Vertical() as box:
            box.border_title = "Load a language model"
            box.border_subtitle = "alt+l load · Enter on a row takes it · Esc close"
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
        self.query_one("#chat-ways", DataGrid).set_source(
            ways_rows(self._report, speeds, way_of(spec))
        )
        best = fastest(speeds)
        told = f"★ {best} was the fastest here." if best else (
            "Speeds stand here once they were measured: every answer of 16 tokens is."
        )  # fmt: skip
        self.query_one("#chat-advice", Static).update(foreign(told))

    @work(group="estimate", exclusive=True, exit_on_error=False)
    async def _estimate(self) -> None:
        spec = self._now()
        if spec is None or spec.engine != "transformers" or not spec.ref:
            return
        model = ModelSpec(ref=spec.ref, auto="AutoModelForCausalLM", device=spec.device)
        request = EstimateMemory(spec=model, context=spec.context or CONTEXT)
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
        self._show()

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
        way = ("float32", "bfloat16", "int8", "nf4")[event.row]
        quantized = way in ("int8", "nf4")
        self.query_one("#chat-quantization", Choice).value = way if quantized else "none"
        self.query_one("#chat-dtype", Choice).value = "auto" if quantized else way
        self._show()

    def action_load(self) -> None:
        """Answer with the spec, if the fields hold one."""
        try:
            self.dismiss(self.query_one(ChatLoadForm).spec(self._spec))
        except HftermError as error:
            self._notice.show_error(error)
