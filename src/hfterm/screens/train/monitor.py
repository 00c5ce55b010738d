"""Monitor: one run live: charts, and what happened below them."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static

from hfterm.errors import HftermError
from hfterm.job import Job, Progress
from hfterm.screens.train.run_actions import RunPage
from hfterm.system.log_tail import last_lines
from hfterm.text import foreign
from hfterm.training.curve_cache import load_cache, read_all
from hfterm.training.watching import LARGE, Watched, cache_of, watch_path, watch_run
from hfterm.widgets.chart import Chart
from hfterm.widgets.data_grid import NO_ROWS, Cell, DataGrid, GridColumn, GridSource, Rows
from hfterm.widgets.fields import Choice
from hfterm.widgets.training_charts import (
    AXES,
    SMOOTH,
    ChartGroup,
    axis_of,
    chart_groups,
    group_lines,
    window_of,
)
from hfterm.widgets.training_tables import (
    checkpoint_rows,
    event_rows,
    run_name,
    sample_rows,
    system_rows,
)
from hfterm.widgets.training_words import STATUS, duration, figure, share

if TYPE_CHECKING:
    from hfterm.training.curves import AxisName
    from hfterm.training.store import Run

TICK = 1.0
"""Seconds between two looks at the files of the run."""

STALL = 60.0
"""Seconds without a word from a running run after which it is said."""

BELOW = ("events", "log", "samples", "checkpoints", "system")
MOST_CHARTS = 6
CHART_WIDTH = 56
"""Cells that a chart needs to be worth its place beside another."""

CHART_HEIGHT = 9
LOG_LINES = 300


@dataclass(frozen=True)
class Layout:
    """How many charts there is room for."""

    columns: int
    rows: int


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
        Binding("b,alt+b", "next('below')", "Below", id="monitor.below",
                tooltip="Events, log, samples, checkpoints or system"),
    ]  # fmt: skip

    _watched: Watched | None = None
    _run: Run | None = None
    _groups: tuple[ChartGroup, ...] = ()
    _layout = Layout(1, 1)
    _timer: Timer | None = None
    _stalled = False
    _listed = False
    _by_hand = False

    def body(self) -> ComposeResult:
        """What the run does, choices, charts, the table below."""
        yield Static("", id="monitor-head", markup=False)
        with Horizontal(classes="options"):
            yield Choice("chart", ("loss",), id="monitor-chart")
            yield Choice("x", AXES, id="monitor-axis")
            yield Choice("smooth", SMOOTH, id="monitor-smooth")
            yield Choice("below", BELOW, id="monitor-below-what")
        with Container(id="monitor-charts"):
            for number in range(MOST_CHARTS):
                yield Chart(id=f"monitor-chart-{number}", classes="monitor-chart")
        yield DataGrid(id="monitor-below")

    def on_mount(self) -> None:
        """Nothing is watched yet."""
        self._head([foreign("No run is watched. Enter on the Runs tab chooses one.")])
        self._timer = self.set_interval(TICK, self._tick, pause=True)
        self._show_charts()

    @property
    def current(self) -> Run | None:
        """The run that is watched; None for one of another program."""
        return self._run

    @property
    def charts(self) -> list[Chart]:
        """The charts that have a place."""
        found = list(self.query(".monitor-chart").results(Chart))
        return found[: self._layout.columns * self._layout.rows]

    # -- which run -----------------------------------------------------------------------------

    def watch_run_of(self, run: Run) -> None:
        """Show a run of this box."""
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
        if len(found) > 1:
            names = ", ".join(one.name for one in found[1:6])
            self.notice.show(
                f"There are {len(found)} runs in {path}: {found[0].name} is shown.",
                f"f on the Runs tab with one of the others: {names}", "note",
            )  # fmt: skip

    def _open(self, watched: Watched) -> None:
        self.notice.clear()
        self._watched = watched
        self._groups = ()
        self._stalled = False
        for chart in self.query(".monitor-chart").results(Chart):
            chart.set_lines("", [], None)
        self.query_one("#monitor-below", DataGrid).set_source(NO_ROWS, cursor=0)
        self._say()
        self.start(self._read(watched))

    async def _read(self, watched: Watched) -> None:
        """Read what there is; a large file in another process, which leaves a cache."""
        try:
            await self._read_all(watched)
        except HftermError as error:
            self.notice.show_error(error)
            return
        finally:
            self.job_line.clear()
        if self._watched is watched:
            watched.refresh()
            self._follow({"curves", "system", "events", "samples", "log", "checkpoints"})
            if self._timer is not None:
                self._timer.resume()

    async def _read_all(self, watched: Watched) -> None:
        cache = cache_of(watched)
        loaded = await asyncio.to_thread(load_cache, watched.source, cache)
        if not loaded and await asyncio.to_thread(_size, watched.path) > LARGE:
            self.job_line.show(Progress(f"reading the metrics of {watched.name}"))
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "hfterm.training.curve_index",
                str(_source_of(watched)), watched.kind, str(cache),
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            try:
                await process.wait()
            finally:
                if process.returncode is None:
                    process.kill()
        await asyncio.to_thread(read_all, watched.source, cache, Job())

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
        if watched is None or self.busy or not self.is_on_screen:
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
        if stalled and not self._stalled:
            self.notice.show(
                f"No step for {duration(quiet)}.",
                "s asks it to checkpoint and stop, k kills it; the log (b) may say why.",
                "warning",
            )
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
    def _axis(self) -> AxisName:
        return axis_of(self.query_one("#monitor-axis", Choice).value)

    @property
    def _window(self) -> int:
        return window_of(self.query_one("#monitor-smooth", Choice).value)

    def _draw(self) -> None:
        """New points; new charts when a metric is new."""
        watched = self._watched
        if watched is None:
            return
        metric = self._run.recipe.metric if self._run and self._run.recipe else ""
        groups = chart_groups(watched.source.curves, watched.system, metric)
        if [group.title for group in groups] != [g.title for g in self._groups] or any(
            new.names != old.names for new, old in zip(groups, self._groups, strict=False)
        ):
            self._groups = groups
            choice = self.query_one("#monitor-chart", Choice)
            choice.values = tuple(group.title for group in groups) or ("loss",)
            if choice.value not in choice.values or not self._by_hand:
                choice.value = choice.values[0]
            self._set_charts()
            return
        for chart, group in zip(self.charts, self._shown(), strict=False):
            chart.update_extent(group.curves.extent(group.names, self._axis))

    def _shown(self) -> list[ChartGroup]:
        """The groups in the order of the charts: the chosen one first."""
        titles = [group.title for group in self._groups]
        value = self.query_one("#monitor-chart", Choice).value
        first = titles.index(value) if value in titles else 0
        return [*self._groups[first:], *self._groups[:first]]

    def _set_charts(self) -> None:
        axis, window = self._axis, self._window
        shown = self._shown()
        for number, chart in enumerate(self.charts):
            if number >= len(shown):
                chart.set_lines("", [], None, axis)
                continue
            group = shown[number]
            lines = group_lines(group, axis, window)
            chart.set_lines(
                group.title, lines, group.curves.extent(group.names, axis), axis, group.unit
            )

    def _show_charts(self) -> None:
        """As many charts as there is room for."""
        width, height = self.size.width, self.size.height
        below = 5 if height < 24 else max(6, height // 4)
        room = max(4, height - below - 4)
        columns = max(1, min(3, width // CHART_WIDTH))
        rows = max(1, min(MOST_CHARTS // columns, room // CHART_HEIGHT))
        self._layout = Layout(columns, rows)
        self.query_one("#monitor-below").styles.height = below
        grid = self.query_one("#monitor-charts")
        grid.styles.grid_size_columns = columns
        grid.styles.grid_size_rows = rows
        every = list(self.query(".monitor-chart").results(Chart))
        for number, chart in enumerate(every):
            chart.display = number < columns * rows
        self._set_charts()

    def on_resize(self) -> None:
        """Another number of charts."""
        self._show_charts()

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
        from dataclasses import replace

        for chart in self.charts:
            if chart is not event.chart:
                view = event.view
                chart.set_view(
                    replace(chart.view, first=view.first, last=view.last, cursor=view.cursor)
                )

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
        empty = {
            "events": "Nothing happened yet.", "log": "Nothing was printed yet.",
            "samples": "No prompts: give some in the recipe, they are asked at each evaluation.",
            "checkpoints": "No checkpoint yet.", "system": "Nothing was measured yet.",
        }  # fmt: skip
        grid.empty = empty[self.query_one("#monitor-below-what", Choice).value]
        grid.set_source(source, cursor=0 if anew or not grid.has_focus else None)

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
            self._head(_foreign_head(watched))
            return
        self._head(_run_head(self._run))

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


def _size(path: Path) -> int:
    """Bytes of the files that metrics may be in."""
    if path.is_file():
        return path.stat().st_size
    own = path / "metrics.jsonl"
    if own.exists():
        return own.stat().st_size
    return sum(one.stat().st_size for one in path.rglob("*") if one.is_file())


def _source_of(watched: Watched) -> Path:
    return watched.path / "metrics.jsonl" if watched.own else watched.path


def _log_rows(lines: Sequence[str]) -> GridSource:
    if not lines:
        return NO_ROWS
    from hfterm.text import displayable

    cells = [[Cell(displayable(line.rstrip("\r\n")))] for line in reversed(lines)]
    return Rows((GridColumn("log, the newest first", most=400, stretch=True),), cells)


def _run_head(run: Run) -> list[Content]:
    progress, state = run.progress, run.state
    glyph, tone = STATUS[run.status]
    colour = {"accent": "$accent", "warning": "$warning", "error": "$error"}.get(tone, "")
    parts = [f"{progress.step:,}/{progress.total_steps:,}" if progress.total_steps else ""]
    if progress.total_steps:
        parts.append(share(progress.step, progress.total_steps))
    if run.active:
        if progress.phase and run.status == "running":
            parts.append(progress.phase)
        if progress.rate:
            parts.append(f"{progress.rate:.3g} steps/s")
        if run.seconds_left is not None:
            parts.append(f"{duration(run.seconds_left)} left")
    elif state.seconds:
        parts.append(f"took {duration(state.seconds)}")
    line = Content.assemble(
        foreign(f"{glyph} {run.status}", colour or "bold"),
        foreign(" · " + " · ".join(part for part in parts if part)),
    )
    figures = [
        f"{name} {figure(progress.metrics[name])}"
        for name in ("loss", "eval_loss", "learning_rate", "grad_norm")
        if name in progress.metrics
    ]
    if progress.best is not None and run.recipe is not None:
        figures.insert(
            0, f"best {run.recipe.metric} {figure(progress.best)} at {progress.best_step:,}"
        )
    if progress.global_batch:
        figures.append(f"batch {progress.global_batch:,}")
    lines = [line]
    if state.error is not None and not run.active:
        lines.append(foreign(f"{state.error.message} {state.error.remedy}", "$error"))
    lines.append(foreign(" · ".join(figures), "$text-muted"))
    return lines


def _foreign_head(watched: Watched) -> list[Content]:
    source = watched.source
    curves = source.curves
    extent = curves.extent(curves.names, "step")
    step = f"step {extent[1]:,.0f}" if extent is not None else "no step yet"
    if source.total_steps:
        step += f" of {source.total_steps:,}"
    state = {None: "", True: " · finished", False: " · running"}[source.finished]
    last = [
        f"{name} {figure(curves.last(name))}" for name in curves.names[:6]
        if curves.last(name) is not None
    ]  # fmt: skip
    lines = [
        foreign(f"{watched.kind} · {watched.name} · {step}{state} · only read", "bold"),
        foreign(" · ".join(last), "$text-muted"),
    ]
    if source.status_text:
        lines.append(foreign(source.status_text, "$warning"))
    return lines
