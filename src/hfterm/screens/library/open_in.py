"""Which screen a thing of the library is opened on."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from hfterm.library.types import LibraryItem
from hfterm.screens.library.things import opening
from hfterm.text import elide_middle, foreign
from hfterm.widgets.modals import Modal


class OpenItemIn(Modal[Message | None]):
    """The screens that can open it, the most fitting first."""

    HELP = "## Open in\n`↑` `↓` choose, `Enter` opens, `Esc` closes."

    def __init__(self, item: LibraryItem) -> None:
        super().__init__()
        self._item = item

    def compose(self) -> ComposeResult:
        """The choices."""
        with Vertical() as box:
            name = elide_middle(self._item.ref, 60)
            box.border_title = foreign(f"Open {name}")  # pyright: ignore[reportAttributeAccessIssue]
            box.border_subtitle = "Enter open · Esc close"
            yield OptionList(
                *(
                    Option("Rows" if mode == "library" else mode.capitalize(), id=mode)
                    for mode in self._item.screens
                )
            )

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Answer with what opens it."""
        self.dismiss(opening(self._item, event.option.id or ""))
