"""A fault of the application is said in a line and written down; it is no traceback on the screen.

One in a key's action or in a worker ends that, and nothing else. After one in a widget's message
Textual closes the widget, and the application with it: what is left to do is to say so in words,
and where the rest is.
"""

from __future__ import annotations

import traceback
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.text import Text
from textual.dom import DOMNode
from textual.worker import Worker

from hfterm import paths
from hfterm.text import displayable
from hfterm.widgets.late_faults import LateFaults

FILE = "faults.log"


# Textual tells only the screen or widget that runs a worker; `on_worker_state_changed` is to hear
# of all of them.
Worker.StateChanged.bubble = True


class OwnFaults(LateFaults):
    """An application that outlives its own faults where it can."""

    _last_fault: Exception

    async def _dispatch_action(self, namespace: DOMNode, action_name: str, params: Any) -> bool:
        try:
            return await super()._dispatch_action(namespace, action_name, params)
        except Exception as error:  # noqa: BLE001 - the key did nothing; the rest is as it was
            self.say_fault(error)
            return True

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A worker that failed unexpectedly is said, never silent, and never ends the app."""
        error = event.worker.error
        if isinstance(error, Exception) and not self.is_gone(event.worker.node):
            self.say_fault(error)

    def say_fault(self, error: Exception) -> None:
        """Say that something of hfterm itself went wrong, and keep where."""
        self.log.error(error)
        write_down(error)
        self.notify(
            displayable(f"{type(error).__name__}: {error}"),
            title="A fault in hfterm", severity="error", timeout=12, markup=False,
        )  # fmt: skip

    def _handle_exception(self, error: Exception) -> None:
        self._last_fault = error
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        error = self._last_fault
        if isinstance(error, BrokenPipeError):  # whoever it was drawn for is gone: nobody to tell
            self._close_messages_no_wait()
            return
        file = write_down(error)
        said = [
            f"hfterm ended by a fault of its own: {type(error).__name__}: {error}",
            f"Where it happened is in {file}." if file is not None else "",
            "Start hfterm again: it opens where you were. Runs go on; conversations are kept.",
        ]
        self._exit_renderables.append(Text("\n".join(displayable(one) for one in said if one)))
        self._close_messages_no_wait()


def write_down(error: Exception) -> Path | None:
    """Append a fault to the file of faults; None when it can't be written."""
    file = paths.logs_dir() / FILE
    told = "".join(traceback.format_exception(error))
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8", errors="replace") as out:
            out.write(f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S%z}\n{told}\n")
        return file
    return None
