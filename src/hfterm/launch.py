"""Open the workbench: settings and colour depth first, Textual after them."""

from __future__ import annotations

import importlib
import os
import signal
import sys

from hfterm import paths, settings
from hfterm.system import terminal


def open_workbench(
    screen: str = "tokenize",
    model: str = "",
    text: str | None = None,
    *,
    mouse: bool | None = None,
    color: str = "",
    watch: str = "",
) -> int:
    """Run the application until it is closed.

    Args:
        screen: the screen to open.
        model: the model to open there.
        text: the text to begin with; None for the sample.
        mouse: take the mouse or not; None leaves it to the settings.
        watch: a run of any program to show in the Monitor.
        color: ``auto``, ``truecolor``, ``256``, ``16``, ``none``; empty leaves it to the settings.

    Returns:
        The exit code.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print(
            "hfterm draws on a terminal, and this is none. "
            "For scripts: hfterm tokenize MODEL TEXT --json",
            file=sys.stderr,
        )
        return 2
    wanted, problems = settings.load(paths.settings_file())
    os.environ.update(settings.environment(wanted, os.environ))
    decision = terminal.decide_color(os.environ, color or wanted.color)
    terminal.apply(decision, os.environ)

    if wanted.pixels != "off":
        # it asks the terminal what it can, whose answers are Textual's once that runs
        importlib.import_module("textual_image.widget")

    from hfterm.app import HftermApp
    from hfterm.screens.start import StartOptions

    start = StartOptions(
        model=model or wanted.model,
        text=text,
        live_delay=wanted.live_delay_ms / 1e3,
        max_editor_chars=wanted.max_editor_chars,
        pixels=wanted.pixels,
        watch=watch,
    )
    app = HftermApp(wanted, start, color=decision, problems=problems, mode=screen)
    app.alone = True
    # also when whoever started hfterm ignores it: no terminal, no workbench
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    app.run(mouse=wanted.mouse if mouse is None else mouse)
    return app.return_code or 0
