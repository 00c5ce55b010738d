"""What every command stands on: engine work, errors in two lines, JSON."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec
import typer

from hfterm.errors import HftermError

if TYPE_CHECKING:
    from hfterm.engine.protocol import Request
    from hfterm.job import Progress
    from hfterm.widgets.data_grid import GridSource

R = TypeVar("R")

AsJson = Annotated[bool, typer.Option("--json", help="JSON, for programs.")]


def run_work(work: Callable[[], Coroutine[None, None, R]]) -> R:
    """Run engine work; an error becomes two lines on stderr and exit code 1."""
    try:
        return asyncio.run(work())
    except HftermError as error:
        raise failed(error) from None
    except KeyboardInterrupt:
        typer.echo("Stopped.", err=True)
        raise typer.Exit(130) from None


def ask(request: Request[R], *, progress: bool = False) -> R:
    """Ask an engine of the command's own; with `progress`, show it on stderr."""
    from hfterm.progress_text import ProgressPrinter

    printer = ProgressPrinter(sys.stderr)
    try:
        return run_work(lambda: _call(request, printer.show if progress else None))
    finally:
        printer.close()


async def _call(request: Request[R], show: Callable[[Progress], None] | None = None) -> R:
    from hfterm.engine.client import EngineClient

    engine = EngineClient("cli", warm=False)
    try:
        return await engine.call(request, show)
    finally:
        await engine.close()


def code_allowed(request: Request[R]) -> bool:
    """Whether a model's own Python may run: only after a yes to a question that names it.

    Args:
        request: one that fails as ``remote-code`` when the model needs its code.
    """
    try:
        asyncio.run(_call(request))
    except HftermError as error:
        if error.kind != "remote-code":
            return False  # the command itself says what is wrong
        if not sys.stdin.isatty():
            raise failed(error) from None
        from hfterm.text import displayable

        typer.echo(displayable(error.message), err=True)
        if not typer.confirm("It would run with all your permissions. Run it?", err=True):
            raise typer.Exit(1) from None
        return True
    return False


def failed(error: HftermError) -> typer.Exit:
    """Say what happened and what to do, and give the exit code for it."""
    from hfterm.text import displayable

    typer.echo(f"hfterm: {displayable(error.message)}", err=True)
    remedy = error.remedy
    if error.kind == "engine-died":  # there is no F5 here
        remedy = "Run the command again."
    elif error.kind == "internal":  # nor F8
        remedy = _where_the_details_are()
    if remedy:
        typer.echo(f"  {displayable(remedy)}", err=True)
    return typer.Exit(1)


def _where_the_details_are() -> str:
    from hfterm.engine.client import EngineClient

    log = EngineClient("cli", warm=False).log_file  # of every engine that a command starts
    if log.exists():
        return f"{log} has the details."
    return "Run hfterm doctor, or open it on screen and press F8."


def print_json(value: object) -> None:
    """JSON on standard output, indented."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def print_rows(source: GridSource) -> None:
    """A table on standard output."""
    from hfterm.widgets.plain_table import plain_table

    for line in plain_table(source):
        typer.echo(line)


def tried(work: Callable[[], R]) -> R:
    """What `work` gives; what it fails of is said, and ends the command."""
    try:
        return work()
    except HftermError as error:
        raise failed(error) from None
