"""The Attention screen: a text, and what every head of a model looks at in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import msgspec
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Input, TextArea

from hfterm.models.types import ModelSpec
from hfterm.screens.attention.keys import KEYS
from hfterm.screens.attention.pages import TITLES
from hfterm.screens.engines import Engines
from hfterm.screens.messages import ScreenCommand, TokenWanted
from hfterm.screens.model_screen import ModelScreen
from hfterm.screens.start import StartOptions
from hfterm.session.types import Place
from hfterm.text import foreign
from hfterm.widgets.notice import Notice
from hfterm.widgets.text_panel import TextPanel, count

if TYPE_CHECKING:
    from textual.screen import ModalScreen

    from hfterm.engine.client import EngineStatus
    from hfterm.screens.attention.desk import AttentionDesk
    from hfterm.screens.attention.sight import AttentionPage, Sight

SAMPLE = "The cat sat on the mat because it was tired."
"""A pronoun, and two nouns that it could stand for."""

LIVE_CHARACTERS = 2_000
"""Longer texts wait for F5."""

TALL = 32
"""Lines from which the second line of fields is there at once."""


class AttentionScreen(ModelScreen):
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
        super().__init__(engines, modes, start, SAMPLE)
        self._pixels = start.pixels
        self._desk: AttentionDesk | None = None

    # -- layout ------------------------------------------------------------------------------

    def body(self) -> ComposeResult:
        """The text, and the frame of the rest."""
        yield TextPanel(most=self.most, id="text-panel")
        panel = Vertical(id="attention-panel", classes="panel")
        panel.border_title = "Attention"
        yield panel

    async def fill(self) -> None:
        """Fields, tokens and tabs, and what is known of the model."""
        from hfterm.screens.attention.desk import AttentionDesk

        desk = AttentionDesk(self.model_engine, id="attention-desk")
        await self.query_one("#attention-panel").mount(desk)
        self._desk = desk
        desk.fields.more(self.size.height >= TALL)
        await super().fill()
        if self.loaded is not None:
            self.adopt(self.loaded)
        self.show_subject()
        self.run_if_wanted()

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
    def page(self) -> AttentionPage | None:
        """The page in sight."""
        return self._desk.page if self._desk is not None else None

    @property
    def error_notice(self) -> Notice:
        """The desk's own."""
        return self.desk.notice

    # -- the pass ------------------------------------------------------------------------------

    async def open_against(self, ref: str, other: str) -> None:
        """The Compare tab, with another model."""
        tabs = self.tabs()
        if tabs is not None:
            page = await tabs.open(TITLES.index("Compare"))
            page.query_one("#other-model", Input).value = other
        self.open_model(ref)

    def place(self) -> Place:
        """And the head, and the token."""
        place, sight = super().place(), self.sight
        at = self.desk.begin if sight is None else (sight.layer, sight.head, sight.query, sight.key)
        layer, head, query, key = at
        return msgspec.structs.replace(place, layer=layer, head=head, query=query, key=key)

    async def restore(self, place: Place) -> None:
        """And the head, for when F5 has run the model."""
        self.desk.begin = (place.layer, place.head, place.query, place.key)
        await super().restore(place)

    def spec_of(self, ref: str) -> ModelSpec:
        """With the class that it was saved from."""
        return ModelSpec(ref=ref, auto="")

    def follows(self) -> bool:
        """A short text is run as it is typed."""
        return len(self.text) <= LIVE_CHARACTERS and super().follows()

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

    def action_run(self) -> None:
        """Run the model on the text."""
        if self._desk is None:
            self.run_later()
            return
        if not self.spec.ref:
            self.desk.notice.show("No model is chosen.", "F6 chooses one.")
            return
        self.desk.run(self.spec, self.text)

    def on_attention_desk_looking(self, event: AttentionDesk.Looking) -> None:
        """There is another pass."""
        self._show_sight(event.sight)

    def on_attention_desk_token_picked(self, event: AttentionDesk.TokenPicked) -> None:
        """The token that is selected is marked in the text."""
        token = event.token
        if token.start >= 0 and not self.panel.editor.has_focus:
            self.panel.select(token.start, token.end)

    def on_attention_fields_changed(self) -> None:
        """A field needs another pass."""
        if self.fresh:
            self.action_run()

    # -- keys --------------------------------------------------------------------------------

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

        page = self.page
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
                'Set pixels = "auto" (or "kitty", "sixel") in the settings and restart hfterm.',
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

    # -- what the application asks ---------------------------------------------------------------

    @property
    def script_name(self) -> str:
        """The tab's name in it."""
        page = self.page
        name = (page.id or "page-heads").removeprefix("page-").lower() if page else "heads"
        return f"attention_{name}.py"

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
        page = self.page
        typing = isinstance(self.focused, TextArea | Input)
        return typing and page is not None and page.enter()

    def model_engine_changed(self, status: EngineStatus) -> None:
        """When the process that holds the model died, say so; what is shown is kept."""
        if status.phase == "dead" and self._desk is not None and not self.desk.working:
            self.desk.notice.show(
                f"The model's process ended ({status.detail}). The text is kept.",
                "F5 loads the model again.",
            )
