"""What the screens are that run a loaded model on a text: Predict and Attention."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from textual import on, work
from textual.timer import Timer

from hfterm.engine.requests import ListModels, ReadDocument
from hfterm.errors import HftermError
from hfterm.hub import starter
from hfterm.models.types import ModelSpec
from hfterm.paths import full_path
from hfterm.screens.asking_code import CodeNeeded, allowed
from hfterm.screens.engines import Engines
from hfterm.screens.messages import ModelLoaded, Thing
from hfterm.screens.start import StartOptions
from hfterm.screens.workbench import WorkbenchScreen
from hfterm.session.types import Place
from hfterm.widgets.mode_bar import ModeBar
from hfterm.widgets.notice import Notice
from hfterm.widgets.tab_page import TabPage
from hfterm.widgets.tabbed_pages import TabbedPages
from hfterm.widgets.text_panel import TextPanel

if TYPE_CHECKING:
    from hfterm.models.types import LoadedInfo

LIVE = 0.35
"""Seconds without a key after which the model runs again, once it is loaded."""


class ModelScreen(WorkbenchScreen):
    """A text, a model and how it is loaded. Subclasses say what running is."""

    def __init__(
        self, engines: Engines, modes: Sequence[tuple[str, str]], start: StartOptions, sample: str
    ) -> None:
        super().__init__(engines, modes)
        self.most = start.max_editor_chars
        ref = start.model or ("minilm" if starter.starter_path("minilm") else "")
        self.spec = self.spec_of(ref)
        self.text = sample if start.text is None else start.text
        self._sample = sample
        self._run_wanted = False
        self._timer: Timer | None = None

    # -- what a subclass says --------------------------------------------------------------------

    def spec_of(self, ref: str) -> ModelSpec:
        """A model as this screen loads it unless the user says how."""
        raise NotImplementedError

    @property
    def error_notice(self) -> Notice:
        """Where what goes wrong is said."""
        raise NotImplementedError

    def tabs(self) -> TabbedPages[TabPage] | None:
        """The tabs, once they are there."""
        return next(iter(self.query("TabbedPages").results(TabbedPages)), None)

    def action_run(self) -> None:
        """Run the model."""
        raise NotImplementedError

    def follows(self) -> bool:
        """Whether what is shown follows the typing now."""
        return bool(self.text.strip())

    def outdated(self) -> None:
        """Another model: what is shown is about the one before."""

    def spec_shown(self) -> None:
        """Say on the screen which model it is about."""

    # -- the model and the text ------------------------------------------------------------------

    def on_mount(self) -> None:
        """Start with the text."""
        self.panel.show(self.text)
        self.panel.describe(None)
        self.panel.editor.focus()

    @property
    def panel(self) -> TextPanel:
        """The text."""
        return self.query_one("#text-panel", TextPanel)

    @property
    def fresh(self) -> bool:
        """Whether the model is loaded as it is to be."""
        return self.loaded is not None and self.loaded.spec == self.spec

    @property
    def log_file(self) -> Path:
        """The model's engine prints there."""
        return self.model_engine.log_file

    def show_subject(self) -> None:
        """The model's name and how it is loaded, in the line of modes."""
        spec = self.spec
        how = spec.quantization if spec.quantization != "none" else spec.dtype
        facts = [] if how == "auto" else [how]
        facts.append("loaded" if self.fresh else "F5 loads it")
        self.query_one(ModeBar).show_subject(spec.ref or "no model", " · ".join(facts))
        self.spec_shown()

    @on(TextPanel.Edited)
    def _edited(self, event: TextPanel.Edited) -> None:
        self.text = event.text
        self.panel.describe(None)
        self.run_soon()

    def run_soon(self) -> None:
        """Follow the typing, once the model is there."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if self.fresh and self.follows():
            self._timer = self.set_timer(LIVE, self.action_run)

    def run_later(self) -> None:
        """F5 was pressed before the screen was filled."""
        self._run_wanted = True

    def run_if_wanted(self) -> None:
        """Run now, when F5 was pressed before the screen was filled."""
        if self._run_wanted:
            self._run_wanted = False
            self.action_run()

    def open_text(self, ref: str, text: str, offset: int) -> None:
        """Show a text of another screen."""
        self.text = text
        self.panel.show(text)
        self.panel.describe(None)
        self.open_model(ref)

    def thing(self) -> Thing | None:
        """The model, with the text at the cursor."""
        return Thing(self.spec.ref, self.text, self.panel.cursor) if self.spec.ref else None

    def place(self) -> Place:
        """Model, text, cursor and tab."""
        return Place(
            ref=self.spec.ref,
            tab=self.tab_title,
            text=None if self.text == self._sample else self.text,
            cursor=self.panel.cursor,
        )

    async def restore(self, place: Place) -> None:
        """Where the user was; F5 brings the model."""
        self.panel.go_to(place.cursor)
        await super().restore(place)

    def open_model(self, ref: str) -> None:
        """Use another model, as it is stored."""
        self._take(self.spec_of(ref))

    def _take(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.outdated()
        self.show_subject()
        self.action_run()

    @on(CodeNeeded)
    @work(group="code", exclusive=True, exit_on_error=False)
    async def _code_needed(self, event: CodeNeeded) -> None:
        """The repository's code runs only after a yes."""
        asked = self.spec
        if await allowed(self.app, event.error) and self.spec == asked:
            self.spec = msgspec.structs.replace(asked, allow_code=True)
            self.action_run()

    # -- actions ---------------------------------------------------------------------------------

    @work(group="pick", exclusive=True, exit_on_error=False)
    async def action_pick_model(self) -> None:
        """Choose another model."""
        from hfterm.widgets.modals import ModelPicker

        try:
            known = await self.engine.call(ListModels())
        except HftermError as error:
            self.error_notice.show_error(error)
            return
        ref = await self.app.push_screen_wait(ModelPicker(known, self.spec.ref, self.recent_refs))
        if ref:
            self.open_model(ref)

    @work(group="pick", exclusive=True, exit_on_error=False)
    async def action_load_options(self) -> None:
        """Say how the model is loaded."""
        from hfterm.screens.load_modal import LoadModal

        spec = await self.app.push_screen_wait(LoadModal(self.spec))
        if spec is not None and spec != self.spec:
            self._take(spec)

    @work(group="pick", exclusive=True, exit_on_error=False)
    async def action_open_file(self) -> None:
        """Take the text from a file."""
        from hfterm.widgets.modals import Prompt

        path = await self.app.push_screen_wait(
            Prompt("Open a file", "Its whole text is taken. Esc closes.", "", "path")
        )
        if not path:
            return
        full = full_path(path)
        try:
            document = await self.engine.call(ReadDocument(path=full))
        except HftermError as error:
            self.error_notice.show_error(error)
            return
        self.text = document.text
        self.panel.show(self.text, full)
        self.panel.describe(full)
        self.run_soon()

    async def action_unload(self) -> None:
        """Let the model go: its process ends, and all its memory is free."""
        await self.model_engine.unload()
        self.post_message(ModelLoaded(None))

    # -- what the application asks ---------------------------------------------------------------

    def copy_text(self) -> str:
        """The text."""
        return self.text

    def again(self) -> None:
        """Run again."""
        self.action_run()

    def adopt(self, info: LoadedInfo) -> None:
        """Use what another screen loaded."""
        self.spec = info.spec

    def loaded_changed(self, info: LoadedInfo | None) -> None:
        """Another model is loaded: here, on another screen, or none any more."""
        super().loaded_changed(info)
        if self.tabs() is None:
            return
        if info is not None and info.spec != self.spec and self.app.screen is self:
            self.adopt(info)
        self.show_subject()
