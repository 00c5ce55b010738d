"""The lower panel: the token strip, the tabs and their pages, and what is being done."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.widget import Widget
from textual.widgets import Tab, Tabs

from hfterm.engine.client import EngineClient
from hfterm.screens.tokenize.page import (
    ModelWanted,
    Subject,
    TokenizePage,
    TokenSelected,
    TokenWanted,
)
from hfterm.screens.tokenize.pages import PAGES
from hfterm.widgets.data_grid import DataGrid
from hfterm.widgets.job_line import JobLine
from hfterm.widgets.notice import Notice
from hfterm.widgets.starter_offer import StarterOffer
from hfterm.widgets.tab_line import TabLine
from hfterm.widgets.text_panel import TextPanel
from hfterm.widgets.token_source import TokenSource
from hfterm.widgets.token_strip import TokenStrip


class TokenPanel(Vertical):
    """Shows a subject's tokens in the tab that is open; tells which token was selected."""

    DEFAULT_CSS = """
    TokenPanel { height: 1fr; }
    """

    STARTER: ClassVar[str] = "minilm"

    def __init__(self, engine: EngineClient, *, offer: bool) -> None:
        super().__init__()
        self._engine = engine
        self._offer = offer
        self._subject: Subject | None = None
        self._selected = 0
        self.job = JobLine(id="job")
        self.notice = Notice(id="notice")

    def compose(self) -> ComposeResult:
        """Strip, tabs, work and errors, pages; on a first start, the starter kit."""
        yield TokenStrip(id="strip")
        yield TabLine(*(Tab(page.title, id=f"tab-{page.title}") for page in PAGES), id="tabs")
        yield self.job
        yield self.notice
        if self._offer:
            yield StarterOffer(self._engine, id="offer")
        yield Container(id="pages")

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
        page = self.page
        if page is not None:
            page.show(subject)

    def select(self, index: int) -> None:
        """Mark a token in the strip and in the page."""
        self._selected = index
        self.query_one(TokenStrip).select(index)
        page = self.page
        if page is not None:
            page.select_token(index)

    # -- tabs ------------------------------------------------------------------------------

    @property
    def page(self) -> TokenizePage | None:
        """The page in sight."""
        return next((page for page in self.query(TokenizePage) if page.display), None)

    @on(Tabs.TabActivated, "#tabs")
    async def _tab_activated(self, event: Tabs.TabActivated) -> None:
        entry = next(page for page in PAGES if page.title == str(event.tab.label))
        for page in self.query(TokenizePage):
            page.display = False
        found = next(iter(self.query(f"#page-{entry.title}").results(TokenizePage)), None)
        if found is None:
            found = entry.load()(self._engine, id=f"page-{entry.title}")
            found.display = False  # tokens may come before its widgets: it is not the page yet
            await self.query_one("#pages").mount(found)
            if not found.children:  # the application closes: the page never gets its widgets
                return
        found.display = True
        self.screen.set_class(not entry.uses_text, "-alone")
        self.screen.set_class(not entry.uses_strip, "-no-strip")
        if self._subject is not None:
            found.show(self._subject)
            found.select_token(self._selected)

    def step(self, by: int) -> None:
        """Go to a tab next to this one."""
        tabs = self.query_one("#tabs", Tabs)
        titles = [page.title for page in PAGES]
        now = titles.index(str(tabs.active_tab.label)) if tabs.active_tab else 0
        self.go_to((now + by) % len(PAGES))

    def go_to(self, number: int) -> None:
        """Go to a tab by its number."""
        entry = PAGES[number]
        tabs = self.query_one("#tabs", Tabs)
        tabs.active = f"tab-{entry.title}"
        # what goes out of sight would take the focus along, and the next letter would be a key
        leaving: tuple[type[Widget], ...] = (TokenizePage,)
        if not entry.uses_text:
            leaving += (TextPanel,)
        if not entry.uses_strip:
            leaving += (TokenStrip,)
        focused = self.screen.focused
        if focused is not None and any(isinstance(a, leaving) for a in focused.ancestors_with_self):
            tabs.focus()

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
