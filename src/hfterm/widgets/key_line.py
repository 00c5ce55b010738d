"""The footer with whole keys only, help among them: one cut in its word says nothing."""

from __future__ import annotations

from collections.abc import Iterable

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

HELP = "help"
"""The action that names all keys, so that none is lost with its place in the footer."""


class KeyLine(Footer):
    """Keys in their order, as many as there is room for, and help in any case."""

    def __init__(self) -> None:
        super().__init__(show_command_palette=False, compact=True)

    def compose(self) -> ComposeResult:
        """Make the keys, and show those that fit."""
        made = list(super().compose())
        self._show_whole(one for one in made if isinstance(one, FooterKey))
        yield from made

    def on_resize(self, event: events.Resize) -> None:
        """There is another number of columns."""
        self._show_whole(self.query_children(FooterKey))

    def _show_whole(self, keys: Iterable[FooterKey]) -> None:
        keys = list(keys)
        room = self.size.width + 1 - sum(_columns(key) for key in keys if key.action == HELP)
        for key in keys:
            if key.action == HELP:
                continue
            room -= _columns(key)
            key.display = room >= 0


def _columns(key: FooterKey) -> int:
    """Columns that a key and the space after it take."""
    return cell_len(key.key_display) + 1 + cell_len(key.description) + 1
