"""The Train screen: a recipe, the runs of this machine, one of them live, some compared."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input

from hfterm.errors import HftermError
from hfterm.screens.engines import Engines
from hfterm.screens.messages import ScreenCommand, Thing
from hfterm.screens.start import StartOptions
from hfterm.screens.train.page import (
    ForeignWanted,
    Marked,
    PreviewMade,
    RecipeWanted,
    RunsStarted,
    RunsTouched,
    RunWanted,
    TrainPage,
)
from hfterm.screens.workbench import WorkbenchScreen
from hfterm.session.types import Place
from hfterm.widgets.mode_bar import ModeBar
from hfterm.widgets.tabbed_pages import TabbedPages, TabEntry

if TYPE_CHECKING:
    from hfterm.screens.train.compare import ComparePage
    from hfterm.screens.train.monitor import MonitorPage
    from hfterm.screens.train.new import NewPage
    from hfterm.screens.train.preview import PreviewPage
    from hfterm.training.preview_types import Preview
    from hfterm.training.store import Run
    from hfterm.widgets.modals import Modal

TITLES = ("New", "Preview", "Runs", "Monitor", "Compare")
NEW, PREVIEW, RUNS, MONITOR, COMPARE = range(len(TITLES))
SOON = 0.15
"""Seconds after which the Monitor is made behind the table of runs."""


class TrainScreen(WorkbenchScreen):
    """Tabs."""

    MODE: ClassVar[str] = "train"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-low"), (32, "-tall")]  # noqa: RUF012
    CSS_PATH = "screen.tcss"

    HELP = """\
