"""Asks where a figure or the numbers go, and has the engine write them."""

from __future__ import annotations

from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Label

from hfterm.engine.attention_requests import WriteAttention
from hfterm.engine.client import EngineClient
from hfterm.errors import HftermError
from hfterm.paths import full_path
from hfterm.screens.attention.sight import Sight
from hfterm.widgets.fields import Choice
from hfterm.widgets.job_line import JobLine
from hfterm.widgets.modals import Modal
from hfterm.widgets.notice import Notice

MAP, GRID, MATRIX = "this map", "the grid of all heads", "the matrix of the metric"


class FigureModal(Modal[None]):
    """A path and what is written there."""

    HELP = """\
## Export
The name's ending is the format: `.png` and `.svg` draw, `.npz` and `.csv` hold the numbers. This
map, all heads (a grid of small maps; in `.npz` every weight, in `.csv` the metrics), or the matrix
of the metric. `Tab` goes to the choice, `←` `→` change it, `Enter` writes.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "write", "Write", show=False, priority=True, id="figure.write",
                tooltip="Write the file"),
    ]  # fmt: skip

    def __init__(self, engine: EngineClient, sight: Sight) -> None:
        super().__init__()
        self._engine = engine
        self._sight = sight

    def compose(self) -> ComposeResult:
        """What, where to, progress, and what went wrong."""
        sight = self._sight
        with Vertical() as box:
            box.border_title = "Export"
            box.border_subtitle = "Enter writes · Esc closes"
            yield Input("attention.png", compact=True)
            yield Choice("write", (MAP, GRID, MATRIX), id="figure-what")
            yield Label(
                f"{sight.which.name} · {sight.metric}   .png .svg .npz .csv",
                classes="hint", markup=False,
            )  # fmt: skip
            yield JobLine()
            yield Notice()

    def action_write(self) -> None:
        """Write, from the name as from the choice."""
        if name := self.query_one(Input).value.strip():
            self._write(full_path(name))

    @work(group="figure", exclusive=True, exit_on_error=False)
    async def _write(self, path: str) -> None:
        line, notice, sight = self.query_one(JobLine), self.query_one(Notice), self._sight
        what = self.query_one(Choice).value
        request = WriteAttention(
            looked=sight.looked, side=sight.side, which=sight.which if what == MAP else None,
            out=path, metric=sight.metric if what == MATRIX else None,
        )  # fmt: skip
        notice.clear()
        try:
            said = await self._engine.call(request, line.show)
        except HftermError as error:
            notice.show_error(error)
        else:
            self.notify(said, markup=False)
            self.dismiss(None)
        finally:
            line.clear()
