"""The quantization lab's results as bars: one group a measure, as many as there is room for."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widget import Widget

from hfterm.chat.lab_types import MEASURES, Measure, WayResult
from hfterm.widgets.model_tables import bar
from hfterm.widgets.sized import Sized

NAME = 10
VALUE = 10
LEAST_BAR = 6
GAP = 2


class LabChart(Sized, Widget):
    """Bars; the best of each group stands out."""

    DEFAULT_CSS = """
    LabChart { height: auto; margin-top: 1; display: none; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._results: list[WayResult] = []

    def show(self, results: Sequence[WayResult]) -> None:
        """Draw what was measured; ways that failed have no bar."""
        self._results = [result for result in results if not result.error]
        self.display = bool(self._results)
        self.refresh(layout=True)

    def resized(self) -> None:
        """Another number of groups may fit."""
        self.refresh()

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        """A line a way, and the titles."""
        return len(self._results) + 1

    def render(self) -> Content:
        """The groups side by side."""
        width = self.room().width
        least = NAME + LEAST_BAR + VALUE + GAP
        groups = max(1, min(len(MEASURES), (width + GAP) // least))
        room = (width + GAP) // groups - GAP
        blocks = [_block(measure, self._results, room) for measure in MEASURES[:groups]]
        gap = Content(" " * GAP)
        return Content("\n").join(gap.join(line) for line in zip(*blocks, strict=True))


def _block(measure: Measure, results: Sequence[WayResult], width: int) -> list[Content]:
    """A title and a line a way, each `width` cells."""
    values = [measure.value(result) for result in results]
    known = [value for value in values if value is not None]
    most = max(known, default=0.0)
    best = measure.best(known) if len(known) > 1 else None
    cells = width - NAME - VALUE
    lines = [Content.styled(measure.title[:width].ljust(width), "$text-muted")]
    for result, value in zip(results, values, strict=True):
        name = result.way[: NAME - 1].ljust(NAME)
        if value is None:
            lines.append(Content(f"{name}{'–':<{width - NAME}}"))
            continue
        drawn = bar(value / most if most > 0 else 0.0, cells).ljust(cells)
        tone = "$accent" if value == best else "$secondary"
        figure = f"{value:{measure.form}}"[: VALUE - 1].rjust(VALUE)
        lines.append(Content.assemble(name, (drawn, tone), figure))
    return lines
