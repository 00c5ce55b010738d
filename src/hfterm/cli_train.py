"""``hfterm train``, ``runs`` and ``watch``: runs without the screen.

A command that shows a run is only a viewer of it: whatever becomes of the command, the run goes on.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec
import typer

from hfterm.cli_work import ask, failed, print_json, print_rows
from hfterm.errors import HftermError
from hfterm.text import displayable

if TYPE_CHECKING:
    from hfterm.training.recipe import Recipe
    from hfterm.training.store import Run

T = TypeVar("T")

LOOK_EVERY = 0.5
"""Seconds between two looks at a run."""

WATCH_EVERY = 1.0
"""Seconds between two looks at the files of another program."""

LEFT = 129
"""Exit code after a hang-up, as a shell counts it."""

RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="Its id, a part of it that no other has, or last.")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON, for programs.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Another value for a key of the recipe."),
]

runs_app = typer.Typer(no_args_is_help=False, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(train)
    app.command()(watch)
    app.add_typer(runs_app, name="runs", help="The runs of this box.")


def _try(work: Callable[[], T]) -> T:
    try:
        return work()
    except HftermError as error:
        raise failed(error) from None


def train(
    recipe: Annotated[str, typer.Argument(help="A recipe (TOML).")],
    detach: Annotated[bool, typer.Option("--detach", help="Start it and return.")] = False,
    settings: Settings = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="JSON lines: the run at its start, and at its end.")
    ] = False,
) -> None:
    """Train what a recipe says, in a process of its own that goes on without this one."""
    from hfterm.training import store
    from hfterm.training.preflight import check
    from hfterm.training.recipe_text import read_recipe, with_values

    def begin() -> list[Path]:
        wanted = read_recipe(Path(recipe).expanduser())
        if settings:
            wanted = with_values(wanted, settings)
        _bring(wanted)
        check(wanted)
        folders = store.create_all(wanted)
        store.start_all(folders)
        return folders

    folders = _try(begin)
    if as_json:
        for folder in folders:
            _json_line(store.read_run(folder))
    if detach:
        if not as_json:
            for folder in folders:
                typer.echo(folder.name)
        return
    code = 0
    for folder in folders:
        code = max(code, follow(folder, quiet=as_json))
        if as_json:
            _json_line(store.read_run(folder))
    raise typer.Exit(code)


def _bring(recipe: Recipe) -> None:
    """Fetch what is of the starter kit and not here yet."""
    from hfterm.engine.requests import InstallStarter
    from hfterm.hub import starter

    wanted = [recipe.model.ref, recipe.data.ref]
    missing = [
        name for name in wanted if starter.is_starter(name) and starter.starter_path(name) is None
    ]
    if missing:
        ask(InstallStarter(names=missing), progress=True)


def _json_line(run: Run) -> None:
    sys.stdout.write(msgspec.json.encode(run.as_json()).decode() + "\n")
    sys.stdout.flush()


def follow(folder: Path, *, quiet: bool = False) -> int:
    """Show a run until it is over. Gives the exit code: 1 when it failed or died.

    Args:
        folder: the run's directory.
        quiet: say nothing but how to stop it when this ends before the run.
    """
    from hfterm.training import store

    def hung_up(*_: object) -> None:
        _say_how_to_stop(folder.name)
        raise typer.Exit(LEFT)

    signal.signal(signal.SIGHUP, hung_up)
    signal.signal(signal.SIGTERM, hung_up)
    printer = RunPrinter(quiet=quiet)
    try:
        while True:
            run = store.read_run(folder)
            printer.show(run)
            if not run.active and run.status != "queued":
                break
            # files are looked at, since a run knows nothing of who watches it
            time.sleep(LOOK_EVERY)
    except KeyboardInterrupt:
        printer.close()
        _say_how_to_stop(folder.name)
        raise typer.Exit(130) from None
    printer.close()
    if not quiet:
        _say_end(run)
    return 1 if run.status in ("failed", "died") else 0


def _say_how_to_stop(run_id: str) -> None:
    try:
        typer.echo(
            f"The run goes on. Look at it: hfterm runs show {run_id}. "
            f"Stop it: hfterm runs stop {run_id}",
            err=True,
        )
    except OSError:  # the terminal is gone, and nobody is there to read it
        return


def _say_end(run: Run) -> None:
    from hfterm.widgets.training_words import duration, figure, status_text

    typer.echo(f"{status_text(run.status)} · {run.id} · {duration(run.state.seconds)}")
    for name, value in run.progress.metrics.items():
        if name == "loss" or name.startswith("eval_"):
            typer.echo(f"  {displayable(name)} {figure(value)}")
    if run.state.error is not None:
        typer.echo(f"hfterm: {displayable(run.state.error.message)}", err=True)
        typer.echo(f"  {displayable(run.state.error.remedy)}", err=True)
    elif run.status == "finished":
        typer.echo(f"  model: {run.path / 'model'}")


class RunPrinter:
    """A line that is written anew on a terminal; elsewhere a line for each change worth one."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._live = sys.stderr.isatty()
        self._width = 0
        self._told: tuple[object, ...] = ()
        self._events = 0

    def show(self, run: Run) -> None:
        """Say how far it is."""
        if self._quiet:
            return
        from hfterm.training import store

        events = store.events_of(run.path)
        for event in events[self._events :]:
            if event.kind not in ("queued",):
                step = f" at step {event.step:,}" if event.step >= 0 else ""
                self._print(displayable(f"{event.kind}{step}: {event.text}".rstrip(": ")))
        self._events = len(events)
        if self._live:
            line = run_line(run)[:110]
            sys.stderr.write(f"\r{line:<{self._width}}")
            sys.stderr.flush()
            self._width = len(line)

    def _print(self, text: str) -> None:
        if self._live and self._width:
            sys.stderr.write(f"\r{' ' * self._width}\r")
            self._width = 0
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def close(self) -> None:
        """Leave a clean line."""
        if self._live and self._width:
            sys.stderr.write(f"\r{' ' * self._width}\r")
            sys.stderr.flush()


