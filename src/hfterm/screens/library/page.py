"""What every tab of the Library screen is, and what they tell the screen."""

from __future__ import annotations

from textual.message import Message

from hfterm.library.types import LibraryItem
from hfterm.widgets.tab_page import TabPage


class ItemChosen(Message):
    """The cursor is on another thing."""

    def __init__(self, item: LibraryItem | None) -> None:
        super().__init__()
        self.item = item


class RowsWanted(Message):
    """A data set's rows should be seen."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source


class FilesWanted(Message):
    """The files of a thing should be seen."""

    def __init__(self, item: LibraryItem) -> None:
        super().__init__()
        self.item = item


class DownloadWanted(Message):
    """A hub id should be brought."""

    def __init__(self, ref: str, *, dataset: bool = False) -> None:
        super().__init__()
        self.ref, self.dataset = ref, dataset


class Brought(Message):
    """Something is here that was not."""


class LibraryPage(TabPage):
    """A tab."""

    HELP = "## Library\n`F3` and `F4` go through the tabs."

    def come(self) -> None:
        """The page came in sight."""

    def again(self) -> None:
        """Do again what the page does."""
