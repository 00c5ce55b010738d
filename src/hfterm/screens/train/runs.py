"""Runs: every run of this machine, and what can be done with each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, Static

from hfterm.screens.train.page import ForeignWanted, Marked, RunWanted
from hfterm.screens.train.run_actions import RunPage
from hfterm.text import foreign
from hfterm.training import run_control
from hfterm.training.recipe import LESS_IS_BETTER
from hfterm.training.watch_list import WatchedPath, add_path, remove_path, watched_paths
from hfterm.widgets.data_grid import DataGrid
from hfterm.widgets.fields import Choice, Field
from hfterm.widgets.modals import Prompt
from hfterm.widgets.training_tables import run_name, run_rows

if TYPE_CHECKING:
    from hfterm.training.store import Run
    from hfterm.widgets.data_grid import GridSource

ORDERS: dict[str, Callable[[Run], tuple[object, ...]]] = {
    "newest": lambda run: (-run.state.created,),
    "name": lambda run: (run_name(run).casefold(), -run.state.created),
    "status": lambda run: (run.status, -run.state.created),
    "queue": lambda run: (run.status != "queued", run.state.order),
    "metric": lambda run: (run.progress.best is None, _best_first(run)),
    "time": lambda run: (-run.state.seconds,),
}


def _best_first(run: Run) -> float:
    best = run.progress.best or 0.0
    return best if run.recipe is not None and run.recipe.metric in LESS_IS_BETTER else -best


def _key(keys: str, action: str, label: str, name: str, tooltip: str, *, show: bool) -> Binding:
    return Binding(keys, action, label, show=show, id=f"runs.{name}", tooltip=tooltip)


class RunsPage(RunPage):
    """The table."""

    HELP = """\
