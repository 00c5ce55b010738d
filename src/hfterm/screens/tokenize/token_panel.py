"""The lower panel: the token strip, the tabs and their pages, and what is being done."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.widget import Widget
from textual.widgets import Tabs

from hfterm.engine.client import EngineClient
from hfterm.screens.tokenize.page import (
    ModelWanted,
    Subject,
    TokenizePage,
    TokenSelected,
    TokenWanted,
)
from hfterm.screens.tokenize.pages import PAGES, PageEntry
from hfterm.widgets.data_grid import DataGrid
from hfterm.widgets.job_line import JobLine
from hfterm.widgets.notice import Notice
from hfterm.widgets.starter_offer import StarterOffer
from hfterm.widgets.tabbed_pages import TabbedPages, TabEntry
from hfterm.widgets.text_panel import TextPanel
from hfterm.widgets.token_source import TokenSource
from hfterm.widgets.token_strip import TokenStrip


class TokenPanel(TabbedPages[TokenizePage]):
    """Shows a subject's tokens in the tab that is open; tells which token was selected."""

    STARTER: ClassVar[str] = "minilm"

    def __init__(self, engine: EngineClient, *, offer: bool) -> None:
        super().__init__([TabEntry(page.title, partial(_made, page, engine)) for page in PAGES])
        self._engine = engine
        self._offer = offer
        self._subject: Subject | None = None
        self._selected = 0
        self.job = JobLine(id="job")
        self.notice = Notice(id="notice")

    def compose(self) -> ComposeResult:
        """The strip above the tabs."""
        yield TokenStrip(id="strip")
        yield from super().compose()

    def above_pages(self) -> ComposeResult:
        """Work and errors; on a first start, the starter kit."""
        yield self.job
        yield self.notice
        if self._offer:
            yield StarterOffer(self._engine, id="offer")

    def on_mount(self) -> None:
        """On a first start, Enter is for the starter kit."""
        for offer in self.query(StarterOffer):
            offer.focus()

    # -- showing -------------------------------------------------------------------------

    def show(self, subject: Subject) -> None:
        """Show a subject that has its tokens."""
        encoding = subject.encoding
        if encoding is None:
            return
        self._subject = subject
        for offer in self.query(StarterOffer):
            offer.display = offer.busy
        self._selected = min(self._selected, max(0, len(encoding) - 1))
        source = TokenSource(encoding, (subject.text, subject.pair or ""))
        self.query_one(TokenStrip).set_source(source, self._selected)
        if self.page is not None:
            self.page.show(subject)

    def select(self, index: int) -> None:
        """Mark a token in the strip and in the page."""
        self._selected = index
        self.query_one(TokenStrip).select(index)
        if self.page is not None:
            self.page.select_token(index)

    # -- tabs ------------------------------------------------------------------------------

    def opened(self, title: str) -> None:
        """With the page come and go the text and the strip; it is about the same subject."""
        super().opened(title)
        entry = next(page for page in PAGES if page.title == title)
        self.screen.set_class(not entry.uses_text, "-alone")
        self.screen.set_class(not entry.uses_strip, "-no-strip")
        if self.page is not None and self._subject is not None:
            self.page.show(self._subject)
            self.page.select_token(self._selected)

    def go_to(self, number: int) -> None:
        """Go to a tab by its number."""
        super().go_to(number)
        # what goes out of sight would take the focus along, and the next letter would be a key
        entry = PAGES[number]
        leaving: tuple[type[Widget], ...] = () if entry.uses_text else (TextPanel,)
        if not entry.uses_strip:
            leaving += (TokenStrip,)
        focused = self.screen.focused
        if focused is not None and any(isinstance(a, leaving) for a in focused.ancestors_with_self):
            self.query_one(Tabs).focus()

    # -- what happens in it ------------------------------------------------------------------

    @on(TokenStrip.TokenHighlighted)
    def _strip_moved(self, event: TokenStrip.TokenHighlighted) -> None:
        event.stop()
        self.post_message(TokenSelected(event.index))

    @on(DataGrid.RowHighlighted, "#tokens")
    def _row_moved(self, event: DataGrid.RowHighlighted) -> None:
        event.stop()
        self.post_message(TokenSelected(event.row))

    @on(TokenWanted)
    def _token_wanted(self, event: TokenWanted) -> None:
        event.stop()
        self.go_to(0)
        self.post_message(TokenSelected(event.index))

    @on(StarterOffer.Installed)
    def _installed(self, event: StarterOffer.Installed) -> None:
        event.stop()
        self.post_message(ModelWanted(self.STARTER))

    def stop_work(self) -> bool:
        """Stop what the page does, or the download of the starter kit. False when neither is."""
        page = self.page
        if page is not None and page.stop():
            return True
        return any(offer.stop() for offer in self.query(StarterOffer))


def _made(entry: PageEntry, engine: EngineClient, id: str) -> TokenizePage:
    return entry.load()(engine, id=id)
