"""The Predict screen: a text, a task, and what the model's head says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

import msgspec
from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.timer import Timer

from hfterm.engine.requests import ListModels, ReadDocument
from hfterm.errors import HftermError
from hfterm.hub import starter
from hfterm.inference.options import AUTO_OF, Task
from hfterm.models.types import ModelSpec
from hfterm.paths import full_path
from hfterm.screens.asking_code import CodeNeeded, allowed
from hfterm.screens.engines import Engines
from hfterm.screens.predict.keys import KEYS
from hfterm.screens.predict.samples import OPTIONS, SAMPLES
from hfterm.screens.predict.subject import PredictPage, Question
from hfterm.screens.predict.task_options import TaskFields
from hfterm.screens.start import StartOptions
from hfterm.screens.workbench import ScreenCommand, WorkbenchScreen
from hfterm.text import elide_middle, foreign
from hfterm.widgets.mode_bar import ModeBar
from hfterm.widgets.notice import Notice
from hfterm.widgets.tabbed_pages import TabbedPages, TabEntry
from hfterm.widgets.text_panel import TextPanel

if TYPE_CHECKING:
    from hfterm.engine.client import EngineStatus
    from hfterm.models.types import LoadedInfo
    from hfterm.widgets.data_grid import GridSource

TITLES = ("Result", "Batch")

WIDE = 110
"""Columns from which two tables stand side by side."""

LIVE = 0.35
"""Seconds without a key after which the text is predicted, once a model is loaded."""

SLOW = ("text-generation", "seq2seq")
"""Tasks that wait for F5."""


class PredictScreen(WorkbenchScreen):
    """Text and task above, what the model says below."""

    MODE: ClassVar[str] = "predict"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]  # noqa: RUF012
    CSS_PATH = "screen.tcss"

    HELP = """\