def run_line(run: Run) -> str:
    """A run in one line."""
    from hfterm.widgets.training_words import duration, figure, share, status_text

    progress = run.progress
    parts = [status_text(run.status)]
    if progress.total_steps:
        parts.append(f"{progress.step:,}/{progress.total_steps:,}")
        parts.append(share(progress.step, progress.total_steps))
    elif progress.phase:
        parts.append(progress.phase)
    if progress.rate:
        parts.append(f"{progress.rate:.3g} steps/s")
    if run.seconds_left is not None:
        parts.append(f"{duration(run.seconds_left)} left")
    parts += [
        f"{name} {figure(progress.metrics[name])}" for name in ("loss", "eval_loss")
        if name in progress.metrics
    ]  # fmt: skip
    return displayable(" · ".join(parts))


# -- runs ------------------------------------------------------------------------------------


@runs_app.callback(invoke_without_command=True)
def runs(context: typer.Context, as_json: AsJson = False) -> None:
    """List the runs of this box, the newest first."""
    if context.invoked_subcommand is not None:
        return
    from hfterm.training import store
    from hfterm.widgets.training_tables import run_rows

    found = store.list_runs()
    if as_json:
        print_json([run.as_json() for run in found])
        return
    if not found:
        typer.echo("There is no run yet. hfterm train RECIPE.toml starts one.", err=True)
        return
    from hfterm.widgets.data_grid import Cell, GridColumn, Rows

    rows = run_rows(found)
    ids = [Cell(run.id) for run in found]
    columns = [GridColumn("id", most=80), *(c for c in rows.columns[1:] if c.label != "run")]
    place = [i for i, c in enumerate(rows.columns) if i and c.label != "run"]
    print_rows(
        Rows(columns, [[id_, *(rows.row(n)[i] for i in place)] for n, id_ in enumerate(ids)])
    )


@runs_app.command()
def show(run: RunName, as_json: AsJson = False) -> None:
    """Show one run: state, metrics, events."""
    from hfterm.training import store
    from hfterm.widgets.training_tables import event_rows

    found = _try(lambda: store.find_run(run))
    if as_json:
        print_json(found.as_json())
        return
    typer.echo(found.id)
    typer.echo(run_line(found))
    if found.state.error is not None:
        typer.echo(displayable(f"{found.state.error.message} {found.state.error.remedy}"))
    from hfterm.widgets.training_words import figure

    for name, value in found.progress.metrics.items():
        typer.echo(f"  {displayable(name)} {figure(value)}")
    typer.echo(f"  {found.path}")
    events = store.events_of(found.path)
    if events:
        print_rows(event_rows(events))


@runs_app.command()
def stop(run: RunName) -> None:
    """Ask a run to checkpoint and stop."""
    from hfterm.training import store

    found = _try(lambda: store.find_run(run))
    _try(lambda: store.stop(found))
    typer.echo(f"{found.id} stops after a checkpoint.")


