"""Monitor: one run live: charts, and what happened below them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static

from hfterm.errors import HftermError
from hfterm.screens.train.reading import read_watched
from hfterm.screens.train.run_actions import RunPage
from hfterm.system.log_tail import last_lines
from hfterm.text import foreign
from hfterm.training.watch_list import watched_paths
from hfterm.training.watching import Watched, watch_path, watch_run
from hfterm.widgets.chart_board import ChartBoard
from hfterm.widgets.data_grid import NO_ROWS, Cell, DataGrid, GridColumn, GridSource, Rows
from hfterm.widgets.fields import Choice
from hfterm.widgets.run_head import foreign_head, run_head
from hfterm.widgets.training_charts import (
    AXES,
    SMOOTH,
    ChartGroup,
    axis_of,
    chart_groups,
    window_of,
)
from hfterm.widgets.training_tables import (
    checkpoint_rows,
    event_rows,
    run_name,
    sample_rows,
    system_rows,
)
from hfterm.widgets.training_words import duration

if TYPE_CHECKING:
    from hfterm.training.store import Run

TICK = 0.5
"""Seconds between two looks at the files of the run."""

STALL = 60.0
"""Seconds without a word from a running run after which it is said."""

BELOW = ("events", "log", "samples", "checkpoints", "system")
EMPTY = {
    "events": "Nothing happened yet.",
    "log": "Nothing was printed yet.",
    "samples": "No prompts: give some in the recipe, they are asked at each evaluation.",
    "checkpoints": "No checkpoint yet.",
    "system": "Nothing was measured yet.",
}
LOW = 5
"""Lines of the table below the charts, where there are few."""

LOG_LINES = 300


class MonitorPage(RunPage):
    """The run."""

    HELP = """\
