"""A window that closes closes itself, once.

Textual's `Screen.dismiss` takes whatever is on top of the screens in sight. Two `Enter` in one
packet close a window and what is under it; a window whose work ends after `Alt+2` closes one on the
other screen. Where nothing but the screen itself is left, that ends the application.
"""

from __future__ import annotations

from typing import Any

from textual.app import App
from textual.await_complete import AwaitComplete
from textual.screen import Screen

_dismiss = Screen.dismiss


def _close(self: Screen[Any], result: object = None) -> AwaitComplete:
    if self.is_active:
        return _dismiss(self, result)
    app: App[object] = self.app
    # another window is over it, or another screen is in sight
    stack = next((stack for stack in app._screen_stacks.values() if self in stack[1:]), None)  # pyright: ignore[reportPrivateUsage]
    if stack is None:  # it was closed just now
        return AwaitComplete.nothing()
    if self._result_callbacks:  # pyright: ignore[reportPrivateUsage]
        self._result_callbacks[-1](result)  # pyright: ignore[reportPrivateUsage]
    stack.remove(self)
    self._pop_result_callback()  # pyright: ignore[reportPrivateUsage]
    return AwaitComplete(app._replace_screen(self)).call_next(app)  # pyright: ignore[reportPrivateUsage]


def let_windows_close_only_themselves() -> None:
    """Put it in the place of Textual's. A test fails when what it stands on moves."""
    Screen.dismiss = _close
