"""Compare: runs over each other, what differs in their recipes, what came of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Static

from hfterm.job import Job
from hfterm.screens.train.page import TrainPage
from hfterm.text import displayable, foreign
from hfterm.training.curve_cache import read_all
from hfterm.training.watching import Watched, cache_of, watch_run
from hfterm.widgets.chart import Chart
from hfterm.widgets.data_grid import NO_ROWS, DataGrid
from hfterm.widgets.fields import Choice
from hfterm.widgets.training_charts import AXES, SMOOTH, axis_of, curve_line, window_of
from hfterm.widgets.training_tables import compare_rows, group_rows, short_names

if TYPE_CHECKING:
    from hfterm.training.store import Run
    from hfterm.widgets.data_grid import GridSource

MOST = 6
"""Runs whose curves are drawn over each other; the tables take all."""


class ComparePage(TrainPage):
    """Some runs."""

    HELP = """\
## Compare
The runs that were marked with `Space` on the Runs tab, or those of one recipe. Above, one metric
of each over the others (`v` another metric, `x` another x axis, `z` smooths). Below, for each
method the mean ± the standard deviation over its finished runs, and then the keys in which the
recipes differ and the results. `Ctrl+E` writes the table with the focus.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v,alt+v", "next('metric')", "Metric", id="runs-compare.metric",
                tooltip="Another metric"),
        Binding("x,alt+x", "next('axis')", "X axis", show=False, id="runs-compare.axis",
                tooltip="Step, epoch, time or tokens"),
        Binding("z,alt+z", "next('smooth')", "Smooth", show=False, id="runs-compare.smooth",
                tooltip="The mean of the last points"),
    ]  # fmt: skip

    _ids: frozenset[str] = frozenset()
    _runs: tuple[Run, ...] = ()
    _watched: tuple[Watched, ...] = ()
    _reading: tuple[Watched, ...] = ()
    _again = False

    def body(self) -> ComposeResult:
        """Choices, the chart, the methods, the differences."""
        yield Static("", id="runs-compare-sum", markup=False)
        with Horizontal(classes="options"):
            yield Choice("metric", ("loss",), id="runs-compare-metric")
            yield Choice("x", AXES, id="runs-compare-axis")
            yield Choice("smooth", SMOOTH, id="runs-compare-smooth")
        yield Chart(id="runs-compare-chart", empty="Space marks runs on the Runs tab, m compares.")
        yield DataGrid(id="runs-compare-methods")
        yield DataGrid(id="runs-compare-grid")

    def on_mount(self) -> None:
        """Nothing is compared yet."""
        for name in ("methods", "grid"):
            self.query_one(f"#runs-compare-{name}").display = False

    def compare(self, ids: frozenset[str], runs: Sequence[Run]) -> None:
        """Compare other runs."""
        if ids != self._ids:
            self._ids = ids
            self._watched = ()
        self.show_runs(runs)

    def show_runs(self, runs: Sequence[Run]) -> None:
        """The runs changed."""
        chosen = tuple(run for run in reversed(runs) if run.id in self._ids)
        if chosen == self._runs and self._watched:
            return
        self._runs = chosen
        if not chosen:
            if self._watched:  # all that was compared is deleted
                self._watched = ()
                self._tables()
                self.query_one("#runs-compare-chart", Chart).set_lines("", [])
            return
        self._tables()
        if [w.name for w in self._watched] != [run.id for run in chosen[:MOST]]:
            self._watched = tuple(watch_run(run.path) for run in chosen[:MOST])
        if self._reading == self._watched:
            self._again = True  # by the reader that is at it
        else:
            self.start(self._read(self._watched))

    async def _read(self, watched: tuple[Watched, ...]) -> None:
        def read() -> None:
            for one in watched:
                read_all(one.source, cache_of(one), Job())

        self._reading, self._again = watched, True
        try:
            while self._again:
                self._again = False
                await asyncio.to_thread(read)
        finally:
            if self._reading == watched:
                self._reading = ()
        names = list(
            dict.fromkeys(
                name for one in watched for name in one.source.curves.names
                if not name.endswith(("_runtime", "_per_second"))
            )
        )  # fmt: skip
        choice = self.query_one("#runs-compare-metric", Choice)
        choice.values = tuple(names) or ("loss",)
        if choice.value not in choice.values:
            choice.value = choice.values[0]
        self._draw()

    @on(Choice.Changed)
    def _draw(self) -> None:
        if not self._watched or self._reading == self._watched:  # then it draws when it is through
            return
        metric = self.query_one("#runs-compare-metric", Choice).value
        axis = axis_of(self.query_one("#runs-compare-axis", Choice).value)
        window = window_of(self.query_one("#runs-compare-smooth", Choice).value)
        names = dict(zip((run.id for run in self._runs), short_names(self._runs), strict=True))
        lines = [
            curve_line(one.source.curves, metric, names.get(one.name, one.name), axis, window)
            for one in self._watched
        ]
        found = [one.source.curves.extent([metric], axis) for one in self._watched]
        known = [extent for extent in found if extent is not None]
        extent = (min(a for a, _ in known), max(b for _, b in known)) if known else None
        self.query_one("#runs-compare-chart", Chart).set_lines(
            displayable(metric), lines, extent, axis
        )

    def _tables(self) -> None:
        runs = self._runs
        several = len({run.recipe.method.name for run in runs if run.recipe is not None})
        told = f"{len(runs)} runs"
        if len(runs) > MOST:
            told += f"; the curves of {MOST}"
        self.query_one("#runs-compare-sum", Static).update(foreign(told, "$text-muted"))
        methods = self.query_one("#runs-compare-methods", DataGrid)
        methods.display = len(runs) > several
        methods.set_source(group_rows(runs) if len(runs) > several else NO_ROWS)
        grid = self.query_one("#runs-compare-grid", DataGrid)
        grid.display = True
        grid.set_source(compare_rows(runs, "abcdef"))

    def action_next(self, what: str) -> None:
        """The next value of a choice."""
        self.query_one(f"#runs-compare-{what}", Choice).action_step(1)

    def exported(self) -> tuple[str, GridSource] | None:
        """The table with the focus, else the differences."""
        methods = self.query_one("#runs-compare-methods", DataGrid)
        if methods.has_focus and len(methods.source):
            return ("methods", methods.source)
        grid = self.query_one("#runs-compare-grid", DataGrid)
        return ("runs-compared", grid.source) if len(grid.source) else None
