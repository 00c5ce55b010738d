"""The Things tab: everything on this machine, searched, sorted, opened, checked and deleted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from hfterm.engine.library_requests import DeleteItem, FreedBy, ListLibrary, VerifyItem
from hfterm.library.code import LIST
from hfterm.library.types import Library, LibraryItem
from hfterm.paths import home_relative
from hfterm.screens.library.page import (
    DownloadWanted,
    FilesWanted,
    ItemChosen,
    LibraryPage,
    RowsWanted,
)
from hfterm.screens.messages import ModelToOpen
from hfterm.sizes import size_text
from hfterm.text import displayable, elide_middle, foreign
from hfterm.widgets.data_grid import DataGrid, GridSource
from hfterm.widgets.fields import Choice, Field
from hfterm.widgets.library_tables import LibraryRows, day

if TYPE_CHECKING:
    from hfterm.engine.client import EngineClient
    from hfterm.session.types import Place

KINDS = ("all", "model", "adapter", "tokenizer", "data set", "GGUF")

SORTS: dict[str, Callable[[LibraryItem], tuple[float | str, ...]]] = {
    "last used": lambda item: (-item.used, item.ref),
    "size": lambda item: (-item.size, item.ref),
    "name": lambda item: (item.ref.lower(),),
    "parameters": lambda item: (-(item.parameters or 0), item.ref),
    "from": lambda item: (item.place, item.ref),
}

EMPTY = (
    "Nothing is here yet: F3 goes to Download, for models of the hub; "
    "hfterm starter gets the starter kit."
)


def opening(item: LibraryItem, mode: str) -> Message:
    """What opens a thing on a screen."""
    if mode == "library":
        return RowsWanted(item.ref if item.place == "starter kit" else item.path)
    return ModelToOpen(mode, item.ref)


class ThingsPage(LibraryPage):
    """Search, table, and what is known of the row.

    Args:
        engine: the library's.
        folders: those of the settings, which are looked through too.
        id: the page's.
        begin: the search and the thing to begin with.
    """

    HELP = """\
