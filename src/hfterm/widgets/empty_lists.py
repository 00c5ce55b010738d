"""A list that has no room has no lines to page over.

In a terminal of some 40 columns the command palette's list gets no width, and so Textual computes
no lines for it. `PageDown` looks for the highlighted one all the same: a `KeyError` that ends the
application.
"""

from __future__ import annotations

from typing import Literal

from textual.widgets import OptionList

_move_page = OptionList._move_page  # pyright: ignore[reportPrivateUsage]


def _move_where_lines_are(self: OptionList, direction: Literal[-1, 1]) -> None:
    if (self.highlighted or 0) in self._index_to_line:  # pyright: ignore[reportPrivateUsage]
        _move_page(self, direction)


def let_lists_be_without_lines() -> None:
    """Put it in the place of Textual's. A test fails when what it stands on moves."""
    OptionList._move_page = _move_where_lines_are  # pyright: ignore[reportPrivateUsage]
