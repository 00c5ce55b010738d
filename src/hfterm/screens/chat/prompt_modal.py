"""The prompt as the chat template made it."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from hfterm.text import foreign
from hfterm.widgets.modals import Modal


class PromptModal(Modal[None]):
    """A window over the text; every special token in it is written out."""

    HELP = "## Raw prompt\nWhat the model read, as the chat template made it. `Esc` closes."

    def __init__(self, prompt: str) -> None:
        super().__init__()
        self._prompt = prompt

    def compose(self) -> ComposeResult:
        """The text."""
        with Vertical() as box:
            box.border_title = "Prompt"
            box.border_subtitle = f"{len(self._prompt):,} characters · Esc close"
            with VerticalScroll():
                yield Static(foreign(self._prompt[:200_000], lines=True), markup=False)

    def copy_text(self) -> str:
        """The prompt."""
        return self._prompt