## Things
Every model, adapter, tokenizer and data set: of the starter kit, the hub cache, the runs, what was
trained here, and the folders that `library_folders` in the settings names. `/` (`alt+l`) searches
names, classes and licences. `Enter` opens the thing on the screen that fits it, `o` (`alt+o`) on
any. `f` (`alt+i`) lists its files, `v` (`alt+v`) reads every byte and compares it with what the hub
says, `d` (`Delete`) deletes it and says what that frees. `✗` marks what can't be used as it is, `!`
files that run code when they are loaded (PyTorch's pickles).
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search", key_display="/", show=False,
                id="library.search-letter", tooltip="Search names, classes and licences"),
        Binding("alt+l", "search", "Search", show=False, priority=True, id="library.search",
                tooltip="Search names, classes and licences"),
        Binding("o,alt+o", "app.open_in", "Open in", id="library.open-in",
                tooltip="Open the thing on a screen of your choice"),
        Binding("alt+i", "files", "Files", priority=True, id="library.files",
                tooltip="The files of the thing"),
        Binding("f", "files", "Files", show=False, id="library.files-letter",
                tooltip="The files of the thing"),
        Binding("alt+v", "verify", "Verify", priority=True, id="library.verify",
                tooltip="Read every byte, and compare it with the hash that the hub names"),
        Binding("v", "verify", "Verify", show=False, id="library.verify-letter",
                tooltip="Read every byte, and compare it with the hash that the hub names"),
        Binding("delete", "delete", "Delete", id="library.delete",
                tooltip="Delete the thing, after a question that says what it frees"),
        Binding("d", "delete", "Delete", show=False, id="library.delete-letter",
                tooltip="Delete the thing, after a question that says what it frees"),
    ]  # fmt: skip

    def __init__(
        self, engine: EngineClient, folders: Sequence[str], id: str, *, begin: Place
    ) -> None:
        super().__init__(engine, id=id)
        self._folders = tuple(folders)
        self._searched = begin.search
        self.library = Library([], None, 0, [])
        self._rows = LibraryRows(())
        self._begin = begin.item

    def body(self) -> ComposeResult:
        """The fields, the table, the words."""
        with Horizontal(classes="options"):
            yield Field(
                "search", self._searched, placeholder="/ name, class, licence", id="library-search"
            )
            yield Choice("kind", KINDS, id="library-kind")
            yield Choice("sort", tuple(SORTS), id="library-sort")
        yield DataGrid(id="library-grid", empty="Looking …")
        yield Static("", id="library-about", markup=False)

    def come(self) -> None:
        """Look again; it is cheap."""
        self.query_one("#library-grid").focus()
        self.look()

    def again(self) -> None:
        """Look again."""
        self.look()

    def look(self) -> None:
        """Ask what is here."""
        if not self.busy:
            self.start(self._look())

    async def _look(self) -> None:
        library = await self.ask(ListLibrary(folders=self._folders), keep=True)
        if library is None:
            return
        self.library = library
        self._show()
        self.notice.clear()
        if library.problems:
            more = f" And {len(library.problems) - 1:,} more." if len(library.problems) > 1 else ""
            self.notice.show(library.problems[0], f"The rest is shown.{more}", "warning")

    def _show(self) -> None:
        wanted = self.query_one("#library-search", Input).value.lower().split()
        kind = self.query_one("#library-kind", Choice).value
        found = [
            item
            for item in self.library.items
            if kind in ("all", item.kind) and all(word in _words(item) for word in wanted)
        ]
        found.sort(key=SORTS[self.query_one("#library-sort", Choice).value])
        before = self.item
        self._rows = LibraryRows(found)
        grid = self.query_one("#library-grid", DataGrid)
        grid.empty = "Nothing here fits that." if self.library.items else EMPTY
        places = [(item.ref, item.place) for item in found]
        key = (before.ref, before.place) if before is not None else None
        at = places.index(key) if key in places else 0
        if self._begin and found:
            at = next((n for n, item in enumerate(found) if item.ref == self._begin), at)
            self._begin = ""
        grid.set_source(self._rows, cursor=at)
        self._tell()

    @property
    def item(self) -> LibraryItem | None:
        """The thing under the cursor."""
        at = self.query_one("#library-grid", DataGrid).cursor_row
        return self._rows.items[at] if at < len(self._rows) else None

    @property
    def summary(self) -> str:
        """How much there is."""
        items = self._rows.items
        size = sum(item.size for item in items)
        parts = [f"{len(items):,} thing{'' if len(items) == 1 else 's'}", size_text(size)]
        if self.library.parts:
            parts.append(f"{size_text(self.library.parts)} broken off")
        if self.library.free is not None:
            parts.append(f"{size_text(self.library.free)} free")
        return " · ".join(parts)

    def on_resize(self) -> None:
        """A path is cut to the width."""
        self._tell_about()

    def _tell_about(self) -> None:
        line = self.query_one("#library-about", Static)
        line.update(about(self.item, line.content_size.width or self.size.width))

    def _tell(self) -> None:
        self._tell_about()
        self.post_message(ItemChosen(self.item))

    @on(Input.Changed, "#library-search")
    @on(Choice.Changed)
    def _narrowed(self, event: Input.Changed | Choice.Changed) -> None:
        event.stop()
        if self.library.items:
            self._show()

    @on(Input.Submitted, "#library-search")
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.query_one("#library-grid").focus()

    @on(DataGrid.RowHighlighted, "#library-grid")
    def _moved(self, event: DataGrid.RowHighlighted) -> None:
        event.stop()
        self._tell()

    # -- what is done with a thing -------------------------------------------------------------

    @on(DataGrid.RowChosen, "#library-grid")
    def _open(self, event: DataGrid.RowChosen) -> None:
        event.stop()
        item = self.item
        if item is None:
            return
        if item.problem == "a download was broken off":
            self.post_message(DownloadWanted(item.ref, dataset=item.kind == "data set"))
        elif not item.screens:
            self._say_no_screen(item)
        else:
            self.open_on(item, item.screens[0])

    def _say_no_screen(self, item: LibraryItem) -> None:
        remedy = item.problem or "f lists its files."
        self.notice.show(f"No screen opens {item.ref}.", remedy, "note")

    def open_on(self, item: LibraryItem, mode: str) -> None:
        """Open a thing on a screen."""
        self.post_message(opening(item, mode))

    def action_search(self) -> None:
        """Go to the search."""
        self.query_one("#library-search").focus()

    def action_files(self) -> None:
        """List its files."""
        if self.item is not None:
            self.post_message(FilesWanted(self.item))

    def action_verify(self) -> None:
        """Check it."""
        if self.item is not None:
            self.notice.clear()
            self.start(self._verify(self.item))

    async def _verify(self, item: LibraryItem) -> None:
        found = await self.ask(VerifyItem(item=item))
        if found is None:
            return
        if found.wrong:
            name, wrong = found.wrong[0]
            more = f" And {len(found.wrong) - 1:,} more." if len(found.wrong) > 1 else ""
            remedy = "Delete it (d) and bring it again." if item.deletable else "Write it again."
            told = f"{name}: {wrong}" if name else wrong
            self.notice.show(f"{item.ref} is damaged. {told}.{more}", remedy)
            return
        unknown = f"{found.unknown:,} have no hash to compare with." if found.unknown else ""
        files = f"{found.right:,} file{'' if found.right == 1 else 's'}"
        self.notice.show(f"{item.ref} is whole: {files} as they should be.", unknown, "note")

    def action_delete(self) -> None:
        """Delete it after a yes."""
        if self.item is not None:
            self.notice.clear()
            self.start(self._delete(self.item))

    async def _delete(self, item: LibraryItem) -> None:
        from hfterm.widgets.confirm import Confirm

        freed = await self.ask(FreedBy(item=item))
        if freed is None:
            return
        lines = [f"{item.ref}, {item.place}.", f"It frees {size_text(freed)}."]
        if item.revisions > 1:
            lines.append(f"All {item.revisions:,} revisions of it go.")
        lines.append(_back_again(item))
        self._asking += 1  # else a download that ends looks at the library, in place of this
        try:
            sure = await self.app.push_screen_wait(Confirm("Delete it?", lines))
        finally:
            self._asking -= 1
        if not sure:
            return
        done = await self.ask(DeleteItem(item=item))
        if done is not None:
            await self._look()
            self.notice.show(f"{item.ref} is deleted; {size_text(done)} are free.", severity="note")

    def exported(self) -> tuple[str, GridSource] | None:
        """The table."""
        return ("library", self._rows) if len(self._rows) else None

    def code(self) -> str:
        """What lists the hub cache."""
        return LIST

    def copy_text(self) -> str:
        """Its path."""
        return self.item.path if self.item is not None else ""


def _words(item: LibraryItem) -> str:
    """What a search looks at."""
    return " ".join((item.ref, item.what, item.licence, item.place, item.kind)).lower()


def _back_again(item: LibraryItem) -> str:
    if item.place == "hub cache":
        return "It can be brought again from the hub."
    if item.place == "starter kit":
        return f"hfterm starter {item.ref} brings it again."
    return "It can't be brought back."


def about(item: LibraryItem | None, width: int) -> Content:
    """Two lines of `width` cells on a thing: where it is, and what else is known."""
    if item is None:
        return Content("")
    facts = [f"written {day(item.changed)}"] if item.changed else []
    if item.revision:
        facts.append(f"revision {item.revision[:7]}")
    if item.licence:
        facts.append(item.licence)
    if item.pickles:
        names = ", ".join(item.pickles[:3])
        facts.append(f"{names}: pickles run code when they are loaded")
    if item.problem:
        facts.append(item.problem)
    if item.screens:
        first = item.screens[0]
        what = "shows its rows" if first == "library" else f"opens {first.capitalize()}"
        facts.append(f"Enter {what}")
    path = elide_middle(displayable(home_relative(Path(item.path))), width)
    return Content("\n").join([foreign(path), foreign(" · ".join(facts), "dim")])
