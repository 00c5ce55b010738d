"""What every screen of the workbench is: a line of modes, its own widgets, two lines below."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen, Screen

from hfterm.engine.client import EngineStatus
from hfterm.screens.engines import Engines
from hfterm.screens.messages import ScreenCommand, Thing
from hfterm.session.types import Place, Recent
from hfterm.widgets.key_line import KeyLine
from hfterm.widgets.mode_bar import ModeBar
from hfterm.widgets.status_bar import StatusBar
from hfterm.widgets.tour_line import TourLine

if TYPE_CHECKING:
    from hfterm.chat.types import LlmInfo
    from hfterm.models.types import LoadedInfo
    from hfterm.system.samples import SystemSample
    from hfterm.training.store import Run
    from hfterm.widgets.data_grid import GridSource
    from hfterm.widgets.modals import Modal
    from hfterm.widgets.tab_page import TabPage

FILLED_WITHIN = 3.0
"""Seconds that whoever needs a screen filled waits for it, at most."""


class PageTabs(Protocol):
    """The tabs of a screen, whatever pages they hold."""

    @property
    def page(self) -> TabPage | None:
        """The page in sight."""
        ...

    def step(self, by: int) -> None:
        """Go to a tab next to this one."""
        ...

    def go_to(self, number: int) -> None:
        """Go to a tab by its number."""
        ...


class WorkbenchScreen(Screen[None]):
    """Base of the screens. Subclasses yield their widgets in `body`."""

    MODE: ClassVar[str] = ""
    COMMANDS_HERE: ClassVar[Sequence[ScreenCommand]] = ()

    def __init__(self, engines: Engines, modes: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self.settled = False
        self.remembered = Place()
        self.recent: Sequence[Recent] = ()
        self.engine = engines.tokenizers
        self.model_engine = engines.model
        self.loaded: LoadedInfo | None = None
        self.llm: LlmInfo | None = None
        self._modes = modes
        self._filling = False
        self._filled = asyncio.Event()

    def compose(self) -> ComposeResult:
        """What the first frame shows; its two lowest lines are filled right after it."""
        yield ModeBar(self._modes, self.MODE)
        yield from self.body()
        yield Vertical(id="foot")

    def body(self) -> ComposeResult:
        """The screen's own widgets."""
        yield from ()

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """The keys in one order, whatever has the focus: none moves about in the footer."""
        owners = (self.BINDINGS, self.app.BINDINGS)
        order = [key.id for keys in owners for key in keys if isinstance(key, Binding)]
        active = super().active_bindings

        def place(key: str) -> int:
            id_ = active[key].binding.id
            return order.index(id_) if id_ in order else -1

        return {key: active[key] for key in sorted(active, key=place)}

    async def fill_once(self) -> None:
        """Fill the screen the first time it is in sight."""
        if self._filling:  # whoever asks waits for who was first, but not for ever
            with suppress(TimeoutError):
                await asyncio.wait_for(self._filled.wait(), FILLED_WITHIN)
            return
        self._filling = True
        try:
            await self.fill()
            if self.remembered != Place():
                await self.restore(self.remembered)
        finally:  # whatever it could not remember
            self.settled = True
            self._filled.set()

    @property
    def takes_letters(self) -> bool:
        """Whether what is typed goes where it will go: earlier, letters would be keys."""
        if self.focused is not None:
            return True
        return self.settled and (self.tabs() is None or self.page is not None)

    async def fill(self) -> None:
        """Mount what need not be in the first frame, once that is painted."""
        await self.query_one("#foot").mount(TourLine(), StatusBar(), KeyLine())
        self.query_one(StatusBar).show_engine(self.engine.status)
        self.query_one(StatusBar).show_loaded(self.loaded)
        self.query_one(StatusBar).show_llm(self.llm)
        # a footer that comes after the bindings were announced waits for their next change
        self.call_after_refresh(self.refresh_bindings)

    def show_tour(self, line: str, offer: str) -> None:
        """A line of the tour above the status bar, or in it that there is one; none when empty."""
        for tour in self.query(TourLine):
            tour.show(line)
        for bar in self.query(StatusBar):
            bar.show_offer(offer)

    @property
    def log_file(self) -> Path:
        """What the libraries of the engine that this screen uses print."""
        return self.engine.log_file

    # -- its tabs ------------------------------------------------------------------------------

    def tabs(self) -> PageTabs | None:
        """The tabs, once they are there; None on a screen without."""
        return None

    @property
    def page(self) -> TabPage | None:
        """The page in sight."""
        tabs = self.tabs()
        return tabs.page if tabs is not None else None

    def action_tab(self, by: int) -> None:
        """Go to a tab next to this one."""
        tabs = self.tabs()
        if tabs is not None:
            tabs.step(by)

    def action_go_to_tab(self, number: int) -> None:
        """Go to a tab by its number."""
        tabs = self.tabs()
        if tabs is not None:
            tabs.go_to(number)

    # -- where the user is -----------------------------------------------------------------------

    def place(self) -> Place:
        """What is to be found again at the next start."""
        return Place(tab=self.tab_title)

    async def restore(self, place: Place) -> None:
        """Go where the user was; the model and the text are there already."""
        self.go_to_title(place.tab)

    @property
    def tab_title(self) -> str:
        """The tab in sight, by its name; empty when that is the first."""
        from textual.widgets import Tab, Tabs

        for tabs in self.query(Tabs):
            first = next(iter(tabs.query(Tab)), None)
            if tabs.active_tab is not None and tabs.active_tab is not first:
                return str(tabs.active_tab.label)
        return ""

    def go_to_title(self, title: str) -> None:
        """Go to a tab by its name; one that there is no more is left alone."""
        from textual.widgets import Tab, Tabs

        for tabs in self.query(Tabs):
            titles = [str(tab.label) for tab in tabs.query(Tab)]
            if title in titles:
                self.action_go_to_tab(titles.index(title))

    @property
    def recent_refs(self) -> list[str]:
        """The models and files that were open lately."""
        return [each.ref for each in self.recent]

    @property
    def modes(self) -> Sequence[tuple[str, str]]:
        """(mode, title) of every screen."""
        return self._modes

    def thing(self) -> Thing | None:
        """What is open here, as another screen can take it; None when nothing is."""
        return None

    def open_window(self) -> Modal[Message | None] | None:
        """The window that says where to open what is open here; None when nothing is."""
        from hfterm.screens.open_in import OpenIn

        thing = self.thing()
        if thing is None and not self.recent:
            return None
        return OpenIn(thing, self.MODE, self._modes, self.recent)

    # -- what the application's actions ask of a screen ------------------------------------

    def code(self) -> str:
        """The Python that reproduces what is shown; empty when there is nothing."""
        return self.page.code() if self.page is not None else ""

    @property
    def script_name(self) -> str:
        """What a saved script is called; no module of Python's own has such a name."""
        return f"hfterm_{self.MODE}.py"

    def copy_text(self) -> str:
        """What `y` copies when the focused widget has nothing of its own."""
        return ""

    def exported(self) -> tuple[str, GridSource] | None:
        """(name, table) of what is shown, for export; None when there is nothing."""
        return self.page.exported() if self.page is not None else None

    def export_window(self) -> ModalScreen[None] | None:
        """The window that asks where to write; None when there is nothing to export."""
        table = self.exported()
        if table is None:
            return None
        from hfterm.widgets.exporting import ExportModal

        return ExportModal(*table)

    def open_text(self, ref: str, text: str, offset: int) -> None:
        """Show a text with another model, and what is at a character of it, where there is one."""
        self.open_model(ref)

    def open_model(self, ref: str) -> None:
        """Use another model."""

    def open_for(self, ref: str, task: str) -> None:
        """Use another model for a task, where the screen has several; else only open it."""
        self.open_model(ref)

    async def open_against(self, ref: str, other: str) -> None:
        """Compare a model with another, where the screen can; else only open it."""
        self.open_model(ref)

    def runs_changed(self, runs: Sequence[Run]) -> None:
        """The runs of this machine changed."""
        for bar in self.query(StatusBar):
            bar.show_runs(runs)

    def stop_work(self) -> bool:
        """Stop what the page does. False when it does nothing."""
        return self.page is not None and self.page.stop()

    def leave(self) -> bool:
        """Go from a text field to what it fills. False when the screen does not know where."""
        return False

    def again(self) -> None:
        """Ask the engine again for what is shown."""

    def engine_changed(self, status: EngineStatus) -> None:
        """The engine's state changed."""
        for bar in self.query(StatusBar):
            bar.show_engine(status)

    def model_engine_changed(self, status: EngineStatus) -> None:
        """The state of the engine that holds the model changed."""

    def loaded_changed(self, info: LoadedInfo | None) -> None:
        """Another model is loaded, or none."""
        self.loaded = info
        for bar in self.query(StatusBar):
            bar.show_loaded(info)

    def llm_changed(self, info: LlmInfo | None) -> None:
        """Another language model answers in Chat, or none."""
        self.llm = info
        for bar in self.query(StatusBar):
            bar.show_llm(info)

    def machine_changed(self, sample: SystemSample) -> None:
        """The machine's load was sampled."""
        for bar in self.query(StatusBar):
            bar.show_machine(sample)
