"""As many charts as there is room for, with one cursor and one window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Container

from hfterm.widgets.chart import Chart
from hfterm.widgets.training_charts import ChartGroup, group_lines

if TYPE_CHECKING:
    from hfterm.training.curves import AxisName

MOST = 6
CHART_WIDTH = 56
"""Cells that a chart needs to be worth its place beside another."""

CHART_HEIGHT = 9
EMPTY = "What the run logs is drawn here."


class ChartBoard(Container):
    """A grid of charts: groups of metrics, the chosen one first."""

    DEFAULT_CSS = """
    ChartBoard { layout: grid; grid-gutter: 0 2; height: 1fr; min-height: 4; }
    ChartBoard > Chart { height: 100%; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._places = 0
        self._all: list[Chart] = []
        self._groups: tuple[ChartGroup, ...] = ()
        self._first = ""
        self._axis: AxisName = "step"
        self._window = 1

    def compose(self) -> ComposeResult:
        """All charts there can be; those without a place are not drawn."""
        self._all = [Chart(empty=EMPTY, id=f"{self.id}-{number}") for number in range(MOST)]
        yield from self._all

    @property
    def charts(self) -> list[Chart]:
        """The charts that have a place."""
        return self._all[: self._places]

    def show(self, groups: Sequence[ChartGroup], first: str, axis: AxisName, window: int) -> None:
        """Show other charts.

        Args:
            groups: all there are.
            first: the title of the one that comes first.
            axis: what x is.
            window: points that are averaged; 1 for none.
        """
        self._groups, self._first = tuple(groups), first
        self._axis, self._window = axis, window
        shown = self._ordered()
        for number, chart in enumerate(self.charts):
            if number >= len(shown):
                chart.set_empty("" if shown else EMPTY)
                chart.set_lines("", [], None, axis)
                continue
            group = shown[number]
            extent = group.curves.extent(group.names, axis)
            chart.set_lines(group.title, group_lines(group, axis, window), extent, axis, group.unit)

    def update_points(self) -> None:
        """There are new points."""
        for chart, group in zip(self.charts, self._ordered(), strict=False):
            chart.update_extent(group.curves.extent(group.names, self._axis))

    def _ordered(self) -> list[ChartGroup]:
        titles = [group.title for group in self._groups]
        first = titles.index(self._first) if self._first in titles else 0
        return [*self._groups[first:], *self._groups[:first]]

    def on_resize(self) -> None:
        """Another number of charts."""
        columns = max(1, min(3, self.size.width // CHART_WIDTH))
        rows = max(1, min(MOST // columns, self.size.height // CHART_HEIGHT))
        if columns * rows == self._places and self.styles.grid_size_columns == columns:
            return
        self._places = columns * rows
        self.styles.grid_size_columns = columns
        self.styles.grid_size_rows = rows
        for number, chart in enumerate(self._all):
            chart.display = number < self._places
        self.show(self._groups, self._first, self._axis, self._window)

    def go_into(self) -> None:
        """Put the focus on the first chart."""
        self._all[0].focus()

    @on(Chart.CursorMoved)
    def _cursor_moved(self, event: Chart.CursorMoved) -> None:
        event.stop()
        for chart in self.charts:
            if chart is not event.chart:
                chart.put_cursor(event.x)

    @on(Chart.ViewChanged)
    def _view_changed(self, event: Chart.ViewChanged) -> None:
        """The window is all charts'; the scale of y is each chart's own."""
        event.stop()
        view = event.view
        for chart in self.charts:
            if chart is not event.chart:
                chart.set_view(
                    replace(chart.view, first=view.first, last=view.last, cursor=view.cursor)
                )
