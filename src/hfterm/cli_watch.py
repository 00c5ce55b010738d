"""``hfterm watch``: a run of any program, live, read only."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from hfterm.cli_work import AsJson, print_json, tried
from hfterm.paths import full_path
from hfterm.text import displayable

WATCH_EVERY = 1.0
"""Seconds between two looks at the files of another program."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(watch)


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

    tried(lambda: watch_path(path))
    if as_json or once or plain or not sys.stdout.isatty():
        _watch_lines(path, once=once or as_json, as_json=as_json)
        return
    from hfterm.launch import open_workbench

    raise typer.Exit(open_workbench("train", watch=full_path(path)))


def _watch_lines(path: str, *, once: bool, as_json: bool) -> None:
    from hfterm.job import Job
    from hfterm.training.curve_cache import read_all
    from hfterm.training.run_files import finite
    from hfterm.training.watching import cache_of, watch_path
    from hfterm.widgets.training_words import figure

    watched = tried(lambda: watch_path(path))

    def read() -> None:
        for one in watched:
            read_all(one.source, cache_of(one), Job())

    tried(read)
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
                tried(lambda one=one: one.source.read())
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
