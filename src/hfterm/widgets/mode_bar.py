"""The line on top of every screen: the screens there are, and what is open in this one."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from hfterm.text import elide_start, fit, foreign

LEAST = 12
"""Cells of a name that are kept before what is said of it gives way as well."""

TIGHT = 100
"""Columns below which the words stand closer, so that the name has room."""


SHORT = {"Tokenize": "Token", "Models": "Model", "Predict": "Pred", "Attention": "Attn",
         "Library": "Lib"}  # fmt: skip
"""The words of other screens where room is short; that of the screen in sight stays whole."""


class ModeWord(Static):
    """The name of a screen; a click switches to it."""

    class Chosen(Message):
        """The word was clicked."""

        def __init__(self, mode: str) -> None:
            super().__init__()
            self.mode = mode

    def __init__(self, number: int, mode: str, title: str, *, current: bool) -> None:
        super().__init__(classes="-current" if current else None, markup=False)
        self.mode = mode
        self._number = number
        self._title = title
        self.tighten(tight=False)

    def tighten(self, *, tight: bool) -> None:
        """Take less room, or as much as the word needs."""
        short = tight and not self.has_class("-current")
        title = SHORT.get(self._title, self._title) if short else self._title
        self.update(Content.assemble((f"{self._number}" + " " * (not tight), "dim"), title))

    def on_click(self) -> None:
        """Switch to the screen."""
        self.post_message(self.Chosen(self.mode))


class ModeBar(Horizontal):
    """The screens, numbered as their keys; on the right, what is open."""

    DEFAULT_CSS = """
    ModeBar { height: 1; padding: 0 1; }
    ModeBar > ModeWord { width: auto; margin-right: 3; color: $text-muted; }
    ModeBar.-tight > ModeWord { margin-right: 1; }
    ModeBar > ModeWord.-current { color: $accent; text-style: bold; }
    ModeBar > #mode-subject { width: 1fr; text-align: right; }
    """

    def __init__(self, modes: Sequence[tuple[str, str]], current: str) -> None:
        super().__init__()
        self._modes = modes
        self._current = current
        self._subject = ("", "")

    def compose(self) -> ComposeResult:
        """The words and the subject."""
        for number, (mode, title) in enumerate(self._modes, 1):
            yield ModeWord(number, mode, title, current=mode == self._current)
        yield Static("", id="mode-subject", markup=False)

    def on_mount(self) -> None:
        """As close as the window is narrow, before the first frame."""
        self._fit()

    def _fit(self) -> None:
        tight = self.app.size.width < TIGHT
        if tight != self.has_class("-tight"):
            self.set_class(tight, "-tight")
            for word in self.query(ModeWord):
                word.tighten(tight=tight)

    def show_subject(self, name: str, facts: str) -> None:
        """Name what is open. `name` may be anything. Where room is short it gives way first."""
        self._subject = (name, facts)
        line = self.query_one("#mode-subject", Static)
        if line.size.width:
            room = line.size.width
            name = elide_start(name, max(min(LEAST, room), room - cell_len(facts) - 2))
            left = max(0, room - cell_len(name) - 2)
            facts = fit(facts, left) if cell_len(facts) > left else facts
        subject = Content.assemble(foreign(name, "bold"), "  ", foreign(facts, "dim"))
        # its width is what the modes leave: laying the screen out again would change nothing
        line.update(subject, layout=False)

    def on_resize(self) -> None:
        """The name takes what there is."""
        self._fit()
        if any(self._subject):
            self.call_after_refresh(self.show_subject, *self._subject)
