"""Tabs whose pages are made when they are first opened, and keep their state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.message import Message
from textual.widgets import Tab, Tabs

from hfterm.widgets.tab_page import TabPage

P = TypeVar("P", bound=TabPage)


@dataclass(frozen=True)
class TabEntry(Generic[P]):
    """A tab: its word, and how its page is made (importing it only then)."""

    title: str
    make: Callable[[str], P]


class TabbedPages(Vertical, Generic[P]):
    """A line of tabs, and the page of the one that is open."""

    DEFAULT_CSS = """
    TabbedPages { height: 1fr; }
    TabbedPages > Tabs { height: 2; }
    TabbedPages > .pages { height: 1fr; }
    """

    class Opened(Message):
        """Another page came in sight."""

        def __init__(self, title: str) -> None:
            super().__init__()
            self.title = title

    def __init__(self, entries: Sequence[TabEntry[P]], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.entries = entries
        self._made: dict[str, P] = {}

    def compose(self) -> ComposeResult:
        """Tabs and the place for pages."""
        yield Tabs(*(Tab(entry.title, id=f"tab-{entry.title}") for entry in self.entries))
        yield Container(classes="pages")

    @property
    def page(self) -> P | None:
        """The page in sight."""
        return next((page for page in self._made.values() if page.display), None)

    @on(Tabs.TabActivated)
    async def _activated(self, event: Tabs.TabActivated) -> None:
        event.stop()
        await self._open(str(event.tab.label))

    async def open(self, number: int) -> P:
        """Go to a tab by its number; its page is there then."""
        self.go_to(number)
        title = self.entries[number].title
        await self._open(title)
        return self._made[title]

    async def _open(self, title: str) -> None:
        entry = next(entry for entry in self.entries if entry.title == title)
        for page in self._made.values():
            page.display = False
        page = self._made.get(title)
        if page is None:
            page = self._made[title] = entry.make(f"page-{title}")
            await self.query_one(".pages").mount(page)
            if not page.children:  # the application closes: the page never gets its widgets
                return
        page.display = True
        self.post_message(self.Opened(title))

    def step(self, by: int) -> None:
        """Go to a tab next to this one."""
        tabs = self.query_one(Tabs)
        titles = [entry.title for entry in self.entries]
        now = titles.index(str(tabs.active_tab.label)) if tabs.active_tab else 0
        self.go_to((now + by) % len(titles))

    def go_to(self, number: int) -> None:
        """Go to a tab by its number."""
        tabs = self.query_one(Tabs)
        focused = self.screen.focused
        tabs.active = f"tab-{self.entries[number].title}"
        # a page that goes out of sight would take the focus along
        if focused is not None and any(isinstance(a, TabPage) for a in focused.ancestors_with_self):
            tabs.focus()
