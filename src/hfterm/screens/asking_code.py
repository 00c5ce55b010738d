"""The yes without which no repository's code runs."""

from __future__ import annotations

from textual.app import App
from textual.message import Message

from hfterm.errors import HftermError
from hfterm.widgets.confirm import Confirm

REMOTE_CODE = "remote-code"
"""The kind of the error that a model gives which needs its own Python."""


class CodeNeeded(Message):
    """The model can't be loaded without its repository's Python."""

    def __init__(self, error: HftermError) -> None:
        super().__init__()
        self.error = error


async def allowed(app: App[None], error: HftermError) -> bool:
    """Ask whether a model's own Python may run; the error names the repository and the files."""
    answer = await app.push_screen_wait(
        Confirm(
            "Run this model's code?",
            [
                error.message,
                "It would run in the engine process with all your permissions: it could read, "
                "change and send your files (trust_remote_code=True).",
                "Say yes only if you have read it.",
            ],
        )
    )
    return bool(answer)
