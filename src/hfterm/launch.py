"""Open the workbench: settings and colour depth first, Textual after them."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from pathlib import Path

from hfterm import paths, settings
from hfterm.errors import HftermError
from hfterm.hub import starter
from hfterm.system import terminal


def open_workbench(
    screen: str = "",
    model: str = "",
    text: str | None = None,
    *,
    mouse: bool | None = None,
    color: str = "",
    watch: str = "",
    file: str = "",
) -> int:
    """Run the application until it is closed.

    Args:
        screen: the screen to open; empty for the one that was left, or the first.
        model: the model to open there.
        text: the text to begin with; None for the sample.
        mouse: take the mouse or not; None leaves it to the settings.
        watch: a run of any program to show in the Monitor.
        file: a text file for Tokenize, or a data set for the Library.
        color: ``auto``, ``truecolor``, ``256``, ``16``, ``none``; empty leaves it to the settings.

    Returns:
        The exit code.
    """
    # hfterm serve names a driver, which draws into a pipe
    served = bool(os.environ.get("TEXTUAL_DRIVER"))
    if not served and not (sys.stdin.isatty() and sys.stdout.isatty()):
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

    pixels = "off" if served else wanted.pixels  # xterm.js draws none
    if pixels != "off":
        # it asks the terminal what it can, whose answers are Textual's once that runs
        importlib.import_module("textual_image.widget")

    from hfterm.app import HftermApp
    from hfterm.screens.session_keeper import SessionKeeper
    from hfterm.screens.start import StartOptions

    start = StartOptions(
        model=model or wanted.model,
        text=text,
        live_delay=wanted.live_delay_ms / 1e3,
        max_editor_chars=wanted.max_editor_chars,
        pixels=pixels,
        watch=watch,
        file=file,
        folders=wanted.folders,
    )
    kept = paths.state_dir() / "session.json" if wanted.restore_session else None
    keeper = SessionKeeper(kept, asked=bool(model or watch or file) or text is not None)
    mode = screen or keeper.mode
    app = HftermApp(wanted, start, color=decision, problems=problems, mode=mode, session=keeper)
    app.alone = True
    # also when whoever started hfterm ignores it: no terminal, no workbench
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    app.run(mouse=wanted.mouse if mouse is None else mouse)
    return app.return_code or 0


def open_fitting(
    thing: str, *, text: str | None = None, mouse: bool | None = None, color: str = ""
) -> int:
    """Open a thing on the screen that fits it.

    Args:
        thing: a starter name, a hub id, or the path of a model, data set, run, GGUF or text.
        text: the text to begin with, where the screen has one.
        mouse: as of `open_workbench`.
        color: as of `open_workbench`.

    Raises:
        HftermError: there is no such thing, or no screen opens it.
    """
    from hfterm.library.fitting import TEXTS, fitting

    modes = fitting(thing)
    if not modes:
        raise HftermError(
            "no-screen", f"No screen opens {thing}.", "Name a model, a data set, a run or a text."
        )
    mode = modes[0]
    full = paths.full_path(thing)
    if Path(full).exists() and not starter.is_starter(thing):
        thing = full
    if mode == "train":
        return open_workbench(mode, watch=thing, mouse=mouse, color=color)
    if mode == "library" or thing.lower().endswith(TEXTS):
        return open_workbench(mode, file=thing, mouse=mouse, color=color)
    return open_workbench(mode, thing, text, mouse=mouse, color=color)
