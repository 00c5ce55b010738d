"""An error or a remark, standing where it arose: what happened, and what to do."""

from __future__ import annotations

from typing import Literal

from textual.content import Content
from textual.widgets import Static

from hfterm.errors import HftermError
from hfterm.text import foreign

Severity = Literal["error", "warning", "note"]
ASKED_FOR = ("cancelled", "unloaded")
"""Kinds of errors that are what the user asked for."""

GLYPHS: dict[Severity, str] = {"error": "✗", "warning": "!", "note": "i"}


class Notice(Static):
    """Two lines at most; takes no room while it has nothing to say."""

    DEFAULT_CSS = """
    Notice { height: auto; max-height: 6; padding: 0 1; display: none; }
    Notice.-error { color: $error; }
    Notice.-warning { color: $warning; }
    Notice.-note { color: $text-muted; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self.message = ""

    def show(self, message: str, remedy: str = "", severity: Severity = "error") -> None:
        """Say something. The texts may hold anything."""
        self.message = f"{message} {remedy}".strip()
        content = foreign(f"{GLYPHS[severity]} {message}")
        if remedy:
            content = Content("\n").join([content, foreign(f"  {remedy}").stylize("dim")])
        self.update(content)
        self.set_classes(f"-{severity}")
        self.display = True

    def show_error(self, error: HftermError) -> None:
        """Say what an error says."""
        severity: Severity = "note" if error.kind in ASKED_FOR else "error"
        self.show(error.message, error.remedy, severity)

    def clear(self) -> None:
        """Say nothing more."""
        if self.message:
            self.message = ""
            self.update("")
            self.display = False
