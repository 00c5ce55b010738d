"""The application: modes, palette, themes, keys, and what every screen shares."""

from __future__ import annotations

import asyncio
import gc
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import events, work
from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen, Screen
from textual.widgets import Input, TextArea

from hfterm.app_keys import KEYS
from hfterm.app_themes import Themed
from hfterm.app_windows import Windows
from hfterm.engine.client import EngineClient, EngineStatus
from hfterm.errors import HftermError
from hfterm.screens.engines import CHAT, EnginePool, Engines
from hfterm.screens.messages import LlmLoaded, ModelLoaded, ModelToOpen, TokenWanted
from hfterm.screens.registry import SCREENS, ScreenEntry
from hfterm.screens.run_watch import RunWatch
from hfterm.screens.session_keeper import KEEP_EVERY, SessionKeeper
from hfterm.screens.start import StartOptions
from hfterm.screens.tour import Tour
from hfterm.screens.workbench import FILLED_WITHIN, WorkbenchScreen
from hfterm.settings import Settings, keymap_problems
from hfterm.system.terminal import ColorDecision, ColorDepth
from hfterm.text import displayable, install_backstop
from hfterm.widgets.alt_keys import let_alt_keys_through
from hfterm.widgets.changed_only import ChangedOnly
from hfterm.widgets.mode_bar import ModeWord
from hfterm.widgets.palettes import Palettes
from hfterm.widgets.terminal_clipboard import TerminalClipboard

if TYPE_CHECKING:
    from hfterm.chat.types import LlmInfo
    from hfterm.models.types import LoadedInfo
    from hfterm.system.samples import Sampler, SystemSample
    from hfterm.training.store import Run

SAMPLE_EVERY = 5.0
"""Seconds between two looks at the machine; the status bar repaints only what changed."""

LEAVING = {"escape", "ctrl+q", *(f"alt+{at}" for at in range(1, len(SCREENS) + 1))}
"""Keys that need nothing of a screen."""

MADE_WITHIN = 1.0
"""Seconds that another screen waits for a window that is being made, at most."""


