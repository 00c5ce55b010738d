"""Windows that were closed are gone, whatever came to be under them while they were open."""

from __future__ import annotations

import gc
from weakref import ref

from textual.screen import ModalScreen, Screen

from hfterm.app import HftermApp
from pilot_app import ready, settled
from screen_fixtures import MakeApp

WINDOWS = {
    "f1": "HelpModal",
    "f2": "CodeModal",
    "f6": "ModelPicker",
    "f8": "LogsModal",
    "ctrl+o": "Prompt",
    "ctrl+p": "CommandPalette",
    "ctrl+e": "ExportModal",
    "alt+o": "OpenIn",
}
SIZE = (120, 40)
SMALLER = ((40, 12), (20, 5), SIZE)


def in_sight(app: HftermApp) -> str:
    return type(app.screen).__name__


async def test_no_window_is_kept_by_what_was_made_under_it(make_app: MakeApp) -> None:
    app = make_app(text="one two three")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        closed: dict[str, ref[Screen[object]]] = {}
        for key, name in WINDOWS.items():
            await pilot.press(key)
            await settled(pilot, lambda name=name: in_sight(app) == name, name)
            closed[name] = ref(app.screen)
            for size in SMALLER:  # scroll bars are made, also of the screen under it
                await pilot.resize_terminal(*size)
                await pilot.pause()
            await pilot.press("escape")
            await settled(pilot, lambda: not isinstance(app.screen, ModalScreen), f"no {name}")

        def kept() -> list[str]:
            gc.collect()
            return [name for name, window in closed.items() if window() is not None]

        await pilot.resize_terminal(110, 30)  # what is being told of the old size ends
        await settled(pilot, lambda: not kept(), f"that {kept()} go")
