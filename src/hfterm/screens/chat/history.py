"""The History tab: every conversation, searched as one types."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input

from hfterm.chat.conversation_files import export_conversation, import_conversations
from hfterm.errors import HftermError
from hfterm.job import Progress
from hfterm.paths import full_path
from hfterm.screens.chat.page import ChatPage, ConversationWanted
from hfterm.widgets.conversation_table import ConversationRows
from hfterm.widgets.data_grid import DataGrid, GridSource
from hfterm.widgets.fields import Field

if TYPE_CHECKING:
    from hfterm.engine.client import EngineClient
    from hfterm.screens.chat.session import Session

MOST = 1000
"""Conversations that are listed at once."""


class HistoryPage(ChatPage):
    """A field and a table."""

    HELP = """\
## History
Every conversation that was had here, the newest first. `/` (`alt+l`) goes to the search: words that
were said, found as you type. `Enter` on a row goes on with it. `n` (`alt+r`) renames it, `d`
(`Delete`) deletes it, `w` (`alt+w`) writes it to a Markdown or JSON file, `Ctrl+O` takes
conversations from one.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search", key_display="/", id="history.search-letter",
                tooltip="Search what was said"),
        Binding("alt+l", "search", "Search", show=False, priority=True, id="history.search",
                tooltip="Search what was said"),
        Binding("alt+r", "rename", "Rename", priority=True, id="history.rename",
                tooltip="Give the conversation another title"),
        Binding("n", "rename", "Rename", show=False, id="history.rename-letter",
                tooltip="Give the conversation another title"),
        Binding("delete", "delete", "Delete", id="history.delete",
                tooltip="Delete the conversation, after a question"),
        Binding("d", "delete", "Delete", show=False, id="history.delete-letter",
                tooltip="Delete the conversation, after a question"),
        Binding("alt+w", "write", "Write", priority=True, id="history.write",
                tooltip="Write the conversation to a Markdown or JSON file"),
        Binding("w", "write", "Write", show=False, id="history.write-letter",
                tooltip="Write the conversation to a Markdown or JSON file"),
        Binding("ctrl+o", "read", "Read", priority=True, id="history.read",
                tooltip="Take conversations from a Markdown, JSON or JSONL file"),
    ]  # fmt: skip

    def __init__(self, engine: EngineClient, session: Session, id: str) -> None:
        super().__init__(engine, id=id)
        self.session = session
        self._rows = ConversationRows(())

    def body(self) -> ComposeResult:
        """Search and what is found."""
        with Horizontal(classes="options"):
            yield Field("search", "", placeholder="/ words that were said", id="history-search")
        yield DataGrid(id="history-grid", empty="No conversation yet: write on the Talk tab.")

    def action_search(self) -> None:
        """Go to the search."""
        self.query_one("#history-search").focus()

    def come(self) -> None:
        """Look again."""
        self.query_one("#history-grid").focus()
        self.look()

    @on(Input.Changed, "#history-search")
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.look()

    @on(Input.Submitted, "#history-search")
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.query_one("#history-grid").focus()

    def look(self) -> None:
        """Ask the store for what is searched."""
        self._search(self.query_one("#history-search", Input).value)

    @work(thread=True, exclusive=True, group="history", exit_on_error=False)
    def _search(self, words: str) -> None:
        """Beside the interface."""
        try:
            rows = self.session.store.list(words, limit=MOST)
        except HftermError as error:
            self.app.call_from_thread(self.notice.show_error, error)
            return
        self.app.call_from_thread(self._show, ConversationRows(rows), words)

    def _show(self, rows: ConversationRows, words: str) -> None:
        self._rows = rows
        grid = self.query_one("#history-grid", DataGrid)
        grid.empty = f"Nothing that was said holds “{words}”." if words.strip() else (
            "No conversation yet: write on the Talk tab."
        )  # fmt: skip
        grid.set_source(rows)

    def _chosen(self) -> int | None:
        at = self.query_one("#history-grid", DataGrid).cursor_row
        return self._rows.rows[at].id if at < len(self._rows) else None

    @on(DataGrid.RowChosen, "#history-grid")
    def _open(self, event: DataGrid.RowChosen) -> None:
        event.stop()
        if event.row < len(self._rows):  # of what was found before there may be more
            self.post_message(ConversationWanted(self._rows.rows[event.row].id))

    @work(group="history-window", exclusive=True, exit_on_error=False)
    async def action_rename(self) -> None:
        """Another title."""
        from hfterm.widgets.modals import Prompt

        chosen = self._chosen()
        if chosen is None:
            return
        row = next(row for row in self._rows.rows if row.id == chosen)
        title = await self.app.push_screen_wait(
            Prompt("Rename", "Enter renames, Esc closes.", row.title)
        )
        if title:
            await self._do("renaming", lambda: self.session.store.rename(chosen, title))

    @work(group="history-window", exclusive=True, exit_on_error=False)
    async def action_delete(self) -> None:
        """Delete after a yes."""
        from hfterm.widgets.confirm import Confirm

        chosen = self._chosen()
        if chosen is None:
            return
        row = next(row for row in self._rows.rows if row.id == chosen)
        lines = [f"“{row.title}”, {row.messages:,} messages.", "It can't be brought back."]
        if await self.app.push_screen_wait(Confirm("Delete the conversation?", lines)):
            if self.session.conversation == chosen:
                self.session.new()
            await self._do("deleting", lambda: self.session.store.delete(chosen))

    @work(group="history-window", exclusive=True, exit_on_error=False)
    async def action_write(self) -> None:
        """Write to a file."""
        from hfterm.widgets.modals import Prompt

        chosen = self._chosen()
        if chosen is None:
            return
        path = await self.app.push_screen_wait(
            Prompt("Write the conversation", "A path that ends in .md or .json.", "chat.md")
        )
        if path and await self._do(
            "writing", lambda: export_conversation(self.session.store, chosen, full_path(path))
        ):
            self.notice.show(f"Wrote {full_path(path)}.", severity="note")

    @work(group="history-window", exclusive=True, exit_on_error=False)
    async def action_read(self) -> None:
        """Take from a file."""
        from hfterm.widgets.modals import Prompt

        path = await self.app.push_screen_wait(
            Prompt("Take conversations from a file", "A path: .md, .json or .jsonl.", "", "path")
        )
        if path:
            await self._do(
                "reading", lambda: import_conversations(self.session.store, full_path(path))
            )

    async def _do(self, doing: str, what: Callable[[], object]) -> bool:
        """Beside the interface: a file may be long, and the disk slow."""
        self.job_line.show(Progress(doing))
        try:
            await asyncio.to_thread(what)
        except HftermError as error:
            self.notice.show_error(error)
            return False
        finally:
            self.job_line.clear()
        self.notice.clear()
        self.look()
        return True

    def exported(self) -> tuple[str, GridSource] | None:
        """The table."""
        return ("conversations", self._rows) if len(self._rows) else None
