"""Tabs whose pages are made when they are first opened, and keep their state."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.message import Message
from textual.widgets import Tab, Tabs

from hfterm.widgets.tab_line import TabLine
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

    def __init__(
        self, entries: Sequence[TabEntry[P]], *, first: int = 0, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self.entries = entries
        self._first = first
        self._made: dict[str, P] = {}
        self._making = asyncio.Lock()

    def compose(self) -> ComposeResult:
        """Tabs and the place for pages."""
        yield TabLine(
            *(Tab(entry.title, id=f"tab-{entry.title}") for entry in self.entries),
            active=f"tab-{self.entries[self._first].title}",
        )
        yield from self.above_pages()
        yield Container(classes="pages")

    def above_pages(self) -> ComposeResult:
        """What stands between the tabs and the page, whichever it is."""
        yield from ()

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
        # a key and the line of tabs open it at the same time: the second waits for its widgets
        async with self._making:
            await self._make(title)
            tab = self.query_one(Tabs).active_tab
            if tab is None or str(tab.label) != title:
                return  # another was chosen meanwhile
            if not self._made[title].children:  # the application closes: it never gets them
                return
            for name, page in self._made.items():
                page.display = name == title
            self.opened(title)

    def opened(self, title: str) -> None:
        """Another page is in sight now."""
        self.post_message(self.Opened(title))

    async def _make(self, title: str) -> None:
        if title not in self._made:
            entry = next(entry for entry in self.entries if entry.title == title)
            page = entry.make(f"page-{title}")
            page.display = False
            await self.query_one(".pages").mount(page)
            self._made[title] = page

    async def prepare(self, number: int) -> None:
        """Make a page that will be wanted next; it stays out of sight."""
        async with self._making:
            await self._make(self.entries[number].title)

    def step(self, by: int) -> None:
        """Go to a tab next to this one."""
        tabs = self._line()
        titles = [entry.title for entry in self.entries]
        active = tabs.active_tab if tabs is not None else None
        now = titles.index(str(active.label)) if active is not None else self._first
        self.go_to((now + by) % len(titles))

    def _line(self) -> Tabs | None:
        """The line of tabs, once it has them: keys may come before."""
        return next((tabs for tabs in self.query(Tabs) if tabs.query(Tab)), None)

    def go_to(self, number: int) -> None:
        """Go to a tab by its number."""
        tabs = self._line()
        if tabs is None:
            self._first = number
            return
        if tabs.active == f"tab-{self.entries[number].title}":
            return
        focused = self.screen.focused
        tabs.active = f"tab-{self.entries[number].title}"
        # a page that goes out of sight would take the focus along
        if focused is not None and any(isinstance(a, TabPage) for a in focused.ancestors_with_self):
            tabs.focus()