## Monitor
Charts of what the run logs; grey is what a resumed run did again. `v` shows other charts, `x`
another x axis, `z` smooths (the mean of the last points; the points stay dim behind it), `b`
changes what stands below: events, log, samples, checkpoints, system. On a chart `←` `→` move a
cursor that all charts follow, `+` `-` zoom, `<` `>` pan, `w` the whole, `g` a logarithmic y. `s`
stops the run with a checkpoint, `u` resumes it, `o` opens its model elsewhere.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v,alt+v", "next('chart')", "Charts", id="monitor.chart",
                tooltip="Other charts"),
        Binding("x,alt+x", "next('axis')", "X axis", show=False, id="monitor.axis",
                tooltip="Step, epoch, time or tokens"),
        Binding("z,alt+z", "next('smooth')", "Smooth", show=False, id="monitor.smooth",
                tooltip="The mean of the last points"),
        Binding("b,alt+j", "next('below')", "Below", id="monitor.below",
                tooltip="Events, log, samples, checkpoints or system"),
    ]  # fmt: skip

    _watched: Watched | None = None
    _run: Run | None = None
    _groups: tuple[ChartGroup, ...] = ()
    _timer: Timer | None = None
    _stalled = False
    _listed = False
    _reading = False
    _by_hand = False

    def body(self) -> ComposeResult:
        """What the run does, choices, charts, the table below."""
        yield Static("", id="monitor-head", markup=False)
        with Horizontal(classes="options"):
            yield Choice("chart", ("loss",), id="monitor-chart")
            yield Choice("x", AXES, id="monitor-axis")
            yield Choice("smooth", SMOOTH, id="monitor-smooth")
            yield Choice("below", BELOW, id="monitor-below-what")
        yield ChartBoard(id="monitor-charts")
        yield DataGrid(id="monitor-below")

    def on_mount(self) -> None:
        """Nothing is watched yet."""
        self._head([foreign("No run is watched. Enter on the Runs tab chooses one.")])
        self._timer = self.set_interval(TICK, self._tick, pause=True)

    @property
    def current(self) -> Run | None:
        """The run that is watched; None for one of another program."""
        return self._run

    # -- which run -----------------------------------------------------------------------------

    def watch_run_of(self, run: Run) -> None:
        """Show a run of this machine."""
        if self._run is not None and self._run.id == run.id:
            return
        self._run = run
        self._listed = False
        self._open(watch_run(run.path))

    async def watch_foreign(self, path: str) -> None:
        """Show a run of another program."""
        try:
            found = await asyncio.to_thread(watch_path, path)
        except HftermError as error:
            self.notice.show_error(error)
            return
        self._run = None
        self._open(found[0])
        self.board.go_into()
        if len(found) > 1:
            listed = {one.path for one in watched_paths()}
            known = any(str(one.path.absolute()) in listed for one in found)
            self.notice.show(
                f"There are {len(found)} runs in {path}: that of {found[0].kind} is shown.",
                "The Runs tab has the others." if known else "f on the Runs tab adds them all.",
                "note",
            )

    def _open(self, watched: Watched) -> None:
        self.notice.clear()
        self._watched = watched
        self._groups = ()
        self._stalled = False
        self._set_charts()
        self.query_one("#monitor-below", DataGrid).set_source(NO_ROWS, cursor=0)
        self._say()
        self._reading = True
        self.start(self._read(watched))

    async def _read(self, watched: Watched) -> None:
        """Read what there is; a large file in another process, which leaves a cache."""
        try:
            await read_watched(watched, self.job_line.show)
            watched.refresh()
        except HftermError as error:
            if self._watched is watched:
                self.notice.show_error(error)
                self._watched = self._run = None  # whoever chooses it again has it read again
            return
        finally:
            self.job_line.clear()
        if self._watched is watched:
            self._reading = False
            self._follow({"curves", "system", "events", "samples", "log", "checkpoints"})
            if self._timer is not None:
                self._timer.resume()

    # -- following it --------------------------------------------------------------------------

    def show_runs(self, runs: Sequence[Run]) -> None:
        """The run may have another state."""
        if self._run is None:
            return
        found = next((run for run in runs if run.id == self._run.id), None)
        if found is None:
            if self._listed:
                self.notice.show(f"{run_name(self._run)} was deleted.", "", "note")
            return
        self._listed = True
        began = found.active and not self._run.active
        self._run = found
        self._say()
        if began and self._timer is not None:
            self._timer.resume()

    def _tick(self) -> None:
        watched = self._watched
        if watched is None or self._reading or not self.is_on_screen:
            return
        try:
            changed = watched.refresh()
        except HftermError as error:
            self.notice.show_error(error)
            changed = set()
        if changed:
            self._follow(changed)
        if self._run is not None:
            if not self._run.active and not changed and self._timer is not None:
                self._timer.pause()
            self._look_for_stall(self._run)

    @property
    def is_on_screen(self) -> bool:
        """Whether anybody sees it: out of sight nothing is read or drawn."""
        return self.display and self.screen is self.app.screen

    def _look_for_stall(self, run: Run) -> None:
        quiet = time.time() - run.progress.time if run.progress.time else 0.0
        expected = 20 / run.progress.rate if run.progress.rate > 0 else STALL
        stalled = run.status == "running" and quiet > max(STALL, expected)
        said = self.notice.message.startswith("No step for ")
        if stalled and (said or not self._stalled):
            self.notice.show(
                f"No step for {duration(quiet)}.",
                "s asks it to checkpoint and stop, k kills it; the log (b) may say why.",
                "warning",
            )
        elif said and not stalled:
            self.notice.clear()
        self._stalled = stalled

    def _follow(self, changed: set[str]) -> None:
        if changed & {"curves", "system"}:
            self._draw()
            self._say()
        what = self.query_one("#monitor-below-what", Choice).value
        if what in changed:
            self._show_below()
        if "events" in changed:
            self._alert()

    def _alert(self) -> None:
        """The last alert of a run that goes on is said until it is over."""
        if self._watched is None or self._run is None or not self._run.active:
            return
        events = self._watched.events()
        alert = next((event for event in reversed(events) if event.kind == "alert"), None)
        if alert is not None and time.time() - alert.time < STALL:
            self.notice.show(
                f"Step {alert.step:,}: {alert.text}.", "s saves and stops; else it goes on.",
                "warning",
            )  # fmt: skip

    # -- charts --------------------------------------------------------------------------------

    @property
    def board(self) -> ChartBoard:
        """The charts."""
        return self.query_one(ChartBoard)

    def _draw(self) -> None:
        """New points; other charts when a metric is new."""
        watched = self._watched
        if watched is None:
            return
        metric = self._run.recipe.metric if self._run and self._run.recipe else ""
        groups = chart_groups(watched.source.curves, watched.system, metric)
        if [group.names for group in groups] == [group.names for group in self._groups]:
            self.board.update_points()
            return
        self._groups = groups
        choice = self.query_one("#monitor-chart", Choice)
        choice.values = tuple(group.title for group in groups) or ("loss",)
        if choice.value not in choice.values or not self._by_hand:
            choice.value = choice.values[0]
        self._set_charts()

    def _set_charts(self) -> None:
        self.board.show(
            self._groups,
            self.query_one("#monitor-chart", Choice).value,
            axis_of(self.query_one("#monitor-axis", Choice).value),
            window_of(self.query_one("#monitor-smooth", Choice).value),
        )

    def on_resize(self) -> None:
        """A low screen leaves more of itself to the charts."""
        height = self.size.height
        below = LOW if height < 24 else max(LOW + 1, height // 4)
        self.query_one("#monitor-below").styles.height = below

    @on(Choice.Changed, "#monitor-chart, #monitor-axis, #monitor-smooth")
    def _chart_chosen(self, event: Choice.Changed) -> None:
        event.stop()
        self._by_hand = self._by_hand or event.choice.id == "monitor-chart"
        self._set_charts()

    def action_next(self, what: str) -> None:
        """The next value of a choice."""
        name = {"below": "monitor-below-what"}.get(what, f"monitor-{what}")
        self.query_one(f"#{name}", Choice).action_step(1)

    # -- below ---------------------------------------------------------------------------------

    @on(Choice.Changed, "#monitor-below-what")
    def _below_chosen(self, event: Choice.Changed) -> None:
        event.stop()
        self._show_below(anew=True)

    def _show_below(self, *, anew: bool = False) -> None:
        grid = self.query_one("#monitor-below", DataGrid)
        source = self._below()
        what = self.query_one("#monitor-below-what", Choice).value
        watched = self._watched
        if watched is not None and not watched.own and what != "checkpoints":
            grid.empty = f"Of a run of {watched.kind} the metrics are read, and its checkpoints."
        elif what == "samples" and self._run is not None and self._prompts(self._run):
            grid.empty = "The prompts are asked at each evaluation; there was none yet."
        else:
            grid.empty = EMPTY[what]
        grid.set_source(source, cursor=0 if anew or not grid.has_focus else None)

    @staticmethod
    def _prompts(run: Run) -> bool:
        return run.recipe is not None and bool(run.recipe.prompts)

    def _below(self) -> GridSource:
        watched = self._watched
        if watched is None:
            return NO_ROWS
        what = self.query_one("#monitor-below-what", Choice).value
        if what == "events":
            return event_rows(watched.events()) if watched.events() else NO_ROWS
        if what == "samples":
            return sample_rows(found) if (found := watched.samples()) else NO_ROWS
        if what == "checkpoints":
            return checkpoint_rows(found) if (found := watched.checkpoints()) else NO_ROWS
        if what == "system":
            rows = watched.system.rows if watched.system is not None else []
            return system_rows(rows) if rows else NO_ROWS
        lines = last_lines(watched.path / "log.txt", LOG_LINES) if watched.own else []
        return _log_rows(lines)

    # -- the head ------------------------------------------------------------------------------

    def _say(self) -> None:
        watched = self._watched
        if watched is None:
            return
        if self._run is None:
            self._head(foreign_head(watched))
            return
        self._head(run_head(self._run))

    def _head(self, lines: list[Content]) -> None:
        head = self.query_one("#monitor-head", Static)
        content = Content("\n").join(lines)
        before = head.content
        if not isinstance(before, Content) or before.markup != content.markup:
            same = isinstance(before, Content) and before.plain.count("\n") == len(lines) - 1
            head.update(content, layout=not same)

    # -- what the application asks -------------------------------------------------------------

    def code(self) -> str:
        """The run as a script."""
        from hfterm.training.code import train_code

        if self._run is None or self._run.recipe is None:
            return ""
        return train_code(self._run.recipe)

    def exported(self) -> tuple[str, GridSource] | None:
        """The table below when it has the focus, else the metrics."""
        from hfterm.widgets.training_charts import metric_rows

        grid = self.query_one("#monitor-below", DataGrid)
        if grid.has_focus and len(grid.source):
            return ("run", grid.source)
        if self._watched is None:
            return None
        rows = metric_rows(self._watched.source.curves)
        return ("metrics", rows) if len(rows) else None


def _log_rows(lines: Sequence[str]) -> GridSource:
    if not lines:
        return NO_ROWS
    from hfterm.text import displayable

    cells = [[Cell(displayable(line.rstrip("\r\n")))] for line in reversed(lines)]
    return Rows((GridColumn("log, the newest first", most=400, stretch=True),), cells)
