"""The yes without which no repository's code runs."""

from __future__ import annotations

from textual.app import App

from hfterm.models.types import ModelSource
from hfterm.widgets.confirm import Confirm


async def allowed(app: App[None], source: ModelSource) -> bool:
    """Ask whether a model's own Python may run, naming the repository and the files."""
    files = ", ".join(source.code) or "the files that its config names"
    answer = await app.push_screen_wait(
        Confirm(
            "Run this model's code?",
            [
                f"{source.ref} brings its own Python: {files}",
                f"in {source.path}",
                "It would run in the engine process with all your rights (trust_remote_code=True).",
                "Say yes only if you have read it.",
            ],
        )
    )
    return bool(answer)
