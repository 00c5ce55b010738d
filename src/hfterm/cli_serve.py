"""``hfterm serve``: the workbench in a browser, for this machine alone."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated, Literal

import typer

from hfterm.cli_work import failed
from hfterm.errors import HftermError
from hfterm.text import displayable

Screen = Literal["tokenize", "models", "predict", "attention", "train", "chat", "library"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(serve)


def serve(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")
    ] = 0,
    host: Annotated[
        str, typer.Option(help="127.0.0.1, and nothing else: see the message about tunnels.")
    ] = "127.0.0.1",
    screen: Annotated[Screen | None, typer.Option(help="Screen to open.")] = None,
    model: Annotated[str, typer.Option(help="Starter name, path or hub id.")] = "",
    text: Annotated[str | None, typer.Option(help="Text to begin with.")] = None,
) -> None:
    """Open the workbench in a browser on this machine, or through an SSH tunnel to it.

    The printed address lets one browser in, one time. Ctrl+C ends it; training runs go on.
    """
    from hfterm.serving.gate import NAMES
    from hfterm.serving.server import WorkbenchServer, listen

    if host not in NAMES:
        raise typer.BadParameter(
            f"hfterm serves 127.0.0.1 only, not {displayable(host)}: who gets in has all your "
            "rights, and the connection is not encrypted. From another machine use an SSH tunnel: "
            f"ssh -L {port or 8000}:127.0.0.1:{port or 8000} HOST, with hfterm serve --port "
            f"{port or 8000} on HOST.",
            param_hint="--host",
        )
    wishes = {"screen": screen, "model": model or None, "text": text}
    arguments = [f"--{name}={wish}" for name, wish in wishes.items() if wish is not None]
    try:
        server = WorkbenchServer(listen(port), arguments, _say)
    except HftermError as error:
        raise failed(error) from None

    def ready() -> None:
        typer.echo(server.gate.invitation)
        for line in _hints(server.gate.port):
            typer.echo(line, err=True)

    asyncio.run(server.run(ready))


def _hints(port: int) -> list[str]:
    hints = ["Open this address in a browser; it works once. Ctrl+C ends hfterm."]
    # client's address and port, then the server's own as the client reached it
    connection = os.environ.get("SSH_CONNECTION", "").split()
    if len(connection) == 4:
        tunnel = f"ssh -L {port}:127.0.0.1:{port} {displayable(connection[2])}"
        hints.append(f"You came by SSH: first run  {tunnel}  on your own machine.")
    return hints


def _say(line: str) -> None:
    typer.echo(f"hfterm: {displayable(line)}", err=True)
