"""The Tokenize screen: a text, its tokens, and nine ways to look at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical
from textual.timer import Timer
from textual.widgets import Tab, Tabs

from hfterm.engine.client import EngineClient, EngineStatus
from hfterm.errors import HftermError
from hfterm.hub import starter
from hfterm.screens.start import StartOptions
from hfterm.screens.tokenize.keys import KEYS
from hfterm.screens.tokenize.page import ModelWanted, Subject, TokenizePage, TokenWanted
from hfterm.screens.tokenize.pages import PAGES
from hfterm.screens.workbench import ScreenCommand, WorkbenchScreen
from hfterm.text import elide_middle, foreign
from hfterm.widgets.data_grid import DataGrid, GridSource
from hfterm.widgets.job_line import JobLine
from hfterm.widgets.mode_bar import ModeBar
from hfterm.widgets.notice import Notice
from hfterm.widgets.starter_offer import StarterOffer
from hfterm.widgets.text_editor import TextEditor
from hfterm.widgets.text_panel import TextPanel, count
from hfterm.widgets.token_source import TokenSource
from hfterm.widgets.token_strip import TokenStrip

SAMPLE = "¡Los Transformadores de Hugging Face son geniales! 👩🏽‍💻 Tokenization is fun."
"""The tutorial's sentence, an emoji of several code points, and English."""


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
        self, engine: EngineClient, modes: Sequence[tuple[str, str]], start: StartOptions
    ) -> None:
        super().__init__(engine, modes)
        self._options = start
        model = start.model or ("minilm" if starter.starter_path("minilm") else "")
        self.subject = Subject(ref=model, text=SAMPLE if start.text is None else start.text)
        self._wanted_ref = model
        self._timer: Timer | None = None
        self._selected = 0

    # -- layout ------------------------------------------------------------------------

    def body(self) -> ComposeResult:
        """The text panel, and the token panel with its tabs."""
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
        await self.query_one("#token-panel").mount(
            TokenStrip(id="strip"),
            Tabs(*(Tab(page.title, id=f"tab-{page.title}") for page in PAGES), id="tabs"),
            JobLine(id="job"),
            Notice(id="notice"),
            Container(id="pages"),
        )
        if self.subject.ref:
            self._encode()
        else:
            await self._offer_starter()
        await super().fill()

    async def _offer_starter(self) -> None:
        offer = StarterOffer(self.engine, id="offer")
        await self.query_one("#token-panel").mount(offer, before="#pages")
        offer.focus()

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
        self.notify(
            "That text is too long for this field, or has line separators it would change.",
            severity="warning",
        )

    def _encode_soon(self) -> None:
        # an answer about an older text must not come back over what was typed since
        self.workers.cancel_group(self, "encode")
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(self._options.live_delay, self._encode)

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

        notice, job = self.query_one("#notice", Notice), self.query_one("#job", JobLine)
        try:
            if starter.is_starter(wanted.ref) and starter.starter_path(wanted.ref) is None:
                await self.engine.call(requests.InstallStarter(names=[wanted.ref]), job.show)
            subject = await self._tokens(wanted, provisional=True)
            info = await self.engine.call(requests.PeekTokenizer(ref=wanted.ref))
            notice.clear()
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
        job = self.query_one("#job", JobLine)
        from hfterm.screens.tokenize.asking import tokenized

        subject, replaced = await tokenized(self.engine, wanted, job.show, provisional=provisional)
        if replaced:
            self.notify(f"{replaced:,} invalid bytes are shown as �.", severity="warning")
        return subject

    def _show(self, subject: Subject) -> None:
        """Show a subject that has its tokens."""
        encoding = subject.encoding
        if encoding is None:
            return
        new_text = subject.text != self.subject.text or subject.path != self.subject.path
        self.subject = subject
        if new_text:
            self._panel.show(subject.text, subject.path)
        source = TokenSource(encoding, (subject.text, subject.pair or ""))
        self._panel.show_pair(subject.pair)
        self._selected = min(self._selected, max(0, len(encoding) - 1))
        self.query_one(TokenStrip).set_source(source, self._selected)
        self._show_subject()
        page = self._page()
        if page is not None:
            page.show(subject)
        if self._panel.editor.has_focus:
            self._follow_cursor(self._panel.cursor)

    def _show_subject(self) -> None:
        subject = self.subject
        info, encoding = subject.info, subject.encoding
        self.set_class(not subject.ref, "-empty")
        if not subject.ref:
            name, facts = "no tokenizer", "F6 opens one"
        elif info is None:
            name, facts = elide_middle(subject.ref, 40), ""
        else:
            name = elide_middle(subject.ref, 40)
            state = "" if info.verified else " · checking with transformers"
            facts = f"{info.cls} · {info.kind}{state}"
        self.query_one(ModeBar).show_subject(name, facts)
        self._panel.describe(subject.path)
        panel = self.query_one("#token-panel")
        if encoding is None:
            panel.border_subtitle = ""
            return
        parts = [count(len(encoding), "token")]
        if len(encoding):
            parts.append(f"{encoding.characters / len(encoding):.1f} chars/token")
        if not subject.add_special_tokens:
            parts.append("no specials added")
        if unknown := encoding.unknown():
            parts.append(f"{unknown:,} unknown")
        panel.border_subtitle = foreign(" · ".join(parts))

    # -- pages -----------------------------------------------------------------------------

    def _page(self) -> TokenizePage | None:
        return next((page for page in self.query(TokenizePage) if page.display), None)

    @on(Tabs.TabActivated, "#tabs")
    async def _tab_activated(self, event: Tabs.TabActivated) -> None:
        entry = next(page for page in PAGES if page.title == str(event.tab.label))
        for page in self.query(TokenizePage):
            page.display = False
        found = next(iter(self.query(f"#page-{entry.title}").results(TokenizePage)), None)
        if found is None:
            found = entry.load()(self.engine, id=f"page-{entry.title}")
            await self.query_one("#pages").mount(found)
            if not found.children:  # the application closes: the page never gets its widgets
                return
        found.display = True
        self.set_class(not entry.uses_text, "-alone")
        self.set_class(not entry.uses_strip, "-no-strip")
        if self.subject.ref:
            found.show(self.subject)
            found.select_token(self._selected)

    def action_tab(self, by: int) -> None:
        """Go to a tab next to this one."""
        tabs = self.query_one("#tabs", Tabs)
        titles = [page.title for page in PAGES]
        now = titles.index(str(tabs.active_tab.label)) if tabs.active_tab else 0
        self.action_go_to_tab((now + by) % len(PAGES))

    def action_go_to_tab(self, number: int) -> None:
        """Go to a tab by its number."""
        focused = self.focused
        self.query_one("#tabs", Tabs).active = f"tab-{PAGES[number].title}"
        if focused is not None and any(isinstance(a, TokenizePage) for a in focused.ancestors):
            self.query_one("#tabs", Tabs).focus()

    # -- text, strip and table follow each other ---------------------------------------------

    @on(TextPanel.CursorMoved)
    def _cursor_moved(self, event: TextPanel.CursorMoved) -> None:
        self._follow_cursor(event.offset)

    def _follow_cursor(self, offset: int) -> None:
        """The cursor in the text selects its token."""
        encoding = self.subject.encoding
        index = encoding.at_character(offset) if encoding is not None else None
        if index is not None:
            self._select(index)

    @on(TokenStrip.TokenHighlighted)
    def _strip_moved(self, event: TokenStrip.TokenHighlighted) -> None:
        self._select(event.index)
        self._select_span(event.index)

    @on(DataGrid.RowHighlighted, "#tokens")
    def _row_moved(self, event: DataGrid.RowHighlighted) -> None:
        self._select(event.row)
        self._select_span(event.row)

    @on(TokenWanted)
    def _token_wanted(self, event: TokenWanted) -> None:
        self.action_go_to_tab(0)
        self._select(event.index)
        self._select_span(event.index)

    def _select(self, index: int) -> None:
        self._selected = index
        self.query_one(TokenStrip).select(index)
        page = self._page()
        if page is not None:
            page.select_token(index)

    def _select_span(self, index: int) -> None:
        """Select a token's span in the text it belongs to."""
        encoding = self.subject.encoding
        if encoding is None:
            return
        span = TokenSource(encoding, (self.subject.text, self.subject.pair or "")).span(index)
        if span is not None and span[0] == 0:
            self._panel.select(span[1], span[2])

    # -- actions -----------------------------------------------------------------------------

    @work(group="pick", exclusive=True, exit_on_error=False)
    async def action_pick_model(self) -> None:
        """Choose another tokenizer."""
        from hfterm.engine.requests import ListModels
        from hfterm.widgets.modals import ModelPicker

        try:
            known = await self.engine.call(ListModels())
        except HftermError as error:
            self.query_one("#notice", Notice).show_error(error)
            return
        ref = await self.app.push_screen_wait(ModelPicker(known, self.subject.ref))
        if ref:
            self.open_model(ref)

    @on(ModelWanted)
    def _model_wanted(self, event: ModelWanted) -> None:
        self.open_model(event.ref)
        self.action_go_to_tab(0)

    def open_model(self, ref: str) -> None:
        """Show the same text with another tokenizer."""
        for offer in self.query(StarterOffer):
            offer.display = offer.busy
        self._wanted_ref = ref
        self._encode()

    @on(StarterOffer.Installed)
    def _installed(self) -> None:
        self._panel.editor.focus()
        self.open_model("minilm")

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
        full = str(Path(path).expanduser().absolute())
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
            self.notify("A file has no pair; N leaves the file.", severity="warning")
            return
        field = self._panel.pair_input
        pair = None if self.subject.pair is not None else field.value
        self.subject = replace(self.subject, pair=pair)
        self._panel.show_pair(pair)
        if pair is not None:
            field.focus()
        self._encode()

    def action_toggle_specials(self) -> None:
        """With or without special tokens."""
        wanted = not self.subject.add_special_tokens
        self._load(replace(self.subject, add_special_tokens=wanted))

    # -- what the application asks --------------------------------------------------------------

    def code(self) -> str:
        """The page's script."""
        page = self._page()
        return page.code() if page is not None and self.subject.ref else ""

    def copy_text(self) -> str:
        """The text."""
        return self.subject.text

    def exported(self) -> tuple[str, GridSource] | None:
        """The page's table."""
        page = self._page()
        return page.exported() if page is not None else None

    def stop_work(self) -> bool:
        """Stop what the page does, or the tokenizing of a file."""
        page = self._page()
        if page is not None and page.stop():
            return True
        if any(offer.stop() for offer in self.query(StarterOffer)):
            return True
        job = self.query_one("#job", JobLine)
        if job.display:
            self.workers.cancel_group(self, "encode")
            self._wanted_ref = self.subject.ref
            job.clear()
            self.query_one("#notice", Notice).show("Stopped.", "F5 tokenizes again.", "note")
            return True
        return False

    def again(self) -> None:
        """Ask everything again."""
        self._encode()

    def engine_changed(self, status: EngineStatus) -> None:
        """When transformers has come, the next key uses it; when the engine died, say so."""
        super().engine_changed(status)
        if status.phase == "dead":
            self.query_one("#notice", Notice).show(
                f"The engine process ended ({status.detail}). The text is kept.",
                "F5 starts it again.",
            )
