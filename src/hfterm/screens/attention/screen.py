"""The Attention screen: a text, and what every head of a model looks at in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import msgspec
from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.timer import Timer
from textual.widgets import Input, TextArea

from hfterm.engine.requests import ListModels, ReadDocument
from hfterm.errors import HftermError
from hfterm.hub import starter
from hfterm.models.types import ModelSpec
from hfterm.paths import full_path
from hfterm.screens.asking_code import CodeNeeded, allowed
from hfterm.screens.attention.keys import KEYS
from hfterm.screens.engines import Engines
from hfterm.screens.start import StartOptions
from hfterm.screens.workbench import ScreenCommand, TokenWanted, WorkbenchScreen
from hfterm.text import elide_middle, foreign
from hfterm.widgets.mode_bar import ModeBar
from hfterm.widgets.text_panel import TextPanel, count

if TYPE_CHECKING:
    from textual.screen import ModalScreen

    from hfterm.engine.client import EngineStatus
    from hfterm.models.types import LoadedInfo
    from hfterm.screens.attention.desk import AttentionDesk
    from hfterm.screens.attention.sight import Sight
    from hfterm.widgets.data_grid import GridSource

TITLES = ("Heads", "Ranking", "Lines", "Hidden", "Lens", "Compare")

SAMPLE = "The cat sat on the mat because it was tired."
"""A pronoun, and two nouns that it could stand for."""

LIVE = 0.35
"""Seconds without a key after which the model runs again."""

LIVE_CHARACTERS = 2_000
"""Longer texts wait for F5."""

TALL = 32
"""Lines from which the second line of fields is there at once."""


class AttentionScreen(WorkbenchScreen):
    """Text above, heads below."""

    MODE: ClassVar[str] = "attention"
    CSS_PATH = "screen.tcss"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (TALL, "-tall")]  # noqa: RUF012

    HELP = """\
