"""A fault of the application is said in a line and written down; it is no traceback on the screen.

One in a key's action, a worker, a timer, a callback or in what a widget does with a message ends
that, and nothing else. One while a widget is made leaves half of it, and where one follows the
other, as of drawing they may, there is no going on: these end the application, and what is left to
do is to say so in words, and where the rest is. Nor does it stand still unseen.
"""

from __future__ import annotations

import asyncio
import os
import traceback
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Any

from rich.text import Text
from textual._callback import invoke
from textual._context import active_message_pump
from textual.app import App
from textual.dom import DOMNode
from textual.message import Message
from textual.message_pump import MessagePump
from textual.screen import Screen
from textual.worker import Worker, WorkerFailed, active_worker

from hfterm import paths
from hfterm.system.freeze_watch import FreezeWatch
from hfterm.text import displayable
from hfterm.widgets.late_faults import LateFaults
from hfterm.widgets.own_context import forget_sender

FILE = "faults.log"

OFTEN = 5
"""Faults within `SHORTLY` after which there is no going on."""

SHORTLY = 10.0
"""Seconds."""


# Textual tells only the screen or widget that runs a worker; `on_worker_state_changed` is to hear
# of all of them.
Worker.StateChanged.bubble = True


class Abandoned(Exception):
    """What was waited for was cancelled."""


@contextmanager
def _ended_by_itself_alone() -> Generator[None]:
    """A loop ends when it is cancelled, and not when something that it awaits is.

    Both raise the same, of which Textual ends a widget without a word, or the application.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise Abandoned("what it waited for was cancelled") from error


_dispatch_message = MessagePump._dispatch_message  # pyright: ignore[reportPrivateUsage]


async def _dispatch_and_outlive(self: MessagePump, message: Message) -> None:
    """What raises here ends the widget's own loop, and so the widget."""
    try:
        with _ended_by_itself_alone():
            await _dispatch_message(self, message)
        forget_sender(message)
    except Exception as error:
        app = self.app
        if not isinstance(app, OwnFaults) or not app.said(error, self):
            raise


async def _call_each(self: Screen[object]) -> None:
    """What is to be done after a refresh, for whomever: one that fails keeps no other from it."""
    callbacks = self._callbacks[:]  # pyright: ignore[reportPrivateUsage]
    self._callbacks.clear()  # pyright: ignore[reportPrivateUsage]
    for callback, sender in callbacks:
        with sender._context():  # pyright: ignore[reportPrivateUsage]
            try:
                with _ended_by_itself_alone():
                    await invoke(callback)
            except Exception as error:  # noqa: BLE001 - judged by whose it is, and perhaps the end
                self.app._handle_exception(error)  # pyright: ignore[reportPrivateUsage]


async def _call_each_next(self: MessagePump) -> None:
    """What is to be done after a message: one that fails keeps no other from it either."""
    callbacks = self._next_callbacks[:]  # pyright: ignore[reportPrivateUsage]
    self._next_callbacks.clear()  # pyright: ignore[reportPrivateUsage]
    for callback in callbacks:
        try:
            with _ended_by_itself_alone(), self.prevent(*callback._prevent):  # pyright: ignore[reportPrivateUsage]
                await invoke(callback.callback)
        except Exception as error:  # noqa: BLE001 - judged by whose it is, and perhaps the end
            self.app._handle_exception(error)  # pyright: ignore[reportPrivateUsage]


class OwnFaults(LateFaults):
    """An application that outlives its own faults where it can."""

    _last_fault: Exception
    _said_at: deque[float]
    _freezes: FreezeWatch | None = None

    def __init__(self, *, ansi_color: bool | None = None) -> None:
        MessagePump._dispatch_message = _dispatch_and_outlive  # pyright: ignore[reportPrivateUsage]
        MessagePump._flush_next_callbacks = _call_each_next  # pyright: ignore[reportPrivateUsage]
        Screen._invoke_and_clear_callbacks = _call_each  # pyright: ignore[reportPrivateUsage]
        super().__init__(ansi_color=ansi_color)
        self._said_at = deque(maxlen=OFTEN)

    def said(self, error: Exception, place: DOMNode | MessagePump | None) -> bool:
        """Say a fault where it ends nothing but what was being done; False where it ends all.

        That is where half a widget is made, where faults come one after the other, and where
        whoever it is drawn for is gone.
        """
        if self.is_late(error, place):
            return True
        made = isinstance(place, MessagePump) and place._is_mounted  # pyright: ignore[reportPrivateUsage]
        if not made or isinstance(error, BrokenPipeError | WorkerFailed):
            return False
        now = monotonic()
        self._said_at.append(now)
        if len(self._said_at) == OFTEN and now - self._said_at[0] < SHORTLY:
            return False
        self.say_fault(error)
        return True

    def watch_for_freezes(self, every: float) -> None:
        """Write down where it stands still, if it ever does.

        A process has one such watch, so this is for an application that has it for itself.

        Args:
            every: seconds between two signs of life.
        """
        self._freezes = watch = FreezeWatch(paths.logs_dir() / f"frozen-{os.getpid()}.log")
        self.set_interval(every, watch.beat)

        def on_purpose(_: App[object]) -> None:
            """An editor has the terminal, and holds everything up."""
            watch.stop()

        self.app_suspend_signal.subscribe(self, on_purpose, immediate=True)

    def unwatch_freezes(self) -> None:
        """The application ends."""
        if self._freezes is not None:
            self._freezes.stop()

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
        """Say that something of hfterm itself went wrong, and keep where.

        While all is being taken away something may look for what is gone: nobody is told then.
        """
        self.log.error(error)
        if not self.is_running:
            return
        write_down(error)
        self.notify(
            displayable(f"{type(error).__name__}: {error}"),
            title="A fault in hfterm", severity="error", timeout=12, markup=False,
        )  # fmt: skip

    def _handle_exception(self, error: Exception) -> None:
        worker = active_worker.get(None)
        place = active_message_pump.get(None)
        if isinstance(error, WorkerFailed) and worker is not None:
            place = worker.node
        if not self.said(error, place):
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

    def _print_error_renderables(self) -> None:
        for said in self._exit_renderables:
            self.error_console.print(said, soft_wrap=True)  # a path that is torn can't be copied
        self._exit_renderables.clear()


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