class HftermApp(Themed, Windows, TerminalClipboard, ChangedOnly, Palettes):
    """The workbench."""

    TITLE = "hfterm"
    alone = False
    """Whether the process is this application's alone, as it is but for tests."""

    DEFAULT_MODE = SCREENS[0].mode
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = True

    BINDINGS: ClassVar[list[BindingType]] = KEYS

    def __init__(
        self,
        settings: Settings | None = None,
        start: StartOptions | None = None,
        *,
        color: ColorDecision | None = None,
        problems: Sequence[str] = (),
        mode: str = SCREENS[0].mode,
        session: SessionKeeper | None = None,
    ) -> None:
        install_backstop()
        let_alt_keys_through()
        self.shallow = color is not None and color.depth <= ColorDepth.COLORS_16
        # the screen that is asked for is the first: another would be made, only to be left
        self.DEFAULT_MODE = mode  # pyright: ignore[reportConstantRedefinition, reportAttributeAccessIssue]
        super().__init__(ansi_color=True if self.shallow else None)
        self.settings = settings or Settings()
        self._start = start or StartOptions()
        self._problems = list(problems)
        self._sampler: Sampler | None = None
        self._filled = asyncio.Event()
        self.engine = EngineClient(on_status=self._engine_status)
        self.model_engine = EngineClient("model", self._model_engine_status, warm=False)
        self.chat_engines = EnginePool(self._chat_engine_status)
        self.keeper = session or SessionKeeper(None)
        self.tour = Tour(offered=self.keeper.first_time)
        self.loaded: LoadedInfo | None = None
        self.llm: LlmInfo | None = None
        self._runs_fault = ""
        self.run_watch = RunWatch(self._runs_changed, lambda: self.current_mode == "train")
        words = [(entry.mode, entry.title) for entry in SCREENS]
        for entry in SCREENS:
            self.add_mode(entry.mode, partial(self._make_screen, entry, words))
        self._problems += self.set_theme()
        self._set_keys()

    def on_runs_touched(self) -> None:
        """Something was done to runs: look at them at once."""
        self.run_watch.look()

    def _runs_changed(self, runs: list[Run], ended: list[Run]) -> None:
        from hfterm.widgets.training_words import ending

        for screen in self._workbench_screens():
            try:
                screen.runs_changed(runs)
            except Exception as error:  # noqa: BLE001 - else nobody watches the runs any more
                if repr(error) != self._runs_fault:  # an active run changes every second
                    self._runs_fault = repr(error)
                    self.say_fault(error)
        if ended:
            self.bell()
        for run in ended:
            text, severity = ending(run)
            self.notify(displayable(text), title="Run", severity=severity, timeout=12, markup=False)

    @work(group="runs", exit_on_error=False)
    async def _watch_runs(self) -> None:
        await self.run_watch.watch()

    def _make_screen(self, entry: ScreenEntry, words: Sequence[tuple[str, str]]) -> Screen[None]:
        engines = Engines(self.engine, self.model_engine, self.chat_engines)
        start, place = self.keeper.start_of(entry.mode, self.DEFAULT_MODE, self._start)
        screen = entry.make(engines, words, start)
        screen.remembered = place
        screen.recent = self.keeper.recent
        return screen

    def get_key_display(self, binding: Binding) -> str:
        """A key as the screen names it: function keys in capitals, as on the keyboard."""
        shown = super().get_key_display(binding)
        return shown.upper() if re.fullmatch(r"f\d+", shown) else shown

    # -- starting --------------------------------------------------------------------------

    async def on_mount(self) -> None:
        """The first screen and its first frame; everything else comes after that."""
        self.call_after_refresh(self._first_frame)

    async def _first_frame(self) -> None:
        self._watch_runs()
        if self.current_mode == "train":  # which tab it opens is the runs' to say
            await self.run_watch.looked.wait()
        self._start_engine()
        try:
            for screen in self._workbench_screens():
                if screen.is_mounted:  # else a key was quicker, and `action_mode` fills it
                    await screen.fill_once()
        except Exception as error:  # noqa: BLE001 - each start would end with the same session
            self.say_fault(error)
        finally:
            self._filled.set()
        for problem in self._problems:
            self.notify(displayable(problem), title="Settings", severity="warning", timeout=12,
                        markup=False)  # fmt: skip
        self._say_gone()
        self._show_tour()
        if self.alone and self.is_running:  # else it is ended by now
            from hfterm.widgets.quiet_collection import QuietCollection

            # what start-up made stays: not looking at it again keeps collections short
            gc.collect()
            gc.freeze()
            self.set_interval(SAMPLE_EVERY, QuietCollection(lambda: self.last_key).look)
            self.watch_for_freezes(SAMPLE_EVERY)
        self.set_timer(0.5, self._sample)
        self.set_interval(SAMPLE_EVERY, self._sample)
        if self.keeper.file is not None:
            self.set_interval(KEEP_EVERY, self._keep_session)

    def _show_tour(self) -> None:
        for screen in self._workbench_screens():
            screen.show_tour(self.tour.line, self.tour.offer)

    def action_tour(self) -> None:
        """The next line of the tour."""
        self.tour.next()
        self._show_tour()

    def action_skip_tour(self) -> None:
        """No more of the tour."""
        self.tour.skip()
        self._show_tour()

    def _say_gone(self) -> None:
        """What was open last time and is not there any more."""
        for name in self.keeper.gone:
            self.notify(
                f"{displayable(name)} was open last time, and is gone.",
                severity="warning",
                markup=False,
            )
        self.keeper.gone.clear()

    @work(group="session", exit_on_error=False)
    async def _keep_session(self) -> None:
        if self.workbench is not None:
            self.keeper.note(self.workbench)
            self.workbench.recent = self.keeper.recent
        await self.keeper.keep()
        if self.keeper.problem:
            self.notify(displayable(self.keeper.problem), severity="warning", markup=False)
            self.keeper.problem = ""

    @work(group="engine", exit_on_error=False)
    async def _start_engine(self) -> None:
        await self.engine.start()

    def _set_keys(self) -> None:
        if not self.settings.keymap:
            return
        known = {binding.id for binding in self.every_binding() if binding.id}
        self._problems += keymap_problems(self.settings.keymap, known)
        self.set_keymap({k: v for k, v in self.settings.keymap.items() if k in known})

    @classmethod
    def every_binding(cls) -> list[Binding]:
        """All bindings there are, of the application, its screens and their widgets."""
        from hfterm.screens.bindings import all_bindings

        return all_bindings(cls)

    def takes(self, event: events.Key | events.Paste) -> bool:
        """On a screen that is being filled keys wait for it, but for those that leave it."""
        screen = self.screen
        if not isinstance(screen, WorkbenchScreen):
            return super().takes(event)
        if isinstance(event, events.Paste) or event.is_printable:
            return screen.takes_letters
        return screen.settled or event.key in LEAVING

    # -- engine and machine -------------------------------------------------------------------

    def _engine_status(self, status: EngineStatus) -> None:
        for screen in self._workbench_screens():
            screen.engine_changed(status)

    def _model_engine_status(self, status: EngineStatus) -> None:
        if status.phase in ("dead", "off"):
            self._show_loaded(None)
        for screen in self._workbench_screens():
            screen.model_engine_changed(status)

    def on_model_loaded(self, event: ModelLoaded) -> None:
        """A screen loaded a model, or let it go: every screen says so."""
        self._show_loaded(event.info)

    def _show_loaded(self, info: LoadedInfo | None) -> None:
        self.loaded = info
        for screen in self._workbench_screens():
            screen.loaded_changed(info)

    def _chat_engine_status(self, name: str, status: EngineStatus) -> None:
        if name == CHAT and status.phase in ("dead", "off"):
            self._show_llm(None)

    def on_llm_loaded(self, event: LlmLoaded) -> None:
        """Chat loaded a language model, or let it go: every screen says so."""
        self._show_llm(event.info)

    def _show_llm(self, info: LlmInfo | None) -> None:
        self.llm = info
        for screen in self._workbench_screens():
            screen.llm_changed(info)

    @work(thread=True, group="sample", exclusive=True, exit_on_error=False)
    def _sample(self) -> None:
        if self._sampler is None:
            from hfterm.system.samples import Sampler

            self._sampler = Sampler()
        self.call_from_thread(self._show_sample, self._sampler.sample())

    def _show_sample(self, sample: SystemSample) -> None:
        if isinstance(self.screen, ModalScreen):
            return  # whatever changes under a window has all of the screen drawn anew
        for screen in self._workbench_screens():
            screen.machine_changed(sample)

    async def action_quit(self) -> None:
        """End the engine, then the application."""
        with suppress(TimeoutError):
            # a screen that closes while it is being filled looks for what is gone already
            await asyncio.wait_for(self._filled.wait(), FILLED_WITHIN)
        try:
            if self.workbench is not None:
                self.keeper.note(self.workbench)
            await self.keeper.keep()
            await self._close_engines()
        finally:
            self.exit()

    async def on_unmount(self) -> None:
        """However the application ends, no process stays behind."""
        await self._close_engines()
        self.unwatch_freezes()

    async def _close_engines(self) -> None:
        await self.engine.close()
        await self.model_engine.close()
        await self.chat_engines.close()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """A cursor that blinks writes for ever: over a slow line an idle screen is silent."""
        if isinstance(event.widget, Input):
            event.widget.cursor_blink = False

    # -- actions -------------------------------------------------------------------------------

    async def action_mode(self, mode: str) -> None:
        """Switch to a screen; one that is new is filled once it is painted."""
        if self.current_mode == mode:
            return
        if self.workbench is not None:
            self.keeper.note(self.workbench)
        # a palette that is being made looks for the screen under it among those of the mode
        with suppress(TimeoutError):
            await asyncio.wait_for(self.screen._mounted_event.wait(), MADE_WITHIN)  # pyright: ignore[reportPrivateUsage]
        await self.switch_mode(mode)
        self._say_gone()
        bench = self.workbench
        if bench is not None:
            bench.recent = self.keeper.recent
            bench.engine_changed(self.engine.status)
            bench.loaded_changed(self.loaded)
            bench.llm_changed(self.llm)
            bench.runs_changed(self.run_watch.runs)
            self.run_watch.look()
            bench.call_after_refresh(self._fill, bench)

    async def _fill(self, bench: WorkbenchScreen) -> None:
        await bench.fill_once()
        bench.show_tour(self.tour.line, self.tour.offer)

    async def on_token_wanted(self, event: TokenWanted) -> None:
        """A screen's text is looked at with the tokenizer."""
        await self.action_mode("tokenize")
        if self.workbench is not None:
            await self.workbench.fill_once()
            self.workbench.open_text(event.ref, event.text, event.offset)

    async def on_model_to_open(self, event: ModelToOpen) -> None:
        """A model is opened on another screen."""
        await self.action_mode(event.mode)
        if self.workbench is not None:
            await self.workbench.fill_once()
            if event.text:
                self.workbench.open_text(event.ref, event.text, event.offset)
            elif event.against:
                await self.workbench.open_against(event.ref, event.against)
            else:
                self.workbench.open_for(event.ref, event.task)

    async def on_mode_word_chosen(self, event: ModeWord.Chosen) -> None:
        """A screen's name was clicked."""
        await self.action_mode(event.mode)

    def action_copy(self) -> None:
        """Copy what is focused."""
        from hfterm.widgets.copying import copyable_text

        text = copyable_text(self.focused) or (self.workbench.copy_text() if self.workbench else "")
        if not text:
            self.notify("There is nothing to copy here.", severity="warning")
            return
        self.copy_to_clipboard(text)

    @work(group="engine", exit_on_error=False)
    async def action_restart(self) -> None:
        """Start a dead engine again; a living one is asked again."""
        if self.engine.status.phase in ("dead", "off"):
            await self.engine.start()
        if self.workbench is not None:
            self.workbench.again()

    def action_leave(self) -> None:
        """Stop long work; else go from a text field to what it fills."""
        bench = self.workbench
        if bench is not None and (bench.stop_work() or bench.leave()):
            return
        if not isinstance(self.focused, Input | TextArea):
            return
        for _ in range(len(self.screen.focus_chain)):
            if not isinstance(self.screen.focus_next(), Input | TextArea):
                return

    @work(group="starter", exclusive=True, exit_on_error=False)
    async def install_starter(self) -> None:
        """Bring what is missing of the starter kit, in the background."""
        from hfterm.engine.requests import InstallStarter

        self.notify("Downloading the starter kit in the background.")
        try:
            await self.engine.call(InstallStarter(names=[]))
        except HftermError as error:
            self.notify(str(error), title="Starter kit", severity="error", timeout=12, markup=False)
            return
        self.notify("The starter kit is complete.")

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette: the screen's own actions, then the application's."""
        from hfterm.palette import commands

        yield from commands(self, screen, self.workbench, self.install_starter)
