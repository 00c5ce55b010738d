"""The Library screen: what is on this machine, what it takes, and how to bring more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input

from hfterm.library.types import LibraryItem
from hfterm.screens.engines import Engines
from hfterm.screens.library.page import (
    Brought,
    DownloadWanted,
    FilesWanted,
    ItemChosen,
    LibraryPage,
    RowsWanted,
)
from hfterm.screens.library.things import ThingsPage
from hfterm.screens.messages import ScreenCommand
from hfterm.screens.start import StartOptions
from hfterm.screens.workbench import WorkbenchScreen
from hfterm.session.types import Place
from hfterm.text import foreign
from hfterm.widgets.mode_bar import ModeBar
from hfterm.widgets.tabbed_pages import TabbedPages, TabEntry

if TYPE_CHECKING:
    from hfterm.widgets.modals import Modal

TITLES = ("Things", "Files", "Rows", "Download")
THINGS, FILES, ROWS, DOWNLOAD = range(len(TITLES))


class LibraryScreen(WorkbenchScreen):
    """Tabs over what is here."""

    MODE: ClassVar[str] = "library"
    CSS_PATH = "screen.tcss"

    HELP = """\
# Library
What is on this machine: models, adapters, tokenizers, data sets. `Enter` opens the thing on the
screen that fits it. `F3` `F4` go through the tabs: its files, the rows of a data set, and Download,
for more from the hub. `F5` looks again.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f6", "things", "Things", key_display="F6", priority=True, id="library.things",
                tooltip="What is on this machine"),
        Binding("f3,left_square_bracket", "tab(-1)", "Tab before", show=False,
                id="library.previous-tab", tooltip="The tab before this one"),
        Binding("f4,right_square_bracket", "tab(1)", "Next tab", key_display="F4",
                id="library.next-tab", tooltip="The next tab"),
    ]  # fmt: skip

    COMMANDS_HERE: ClassVar[Sequence[ScreenCommand]] = tuple(
        ScreenCommand(f"Library: {title}", f"The {title} tab", f"go_to_tab({number})")
        for number, title in enumerate(TITLES)
    )

    def __init__(
        self, engines: Engines, modes: Sequence[tuple[str, str]], start: StartOptions
    ) -> None:
        super().__init__(engines, modes)
        # a process of its own: tokenizers need not wait for a download, nor it for them
        self._engine = engines.chats.get("library")
        self._folders = start.folders
        self._file = start.file
        self.pages: TabbedPages[LibraryPage] | None = None  # until they are there
        self._item: LibraryItem | None = None

    # -- layout --------------------------------------------------------------------------------

    def body(self) -> ComposeResult:
        """The frame."""
        panel = Vertical(id="library-panel", classes="frame")
        panel.border_title = "Library"
        yield panel

    async def fill(self) -> None:
        """The tabs."""
        self.pages = TabbedPages[LibraryPage](self._entries(), id="library-pages")
        await self.query_one("#library-panel").mount(self.pages)
        await super().fill()
        if self._file and self.remembered == Place():
            self.post_message(RowsWanted(self._file))

    def _entries(self) -> list[TabEntry[LibraryPage]]:
        def things(id_: str) -> LibraryPage:
            # with the search and the thing of last time: a list may come before `restore`
            return ThingsPage(self._engine, self._folders, id_, begin=self.remembered)

        def files(id_: str) -> LibraryPage:
            from hfterm.screens.library.files import FilesPage

            return FilesPage(self._engine, id_)

        def rows(id_: str) -> LibraryPage:
            from hfterm.screens.library.data import DataRowsPage

            return DataRowsPage(self._engine, id_)

        def download(id_: str) -> LibraryPage:
            from hfterm.screens.library.download import DownloadPage

            return DownloadPage(self._engine, id_)

        makers = (things, files, rows, download)
        return [TabEntry(title, make) for title, make in zip(TITLES, makers, strict=True)]

    def tabs(self) -> TabbedPages[LibraryPage] | None:
        """The tabs, once they are there."""
        return self.pages

    @property
    def page(self) -> LibraryPage | None:
        """The page in sight."""
        return self.pages.page if self.pages is not None else None

    @property
    def log_file(self) -> Path:
        """The library's engine prints there."""
        return self._engine.log_file

    # -- what pages tell -----------------------------------------------------------------------

    @on(TabbedPages.Opened)
    def _opened(self, event: TabbedPages.Opened) -> None:
        from hfterm.screens.library.files import FilesPage

        page = self.page
        if isinstance(page, FilesPage):
            page.show(self._item)
        if page is not None:
            page.come()

    @on(ItemChosen)
    def _chosen(self, event: ItemChosen) -> None:
        self._item = event.item
        things = next(iter(self.query(ThingsPage)), None)
        if things is not None:
            panel = self.query_one("#library-panel")
            panel.border_subtitle = foreign(things.summary)  # pyright: ignore[reportAttributeAccessIssue]
        item = event.item
        self.query_one(ModeBar).show_subject(item.ref if item else "", item.kind if item else "")

    @on(FilesWanted)
    async def _files_wanted(self, event: FilesWanted) -> None:
        assert self.pages is not None
        self._item = event.item
        await self.pages.open(FILES)

    @on(RowsWanted)
    async def _rows_wanted(self, event: RowsWanted) -> None:
        from hfterm.screens.library.data import DataRowsPage

        assert self.pages is not None
        page = await self.pages.open(ROWS)
        assert isinstance(page, DataRowsPage)
        page.show(event.source)

    @on(DownloadWanted)
    async def _download_wanted(self, event: DownloadWanted) -> None:
        from hfterm.screens.library.download import DownloadPage

        assert self.pages is not None
        page = await self.pages.open(DOWNLOAD)
        assert isinstance(page, DownloadPage)
        page.show(event.ref, dataset=event.dataset)

    @on(Brought)
    def _brought(self) -> None:
        """Another look is due, also while another tab is in sight."""
        for things in self.query(ThingsPage):
            things.look()

    # -- actions -------------------------------------------------------------------------------

    def action_things(self) -> None:
        """What is here."""
        self.action_go_to_tab(THINGS)

    def open_window(self) -> Modal[Message | None] | None:
        """The screens for the thing under the cursor; else as everywhere."""
        from hfterm.screens.library.open_in import OpenItemIn

        if self._item is not None and self._item.screens:
            return OpenItemIn(self._item)
        return super().open_window()

    def place(self) -> Place:
        """The thing, the search and the tab."""
        searched = next((field.value for field in self.query("#library-search").results(Input)), "")
        # nothing is opened by being looked at here: it is a place, and not a recent thing
        return Place(tab=self.tab_title, item=self._item.ref if self._item else "", search=searched)

    def again(self) -> None:
        """Look again, or go on."""
        if self.page is not None:
            self.page.again()

    def copy_text(self) -> str:
        """The path of the thing."""
        return self._item.path if self._item is not None else ""
