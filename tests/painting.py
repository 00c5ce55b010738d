"""Draw what a test looks at, and no more.

Textual draws every change also when it has no terminal to show it in: a fifth of the time of the
screens' tests.
"""

from __future__ import annotations

import os

import pytest

COVERED = "COVERAGE_PROCESS_CONFIG" in os.environ


@pytest.fixture(autouse=not COVERED)
def painted_when_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Apps draw what they would write to a terminal, and else only what is asked for."""
    from textual.screen import Screen

    paint = Screen._compositor_refresh

    def refresh(self: Screen[object]) -> None:
        if self is not self.app.screen or not self.app.is_headless:
            paint(self)
            return
        self._compositor._dirty_regions.clear()
        self._dirty_widgets.clear()
        self.app._display(self, None)
        self.app._update_mouse_over(self)

    monkeypatch.setattr(Screen, "_compositor_refresh", refresh)
