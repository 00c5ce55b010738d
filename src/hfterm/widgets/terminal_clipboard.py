"""Copying through the terminal, which is the only clipboard that is there over SSH."""

from __future__ import annotations

import os

from textual.app import App


class TerminalClipboard(App[None]):
    """An application that copies by OSC 52."""

    def copy_to_clipboard(self, text: str) -> None:
        """Copy through the terminal: wrapped for tmux and screen, and never too long for it."""
        from hfterm.system.clipboard import osc52

        result = osc52(text, os.environ)
        if result.truncated:
            self.notify(
                f"{len(text):,} characters are more than a terminal's clipboard takes: "
                "nothing was copied. Ctrl+E writes a table to a file.",
                severity="warning",
            )
            return
        self._clipboard = text
        if self._driver is not None:
            self._driver.write(result.sequence)
        self.notify(f"Copied {len(text):,} characters.")
