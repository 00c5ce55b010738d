"""The Tokenize screen: a text, its tokens, and nine ways to look at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.timer import Timer

from hfterm.engine.client import EngineStatus
from hfterm.errors import HftermError
from hfterm.hub import starter
from hfterm.paths import full_path
from hfterm.screens.engines import Engines
from hfterm.screens.messages import ScreenCommand, Thing
from hfterm.screens.start import StartOptions
from hfterm.screens.tokenize.keys import KEYS
from hfterm.screens.tokenize.page import AT_ONCE, ModelWanted, Subject, TokenizePage, TokenSelected
from hfterm.screens.tokenize.pages import PAGES
from hfterm.screens.tokenize.words import SAMPLE, counts, name_and_facts
from hfterm.screens.workbench import WorkbenchScreen
from hfterm.session.types import Place
from hfterm.text import foreign
from hfterm.widgets.mode_bar import ModeBar
from hfterm.widgets.text_editor import TextEditor
from hfterm.widgets.text_panel import TextPanel, count

if TYPE_CHECKING:
    from hfterm.job import Progress
    from hfterm.screens.tokenize.token_panel import TokenPanel


class TokenizeScreen(WorkbenchScreen):
    """Text above, tokens below."""

    MODE: ClassVar[str] = "tokenize"
    CSS_PATH = "screen.tcss"

    HELP = """\
