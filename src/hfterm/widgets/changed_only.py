"""Write to the terminal only what is not there already.

Textual draws a widget anew that changed in one place, and all that is below it when it grew: of an
answer that streams, every line for every few words. Over a slow line that is what is felt. Here the
pieces of lines that Textual would write are compared with what was written last at that place.
"""

from __future__ import annotations

from typing import cast

from rich.console import Console, RenderableType
from textual import events
from textual._compositor import ChopsUpdate, CompositorUpdate
from textual.app import App
from textual.screen import Screen


class _Written:
    """What stands on the terminal: for each line, pieces by the column where they begin."""

    def __init__(self) -> None:
        self._lines: dict[int, dict[int, tuple[int, str]]] = {}

    def clear(self) -> None:
        """Nobody knows what stands there."""
        self._lines.clear()

    def is_new(self, y: int, x: int, end: int, text: str) -> bool:
        """Whether a piece is other than what stands there; it is taken as written."""
        line = self._lines.setdefault(y, {})
        if line.get(x) == (end, text):
            return False
        for start, (stop, _) in list(line.items()):
            if start < end and stop > x:
                del line[start]
        line[x] = (end, text)
        return True


class _ChangedPieces(CompositorUpdate):
    """A `ChopsUpdate` without what stands there already."""

    def __init__(self, update: ChopsUpdate, written: _Written) -> None:
        self._update = update
        self._written = written

    def render_segments(self, console: Console) -> str:
        """As `ChopsUpdate.render_segments`, piece by piece."""
        update = self._update
        parts: list[str] = []
        for y, x1, x2 in update.spans:
            for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
                if strip is None or x > x2 or end <= x1:
                    continue
                whole = x1 <= x < x2 and end <= x2
                piece = strip if whole else strip.crop(0, min(end, x2) - x)
                text = piece.render(console)
                if self._written.is_new(y, x, x + piece.cell_length, text):
                    parts.append(f"\x1b[{y + 1};{x + 1}H{text}")
        return "".join(parts)


class ChangedOnly(App[None]):
    """An application that writes few bytes."""

    _written: _Written | None = None

    def on_resize(self, event: events.Resize) -> None:
        """Where it is as large as before again, what stood there is gone all the same."""
        if self._written is not None and event.size == self.screen.size:
            self._written.clear()
            self.screen.refresh()

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        """Leave out of an update what stands on the terminal already."""
        if self._written is None:
            self._written = _Written()
        if isinstance(renderable, ChopsUpdate):
            renderable = cast("RenderableType", _ChangedPieces(renderable, self._written))
        elif renderable is not None:
            self._written.clear()
        super()._display(screen, renderable)
