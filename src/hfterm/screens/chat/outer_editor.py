"""A text, written in the user's own editor."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

from textual.app import App, SuspendNotSupported

from hfterm.errors import HftermError


def edited(app: App[None], text: str) -> str:
    """The text after `$VISUAL` or `$EDITOR` closed; the terminal is the editor's until then.

    Raises:
        HftermError: there is no editor, or it failed; the text is as it was then.
    """
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not command:
        raise HftermError(
            "no-editor", "Neither $VISUAL nor $EDITOR is set.", "Set one, such as EDITOR=vim."
        )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "message.md"
        file.write_text(text, encoding="utf-8")
        try:
            ended = _run(app, [*shlex.split(command), str(file)])
        except (OSError, ValueError, SuspendNotSupported) as error:
            raise HftermError(
                "no-editor", f"{command} can't be started: {error}", "Check $VISUAL and $EDITOR."
            ) from error
        if ended:
            raise HftermError(
                "editor-failed", f"{command} ended with exit code {ended}.",
                "The message is as it was.",
            )  # fmt: skip
        return file.read_text(encoding="utf-8", errors="replace").rstrip("\n")


def _run(app: App[None], command: list[str]) -> int:
    failure: OSError | None = None
    with app.suspend():  # what is raised in it would leave the terminal as it is meanwhile
        try:
            return subprocess.run(command, check=False).returncode
        except OSError as error:
            failure = error
    raise failure