## Runs
`Enter` shows a run in the Monitor. `s` stops it with a checkpoint, `k` kills it, `u` resumes it
from its last checkpoint, `c` puts a copy of its recipe into the form, `d` deletes it (and says
what that frees), `n` writes a note, `t` tags, `<` `>` move a queued run, `Space` marks it and `m`
compares the marked ones, `f` adds a run of another program by its path. Each letter works with
`alt` too.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        _key("space,alt+m", "mark", "Mark", "mark", "Mark it for a comparison", show=False),
        _key("m,alt+v", "compare", "Compare", "compare", "Compare the marked runs", show=True),
        _key("less_than_sign,alt+comma", "move(-1)", "Earlier in the queue", "earlier",
             "Move it forward in the queue", show=False),
        _key("greater_than_sign,alt+full_stop", "move(1)", "Later in the queue", "later",
             "Move it back in the queue", show=False),
        _key("f,alt+y", "foreign", "Watch a path", "foreign",
             "Watch a run of another program: Trainer, TensorBoard, wandb, LLaMA-Factory",
             show=False),
    ]  # fmt: skip

    _runs: tuple[Run, ...] = ()
    _shown: tuple[Run, ...] = ()
    _marked: frozenset[str] = frozenset()
    _watched: tuple[WatchedPath, ...] = ()

    def body(self) -> ComposeResult:
        """A filter, an order, the table."""
        with Horizontal(classes="options"):
            yield Field("filter", "", placeholder="name, status, #tag", id="runs-filter")
            yield Choice("order", tuple(ORDERS), id="runs-order")
        yield DataGrid(
            id="runs-grid", empty="No run yet: fill the form on the New tab, and F7 starts it."
        )
        yield Static("", id="runs-about", markup=False)

    @property
    def grid(self) -> DataGrid:
        """The table."""
        return self.query_one("#runs-grid", DataGrid)

    @property
    def current(self) -> Run | None:
        """The run under the cursor."""
        row = self.grid.cursor_row
        return self._shown[row] if row < len(self._shown) else None

    @property
    def _foreign(self) -> WatchedPath | None:
        """The run of another program under the cursor."""
        row = self.grid.cursor_row - len(self._shown)
        return self._watched[row] if 0 <= row < len(self._watched) else None

    def show_runs(self, runs: Sequence[Run]) -> None:
        """Other runs, or the same in another state; the cursor stays on its run."""
        self._runs = tuple(runs)
        self._arrange()

    @on(Input.Changed, "#runs-filter")
    @on(Choice.Changed, "#runs-order")
    def _arrange(self) -> None:
        current, entry = self.current, self._foreign
        words = self.query_one("#runs-filter", Input).value.casefold().split()
        order = ORDERS[self.query_one("#runs-order", Choice).value]
        self._shown = tuple(sorted((run for run in self._runs if _matches(run, words)), key=order))
        self._watched = tuple(
            one for one in watched_paths()
            if all(word in f"{one.name} {one.kind} {one.path}".casefold() for word in words)
        )  # fmt: skip
        keys: list[str | WatchedPath] = [*(run.id for run in self._shown), *self._watched]
        wanted = current.id if current is not None else entry
        self.grid.set_source(run_rows(self._shown, self._marked, self._watched))
        self.grid.move_to(keys.index(wanted) if wanted in keys else 0)
        self._say()

    @on(DataGrid.RowHighlighted, "#runs-grid")
    def _say(self) -> None:
        """What the run under the cursor is, and why it ended."""
        run = self.current
        entry = self._foreign
        content = about_run(run) if run is not None else Content("")
        if entry is not None:
            content = foreign(
                f"{entry.path}\nA run of {entry.kind}: it is only read. Enter watches it, "
                "d forgets it.", "$text-muted", lines=True,
            )  # fmt: skip
        about = self.query_one("#runs-about", Static)
        if str(about.content) != content.plain:
            about.update(content)

    @on(DataGrid.RowChosen, "#runs-grid")
    def _row_chosen(self, event: DataGrid.RowChosen) -> None:
        event.stop()
        if self.current is not None:
            self.post_message(RunWanted(self.current.id))
        elif self._foreign is not None:
            self.post_message(ForeignWanted(self._foreign.path))

    # -- what is done with runs ---------------------------------------------------------------

    @work(group="runs-do", exit_on_error=False)
    async def action_move(self, by: int) -> None:
        """Another place in the queue."""
        run = self.current
        if run is None:
            return
        if run.status != "queued":
            self.notice.show(f"{run_name(run)} is {run.status}, not queued.", "", "note")
            return
        await self.do(lambda: run_control.move_in_queue(run.id, by))

    def action_mark(self) -> None:
        """Mark it, or not."""
        run = self.current
        if run is None:
            return
        self._marked = self._marked ^ {run.id}
        self._arrange()
        self.grid.action_move(1)
        self.post_message(Marked(self._marked))

    def action_compare(self) -> None:
        """Compare the marked ones; with none marked, those of the run's group."""
        run = self.current
        ids = self._marked
        if len(ids) < 2 and run is not None:
            group = run.recipe.group if run.recipe is not None else ""
            ids = frozenset(
                other.id
                for other in self._runs
                if group and other.recipe is not None and other.recipe.group == group
            )
        if len(ids) < 2:
            self.notice.show("A comparison needs two runs.", "Space marks them.", "note")
            return
        self.post_message(Marked(ids, show=True))

    @work(group="runs-do", exit_on_error=False)
    async def action_foreign(self) -> None:
        """Watch a path."""
        told = await self.app.push_screen_wait(
            Prompt(
                "Watch a run of another program",
                "A folder of Trainer, TensorBoard, wandb (offline) or LLaMA-Factory; only read.",
                "", "path",
            )
        )  # fmt: skip
        if told and await self.do(lambda: add_path(told)):
            self._arrange()
            self.post_message(ForeignWanted(told))

    @work(group="runs-do", exit_on_error=False)
    async def action_delete(self) -> None:
        """Delete a run, after a yes; one of another program is only forgotten."""
        entry = self._foreign
        if entry is None:
            await self.delete_chosen()
            return
        if await self.do(lambda: remove_path(entry)):
            self._arrange()

    def exported(self) -> tuple[str, GridSource] | None:
        """The runs."""
        return ("runs", self.grid.source) if len(self.grid.source) else None


def about_run(run: Run) -> Content:
    """Two lines about a run: where it is and what it learns from; why it did not finish."""
    recipe = run.recipe
    lines = [foreign(run.id, "bold")]
    if recipe is None:
        lines.append(foreign("Its recipe.toml is broken.", "$error"))
    else:
        lines.append(
            foreign(
                f"{recipe.model.ref} · {recipe.task} · {recipe.data.ref} {recipe.data.train}",
                "$text-muted",
            )
        )
    if run.state.error is not None:
        colour = "$error" if run.status in ("failed", "died") else "$text-muted"
        lines.append(foreign(run.state.error.message, colour))
        lines.append(foreign(run.state.error.remedy, "$text-muted"))
    return Content("\n").join(lines)


def _matches(run: Run, words: Sequence[str]) -> bool:
    told = " ".join(
        [run.id, run_name(run), run.status, run.notes.note, *(f"#{t}" for t in run.notes.tags)]
    ).casefold()
    return all(word in told for word in words)
