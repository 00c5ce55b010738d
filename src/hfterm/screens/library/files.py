"""The Files tab: what a thing consists of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.widgets import Static

from hfterm.engine.library_requests import ListFiles
from hfterm.library.types import LibraryFile, LibraryItem
from hfterm.screens.library.page import LibraryPage
from hfterm.sizes import size_text
from hfterm.text import foreign
from hfterm.widgets.data_grid import DataGrid, GridSource
from hfterm.widgets.library_tables import file_rows

if TYPE_CHECKING:
    from hfterm.engine.client import EngineClient


class FilesPage(LibraryPage):
    """A table of files."""

    HELP = """\
## Files
The files of the thing under the cursor of Things, the largest first. PyTorch's pickles are marked:
loading one runs whatever code was put into it; safetensors files can't do that.
"""

    def __init__(self, engine: EngineClient, id: str) -> None:
        super().__init__(engine, id=id)
        self._item: LibraryItem | None = None
        self._files: list[LibraryFile] = []

    def body(self) -> ComposeResult:
        """A line, and the files."""
        yield Static("", id="files-of", markup=False)
        yield DataGrid(
            id="files-grid", empty="Choose a thing on the Things tab: f shows its files."
        )

    def come(self) -> None:
        """Look again."""
        self.query_one("#files-grid").focus()
        if self._item is not None:
            self.start(self._look(self._item))

    def again(self) -> None:
        """Look again."""
        self.come()

    def show(self, item: LibraryItem | None) -> None:
        """The files of this one."""
        if item != self._item:
            self._item = item
            self._files = []
            self.query_one("#files-grid", DataGrid).set_source(file_rows([]))
            self.query_one("#files-of", Static).update("")

    async def _look(self, item: LibraryItem) -> None:
        files = await self.ask(ListFiles(path=item.path))
        if files is None or item != self._item:
            return
        self._files = files
        self.query_one("#files-grid", DataGrid).set_source(file_rows(files), cursor=0)
        total = size_text(sum(file.size for file in files))
        count = f"{len(files):,} file{'' if len(files) == 1 else 's'}"
        self.query_one("#files-of", Static).update(foreign(f"{item.ref} · {count} · {total}"))

    def exported(self) -> tuple[str, GridSource] | None:
        """The table."""
        return ("files", file_rows(self._files)) if self._files else None
