"""The ground of what is drawn line by line: its styles, and what stands in it while it is empty."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.content import Content
from textual.strip import Strip
from textual.widget import Widget

from hfterm.text import fit
from hfterm.widgets.sized import Sized


class Drawn(Sized, Widget, can_focus=True):
    """A picture with labels and a cursor."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"drawn--{n}" for n in ("label", "cursor", "excluded", "frame", "wrong", "mark", "empty"))
    }

    DEFAULT_CSS = """
    Drawn { height: 1fr; background: transparent; }
    Drawn > .drawn--label, Drawn > .drawn--empty { color: $text-muted; }
    Drawn > .drawn--excluded { color: $text-disabled; }
    Drawn > .drawn--frame { color: $foreground; }
    Drawn:focus > .drawn--frame { color: $accent; }
    Drawn > .drawn--mark { color: $accent; }
    Drawn > .drawn--wrong { color: $error; }
    Drawn > .drawn--cursor {
        background: $block-cursor-blurred-background;
        color: $block-cursor-blurred-foreground;
    }
    Drawn:focus > .drawn--cursor {
        background: $block-cursor-background;
        color: $block-cursor-foreground;
    }
    Drawn:ansi > .drawn--label { color: ansi_default; }
    Drawn:ansi > .drawn--excluded { color: ansi_bright_black; }
    Drawn:ansi > .drawn--frame { color: ansi_default; text-style: bold; }
    Drawn:ansi > .drawn--mark { color: ansi_cyan; }
    Drawn:nocolor > .drawn--excluded { color: ansi_default; }
    Drawn:nocolor > .drawn--mark { color: ansi_default; }
    Drawn:ansi > .drawn--cursor {
        color: ansi_default; background: ansi_default; text-style: bold underline;
    }
    Drawn:ansi:focus > .drawn--cursor {
        color: ansi_default; background: ansi_default; text-style: reverse;
    }
    """

    def __init__(
        self, *, empty: str = "", id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._styles: dict[str, Style] = {}
        self._empty = empty

    def set_empty(self, text: str) -> None:
        """What stands here while there is nothing to draw."""
        self._empty = text
        self.refresh()

    def notify_style_update(self) -> None:
        """Styles are looked up once per theme and focus, not once per cell."""
        self._styles.clear()
        self.redraw()
        super().notify_style_update()

    def redraw(self) -> None:
        """What was drawn in other styles goes."""

    def style_of(self, name: str) -> Style:
        """The style of a part; of what is behind them all for ``""``."""
        style = self._styles.get(name)
        if style is None:
            part = Style()
            if name:
                part = self.get_component_rich_style(f"drawn--{name}", partial=True)
            style = self._styles[name] = self.rich_style + part
        return style

    def empty_line(self, y: int) -> Strip:
        """A line of what stands here while there is nothing to draw."""
        width = self.size.width
        lines = Content(self._empty).wrap(max(1, width - 2)) if width > 2 else []
        text = lines[y - 1].plain if 0 < y <= len(lines) else ""
        return Strip([Segment(fit(f" {text}", width), self.style_of("empty"))], width)
