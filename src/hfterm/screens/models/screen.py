"""The Models screen: what a model is, what can be done with it, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import msgspec
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Static

from hfterm.engine.model_requests import DescribeModel, ListArchitectures
from hfterm.engine.requests import InstallStarter, ListModels
from hfterm.errors import HftermError
from hfterm.hub import starter
from hfterm.job import Progress
from hfterm.models.types import ModelOverview, ModelSpec
from hfterm.screens.asking_code import REMOTE_CODE, allowed
from hfterm.screens.engines import Engines
from hfterm.screens.messages import ScreenCommand, Thing
from hfterm.screens.models.model_list import ModelList
from hfterm.screens.models.subject import ClassChosen, LabelsWanted, ModelPage, ModelSubject
from hfterm.screens.start import StartOptions
from hfterm.screens.workbench import WorkbenchScreen
from hfterm.session.types import Place
from hfterm.sizes import size_text
from hfterm.text import elide_middle, foreign
from hfterm.widgets.job_line import JobLine
from hfterm.widgets.mode_bar import ModeBar
from hfterm.widgets.notice import Notice
from hfterm.widgets.tabbed_pages import TabbedPages, TabEntry

if TYPE_CHECKING:
    from hfterm.engine.client import EngineStatus
    from hfterm.models.types import LoadedInfo

TITLES = ("Classes", "Config", "Parameters", "Memory", "LoRA", "Compare", "Load")
LOAD = TITLES.index("Load")

WIDE = 132
"""Columns from which the list stands beside the model."""


class ModelsScreen(WorkbenchScreen):
    """A list on the left where there is room, a model and its tabs on the right."""

    MODE: ClassVar[str] = "models"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]  # noqa: RUF012
    CSS_PATH = "screen.tcss"

    HELP = """\
