"""``hfterm train``: a run without the screen.

A command that shows a run is only a viewer of it: whatever becomes of the command, the run goes on.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from hfterm.cli_work import ask, tried
from hfterm.paths import expanded
from hfterm.text import displayable

if TYPE_CHECKING:
    from hfterm.training.recipe import Recipe
    from hfterm.training.store import Run

LOOK_EVERY = 0.5
"""Seconds between two looks at a run."""

LEFT = 129
"""Exit code after a hang-up, as a shell counts it."""

Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Another value for a key of the recipe."),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(train)


def train(
    recipe: Annotated[str, typer.Argument(help="A recipe (TOML).")],
    detach: Annotated[bool, typer.Option("--detach", help="Start it and return.")] = False,
    settings: Settings = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="JSON lines: the run at its start, and at its end.")
    ] = False,
) -> None:
    """Train what a recipe says, in a process of its own that goes on without this one."""
    from hfterm.training import run_control, store
    from hfterm.training.preflight import check
    from hfterm.training.recipe_text import read_recipe, with_values

    def begin() -> list[Path]:
        wanted = read_recipe(expanded(recipe))
        if settings:
            wanted = with_values(wanted, settings)
        _bring(wanted)
        check(wanted)
        folders = run_control.create_all(wanted)
        run_control.start_all(folders)
        return folders

    folders = tried(begin)
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
            from hfterm.widgets.training_words import run_line

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