# Train
Fine-tune, LoRA and QLoRA as runs that go on without hfterm. `New` is the recipe, `Preview` its
data, `Runs` all runs of this machine, `Monitor` one of them live, `Compare` several. `F3` `F4` (or
`[` `]`) go through the tabs, `F6` to the runs.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f6", "runs", "Runs", key_display="F6", priority=True, id="train.runs",
                tooltip="The runs of this machine"),
        Binding("f7", "start", "Start", key_display="F7", priority=True, id="train.start",
                tooltip="Start the recipe on the New tab"),
        Binding("alt+q", "queue", "Queue", show=False, id="train.queue", priority=True,
                tooltip="Queue the recipe behind the runs that are active"),
        Binding("alt+w", "save", "Save recipe", show=False, id="train.save", priority=True,
                tooltip="Write the recipe to a file"),
        Binding("ctrl+o", "load", "Open recipe", show=False, id="train.load", priority=True,
                tooltip="Take a recipe from a file"),
        Binding("f3,left_square_bracket", "tab(-1)", "Tab before", show=False,
                id="train.previous-tab", tooltip="The tab before this one"),
        Binding("f4,right_square_bracket", "tab(1)", "Next tab", key_display="F4",
                id="train.next-tab", tooltip="The next tab"),
    ]  # fmt: skip

    COMMANDS_HERE: ClassVar[Sequence[ScreenCommand]] = tuple(
        ScreenCommand(f"Train: {title}", f"The {title} tab", f"go_to_tab({number})")
        for number, title in enumerate(TITLES)
    )

    def __init__(
        self, engines: Engines, modes: Sequence[tuple[str, str]], start: StartOptions
    ) -> None:
        super().__init__(engines, modes)
        self._path = start.watch
        self.pages: TabbedPages[TrainPage] | None = None  # until they are there
        self._seen = False
        self._runs: tuple[Run, ...] = ()
        self._preview: Preview | None = None

    # -- layout --------------------------------------------------------------------------------

    def body(self) -> ComposeResult:
        """The frame."""
        panel = Vertical(id="train-panel", classes="frame")
        panel.border_title = "Train"
        yield panel

    async def fill(self) -> None:
        """The tabs."""
        # who comes back while a run goes on wants to see it, and not wait for the form
        first = MONITOR if any(run.active for run in self._runs) and not self._path else NEW
        pages = TabbedPages[TrainPage](self._entries(), first=first, id="train-pages")
        await self.query_one("#train-panel").mount(pages)
        self.pages = pages
        await super().fill()
        self.query_one("#train-pages Tabs").focus()
        self.runs_changed(self._runs)
        self._import_monitor()
        if self._path:
            await (await self._monitor()).watch_foreign(self._path)
        if self._runs:
            self._come_back()

    @work(group="come-back", exit_on_error=False)
    async def _come_back(self) -> None:
        """Who comes back while a run goes on wants to see it."""
        self._seen = True
        focused = self.focused
        if focused is not None and any(isinstance(a, TrainPage) for a in focused.ancestors):
            return  # who is at work stays there
        active = next((run for run in self._runs if run.active), None)
        if active is not None and self.pages is not None and not self._path:
            await self._watch(active.id)

    @work(thread=True, group="import", exit_on_error=False)
    def _import_monitor(self) -> None:
        """Import what the Monitor needs before anybody asks for it."""
        importlib.import_module("hfterm.screens.train.monitor")

    def _entries(self) -> list[TabEntry[TrainPage]]:
        def new(id_: str) -> TrainPage:
            from hfterm.screens.train.new import NewPage

            return NewPage(self.engine, id=id_)

        def preview(id_: str) -> TrainPage:
            from hfterm.screens.train.preview import PreviewPage

            return PreviewPage(self.engine, id=id_)

        def runs(id_: str) -> TrainPage:
            from hfterm.screens.train.runs import RunsPage

            return RunsPage(self.engine, id=id_)

        def monitor(id_: str) -> TrainPage:
            from hfterm.screens.train.monitor import MonitorPage

            return MonitorPage(self.engine, id=id_)

        def compare(id_: str) -> TrainPage:
            from hfterm.screens.train.compare import ComparePage

            return ComparePage(self.engine, id=id_)

        makers = (new, preview, runs, monitor, compare)
        return [TabEntry(title, make) for title, make in zip(TITLES, makers, strict=True)]

    def tabs(self) -> TabbedPages[TrainPage] | None:
        """The tabs, once they are there."""
        return self.pages

    @property
    def page(self) -> TrainPage | None:
        """The page in sight."""
        return self.pages.page if self.pages is not None else None

    # -- what pages tell -----------------------------------------------------------------------

    @on(TabbedPages.Opened)
    def _opened(self) -> None:
        page = self.page
        if page is None:
            return
        page.show_runs(self._runs)
        self._say()
        if self._preview is not None and page.id == "page-Preview":
            self._preview_page(page).show_preview(self._preview)
        if page.id == "page-Runs" and self._runs:
            self.set_timer(SOON, self._prepare_monitor)

    async def _prepare_monitor(self) -> None:
        """Whoever looks at runs will look into one."""
        assert self.pages is not None
        await self.pages.prepare(MONITOR)

    def _preview_page(self, page: TrainPage) -> PreviewPage:
        from hfterm.screens.train.preview import PreviewPage

        assert isinstance(page, PreviewPage)
        return page

    @on(PreviewMade)
    def _preview_made(self, event: PreviewMade) -> None:
        self._preview = event.preview
        for page in self.query("#page-Preview").results(TrainPage):
            if page.is_mounted:  # else it is shown when the page is
                self._preview_page(page).show_preview(event.preview)

    @on(RunsStarted)
    async def _runs_started(self, event: RunsStarted) -> None:
        self.post_message(RunsTouched())
        await self._watch(event.ids[0])

    @on(RunWanted)
    async def _run_wanted(self, event: RunWanted) -> None:
        await self._watch(event.run_id)

    async def _watch(self, run_id: str) -> None:
        from hfterm.training import store

        monitor = await self._monitor()
        run = next((run for run in self._runs if run.id == run_id), None)
        try:
            monitor.watch_run_of(run or store.find_run(run_id))
        except HftermError as error:
            monitor.notice.show_error(error)
            return
        self._say()
        monitor.board.go_into()

    async def _monitor(self) -> MonitorPage:
        from hfterm.screens.train.monitor import MonitorPage

        assert self.pages is not None
        page = await self.pages.open(MONITOR)
        assert isinstance(page, MonitorPage)
        return page

    @on(ForeignWanted)
    async def _foreign_wanted(self, event: ForeignWanted) -> None:
        monitor = await self._monitor()
        await monitor.watch_foreign(event.path)

    @on(RecipeWanted)
    async def _recipe_wanted(self, event: RecipeWanted) -> None:
        page = await self._new()
        page.fill(event.recipe)

    async def _new(self) -> NewPage:
        assert self.pages is not None
        await self.pages.open(NEW)
        return await self._new_page()

    async def _new_page(self) -> NewPage:
        """The form, in sight or not."""
        from hfterm.screens.train.new import NewPage

        assert self.pages is not None
        await self.pages.prepare(NEW)
        return self.query_one(NewPage)

    @on(Marked)
    async def _marked(self, event: Marked) -> None:
        if not event.show:
            return
        assert self.pages is not None
        page = await self.pages.open(COMPARE)
        page.query_one("#runs-compare-chart").focus()
        self._compare_page(page).compare(event.ids, self._runs)

    def _compare_page(self, page: TrainPage) -> ComparePage:
        from hfterm.screens.train.compare import ComparePage

        assert isinstance(page, ComparePage)
        return page

    def _say(self) -> None:
        active = sum(run.active for run in self._runs)
        count = len(self._runs)
        told = f"{count:,} run{'' if count == 1 else 's'}"
        told += f" · {active} active" if active else ""
        panel = self.query_one("#train-panel")
        if panel.border_subtitle != told:  # setting it draws all that is in the panel
            panel.border_subtitle = told
            self.query_one(ModeBar).show_subject("Train", told)

    # -- actions -------------------------------------------------------------------------------

    async def action_runs(self) -> None:
        """Go to the table of runs."""
        if self.pages is not None:
            page = await self.pages.open(RUNS)
            page.query_one("#runs-grid").focus()

    async def action_start(self) -> None:
        """Start the recipe."""
        (await self._new()).run()

    async def action_queue(self) -> None:
        """Queue the recipe."""
        (await self._new()).queue()

    async def action_save(self) -> None:
        """Write the recipe to a file."""
        (await self._new()).save()

    async def action_load(self) -> None:
        """Take a recipe from a file."""
        (await self._new()).load()

    # -- what the application asks -------------------------------------------------------------

    def runs_changed(self, runs: Sequence[Run]) -> None:
        """Other runs, or in another state."""
        super().runs_changed(runs)
        self._runs = tuple(runs)
        if self.pages is None:
            return
        if not self._seen and runs:
            self._come_back()
        self._say()
        page = self.page
        if page is not None and page.children:
            page.show_runs(runs)

    def open_window(self) -> Modal[Message | None] | None:
        """What can be done with the run that is chosen; else as everywhere."""
        from hfterm.screens.train.after import AfterModal
        from hfterm.screens.train.run_actions import RunPage

        page = self.page
        if isinstance(page, RunPage) and page.current is not None:
            return AfterModal(page.current, self.engine, self.modes)
        return super().open_window()

    def thing(self) -> Thing | None:
        """The model of the form."""
        ref = next((field.value for field in self.query("#recipe-model-ref").results(Input)), "")
        return Thing(ref) if ref else None

    def place(self) -> Place:
        """The form, the run in the Monitor, and the tab."""
        from hfterm.screens.train.monitor import MonitorPage
        from hfterm.screens.train.new import NewPage

        # a form whose fields are being made, or taken away, is as it was remembered
        ends = ("#recipe-task", "#recipe-also")
        made = (page for page in self.query(NewPage) if all(page.query(end) for end in ends))
        recipe = next((page.draft() for page in made), self.remembered.recipe)
        monitor = next(iter(self.query(MonitorPage)), None)
        run = monitor.current if monitor is not None else None
        return Place(tab=self.tab_title, recipe=recipe, run=run.id if run is not None else "")

    async def restore(self, place: Place) -> None:
        """The form as it was left; the Monitor of a run that goes on comes before any tab."""
        if place.recipe:
            page = await self._new_page()
            page.take_draft(place.recipe)
        if self._path or any(run.active for run in self._runs):
            return
        if place.run and place.tab == TITLES[MONITOR]:
            if any(run.id == place.run for run in self._runs):
                await self._watch(place.run)
            return
        await super().restore(place)

    def open_model(self, ref: str) -> None:
        """Train another model."""
        self.run_worker(self._train(ref), group="open-model", exclusive=True, exit_on_error=False)

    async def _train(self, ref: str) -> None:
        page = await self._new()
        page.query_one("#recipe-model-ref", Input).value = ref

    @property
    def script_name(self) -> str:
        """The recipe's."""
        return "train_run.py"

    def copy_text(self) -> str:
        """The recipe, on the New tab."""
        from hfterm.screens.train.new import NewPage

        return self.page.copy_text() if isinstance(self.page, NewPage) else ""

    def again(self) -> None:
        """Ask again."""
        if self.page is not None:
            self.page.again()