# Models
Open a starter model, a folder, a hub id, an architecture (`bert`, `llama`, `t5` …) or a
`config.json`, and see which classes it can be, what is in it and what it costs. Nothing is loaded
until you say so on the Load tab. `F6` goes to the list, `F3` `F4` (or `[` `]`) through the tabs.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f6", "list", "Model", key_display="F6", priority=True, id="models.list",
                tooltip="The list of models and architectures"),
        Binding("m", "list", "Model", show=False, id="models.list-letter",
                tooltip="The list of models (while no text is being typed)"),
        Binding("f7", "load", "Load", key_display="F7", priority=True, id="models.load",
                tooltip="Load the chosen class: dtype, quantization, device"),
        Binding("f3,left_square_bracket", "tab(-1)", "Tab before", show=False,
                id="models.previous-tab", tooltip="The tab before this one"),
        Binding("f4,right_square_bracket", "tab(1)", "Next tab", key_display="F4",
                id="models.next-tab", tooltip="The next tab"),
    ]  # fmt: skip

    COMMANDS_HERE: ClassVar[Sequence[ScreenCommand]] = tuple(
        ScreenCommand(f"Models: {title}", f"The {title} tab", f"go_to_tab({n})")
        for n, title in enumerate(TITLES)
    )

    def __init__(
        self, engines: Engines, modes: Sequence[tuple[str, str]], start: StartOptions
    ) -> None:
        super().__init__(engines, modes)
        ref = start.model or ("minilm" if starter.starter_path("minilm") else "bert")
        self._wanted = ModelSpec(ref=ref, auto="")
        self.subject: ModelSubject | None = None
        self.job = JobLine()
        self.notice = Notice()

    # -- layout --------------------------------------------------------------------------

    def body(self) -> ComposeResult:
        """The list and the frame of the model."""
        with Horizontal(id="models-body"):
            listing = ModelList(id="models-list", classes="panel")
            listing.border_title = "Models"
            yield listing
            panel = Vertical(id="model-panel", classes="panel")
            panel.border_title = "Model"
            yield panel

    async def fill(self) -> None:
        """Facts and tabs, and then the model."""
        await self.query_one("#model-panel").mount(
            Static("", id="model-facts", markup=False),
            self.job,
            self.notice,
            TabbedPages[ModelPage](self._entries(), id="model-pages"),
        )
        self.query_one("#model-pages Tabs").focus()
        self._describe()
        self._list()
        await super().fill()

    def _entries(self) -> list[TabEntry[ModelPage]]:
        def classes(id_: str) -> ModelPage:
            from hfterm.screens.models.classes import ClassesPage

            return ClassesPage(self.engine, id=id_)

        def config(id_: str) -> ModelPage:
            from hfterm.screens.models.config import ConfigPage

            return ConfigPage(self.engine, id=id_)

        def parameters(id_: str) -> ModelPage:
            from hfterm.screens.models.parameters import ParametersPage

            return ParametersPage(self.engine, id=id_)

        def memory(id_: str) -> ModelPage:
            from hfterm.screens.models.memory import MemoryPage

            return MemoryPage(self.engine, id=id_)

        def lora(id_: str) -> ModelPage:
            from hfterm.screens.models.lora import LoraPage

            return LoraPage(self.engine, id=id_)

        def compare(id_: str) -> ModelPage:
            from hfterm.screens.models.compare import ComparePage

            return ComparePage(self.engine, id=id_)

        def load(id_: str) -> ModelPage:
            from hfterm.screens.models.load import LoadPage

            return LoadPage(self.model_engine, id=id_)

        makers = (classes, config, parameters, memory, lora, compare, load)
        return [TabEntry(title, make) for title, make in zip(TITLES, makers, strict=True)]

    def tabs(self) -> TabbedPages[ModelPage] | None:
        """The tabs, once they are there."""
        return next(iter(self.query("#model-pages").results(TabbedPages)), None)

    # -- asking the engine -----------------------------------------------------------------

    @work(group="list", exclusive=True, exit_on_error=False)
    async def _list(self) -> None:
        listing = self.query_one(ModelList)
        try:
            known = await self.engine.call(ListModels())
            listing.show(known, [])
            listing.show(known, await self.engine.call(ListArchitectures()))
        except HftermError:
            return  # what is wrong with the engine is said where the model is described

    @work(group="describe", exclusive=True, exit_on_error=False)
    async def _describe(self) -> None:
        """Describe what is wanted and show it; what fails leaves the screen as it was."""
        spec = self._wanted
        self.notice.clear()
        self.job.show(Progress(f"looking at {spec.ref}"))
        try:
            if starter.is_starter(spec.ref) and starter.starter_path(spec.ref) is None:
                await self.engine.call(InstallStarter(names=[spec.ref]), self._progress)
            overview = await self.engine.call(DescribeModel(spec=spec), self._progress)
        except HftermError as error:
            if error.kind == REMOTE_CODE and await allowed(self.app, error):
                self._wanted = msgspec.structs.replace(spec, allow_code=True)
                self._describe()
                return
            if self.subject is not None:
                self._wanted = self.subject.spec
            self.notice.show_error(error)
            return
        finally:
            self.job.clear()
        self.notice.clear()
        auto = spec.auto if overview.of(spec.auto) else _auto_of(overview)
        spec = msgspec.structs.replace(spec, auto=auto)
        self._wanted = spec
        self._show(ModelSubject(spec, overview))

    def _progress(self, progress: Progress) -> None:
        self.job.show(progress)

    def _show(self, subject: ModelSubject) -> None:
        self.subject = subject
        overview = subject.overview
        name = elide_middle(subject.spec.ref, 40)
        self.query_one(ModeBar).show_subject(
            subject.spec.ref, f"{overview.model_type} · {overview.family}"
        )
        panel = self.query_one("#model-panel")
        panel.border_title = foreign(name)
        report = overview.of(subject.spec.auto)
        panel.border_subtitle = foreign(
            f"{report.auto} → {report.concrete}" if report else subject.cls
        )
        source = overview.source
        facts = [
            overview.model_type, overview.family,
            f"{overview.parameters:,} parameters" if overview.parameters else "",
            overview.dtype,
        ]  # fmt: skip
        if source.weights == "none":
            facts.append("no weights")
        else:
            form = "" if source.weights == "safetensors" else f"{source.weights} "
            facts.append(f"{form}{size_text(source.size)}")
        facts.append(f"{overview.limit:,} positions" if overview.limit else "relative positions")
        self.query_one("#model-facts", Static).update(foreign(" · ".join(f for f in facts if f)))
        if overview.notes:
            self.notice.show(overview.notes[0], " ".join(overview.notes[1:]), "note")
        self._show_page()

    @on(TabbedPages.Opened)
    def _show_page(self) -> None:
        if self.page is not None and self.subject is not None:
            self.page.show(self.subject)

    # -- what is chosen ------------------------------------------------------------------------

    @on(ModelList.Wanted)
    def _model_wanted(self, event: ModelList.Wanted) -> None:
        self.open_model(event.ref)
        self.remove_class("-listing")
        if self.tabs() is not None:
            self.query_one("#model-pages Tabs").focus()

    def thing(self) -> Thing | None:
        """The model, when it is one: an architecture alone has nothing to run."""
        ref = self._wanted.ref
        return Thing(ref) if ref else None

    def place(self) -> Place:
        """Model and tab."""
        return Place(ref=self._wanted.ref, tab=self.tab_title)

    def open_model(self, ref: str) -> None:
        """Describe another model."""
        self._wanted = ModelSpec(ref=ref, auto="")
        self._describe()

    async def open_against(self, ref: str, other: str) -> None:
        """The Compare tab, with another model."""
        tabs = self.tabs()
        if tabs is not None:
            page = await tabs.open(TITLES.index("Compare"))
            page.query_one("#compare-with", Input).value = other
        self.open_model(ref)

    @on(ClassChosen)
    def _class_chosen(self, event: ClassChosen) -> None:
        if self.subject is not None:
            spec = msgspec.structs.replace(self.subject.spec, auto=event.auto)
            self._wanted = spec
            self._show(ModelSubject(spec, self.subject.overview))

    @on(LabelsWanted)
    def _labels_wanted(self, event: LabelsWanted) -> None:
        self._wanted = msgspec.structs.replace(self._wanted, num_labels=event.labels)
        self._describe()

    # -- actions ----------------------------------------------------------------------------------

    def action_list(self) -> None:
        """Go to the list; on a narrow terminal it takes the model's place, and gives it back."""
        if self.has_class("-listing"):
            self.remove_class("-listing")
            self.query_one("#model-pages Tabs").focus()
            return
        self.add_class("-listing")
        self.query_one("#models-search").focus()

    def action_tab(self, by: int) -> None:
        """Go to a tab next to this one, from the list too."""
        self.remove_class("-listing")
        super().action_tab(by)

    def action_go_to_tab(self, number: int) -> None:
        """Go to a tab by its number, from the list too."""
        self.remove_class("-listing")
        super().action_go_to_tab(number)

    def action_load(self) -> None:
        """Go to the Load tab, and into its form."""
        self.action_go_to_tab(LOAD)
        self.call_after_refresh(self._into_form)

    def _into_form(self) -> None:
        for choice in self.query("#load-dtype"):
            choice.focus()

    # -- what the application asks ---------------------------------------------------------------

    @property
    def page(self) -> ModelPage | None:
        """The page in sight."""
        tabs = self.tabs()
        return tabs.page if tabs is not None else None

    @property
    def script_name(self) -> str:
        """The tab's name."""
        title = (self.page.id or "").removeprefix("page-").lower() if self.page else "model"
        return f"model_{title}.py"

    def copy_text(self) -> str:
        """The name of the class."""
        return self.subject.cls if self.subject is not None else ""

    def stop_work(self) -> bool:
        """Stop what the page does, or the description."""
        if self.has_class("-listing"):
            self.action_list()
            return True
        if super().stop_work():
            return True
        if self.job.display:
            self.workers.cancel_group(self, "describe")
            self.job.clear()
            self.notice.show("Stopped.", "F5 looks again.", "note")
            return True
        return False

    def again(self) -> None:
        """Look again."""
        if self.subject is None or self.page is None:
            self._describe()
            return
        self._describe()
        self.page.again()

    def engine_changed(self, status: EngineStatus) -> None:
        """When the engine died, say so."""
        super().engine_changed(status)
        if status.phase == "dead" and self.notice.is_mounted:
            self.notice.show(f"The engine process ended ({status.detail}).", "F5 starts it again.")

    def loaded_changed(self, info: LoadedInfo | None) -> None:
        """Another model is loaded, or none."""
        super().loaded_changed(info)
        from hfterm.screens.models.load import LoadPage

        for page in self.query(LoadPage):
            if page.children:  # else it is being opened, and asks by itself
                page.show_loaded(info)


def _auto_of(overview: ModelOverview) -> str:
    """The Auto class of the class that the checkpoint was saved from."""
    found = next((r.auto for r in overview.classes if r.concrete == overview.main), None)
    return found or overview.classes[0].auto