# Attention
Type a text and press `F5`: the model runs on it once, and every head is there: a metric of each,
and the map of the one that is selected. After that it follows as you type. `Esc` leaves the text
for the heads, `Tab` goes through fields, tokens, tabs and maps; `F3` `F4` change the tab, `F6` the
model, `F7` how it is loaded. A token that is selected in the strip is the row that is shown; `g`
sees it in Tokenize.
"""

    BINDINGS: ClassVar[list[BindingType]] = KEYS

    COMMANDS_HERE: ClassVar[Sequence[ScreenCommand]] = (
        *(ScreenCommand(f"Attention: {t}", f"The {t} tab", f"go_to_tab({n})")
          for n, t in enumerate(TITLES)),
        ScreenCommand("Attention: export a table", "Metrics, links, norms: the tab's table",
                      "export_table"),
        ScreenCommand("Attention: unload the model", "End the process that holds it", "unload"),
    )  # fmt: skip

    def __init__(
        self, engines: Engines, modes: Sequence[tuple[str, str]], start: StartOptions
    ) -> None:
        super().__init__(engines, modes)
        self._most = start.max_editor_chars
        self._pixels = start.pixels
        ref = start.model or ("minilm" if starter.starter_path("minilm") else "")
        self.spec = ModelSpec(ref=ref, auto="")
        self.text = SAMPLE if start.text is None else start.text
        self._timer: Timer | None = None
        self._desk: AttentionDesk | None = None

    # -- layout ------------------------------------------------------------------------------

    def body(self) -> ComposeResult:
        """The text, and the frame of the rest."""
        yield TextPanel(most=self._most, id="text-panel")
        panel = Vertical(id="attention-panel", classes="panel")
        panel.border_title = "Attention"
        yield panel

    def on_mount(self) -> None:
        """Start with the text."""
        self._panel.show(self.text)
        self._panel.describe(None)
        self._panel.editor.focus()

    async def fill(self) -> None:
        """Fields, tokens and tabs, and what is known of the model."""
        from hfterm.screens.attention.desk import AttentionDesk

        desk = AttentionDesk(self.model_engine, id="attention-desk")
        await self.query_one("#attention-panel").mount(desk)
        self._desk = desk
        desk.fields.more(self.size.height >= TALL)
        await super().fill()
        if self.loaded is not None:
            self.spec = self.loaded.spec
        self._show_spec()

    @property
    def _panel(self) -> TextPanel:
        return self.query_one("#text-panel", TextPanel)

    @property
    def desk(self) -> AttentionDesk:
        """The panel below the text, which is there once the first frame is painted."""
        assert self._desk is not None
        return self._desk

    @property
    def sight(self) -> Sight | None:
        """The pass that is looked at."""
        return self._desk.sight if self._desk is not None else None

    @property
    def log_file(self) -> Path:
        """The model's engine prints there."""
        return self.model_engine.log_file

    # -- the model and the text ---------------------------------------------------------------

    def _show_spec(self) -> None:
        fresh = self.loaded is not None and self.loaded.spec == self.spec
        facts = [
            self.spec.quantization if self.spec.quantization != "none" else "",
            self.spec.dtype if self.spec.dtype != "auto" else "",
            "loaded" if fresh else "F5 loads it",
        ]
        name = elide_middle(self.spec.ref or "no model", 40)
        self.query_one(ModeBar).show_subject(name, " · ".join(filter(None, facts)))

    def _show_sight(self, sight: Sight | None) -> None:
        """What the pass is, in the panel's border."""
        panel = self.query_one("#attention-panel")
        if sight is None:
            panel.border_subtitle = ""
            return
        summary, axis = sight.summary, sight.summary.axis(sight.side)
        shared = f" on {axis.kv_heads} of keys" if axis.kv_heads != axis.heads else ""
        parts = [
            summary.cls,
            f"{axis.layers} × {axis.heads} heads{shared}",
            *(["causal"] if axis.causal else []),
            count(len(summary.source), "token"),
            *([f"→ {len(summary.target):,}"] if summary.target else []),
            f"{summary.seconds:.2f} s",
        ]
        panel.border_subtitle = foreign(" · ".join(parts))

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
        if live and self.text.strip() and len(self.text) <= LIVE_CHARACTERS:
            self._timer = self.set_timer(LIVE, self.action_run)

    def action_run(self) -> None:
        """Run the model on the text."""
        if self._desk is None:
            return
        if not self.spec.ref:
            self.desk.notice.show("No model is chosen.", "F6 chooses one.")
            return
        self.desk.run(self.spec, self.text)

    def open_model(self, ref: str) -> None:
        """Use another model, as it is stored."""
        self.spec = ModelSpec(ref=ref, auto="")
        self._show_spec()
        self.action_run()

    def on_attention_desk_looking(self, event: AttentionDesk.Looking) -> None:
        """There is another pass."""
        self._show_sight(event.sight)

    def on_attention_desk_token_picked(self, event: AttentionDesk.TokenPicked) -> None:
        """The token that is selected is marked in the text."""
        token = event.token
        if token.start >= 0 and not self._panel.editor.has_focus:
            self._panel.select(token.start, token.end)

    def on_attention_fields_changed(self) -> None:
        """A field needs another pass."""
        if self.loaded is not None and self.loaded.spec == self.spec:
            self.action_run()

    # -- keys --------------------------------------------------------------------------------

    @work(group="pick", exclusive=True, exit_on_error=False)
    async def action_pick_model(self) -> None:
        """Choose another model."""
        from hfterm.widgets.modals import ModelPicker

        try:
            known = await self.engine.call(ListModels())
        except HftermError as error:
            self.desk.notice.show_error(error)
            return
        ref = await self.app.push_screen_wait(ModelPicker(known, self.spec.ref))
        if ref:
            self.open_model(ref)

    @work(group="pick", exclusive=True, exit_on_error=False)
    async def action_load_options(self) -> None:
        """Say how the model is loaded."""
        from hfterm.screens.predict.load_modal import LoadModal

        spec = await self.app.push_screen_wait(LoadModal(self.spec))
        if spec is not None and spec != self.spec:
            self.spec = spec
            self._show_spec()
            self.action_run()

    @work(group="pick", exclusive=True, exit_on_error=False)
    async def action_open_file(self) -> None:
        """Take the text from a file."""
        from hfterm.widgets.modals import Prompt

        path = await self.app.push_screen_wait(
            Prompt("Open a file", "Its whole text is looked at. Esc closes.", "", "path")
        )
        if not path:
            return
        full = full_path(path)
        try:
            document = await self.engine.call(ReadDocument(path=full))
        except HftermError as error:
            self.desk.notice.show_error(error)
            return
        self.text = document.text
        self._panel.show(self.text, full)
        self._panel.describe(full)
        self.action_run()

    @on(CodeNeeded)
    @work(group="code", exclusive=True, exit_on_error=False)
    async def _code_needed(self, event: CodeNeeded) -> None:
        """The repository's code runs only after a yes."""
        if await allowed(self.app, event.error):
            self.spec = msgspec.structs.replace(self.spec, allow_code=True)
            self.action_run()

    def action_tab(self, by: int) -> None:
        """Go to a tab next to this one."""
        if self._desk is not None:
            self.desk.pages.step(by)

    def action_go_to_tab(self, number: int) -> None:
        """Go to a tab by its number."""
        if self._desk is not None:
            self.desk.pages.go_to(number)

    def action_step(self, field: str) -> None:
        """The next value of a field."""
        if self._desk is not None:
            self.desk.fields.step(field)

    def action_more(self) -> None:
        """The second line of fields."""
        if self._desk is not None:
            self.desk.fields.more()

    def action_window(self, by: int) -> None:
        """A window next to this one."""
        if self._desk is not None:
            self.desk.fields.step_window(by)

    def action_layout(self) -> None:
        """Grid and map, or one of them."""
        from hfterm.screens.attention.heads import HeadsPage

        page = self.desk.page if self._desk is not None else None
        if isinstance(page, HeadsPage):
            page.next_layout()

    def action_tokenize(self) -> None:
        """The selected token, on the Tokenize screen."""
        token = self.desk.token if self._desk is not None else None
        offset = 0 if token is None or token.start < 0 else token.start
        self.post_message(TokenWanted(self.spec.ref, self.text, offset))

    def action_pixels(self) -> None:
        """The map as an image, if that was asked for."""
        if self._pixels == "off":
            self.notify(
                'Set pixels = "auto" (or "kitty", "sixel") in the settings file, and start again.',
                title="Pixels are off",
                markup=False,
            )
        elif self.sight is not None:
            from hfterm.screens.attention.pixels import PixelsModal

            self.app.push_screen(PixelsModal(self.model_engine, self.sight, self._pixels))

    def action_export_table(self) -> None:
        """The page's table."""
        window = super().export_window()
        if window is None:
            self.notify("There is no table here to export.", severity="warning")
        else:
            self.app.push_screen(window)

    async def action_unload(self) -> None:
        """Let the model go: its process ends, and all its memory is free."""
        from hfterm.screens.workbench import ModelLoaded

        await self.model_engine.unload()
        self.post_message(ModelLoaded(None))

    # -- what the application asks ---------------------------------------------------------------

    def code(self) -> str:
        """The page's script."""
        page = self.desk.page if self._desk is not None else None
        return page.code() if page is not None else ""

    @property
    def script_name(self) -> str:
        """The tab's name in it."""
        page = self.desk.page if self._desk is not None else None
        name = (page.id or "page-heads").removeprefix("page-").lower() if page else "heads"
        return f"attention_{name}.py"

    def copy_text(self) -> str:
        """The text."""
        return self.text

    def exported(self) -> tuple[str, GridSource] | None:
        """The page's table."""
        page = self.desk.page if self._desk is not None else None
        return page.exported() if page is not None else None

    def export_window(self) -> ModalScreen[None] | None:
        """A figure where there is a map, else the table."""
        from hfterm.screens.attention.figure import FigureModal
        from hfterm.screens.attention.heads import HeadsPage
        from hfterm.screens.attention.lines import LinesPage

        sight = self.sight
        if sight is not None and isinstance(self.desk.page, HeadsPage | LinesPage):
            return FigureModal(self.model_engine, sight)
        return super().export_window()

    def stop_work(self) -> bool:
        """Stop the pass, or what the page does."""
        return self._desk is not None and self.desk.stop()

    def leave(self) -> bool:
        """From a field to the tab's picture."""
        page = self.desk.page if self._desk is not None else None
        typing = isinstance(self.focused, TextArea | Input)
        return typing and page is not None and page.enter()

    def again(self) -> None:
        """Run again."""
        self.action_run()

    def loaded_changed(self, info: LoadedInfo | None) -> None:
        """Another model is loaded: here, on another screen, or none any more."""
        super().loaded_changed(info)
        if self._desk is None:
            return
        if info is not None and info.spec != self.spec and self.app.screen is self:
            self.spec = info.spec
        self._show_spec()

    def model_engine_changed(self, status: EngineStatus) -> None:
        """When the process that holds the model died, say so; what is shown is kept."""
        if status.phase == "dead" and self._desk is not None and not self.desk.working:
            self.desk.notice.show(
                f"The model's process ended ({status.detail}). The text is kept.",
                "F5 loads the model again.",
            )
