"""The Predict screen: a text, a task, and what the model's head says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, cast

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical

from hfterm.errors import HftermError
from hfterm.inference.options import AUTO_OF, Task
from hfterm.models.types import ModelSpec
from hfterm.screens.engines import Engines
from hfterm.screens.messages import ScreenCommand
from hfterm.screens.model_screen import ModelScreen
from hfterm.screens.predict.keys import KEYS
from hfterm.screens.predict.samples import OPTIONS, SAMPLES
from hfterm.screens.predict.subject import PredictPage, Question
from hfterm.screens.predict.task_options import TaskFields
from hfterm.screens.start import StartOptions
from hfterm.session.types import Place
from hfterm.text import foreign
from hfterm.widgets.notice import Notice
from hfterm.widgets.tabbed_pages import TabbedPages, TabEntry
from hfterm.widgets.text_panel import TextPanel

if TYPE_CHECKING:
    from hfterm.engine.client import EngineStatus
    from hfterm.models.types import LoadedInfo

TITLES = ("Result", "Batch")

WIDE = 110
"""Columns from which two tables stand side by side."""

SLOW = ("text-generation", "seq2seq")
"""Tasks that wait for F5."""


class PredictScreen(ModelScreen):
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
        super().__init__(engines, modes, start, SAMPLES["text-classification"])
        self.notice = Notice()

    # -- layout ------------------------------------------------------------------------------

    def body(self) -> ComposeResult:
        """The text, and the frame of the rest."""
        yield TextPanel(most=self.most, id="text-panel")
        panel = Vertical(id="predict-panel", classes="panel")
        panel.border_title = "Prediction"
        yield panel

    async def fill(self) -> None:
        """Task, tabs, and what is known of the model."""

        def result(id_: str) -> PredictPage:
            from hfterm.screens.predict.result import ResultPage

            return self._asking(ResultPage(self.model_engine, id=id_))

        def batch(id_: str) -> PredictPage:
            from hfterm.screens.predict.batch import BatchPage

            return self._asking(BatchPage(self.model_engine, id=id_))

        pages = TabbedPages[PredictPage](
            [TabEntry("Result", result), TabEntry("Batch", batch)], id="predict-pages"
        )
        await self.query_one("#predict-panel").mount(
            TaskFields(id="task-fields"), self.notice, pages
        )
        await pages.open(0)  # what another screen opens here runs on it at once
        await super().fill()
        if self.loaded is not None:
            self.adopt(self.loaded)
        self.show_subject()
        self.run_if_wanted()

    def _asking(self, page: PredictPage) -> PredictPage:
        page.question = self._question
        return page

    @property
    def _fields(self) -> TaskFields:
        return self.query_one("#task-fields", TaskFields)

    @property
    def error_notice(self) -> Notice:
        """Above the tabs."""
        return self.notice

    @property
    def page(self) -> PredictPage | None:
        """The page in sight."""
        page = tabs.page if (tabs := self.tabs()) is not None else None
        return page if isinstance(page, PredictPage) else None

    def spec_of(self, ref: str) -> ModelSpec:
        """With the head of the task."""
        task = cast("Task", self._fields.chosen) if self.tabs() else "text-classification"
        return ModelSpec(ref=ref, auto=AUTO_OF[task])

    def open_for(self, ref: str, task: str) -> None:
        """Another model, for a task."""
        if task and task != self._fields.chosen:
            self._fields.choose(task)
            self._take_task()
        self.open_model(ref)

    def place(self) -> Place:
        """And the task."""
        place = msgspec.structs.replace(super().place(), task=self._fields.chosen)
        return (
            place
            if self.text not in SAMPLES.values()
            else msgspec.structs.replace(place, text=None)
        )

    async def restore(self, place: Place) -> None:
        """And the task."""
        if place.task in AUTO_OF and place.task != self._fields.chosen:
            self.action_choose_task(place.task)
        await super().restore(place)

    # -- what is asked ------------------------------------------------------------------------

    def _question(self) -> Question:
        if not self.spec.ref:
            raise HftermError("no-model", "No model is chosen.", "F6 chooses one.")
        source = self.loaded.source if self.loaded and self.loaded.spec == self.spec else None
        return Question(self.spec, source, self.text, self._fields.options())

    def spec_shown(self) -> None:
        """The class in the panel's border, and its labels to choose from."""
        panel = self.query_one("#predict-panel")
        if self.fresh and self.loaded is not None:
            panel.border_subtitle = foreign(f"{self.loaded.cls} · {self.loaded.dtype}")
            self._fields.show_labels(self.loaded.labels)
        else:
            panel.border_subtitle = foreign(self.spec.auto)

    def follows(self) -> bool:
        """A quick task follows the typing while its result is in sight."""
        page = self.page
        on_result = page is not None and page.id == "page-Result"
        return on_result and self._fields.chosen not in SLOW and super().follows()

    def outdated(self) -> None:
        """What the pages show is about another model or task."""
        for page in self.query(PredictPage):
            page.outdated()

    @on(TabbedPages.Opened)
    def _opened(self, event: TabbedPages.Opened) -> None:
        """A file of texts needs no text panel."""
        self.set_class(event.title == "Batch", "-alone")
        if self.page is not None and self.page.about is not None:
            self._come_back(self.page, self.page.about)

    def _come_back(self, page: PredictPage, before: Question) -> None:
        """What was changed while another tab was open makes a result outdated."""
        try:
            now = self._question()
        except HftermError:  # said by the notice when it is run
            page.outdated()
            return
        if (now.spec, now.text, now.options) != (before.spec, before.text, before.options):
            page.outdated()
            self.run_soon()

    @on(TaskFields.Changed)
    def _task_changed(self, event: TaskFields.Changed) -> None:
        if event.task:
            self._take_task()
        else:
            self.run_soon()

    def _take_task(self) -> None:
        """Another task: another head, and its sample unless a text was typed."""
        fields = self._fields
        task = cast("Task", fields.chosen)
        if self.text in SAMPLES.values():
            self.text = SAMPLES[task]
            self.panel.show(self.text)
            self.panel.describe(None)
        fields.fill_options(OPTIONS.get(task, ""))
        if self.spec.auto != AUTO_OF[task]:
            self.spec = msgspec.structs.replace(self.spec, auto=AUTO_OF[task])
        self.notice.clear()
        self.outdated()
        self.show_subject()
        self.run_soon()

    # -- actions ----------------------------------------------------------------------------------

    def action_run(self) -> None:
        """Run the page."""
        if self.page is None:
            self.run_later()
            return
        self.notice.clear()
        self.page.run()

    def action_task(self) -> None:
        """The next task."""
        tasks = list(AUTO_OF)
        now = tasks.index(cast("Task", self._fields.chosen))
        self.action_choose_task(tasks[(now + 1) % len(tasks)])

    def action_choose_task(self, task: str) -> None:
        """A task by its name."""
        self._fields.choose(task)
        self._take_task()

    # -- what the application asks ---------------------------------------------------------------

    @property
    def script_name(self) -> str:
        """The task, and the tab when that is the batch."""
        task = self._fields.chosen.replace("-", "_")
        batch = "_batch" if self.has_class("-alone") else ""
        return f"predict_{task}{batch}.py"

    def adopt(self, info: LoadedInfo) -> None:
        """Use what another screen loaded, when a task has a use for its class."""
        task = next((task for task, auto in AUTO_OF.items() if auto == info.spec.auto), None)
        if task is None or info.spec == self.spec:
            return
        self.spec = info.spec
        if AUTO_OF[cast("Task", self._fields.chosen)] != info.spec.auto:
            self.action_choose_task(task)
            self.spec = info.spec
        self.outdated()

    def model_engine_changed(self, status: EngineStatus) -> None:
        """When the process that holds the model died, say so; the text is kept."""
        asked = self.page is not None and self.page.busy  # then the page says it
        if status.phase == "dead" and self.notice.is_mounted and not asked:
            self.notice.show(
                f"The model's process ended ({status.detail}). The text is kept.",
                "F5 loads the model again.",
            )
