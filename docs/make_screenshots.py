"""Export the pictures of the README from the running application.

    python docs/make_screenshots.py

Needs the starter kit (`hfterm starter`). Nothing is drawn: each picture is what Textual
exports of the real screen, with real tokens from a real engine process.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

os.environ["TEXTUAL_COLOR_SYSTEM"] = "truecolor"
os.environ["COLORTERM"] = "truecolor"

from hfterm.app import HftermApp
from hfterm.screens.tokenize.screen import TokenizeScreen

HERE = Path(__file__).parent
TEXT_SECONDS = 60


async def _tokenize() -> None:
    app = HftermApp()
    async with app.run_test(size=(110, 32)) as pilot:
        deadline = time.monotonic() + TEXT_SECONDS
        screen = app.workbench
        assert isinstance(screen, TokenizeScreen)
        while app.engine.status.phase != "warm" or screen.subject.info is None:
            if time.monotonic() > deadline:
                raise SystemExit("The engine did not become ready; is the starter kit installed?")
            await pilot.pause(0.1)
        await pilot.press("tab", "tab", "tab", *["down"] * 4)
        await pilot.pause(0.5)
        (HERE / "tokenize.svg").write_text(app.export_screenshot(), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(_tokenize())