# Predict
Type a text, choose a task (`←` `→` on it, or `alt+t`), and press `F5`: the model is loaded with
that task's head and says what it makes of the text. After that it follows as you type. `F6`
chooses the model, `F7` how it is loaded. `F3` `F4` go to the Batch tab and back.
"""

    BINDINGS: ClassVar[list[BindingType]] = KEYS

    COMMANDS_HERE: ClassVar[Sequence[ScreenCommand]] = (
        *(ScreenCommand(f"Predict: {t}", f"The {t} tab", f"go_to_tab({n})")
          for n, t in enumerate(TITLES)),
        *(ScreenCommand(f"Predict: {t}", f"The task {t}", f"choose_task('{t}')") for t in AUTO_OF),
        ScreenCommand("Predict: unload the model", "End the process that holds it", "unload"),
    )  # fmt: skip

    def __init__(
        self, engines: Engines, modes: Sequence[tuple[str, str]], start: StartOptions
    ) -> None:
        super().__init__(engines, modes)
        self._most = start.max_editor_chars
        ref = start.model or ("minilm" if starter.starter_path("minilm") else "")
        self.spec = ModelSpec(ref=ref, auto=AUTO_OF["text-classification"])
        self.text = SAMPLES["text-classification"] if start.text is None else start.text
        self.notice = Notice()
        self._timer: Timer | None = None

    # -- layout ------------------------------------------------------------------------------

    def body(self) -> ComposeResult:
        """The text, and the frame of the rest."""
        yield TextPanel(most=self._most, id="text-panel")
        panel = Vertical(id="predict-panel", classes="panel")
        panel.border_title = "Prediction"
        yield panel

    def on_mount(self) -> None:
        """Start with a text of the task."""
        self._panel.show(self.text)
        self._panel.describe(None)
        self._panel.editor.focus()

    async def fill(self) -> None:
        """Task, tabs, and what is known of the model."""

        def result(id_: str) -> PredictPage:
            from hfterm.screens.predict.result import ResultPage

            return self._asking(ResultPage(self.model_engine, id=id_))

        def batch(id_: str) -> PredictPage:
            from hfterm.screens.predict.batch import BatchPage

            return self._asking(BatchPage(self.model_engine, id=id_))

        await self.query_one("#predict-panel").mount(
            TaskFields(id="task-fields"),
            self.notice,
            TabbedPages[PredictPage](
                [TabEntry("Result", result), TabEntry("Batch", batch)], id="predict-pages"
            ),
        )
        await super().fill()
        if self.loaded is not None:
            self._adopt(self.loaded)
        self._show_spec()

    def _asking(self, page: PredictPage) -> PredictPage:
        page.question = self._question
        return page

    @property
    def _panel(self) -> TextPanel:
        return self.query_one("#text-panel", TextPanel)

    @property
    def _fields(self) -> TaskFields:
        return self.query_one("#task-fields", TaskFields)

    @property
    def pages(self) -> TabbedPages[PredictPage] | None:
        """The tabs, once they are there."""
        return next(iter(self.query("#predict-pages").results(TabbedPages)), None)

    @property
    def page(self) -> PredictPage | None:
        """The page in sight."""
        return self.pages.page if self.pages is not None else None

    @property
    def log_file(self) -> Path:
        """The model's engine prints there."""
        return self.model_engine.log_file

    # -- what is asked ------------------------------------------------------------------------

    def _question(self) -> Question:
        if not self.spec.ref:
            raise HftermError("no-model", "No model is chosen.", "F6 chooses one.")
        source = self.loaded.source if self.loaded and self.loaded.spec == self.spec else None
        return Question(self.spec, source, self.text, self._fields.options())

    def _show_spec(self) -> None:
        name = elide_middle(self.spec.ref or "no model", 40)
        fresh = self.loaded is not None and self.loaded.spec == self.spec
        facts: list[str] = []
        if self.spec.quantization != "none":
            facts.append(self.spec.quantization)
        elif self.spec.dtype != "auto":
            facts.append(self.spec.dtype)
        facts.append("loaded" if fresh else "F5 loads it")
        self.query_one(ModeBar).show_subject(name, " · ".join(facts))
        panel = self.query_one("#predict-panel")
        if fresh and self.loaded is not None:
            panel.border_subtitle = foreign(f"{self.loaded.cls} · {self.loaded.dtype}")
            self._fields.show_labels(self.loaded.labels)
        else:
            panel.border_subtitle = foreign(self.spec.auto)

    @on(TextPanel.Edited)
    def _edited(self, event: TextPanel.Edited) -> None:
        self.text = event.text
        self._panel.describe(None)
        self._run_soon()

    def _run_soon(self) -> None:
        """Follow the typing, once the model is there."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        live = self.loaded is not None and self.loaded.spec == self.spec
        on_result = (
            self.pages is not None and self.page is not None and self.page.id == "page-Result"
        )
        if live and on_result and self._fields.chosen not in SLOW and self.text.strip():
            self._timer = self.set_timer(LIVE, self.action_run)

    @on(TabbedPages.Opened)
    def _opened(self, event: TabbedPages.Opened) -> None:
        """A file of texts needs no text panel."""
        self.set_class(event.title == "Batch", "-alone")

    @on(TaskFields.Changed)
    def _task_changed(self, event: TaskFields.Changed) -> None:
        if event.task:
            self._take_task()
        else:
            self._run_soon()

    def _take_task(self) -> None:
        """Another task: another head, and its sample unless a text was typed."""
        fields = self._fields
        task = cast("Task", fields.chosen)
        if self.text in SAMPLES.values():
            self.text = SAMPLES[task]
            self._panel.show(self.text)
            self._panel.describe(None)
        fields.fill_options(OPTIONS.get(task, ""))
        if self.spec.auto != AUTO_OF[task]:
            self.spec = msgspec.structs.replace(self.spec, auto=AUTO_OF[task])
        self.notice.clear()
        for page in self.query(PredictPage):
            page.outdated()
        self._show_spec()
        self._run_soon()

    # -- actions ----------------------------------------------------------------------------------

    def action_run(self) -> None:
        """Run the page."""
        if self.page is None:
            return
        self.notice.clear()
        self.page.run()

    @on(CodeNeeded)
    @work(group="code", exclusive=True, exit_on_error=False)
    async def _code_needed(self, event: CodeNeeded) -> None:
        """The repository's code runs only after a yes."""
        if await allowed(self.app, event.error):
            self.spec = msgspec.structs.replace(self.spec, allow_code=True)
            self.action_run()

    def action_task(self) -> None:
        """The next task."""
        tasks = list(AUTO_OF)
        now = tasks.index(cast("Task", self._fields.chosen))
        self.action_choose_task(tasks[(now + 1) % len(tasks)])

    def action_choose_task(self, task: str) -> None:
        """A task by its name."""
        self._fields.choose(task)
        self._take_task()

    @work(group="pick", exclusive=True, exit_on_error=False)
    async def action_pick_model(self) -> None:
        """Choose another model."""
        from hfterm.widgets.modals import ModelPicker

        try:
            known = await self.engine.call(ListModels())
        except HftermError as error:
            self.notice.show_error(error)
            return
        ref = await self.app.push_screen_wait(ModelPicker(known, self.spec.ref))
        if ref:
            self.open_model(ref)

    def open_model(self, ref: str) -> None:
        """Use another model, loaded as it is stored."""
        self.spec = ModelSpec(ref=ref, auto=AUTO_OF[cast("Task", self._fields.chosen)])
        for page in self.query(PredictPage):
            page.outdated()
        self._show_spec()
        self.action_run()

    @work(group="pick", exclusive=True, exit_on_error=False)
    async def action_load_options(self) -> None:
        """Say how the model is loaded."""
        from hfterm.screens.predict.load_modal import LoadModal

        spec = await self.app.push_screen_wait(LoadModal(self.spec))
        if spec is not None and spec != self.spec:
            self.spec = spec
            for page in self.query(PredictPage):
                page.outdated()
            self._show_spec()
            self.action_run()

    @work(group="pick", exclusive=True, exit_on_error=False)
    async def action_open_file(self) -> None:
        """Take the text from a file."""
        from hfterm.widgets.modals import Prompt

        path = await self.app.push_screen_wait(
            Prompt("Open a file", "Its whole text is what is predicted. Esc closes.", "", "path")
        )
        if not path:
            return
        full = full_path(path)
        try:
            document = await self.engine.call(ReadDocument(path=full))
        except HftermError as error:
            self.notice.show_error(error)
            return
        self.text = document.text
        self._panel.show(self.text, full)
        self._panel.describe(full)
        self._run_soon()

    def action_tab(self, by: int) -> None:
        """Go to a tab next to this one."""
        if self.pages is not None:
            self.pages.step(by)

    def action_go_to_tab(self, number: int) -> None:
        """Go to a tab by its number."""
        if self.pages is not None:
            self.pages.go_to(number)

    async def action_unload(self) -> None:
        """Let the model go: its process ends, and all its memory is free."""
        await self.model_engine.unload()
        from hfterm.screens.workbench import ModelLoaded

        self.post_message(ModelLoaded(None))

    # -- what the application asks ---------------------------------------------------------------

    def code(self) -> str:
        """The page's script."""
        return self.page.code() if self.page is not None else ""

    @property
    def script_name(self) -> str:
        """The task, and the tab when that is the batch."""
        task = self._fields.chosen.replace("-", "_")
        batch = "_batch" if self.has_class("-alone") else ""
        return f"predict_{task}{batch}.py"

    def copy_text(self) -> str:
        """The text."""
        return self.text

    def exported(self) -> tuple[str, GridSource] | None:
        """The page's table."""
        return self.page.exported() if self.page is not None else None

    def stop_work(self) -> bool:
        """Stop what the page does."""
        return self.page is not None and self.page.stop()

    def again(self) -> None:
        """Run again."""
        self.action_run()

    def _adopt(self, info: LoadedInfo) -> None:
        """Use what another screen loaded, when a task has a use for its class."""
        task = next((task for task, auto in AUTO_OF.items() if auto == info.spec.auto), None)
        if task is None or info.spec == self.spec:
            return
        self.spec = info.spec
        if AUTO_OF[cast("Task", self._fields.chosen)] != info.spec.auto:
            self.action_choose_task(task)
            self.spec = info.spec
        for page in self.query(PredictPage):
            page.outdated()

    def loaded_changed(self, info: LoadedInfo | None) -> None:
        """Another model is loaded: here, on the Models screen, or none any more."""
        super().loaded_changed(info)
        if self.pages is None:
            return
        if info is not None and info.spec != self.spec and self.app.screen is self:
            self._adopt(info)
        self._show_spec()

    def model_engine_changed(self, status: EngineStatus) -> None:
        """When the process that holds the model died, say so; the text is kept."""
        asked = self.page is not None and self.page.busy  # then the page says it
        if status.phase == "dead" and self.notice.is_mounted and not asked:
            self.notice.show(
                f"The model's process ended ({status.detail}). The text is kept.",
                "F5 loads the model again.",
            )
