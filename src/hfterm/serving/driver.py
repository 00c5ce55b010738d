"""Textual's driver for browsers, and what hfterm needs of it besides.

The server names it in ``TEXTUAL_DRIVER``; nothing imports it.
"""

from __future__ import annotations

import asyncio

from textual.app import App
from textual.drivers.web_driver import WebDriver
from textual.events import AppFocus
from textual.messages import ExitApp
from textual.theme import Theme


class WorkbenchDriver(WebDriver):
    """A driver that ends with its server, and colours the page around the cells."""

    _in_sight = True

    def start_application_mode(self) -> None:
        """Start, and follow the theme."""
        self._loop = asyncio.get_running_loop()
        super().start_application_mode()
        app: App[object] = self._app
        app.theme_changed_signal.subscribe(app, self._color_the_page, immediate=True)
        self._color_the_page(app.current_theme)
        # Textual takes the page for blurred until it says more, which it has done before
        app.call_later(self._tell_focus)

    def _tell_focus(self) -> None:
        if self._in_sight:
            self._app.post_message(AppFocus())

    def on_meta(self, packet_type: str, payload: dict[str, object]) -> None:
        """Listen to the server."""
        if packet_type in ("focus", "blur"):
            self._in_sight = packet_type == "focus"
        super().on_meta(packet_type, payload)

    def _color_the_page(self, theme: Theme) -> None:
        # a window is hardly ever a whole number of cells: the rest takes the terminal's own colour
        background = theme.background or ("#121212" if theme.dark else "#EFEFEF")
        if background.startswith("#"):
            self.write(f"\x1b]11;{background}\x07")

    def _enable_mouse_support(self) -> None:
        if self._mouse:  # Textual takes it in a browser whatever was asked for
            super()._enable_mouse_support()

    def run_input_thread(self) -> None:
        """Read until the end, which is also the end of the server: then nobody looks any more."""
        super().run_input_thread()
        if not self.exit_event.is_set():
            self._loop.call_soon_threadsafe(self._app.post_message, ExitApp())
