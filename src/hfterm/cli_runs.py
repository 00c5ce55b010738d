"""``hfterm runs``: list, show, stop, kill, resume, delete and export the runs of this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from hfterm.cli_train import Settings, follow
from hfterm.cli_work import AsJson, print_json, print_rows, tried
from hfterm.text import displayable

RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="Its id, a part of it that no other has, or last.")
]

runs_app = typer.Typer(no_args_is_help=False, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(runs_app, name="runs", help="The runs of this machine.")


@runs_app.callback(invoke_without_command=True)
def runs(context: typer.Context, as_json: AsJson = False) -> None:
    """List the runs of this machine, the newest first."""
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
    from hfterm.widgets.training_words import figure, run_line

    found = tried(lambda: store.find_run(run))
    if as_json:
        print_json(found.as_json())
        return
    typer.echo(found.id)
    typer.echo(run_line(found))
    if found.state.error is not None:
        typer.echo(displayable(f"{found.state.error.message} {found.state.error.remedy}"))
    for name, value in found.progress.metrics.items():
        typer.echo(f"  {displayable(name)} {figure(value)}")
    typer.echo(f"  {found.path}")
    events = store.events_of(found.path)
    if events:
        print_rows(event_rows(events))


@runs_app.command()
def stop(run: RunName) -> None:
    """Ask a run to checkpoint and stop."""
    from hfterm.training import run_control, store

    found = tried(lambda: store.find_run(run))
    tried(lambda: run_control.stop(found))
    typer.echo(f"{found.id} stops after a checkpoint.")


@runs_app.command()
def kill(run: RunName) -> None:
    """End a run's processes at once; it can be resumed from its last checkpoint."""
    from hfterm.training import run_control, store

    found = tried(lambda: store.find_run(run))
    tried(lambda: run_control.kill(found))
    typer.echo(f"{found.id} was killed.")


@runs_app.command()
def resume(
    run: RunName,
    settings: Settings = None,
    follow_it: Annotated[bool, typer.Option("--follow", help="Show it until it is over.")] = False,
) -> None:
    """Go on from a run's last whole checkpoint."""
    from hfterm.training import run_control, store

    found = tried(lambda: store.find_run(run))
    tried(lambda: run_control.resume(found, settings or []))
    typer.echo(f"{found.id} goes on.")
    if follow_it:
        raise typer.Exit(follow(found.path))


@runs_app.command()
def delete(
    run: RunName,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a run, after a yes."""
    from hfterm.sizes import size_text
    from hfterm.training import run_control, store

    found = tried(lambda: store.find_run(run))
    size = size_text(store.size_of(found.path))
    if not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter("Say --yes where nobody can be asked.")
        if not typer.confirm(f"Delete {found.id}? {size} will be free.", err=True):
            raise typer.Exit(1)
    tried(lambda: run_control.delete(found))
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

    found = tried(lambda: store.find_run(run))

    def write() -> int:
        check_target(out)
        watched = watch_run(found.path)
        read_all(watched.source, cache_of(watched), Job())
        rows = metric_rows(watched.source.curves)
        write_table(rows, out, Job())
        return len(rows)

    typer.echo(f"Wrote {tried(write):,} rows to {out}", err=True)
