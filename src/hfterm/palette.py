"""What the palette lists: every action there is, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from textual.app import App, SystemCommand
from textual.screen import Screen

from hfterm.hub import starter
from hfterm.screens.registry import SCREENS
from hfterm.screens.workbench import WorkbenchScreen

CURSOR_KEYS = {"grid", "strip", "choice", "text", "palette", "leave", "mode"}
"""First parts of the ids of bindings that only move: nobody looks for them in the palette."""


def commands(
    app: App[None],
    screen: Screen[object],
    bench: WorkbenchScreen | None,
    install_starter: Callable[[], object],
) -> Iterable[SystemCommand]:
    """The palette: the actions of the screen in sight (`bench`), then the application's."""
    if bench is not None:
        for command in bench.COMMANDS_HERE:
            run = partial(app.call_later, bench.run_action, command.action)
            yield SystemCommand(command.title, command.help, run)
    for entry in SCREENS:
        yield SystemCommand(
            f"Go to {entry.title}",
            f"The {entry.title} screen",
            partial(app.run_action, f"mode('{entry.mode}')"),
        )
    if any(not status.installed for status in starter.starter_status()):
        yield SystemCommand(
            "Starter kit: download the rest", "Tiny real models and data", install_starter
        )
    seen: set[str] = set()
    for active in screen.active_bindings.values():
        binding = active.binding
        kind = (binding.id or "").partition(".")[0]
        if kind and kind not in CURSOR_KEYS and binding.action not in seen:
            seen.add(binding.action)
            run = partial(app.run_action, binding.action, active.node)
            help_text = active.tooltip or binding.description
            yield SystemCommand(binding.description, help_text, partial(app.call_later, run))
    yield SystemCommand("Theme", "Change the colours", app.action_change_theme)
    yield SystemCommand("Screenshot", "Save the screen as SVG", app.deliver_screenshot)
