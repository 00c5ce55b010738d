"""One of several answers to the same prompt: a model's name, its figures, the text."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll

from hfterm.text import displayable, foreign
from hfterm.widgets.answer_markdown import AnswerMarkdown
from hfterm.widgets.turn_view import shown


class AnswerColumn(VerticalScroll, can_focus=True):
    """A panel; the text grows in it, and its end stays in sight."""

    HELP = """\
## An answer
`↑` `↓` scroll it, `z` shows it alone, and all again. `alt+d` takes its model away.
"""

    DEFAULT_CSS = """
    AnswerColumn {
        border: none; border-top: solid $border; border-title-color: $foreground;
        height: 1fr; width: 1fr; padding: 0 1; margin-right: 1; scrollbar-size-vertical: 1;
    }
    AnswerColumn:focus { border: none; border-top: solid $accent; }
    AnswerColumn > Markdown { padding: 0; margin: 0; background: transparent; height: auto; }
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.said = ""
        self._name = name
        self._text = AnswerMarkdown()
        self.figures("")

    def compose(self) -> ComposeResult:
        """The text."""
        yield self._text

    def call_it(self, name: str) -> None:
        """Another name."""
        self._name = name
        self.figures("")

    def figures(self, words: str) -> None:
        """Say how fast it was."""
        told = f" {self._name} · {words} " if words else f" {self._name} "
        self.border_title = foreign(told)  # pyright: ignore[reportAttributeAccessIssue]

    async def begin(self) -> None:
        """An empty text, for another answer."""
        self.said = ""
        self.figures("")
        await self._text.update("")
        self.anchor()

    async def add(self, text: str) -> None:
        """More of it."""
        self.said += text
        await self._text.append(displayable(text, lines=True))

    async def settle(self, text: str) -> None:
        """The whole of it."""
        self.said = text
        await self._text.update(shown(text))

    def copy_text(self) -> str:
        """The answer."""
        return self.said
