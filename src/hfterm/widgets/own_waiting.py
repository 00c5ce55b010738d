"""Whoever is cancelled while it waits for others takes none of them along.

To wait for widgets to be removed, Textual gathers their tasks. A worker that is cancelled in the
middle of it, as by the next answer, so cancels them: they stay where they were, half removed, and
the application, which waits for the same tasks, ends without a word. What a screen's coming or
going waits for goes the same way. And a worker that asks in a window begins by doing what the
application was to do next; where it is cancelled meanwhile, nobody does the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

from textual._callback import invoke
from textual.app import App
from textual.await_complete import AwaitComplete
from textual.await_remove import AwaitRemove
from textual.screen import Screen


def _removed(self: AwaitRemove) -> Generator[Any, None, None]:
    here = asyncio.current_task()
    tasks = [task for task in self._tasks if task is not here]  # pyright: ignore[reportPrivateUsage]

    async def wait() -> None:
        if tasks:
            await asyncio.wait(tasks)
        if self._post_remove is not None:  # pyright: ignore[reportPrivateUsage]
            await invoke(self._post_remove)  # pyright: ignore[reportPrivateUsage]

    return wait().__await__()


def _completed(self: AwaitComplete) -> Generator[Any, None, Any]:
    if self._pre_await is not None:  # pyright: ignore[reportPrivateUsage]
        self._pre_await()  # pyright: ignore[reportPrivateUsage]
    return asyncio.shield(self._future).__await__()  # pyright: ignore[reportPrivateUsage]


async def _push_and_wait(
    self: App[object], screen: Screen[Any] | str, *, mode: str | None = None
) -> object:
    if self._next_callbacks:  # pyright: ignore[reportPrivateUsage]
        # in a task of its own, which goes on where this one is cancelled
        await asyncio.shield(asyncio.create_task(self._flush_next_callbacks()))  # pyright: ignore[reportPrivateUsage]
    return await asyncio.shield(self.push_screen(screen, wait_for_dismiss=True, mode=mode))


def let_who_waits_be_cancelled_alone() -> None:
    """Put these in the place of Textual's. Tests fail when what they stand on moves."""
    AwaitRemove.__await__ = _removed
    AwaitComplete.__await__ = _completed
    App.push_screen_wait = _push_and_wait