# Tokenize
Type a text: its tokens follow as you type, exactly as `AutoTokenizer` makes them; nothing is ever
cut or padded. The cursor in the text selects the token, a token selects its span.
`Tab` moves between the panels, `F3` `F4` (or `[` `]`) between the tabs.
"""

    BINDINGS: ClassVar[list[BindingType]] = KEYS

    COMMANDS_HERE: ClassVar[Sequence[ScreenCommand]] = tuple(
        ScreenCommand(f"Tokenize: {page.title}", f"The {page.title} tab", f"go_to_tab({n})")
        for n, page in enumerate(PAGES)
    )

    def __init__(
        self, engines: Engines, modes: Sequence[tuple[str, str]], start: StartOptions
    ) -> None:
        super().__init__(engines, modes)
        self._options = start
        model = start.model or ("minilm" if starter.starter_path("minilm") else "")
        self.subject = Subject(ref=model, text=SAMPLE if start.text is None else start.text)
        self._wanted_ref = model
        self._asked: Subject | None = None  # until its tokens are there, also when it failed
        self._timer: Timer | None = None
        self._tokens_panel: TokenPanel | None = None

    # -- layout ------------------------------------------------------------------------

    def body(self) -> ComposeResult:
        """The text panel, and the frame of the token panel."""
        yield TextPanel(most=self._options.max_editor_chars, id="text-panel")
        token_panel = Vertical(id="token-panel", classes="panel")
        token_panel.border_title = "Tokens"
        yield token_panel

    def on_mount(self) -> None:
        """Start with what the options say."""
        self._panel.show(self.subject.text)
        self._show_subject()
        self._panel.editor.focus()

    async def fill(self) -> None:
        """The token panel, and then its tokens."""
        from hfterm.screens.tokenize.token_panel import TokenPanel

        panel = TokenPanel(self.engine, offer=not self.subject.ref)
        await self.query_one("#token-panel").mount(panel)
        self._tokens_panel = panel
        if self._options.file and self.remembered == Place():
            self.open_document(self._options.file)
        else:
            self._encode()
        await super().fill()

    @property
    def tokens_panel(self) -> TokenPanel:
        """The token panel, which is there once the first frame is painted."""
        assert self._tokens_panel is not None
        return self._tokens_panel

    # -- the text ------------------------------------------------------------------------

    @property
    def _panel(self) -> TextPanel:
        return self.query_one("#text-panel", TextPanel)

    @on(TextPanel.Edited)
    def _edited(self, event: TextPanel.Edited) -> None:
        self.subject = replace(self.subject, text=event.text, path=None)
        if event.settled:
            self._encode()
        else:
            self._encode_soon()

    @on(TextPanel.PairEdited)
    def _pair_edited(self, event: TextPanel.PairEdited) -> None:
        if self.subject.pair is not None:
            self.subject = replace(self.subject, pair=event.pair)
            self._encode_soon()

    @on(TextEditor.Unkept)
    def _unkept(self) -> None:
        told = "That text is too long for this field, or has line separators it would change."
        self.notify(told, severity="warning")

    def _encode_soon(self) -> None:
        # an answer about an older text must not come back over what was typed since
        self.workers.cancel_group(self, "encode")
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if self._options.live_delay and len(self.subject.text) > AT_ONCE:
            self._timer = self.set_timer(self._options.live_delay, self._encode)
        else:  # a timer of no time never comes
            self._encode()

    # -- asking the engine ----------------------------------------------------------------

    def _encode(self) -> None:
        """Tokenize what the screen is about, with the tokenizer that is being opened if one is."""
        if self._wanted_ref == self.subject.ref:
            wanted = self.subject
        else:
            wanted = replace(self.subject, ref=self._wanted_ref, info=None)
        if wanted.ref:
            self._load(wanted)

    @work(group="encode", exclusive=True, exit_on_error=False)
    async def _load(self, wanted: Subject) -> None:
        """Tokenize `wanted` and show it; what fails leaves the screen as it was.

        The first answer may come from tokenizer.json alone. It is checked against what
        `AutoTokenizer` builds as soon as transformers is there, and replaced if that differs.
        """
        from hfterm.engine import requests

        notice, job = self.tokens_panel.notice, self.tokens_panel.job
        self._asked = wanted
        try:
            if starter.is_starter(wanted.ref) and starter.starter_path(wanted.ref) is None:
                await self.engine.call(requests.InstallStarter(names=[wanted.ref]), self._progress)
            subject = await self._tokens(wanted, provisional=True)
            info = await self.engine.call(requests.PeekTokenizer(ref=wanted.ref))
            notice.clear()
            self._asked = None
            self._show(replace(subject, info=info))
            if subject.encoding is not None and not subject.encoding.verified:
                checked = await self.engine.call(requests.OpenTokenizer(ref=wanted.ref))
                if checked.fingerprint != info.fingerprint:
                    subject = await self._tokens(subject, provisional=False)
                self._show(replace(subject, info=checked))
        except HftermError as error:
            self._wanted_ref = self.subject.ref
            notice.show_error(error)
        finally:
            job.clear()

    async def _tokens(self, wanted: Subject, *, provisional: bool) -> Subject:
        from hfterm.screens.tokenize.asking import tokenized

        subject, replaced = await tokenized(
            self.engine, wanted, self._progress, provisional=provisional
        )
        if replaced:
            self.notify(f"Shown as �: {count(replaced, 'invalid byte')}.", severity="warning")
        return subject

    def _progress(self, progress: Progress) -> None:
        panel = self.tokens_panel
        if not panel.job.display:
            panel.notice.clear()  # what it says is about something older
        panel.job.show(progress)

    def _show(self, subject: Subject) -> None:
        """Show a subject that has its tokens."""
        encoding = subject.encoding
        if encoding is None:
            return
        new_text = subject.text != self.subject.text or subject.path != self.subject.path
        self.subject = subject
        if new_text:
            self._panel.show(subject.text, subject.path)
        self._panel.show_pair(subject.pair)
        self._show_subject()
        self.tokens_panel.show(subject)
        if new_text and subject.path:
            self.tokens_panel.select(0)
        if self._panel.editor.has_focus:
            self._follow_cursor(self._panel.cursor)

    def _show_subject(self) -> None:
        subject = self.subject
        self.set_class(not subject.ref, "-empty")
        name, facts = name_and_facts(subject)
        self.query_one(ModeBar).show_subject(name, facts)
        self._panel.describe(subject.path)
        panel = self.query_one("#token-panel")
        panel.border_subtitle = foreign(counts(subject))

    # -- text, strip and table follow each other ---------------------------------------------

    @on(TextPanel.CursorMoved)
    def _cursor_moved(self, event: TextPanel.CursorMoved) -> None:
        self._follow_cursor(event.offset)

    def _follow_cursor(self, offset: int) -> None:
        """The cursor in the text selects its token."""
        encoding = self.subject.encoding
        index = encoding.at_character(offset) if encoding is not None else None
        if index is not None:
            self.tokens_panel.select(index)

    @on(TokenSelected)
    def _token_selected(self, event: TokenSelected) -> None:
        """A token that is selected selects its span in the text."""
        encoding = self.subject.encoding
        if encoding is None or event.index >= len(encoding):  # a row of the encoding before
            return
        self.tokens_panel.select(event.index)
        token = encoding.token(event.index)
        in_text = token.sequence in (0, None) and not token.special
        if in_text and token.start is not None and token.end is not None:
            self._panel.select(token.start, token.end)

    # -- actions -----------------------------------------------------------------------------

    @work(group="pick", exclusive=True, exit_on_error=False)
    async def action_pick_model(self) -> None:
        """Choose another tokenizer."""
        from hfterm.engine.requests import ListModels
        from hfterm.widgets.modals import ModelPicker

        try:
            known = await self.engine.call(ListModels())
        except HftermError as error:
            self.tokens_panel.notice.show_error(error)
            return
        ref = await self.app.push_screen_wait(
            ModelPicker(known, self.subject.ref, self.recent_refs)
        )
        if ref:
            self.open_model(ref)

    @on(ModelWanted)
    def _model_wanted(self, event: ModelWanted) -> None:
        self.open_model(event.ref)
        self.tokens_panel.go_to(0)
        self._panel.editor.focus()

    def open_model(self, ref: str) -> None:
        """Show the same text with another tokenizer."""
        self._wanted_ref = ref
        self._encode()

    def open_text(self, ref: str, text: str, offset: int) -> None:
        """Show a text of another screen, with the cursor on one of its tokens."""
        self.subject = replace(self.subject, text=text, path=None, pair=None)
        self._panel.show(text)
        self._panel.show_pair(None)
        self._panel.editor.focus()
        self._panel.select(offset, offset)
        self.open_model(ref)

    def thing(self) -> Thing | None:
        """The tokenizer, with the text at the cursor."""
        if not self.subject.ref:
            return None
        return Thing(self.subject.ref, self.subject.text, self._panel.cursor)

    def place(self) -> Place:
        """Tokenizer, text or file, cursor and tab."""
        subject = self.subject
        text = None if subject.path or subject.text == SAMPLE else subject.text
        return Place(ref=subject.ref, tab=self.tab_title, text=text, pair=subject.pair,
                     file=subject.path or "", cursor=self._panel.cursor)  # fmt: skip

    async def restore(self, place: Place) -> None:
        """Where the user was, once the text is there."""
        if place.pair is not None:
            self.subject = replace(self.subject, pair=place.pair)
            self._panel.fill_pair(place.pair)
            self._encode()
        if place.file:
            self.open_document(place.file)
        else:
            self._panel.go_to(place.cursor)
        await super().restore(place)

    def tabs(self) -> TokenPanel | None:
        """The tabs are the token panel's."""
        return self._tokens_panel

    @work(group="pick", exclusive=True, exit_on_error=False)
    async def action_open_file(self) -> None:
        """Tokenize a local file."""
        from hfterm.widgets.modals import Prompt

        path = await self.app.push_screen_wait(
            Prompt("Open a file", "A text file; all of it is tokenized. Esc closes.", "", "path")
        )
        if path:
            self.open_document(path)

    def open_document(self, path: str) -> None:
        """Show the tokens of a whole file."""
        full = full_path(path)
        self._load(replace(self.subject, path=full, pair=None))

    def action_new_text(self) -> None:
        """Leave the file; what is read-only becomes an empty editor."""
        self.subject = replace(self.subject, path=None, text="")
        self._panel.show("")
        self._panel.editor.focus()
        self._encode()

    def action_toggle_pair(self) -> None:
        """Show or hide the second sequence."""
        if self.subject.path is not None:
            self.notify("A file has no pair; Alt+N leaves the file.", severity="warning")
            return
        pair = None if self.subject.pair is not None else self._panel.pair_input.value
        self.subject = replace(self.subject, pair=pair)
        self._panel.show_pair(pair)
        if pair is not None:
            self._panel.pair_input.focus()
        self._encode()

    def action_toggle_specials(self) -> None:
        """With or without special tokens."""
        wanted = not self.subject.add_special_tokens
        self._load(replace(self.subject, add_special_tokens=wanted))

    # -- what the application asks --------------------------------------------------------------

    @property
    def page(self) -> TokenizePage | None:
        """The page in sight."""
        return self._tokens_panel.page if self._tokens_panel is not None else None

    def code(self) -> str:
        """The page's script."""
        return self.page.code() if self.page is not None and self.subject.ref else ""

    def copy_text(self) -> str:
        """The text."""
        return self.subject.text

    def stop_work(self) -> bool:
        """Stop what the page does, or the tokenizing of a file."""
        panel = self._tokens_panel
        if panel is None or panel.stop_work():
            return panel is not None
        if panel.job.display:
            self.workers.cancel_group(self, "encode")
            self._wanted_ref = self.subject.ref
            panel.job.clear()
            panel.notice.show("Stopped.", "F5 tokenizes again.", "note")
            return True
        return False

    def again(self) -> None:
        """Ask again: for what was stopped or failed, else for what is shown."""
        if self._asked is not None:
            self._wanted_ref = self._asked.ref
            self._load(self._asked)
        else:
            self._encode()

    def engine_changed(self, status: EngineStatus) -> None:
        """When transformers has come, the next key uses it; when the engine died, say so."""
        super().engine_changed(status)
        if status.phase == "dead" and self._tokens_panel is not None:
            self._asked = None  # it may be what the engine died of
            self._tokens_panel.notice.show(
                f"The engine process ended ({status.detail}). The text is kept.",
                "F5 starts it again.",
            )