@runs_app.command()
def kill(run: RunName) -> None:
    """End a run's processes at once; it can be resumed from its last checkpoint."""
    from hfterm.training import store

    found = _try(lambda: store.find_run(run))
    _try(lambda: store.kill(found))
    typer.echo(f"{found.id} was killed.")


@runs_app.command()
def resume(
    run: RunName,
    settings: Settings = None,
    follow_it: Annotated[bool, typer.Option("--follow", help="Show it until it is over.")] = False,
) -> None:
    """Go on from a run's last whole checkpoint."""
    from hfterm.training import store

    found = _try(lambda: store.find_run(run))
    _try(lambda: store.resume(found, settings or []))
    typer.echo(f"{found.id} goes on.")
    if follow_it:
        raise typer.Exit(follow(found.path))


@runs_app.command()
def delete(
    run: RunName,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a run, after a yes."""
    from hfterm.training import store
    from hfterm.widgets.model_tables import size_text

    found = _try(lambda: store.find_run(run))
    size = size_text(store.size_of(found.path))
    if not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter("Say --yes where nobody can be asked.")
        if not typer.confirm(f"Delete {found.id}? {size} will be free.", err=True):
            raise typer.Exit(1)
    _try(lambda: store.delete(found))
    typer.echo(f"{found.id} was deleted: {size} are free.")


@runs_app.command()
def export(
    run: RunName,
    out: Annotated[Path, typer.Option("--out", help=".csv, .json, .jsonl or .parquet.")],
) -> None:
    """Write a run's metrics to a file."""
    from hfterm.job import Job
    from hfterm.training import store
    from hfterm.training.curve_cache import read_all
    from hfterm.training.watching import cache_of, watch_run
    from hfterm.widgets.exporting import check_target, write_table
    from hfterm.widgets.training_charts import metric_rows

    found = _try(lambda: store.find_run(run))

    def write() -> int:
        check_target(out)
        watched = watch_run(found.path)
        read_all(watched.source, cache_of(watched), Job())
        rows = metric_rows(watched.source.curves)
        write_table(rows, out, Job())
        return len(rows)

    typer.echo(f"Wrote {_try(write):,} rows to {out}", err=True)


# -- watch -----------------------------------------------------------------------------------


def watch(
    path: Annotated[str, typer.Argument(help="A run of any program: a folder or a file.")],
    plain: Annotated[
        bool, typer.Option("--plain", help="Print lines, also on a terminal.")
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="Print what there is, and end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Watch a run of Trainer, TensorBoard, wandb, LLaMA-Factory or hfterm; it is only read."""
    from hfterm.training.watching import watch_path

    _try(lambda: watch_path(path))
    if as_json or once or plain or not sys.stdout.isatty():
        _watch_lines(path, once=once or as_json, as_json=as_json)
        return
    from hfterm.launch import open_workbench

    raise typer.Exit(open_workbench("train", watch=str(Path(path).expanduser().absolute())))


def _watch_lines(path: str, *, once: bool, as_json: bool) -> None:
    from hfterm.job import Job
    from hfterm.training.curve_cache import read_all
    from hfterm.training.run_files import finite
    from hfterm.training.watching import cache_of, watch_path
    from hfterm.widgets.training_words import figure

    watched = _try(lambda: watch_path(path))

    def read() -> None:
        for one in watched:
            read_all(one.source, cache_of(one), Job())

    _try(read)
    if as_json:
        print_json(
            [
                {
                    "path": str(one.path), "kind": one.kind, "name": one.name,
                    "rows": len(one.source.curves), "total_steps": one.source.total_steps,
                    "finished": one.source.finished,
                    "metrics": {
                        name: finite(value) for name in one.source.curves.names
                        if (value := one.source.curves.last(name)) is not None
                    },
                }
                for one in watched
            ]
        )  # fmt: skip
        return
    shown = [0] * len(watched)
    try:
        while True:
            for number, one in enumerate(watched):
                curves = one.source.curves
                if len(curves) > shown[number]:
                    shown[number] = len(curves)
                    step = curves.axes["step"].view[-1]
                    told = " · ".join(
                        f"{name} {figure(curves.last(name))}" for name in curves.names[:8]
                    )
                    typer.echo(displayable(f"{one.name} ({one.kind}) step {step:,.0f} · {told}"))
            if once:
                return
            # other programs' files: nothing tells when they grow, on a network drive least of all
            time.sleep(WATCH_EVERY)
            for one in watched:
                _try(lambda one=one: one.source.read())
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
