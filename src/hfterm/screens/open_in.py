"""Which screen a thing is opened on, and what was open before."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from hfterm.errors import HftermError
from hfterm.library.fitting import fitting
from hfterm.screens.messages import ModelToOpen, Thing
from hfterm.session.types import Recent
from hfterm.text import elide_middle, foreign
from hfterm.widgets.modals import Modal

CARRIES_TEXT = ("tokenize", "predict", "attention", "chat")
"""Screens that take a text along."""


class OpenIn(Modal[Message | None]):
    """The screens that can open what is open here, the most fitting first; then what was open."""

    HELP = """\
## Open in
Where to open what is open here; below, what was open lately. `↑` `↓` choose, `Enter` opens, `Esc`
closes.
"""

    def __init__(
        self,
        thing: Thing | None,
        mode: str,
        modes: Sequence[tuple[str, str]],
        recent: Sequence[Recent],
    ) -> None:
        super().__init__()
        self._thing = thing
        self._modes: Sequence[str] = ()
        self._mode = mode
        self._titles = dict(modes)
        self._recent = [r for r in recent if thing is None or r != Recent(thing.ref, mode)]
        self._choices: list[ModelToOpen] = []

    def compose(self) -> ComposeResult:
        """The choices."""
        titles, thing = self._titles, self._thing
        with Vertical() as box:
            name = elide_middle(thing.ref, 60) if thing is not None else "again"
            box.border_title = foreign(f"Open {name}")  # pyright: ignore[reportAttributeAccessIssue]
            box.border_subtitle = "Enter open · Esc close"
            options: list[Option | None] = []
            for mode in self._modes:
                assert thing is not None
                takes = bool(thing.text) and mode in CARRIES_TEXT
                text, offset = (thing.text, thing.offset) if takes else ("", 0)
                self._choices.append(ModelToOpen(mode, thing.ref, text=text, offset=offset))
                options.append(
                    Option(
                        Content.assemble(titles[mode], ("  with the text" if takes else "", "dim"))
                    )
                )
            if options and self._recent:
                options.append(None)
            for recent in self._recent:
                self._choices.append(ModelToOpen(recent.mode, recent.ref))
                options.append(
                    Option(
                        Content.assemble(
                            foreign(elide_middle(recent.ref, 44)),
                            (f"  {titles.get(recent.mode, recent.mode)} · recent", "dim"),
                        )
                    )
                )
            yield OptionList(*options)

    def look(self) -> None:
        """Find out where else the thing can be opened."""
        if self._thing is None:
            return
        with suppress(HftermError):  # the screen it was typed on has said so
            modes = fitting(self._thing.ref)
            self._modes = [mode for mode in modes if mode not in (self._mode, "library")]

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Answer with what is to be opened."""
        self.dismiss(self._choices[event.option_index])
