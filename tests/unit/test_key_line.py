"""The footer shows whole keys, and help among them."""

from __future__ import annotations

from typing import ClassVar

import pytest
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType

from hfterm.widgets.key_line import KeyLine

WORDS = ("Run", "Load", "Next tab", "漢字", "Help", "Code")


class WithKeys(App[None]):
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(f"f{n}", "help" if word == "Help" else f"do({n})", word)
        for n, word in enumerate(WORDS, 1)
    ]

    def compose(self) -> ComposeResult:
        yield KeyLine()


def line_of(app: App[None]) -> str:
    """The last line in sight."""
    strip = app.screen._compositor.render_strips()[-1]
    return "".join(segment.text for segment in strip).rstrip()


@pytest.mark.parametrize(
    ("width", "line"),
    [(60, "f1 Run f2 Load f3 Next tab f4 漢字 f5 Help f6 Code"),
     (50, "f1 Run f2 Load f3 Next tab f4 漢字 f5 Help f6 Code"),
     (49, "f1 Run f2 Load f3 Next tab f4 漢字 f5 Help"),
     (34, "f1 Run f2 Load f3 Next tab f5 Help"),
     (33, "f1 Run f2 Load f5 Help"),
     (8, "f5 Help")],
)  # fmt: skip
async def test_keys_are_whole_and_help_is_there(width: int, line: str) -> None:
    app = WithKeys()
    async with app.run_test(size=(width, 3)) as pilot:
        await pilot.pause()
        assert line_of(app) == line
        await pilot.resize_terminal(60, 3)
        await pilot.pause()
        assert line_of(app) == "f1 Run f2 Load f3 Next tab f4 漢字 f5 Help f6 Code"
        await pilot.resize_terminal(width, 3)
        await pilot.pause()
        assert line_of(app) == line
