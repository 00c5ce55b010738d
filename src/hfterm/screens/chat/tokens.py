"""The Tokens tab: an answer token by token, and what the model thought of instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from hfterm.errors import HftermError
from hfterm.screens.chat.page import ChatPage, GoOnFrom
from hfterm.screens.messages import ModelToOpen, TokenWanted
from hfterm.text import foreign
from hfterm.widgets.chat_tables import AlternativeRows, TokenRows
from hfterm.widgets.data_grid import DataGrid, GridSource

if TYPE_CHECKING:
    from hfterm.engine.client import EngineClient
    from hfterm.screens.chat.session import Session


class TokensPage(ChatPage):
    """Tokens above, the alternatives of the one under the cursor below."""

    HELP = """\
## Tokens
How probable the model itself held each token, before temperature and the like; ! where it was less
than even. Below: what it might have said instead. `Tab` goes there, and `Enter` on one has the
answer go on with it. `alt+k` shows the answer on the Tokenize screen, `alt+a` on Attention; `alt+p`
the raw prompt.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("alt+k", "tokenize", "Tokenize", priority=True, id="chat-tokens.tokenize",
                tooltip="The prompt and the answer on the Tokenize screen"),
        Binding("alt+a", "attention", "Attention", priority=True, id="chat-tokens.attention",
                tooltip="The prompt and the answer on the Attention screen"),
        Binding("alt+p", "prompt", "Raw prompt", show=False, priority=True,
                id="chat-tokens.prompt", tooltip="The prompt as the template made it"),
    ]  # fmt: skip

    def __init__(self, engine: EngineClient, session: Session, id: str) -> None:
        super().__init__(engine, id=id)
        self.session = session
        self._message: int | None = None
        self._rows = TokenRows(())

    def body(self) -> ComposeResult:
        """A sum, the tokens, the alternatives."""
        yield Static("", id="tokens-sum", classes="about", markup=False)
        yield DataGrid(id="tokens-grid", empty="The tokens of an answer: alt+t on a turn of Talk.")
        yield DataGrid(id="tokens-others", empty="")

    def come(self) -> None:
        """The last answer, unless another was asked for."""
        self.query_one("#tokens-grid").focus()
        try:
            answers = [said for said in self.session.path() if said.role == "assistant"]
        except HftermError as error:
            self.notice.show_error(error)
            return
        known = {said.id for said in answers}
        if answers and self._message not in known:
            self.show_message(answers[-1].id)
        elif self._message is not None:
            self.show_message(self._message)

    def show_message(self, message: int) -> None:
        """The tokens of an answer."""
        self._message = message
        try:
            self._rows = TokenRows(self.session.store.tokens(message))
        except HftermError as error:
            self.notice.show_error(error)
            return
        grid = self.query_one("#tokens-grid", DataGrid)
        grid.set_source(self._rows)
        grid.focus()
        self.query_one("#tokens-sum", Static).update(foreign(self._rows.words()))
        self._show_others(grid.cursor_row)

    @on(DataGrid.RowHighlighted, "#tokens-grid")
    def _moved(self, event: DataGrid.RowHighlighted) -> None:
        event.stop()
        self._show_others(event.row)

    def _show_others(self, row: int) -> None:
        others = AlternativeRows(self._rows.tokens[row]) if row < len(self._rows) else None
        self.query_one("#tokens-others", DataGrid).set_source(others or AlternativeRows(None))

    @on(DataGrid.RowChosen, "#tokens-others")
    def _go_on(self, event: DataGrid.RowChosen) -> None:
        """Go on from here with another token."""
        event.stop()
        at = self.query_one("#tokens-grid", DataGrid).cursor_row
        others = self._rows.tokens[at].alternatives if at < len(self._rows) else ()
        if self._message is not None and event.row < len(others):
            self.post_message(GoOnFrom(self._message, at, others[event.row].id))

    def _whole(self) -> str:
        said = next((m for m in self.session.path() if m.id == self._message), None)
        return self.session.prompt + (said.content if said is not None else "")

    def action_prompt(self) -> None:
        """The prompt as the template made it."""
        self.show_prompt(self.session.prompt)

    def action_tokenize(self) -> None:
        """The prompt and the answer on the Tokenize screen."""
        if self._whole():
            self.post_message(TokenWanted(self.session.spec.ref, self._whole(), 0))

    def action_attention(self) -> None:
        """The prompt and the answer on the Attention screen."""
        if self._whole():
            self.post_message(ModelToOpen("attention", self.session.spec.ref, text=self._whole()))

    def exported(self) -> tuple[str, GridSource] | None:
        """The tokens."""
        return ("tokens", self._rows) if len(self._rows) else None
