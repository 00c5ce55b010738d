"""Lines over steps, epochs, time or tokens, with a cursor, zoom and a legend that reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.actions import SkipAction
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.geometry import Region
from textual.message import Message
from textual.reactive import var
from textual.strip import Strip

from hfterm.text import displayable, fit
from hfterm.widgets.chart_data import (
    Axis,
    ChartLine,
    ChartView,
    Extent,
    roomy,
    short,
    table,
    x_label,
)
from hfterm.widgets.chart_picture import (
    AXIS,
    BLANK,
    CURSOR,
    LABEL,
    LOWEST,
    NARROWEST,
    STALE,
    WRONG,
    Picture,
    Text,
    bright,
    letter,
    line_of,
    mark,
    paint,
)
from hfterm.widgets.drawn import Drawn
from hfterm.widgets.ramps import Depth, depth_of

COLORS = 6
"""Lines that differ in colour; after these their letters alone tell them apart."""

LEAST_STEPS = 4
"""Steps in the narrowest window."""

_TITLE = 6
_PARTS = {
    BLANK: "", LABEL: "label", AXIS: "excluded", CURSOR: "cursor", WRONG: "wrong", STALE: "stale",
    _TITLE: "frame",
}  # fmt: skip

_BEHIND = 0.4
"""How much of a line's colour its points have behind its smoothed line."""


def _key(keys: str, action: str, label: str, name: str) -> Binding:
    return Binding(keys, action, label, show=False, id=f"chart.{name}", tooltip=label)


class Chart(Drawn):
    """Lines in a plane, one column of which may be read."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "drawn--stale", *(f"drawn--line-{index}" for index in range(COLORS))
    }  # fmt: skip

    DEFAULT_CSS = """
    Chart { min-height: 1; }
    Chart > .drawn--stale { color: $text-disabled; }
    Chart > .drawn--line-0 { color: $accent; }
    Chart > .drawn--line-1 { color: $foreground; }
    Chart > .drawn--line-2 { color: $success; }
    Chart > .drawn--line-3 { color: #7fb2de; }
    Chart > .drawn--line-4 { color: #c792c9; }
    Chart > .drawn--line-5 { color: $secondary; }
    Chart:light > .drawn--line-3 { color: #2a6fb5; }
    Chart:light > .drawn--line-4 { color: #8a4b8f; }
    Chart:ansi > .drawn--stale { color: ansi_bright_black; }
    Chart:ansi > .drawn--line-0 { color: ansi_yellow; }
    Chart:ansi > .drawn--line-1 { color: ansi_default; }
    Chart:ansi > .drawn--line-2 { color: ansi_green; }
    Chart:ansi > .drawn--line-3 { color: ansi_cyan; }
    Chart:ansi > .drawn--line-4 { color: ansi_magenta; }
    Chart:ansi > .drawn--line-5 { color: ansi_blue; }
    Chart:nocolor > .drawn--stale { color: ansi_default; text-style: dim; }
    """

    HELP = """\
## Chart
Above it each line's letter, name and last value; the letter stands at the line's end too. Where a
line is smoothed, its points are dim behind it. Grey dots are steps that a resumed run did again,
`×` at the top is a value that is not a number.
`←` `→` put a cursor on a column and move it, with `Shift` by ten, `Home` `End` to the edges; the
legend then reads the points nearest to it. `Esc` takes it away. `+` `-` zoom around it, `<` `>`
pan, `w` shows the whole. A window at the end of the data moves along with them. `g` makes y
logarithmic and back.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        _key("left", "move(-1)", "Cursor left", "left"),
        _key("right", "move(1)", "Cursor right", "right"),
        _key("shift+left", "move(-10)", "Cursor ten columns left", "far-left"),
        _key("shift+right", "move(10)", "Cursor ten columns right", "far-right"),
        _key("home", "edge(0)", "Cursor to the first column", "first"),
        _key("end", "edge(1)", "Cursor to the last column", "last"),
        _key("plus,equals_sign,alt+plus", "zoom(0.5)", "Zoom in", "zoom-in"),
        _key("minus,alt+minus", "zoom(2)", "Zoom out", "zoom-out"),
        _key("less_than_sign,alt+less_than_sign", "pan(-0.25)", "Pan left", "pan-left"),
        _key("greater_than_sign,alt+greater_than_sign", "pan(0.25)", "Pan right", "pan-right"),
        _key("w,alt+0", "whole", "Show the whole", "whole"),
        _key("g,alt+g", "log", "Logarithmic or linear y", "log"),
        _key("escape", "drop_cursor", "Take the cursor away", "no-cursor"),
    ]

    view: var[ChartView] = var(ChartView(), init=False)
    """What is looked at, and how."""

    class _Told(Message):
        def __init__(self, chart: Chart) -> None:
            super().__init__()
            self.chart = chart

        @property
        def control(self) -> Chart:
            """The chart it happened in."""
            return self.chart

    class CursorMoved(_Told):
        """The cursor came to another x by a key or the mouse, or went away."""

        def __init__(self, chart: Chart, x: float | None) -> None:
            super().__init__(chart)
            self.x = x

    class ViewChanged(_Told):
        """Another window or scale was chosen by a key."""

        def __init__(self, chart: Chart, view: ChartView) -> None:
            super().__init__(chart)
            self.view = view

    def __init__(
        self, *, empty: str = "", id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(empty=empty, id=id, classes=classes)
        self._title = ""
        self._chart_lines: list[ChartLine] = []
        self._extent: Extent | None = None
        self._reach = 0.0  # x where the whole ends: at the last point, or after it while more come
        self._axis: Axis = "step"
        self._picture: Picture | None = None
        self._gutter = 0
        self._head: Text = []
        self._tones: dict[int, Style] = {}
        self._depth: Depth = "truecolor"

    # -- what is shown -------------------------------------------------------------------------

    def set_lines(
        self,
        title: str,
        lines: Sequence[ChartLine],
        extent: Extent | None = None,
        axis: Axis = "step",
        unit: str = "",
    ) -> None:
        """Show other lines. Cursor and window stay while x is the same and there are lines.

        Args:
            title: what the lines are of, safe to show.
            lines: the later over the earlier.
            extent: x of the first and the last point; None when there is none.
            axis: what x is.
            unit: of the values.
        """
        self._title = displayable(f"{title} ({unit})" if unit else title)
        self._chart_lines = list(lines)
        self._axis, same = axis, axis == self._axis
        if not same or not lines:
            self.set_reactive(Chart.view, replace(self.view, first=None, last=None, cursor=None))
        self._extent = extent
        self._reach = extent[1] if extent else 0.0
        self._change()

    def update_extent(self, extent: Extent | None) -> None:
        """Points were added or taken away; only what is different is drawn again.

        Args:
            extent: x of the first and the last point there are now.
        """
        old, self._extent = self._extent, extent
        if extent is not None:
            if extent[1] > self._reach or (old is not None and extent[1] < old[1]):
                self._reach = roomy(extent)
            if old is not None:
                self.set_reactive(Chart.view, self.view.followed(old, extent))
        self._change()

    def set_view(self, view: ChartView) -> None:
        """Look at something else, or otherwise, without telling anybody."""
        self.view = view

    def put_cursor(self, x: float | None) -> None:
        """Put the cursor on an x, or take it away, without telling anybody."""
        self.view = replace(self.view, cursor=x)

    def watch_view(self, old: ChartView, new: ChartView) -> None:
        """Draw what is different."""
        if replace(old, cursor=None) != replace(new, cursor=None):
            self._change()
        elif self._picture is not None:
            self._retell(self._cells(old.cursor) + self._cells(new.cursor))

    def copy_text(self) -> str:
        """The columns in sight, tab-separated: x, and each line's values."""
        extent = self._whole
        if extent is None or not self._chart_lines:
            return ""
        count = 2 * (self._picture.wide if self._picture else 60)
        return table(self._chart_lines, self.view.window(extent), count, self._axis)

    # -- working it out ------------------------------------------------------------------------

    @property
    def _whole(self) -> Extent | None:
        return None if self._extent is None else (self._extent[0], self._reach)

    def resized(self) -> None:
        """The lines are drawn into the new size."""
        self._picture = None
        self.refresh()

    def redraw(self) -> None:
        """What was drawn in other styles goes."""
        self._tones.clear()

    def _paint(self) -> Picture | None:
        """The picture; None where there is no room or nothing to draw."""
        width, height = self.room()
        if width < NARROWEST or height < LOWEST or self._whole is None or not self._chart_lines:
            return None
        found = paint(
            self._chart_lines, self.view, self._whole, self._axis, width, height - 1, self._gutter
        )
        self._gutter = found.left - 1
        return found

    def _change(self) -> None:
        """Have drawn again what is different."""
        old = self._picture
        if old is None or not self.is_attached or not self.screen.is_current:
            self._picture = None  # it is made when it is drawn
            self.refresh()
            return
        new = self._picture = self._paint()
        if new is None or new.glyphs.shape != old.glyphs.shape:
            self.refresh()
            return
        cursor = self.view.cursor
        changed = [Region(x, y + 1, cells, 1) for x, y, cells in new.changed(old)]
        if self._cells(cursor, old) != self._cells(cursor):
            changed += self._cells(cursor, old) + self._cells(cursor)
        self._retell(changed)

    def _retell(self, changed: list[Region]) -> None:
        """Draw parts again, and the legend if it reads otherwise."""
        head = self._legend(self.size.width)
        if head != self._head:
            self._head = head
            changed.append(Region(0, 0, self.size.width, 1))
        if changed:
            self.refresh(*changed)

    def _cells(self, x: float | None, picture: Picture | None = None) -> list[Region]:
        """Where the cursor is drawn: its column, and its label's line."""
        picture = picture or self._picture
        cell = picture.cell(x) if picture and x is not None else None
        if picture is None or cell is None:
            return []
        foot = len(picture.glyphs)
        return [
            Region(picture.left + cell, 1, 1, picture.tall), Region(0, foot, self.size.width, 1)
        ]  # fmt: skip

    # -- drawing -------------------------------------------------------------------------------

    def style_for(self, tone: int) -> Style:
        """The style of a tone of the picture."""
        style = self._tones.get(tone)
        if style is None:
            line = line_of(tone)
            if line is None:
                style = self.style_of(_PARTS[tone])
            else:
                index, behind = line
                style = self.style_of(f"line-{index % COLORS}")
                style = self._dimmed(style) if behind else style
            self._tones[tone] = style
        return style

    def _dimmed(self, style: Style) -> Style:
        if self._depth in ("16", "none") or not style.color or not style.bgcolor:
            return style + Style(dim=True)
        ground = Color.from_rich_color(style.bgcolor)
        mixed = ground.blend(Color.from_rich_color(style.color), _BEHIND)
        return style + Style(color=mixed.rich_color)

    def _strip(self, parts: Text, width: int) -> Strip:
        strip = Strip([Segment(text, self.style_for(tone)) for text, tone in parts])
        return strip.adjust_cell_length(width, self.style_of(""))

    def render_line(self, y: int) -> Strip:
        """The legend, a line of the plot, or of what stands in an empty one."""
        width, height = self.size
        if self._whole is None or not self._chart_lines:
            return self.empty_line(y if height > 1 else y + 1)
        if depth_of(self.app) != self._depth:  # a style keeps the colours it was first drawn with
            self._depth = depth_of(self.app)
            self._styles.clear()
            self._tones.clear()
        if self._picture is None:
            self._picture = self._paint()
            self._head = self._legend(width)
        picture, cursor = self._picture, self.view.cursor
        if y == 0:
            return self._strip(self._head, width)
        if picture is None or y > len(picture.glyphs):
            return Strip.blank(width, self.style_of(""))
        label, cell = "", None
        if cursor is not None and (cell := picture.cell(cursor)) is not None:
            first, last = picture.window
            label = x_label(cursor, last - first, self._axis)
        return self._strip(picture.lines(cell, label)[y - 1], width)

    def _legend(self, width: int) -> Text:
        """The title, and each line with its value; the more of it the more room there is."""
        entries = self._entries()
        log: Text = [("   log y", LABEL)] if self.view.log_y else []
        only = len(entries) == 1
        title: Text = [(self._title, _TITLE)] if self._title else []
        for with_title, with_names in ((True, True), (False, True), (True, False), (False, False)):
            text: Text = list(title) if with_title else []
            for key, tone, name, value in entries:
                text += [("   " if text else "", text[-1][1] if text else BLANK), (key, tone)]
                if with_names and not (only and name == self._title):
                    text.append((f"{name} ", LABEL))
                text.append((value, BLANK))
            if sum(cell_len(part) for part, _ in text + log) <= width:
                return text + log
        return [(fit("".join(part for part, _ in text), width), BLANK)]

    def _entries(self) -> list[tuple[str, int, str, str]]:
        """Letter and mark, tone, name and value of each line."""
        picture, cursor = self._picture, self.view.cursor
        if cursor is None or picture is None or picture.cell(cursor) is None:
            cursor = self._extent[1] if self._extent else 0.0
        found: list[tuple[str, int, str, str]] = []
        for index, line in enumerate(self._chart_lines):
            point = line.nearest(cursor)
            value = "–" if point is None else short(point[1])
            key = f"{letter(index)} " if len(self._chart_lines) > 1 else ""
            key += f"{mark(index)} " if line.marks else ""
            found.append((key, bright(index), displayable(line.name), value))
        return found

    # -- moving --------------------------------------------------------------------------------

    def _point(self, x: float) -> None:
        """Put the cursor on a point in the column of an x, or on that if there is none."""
        picture = self._picture
        if picture is None:
            return
        cell = picture.cell(x)
        points = [point[0] for line in self._chart_lines if (point := line.nearest(x))]
        near = [at for at in points if picture.cell(at) == cell]
        x = min(near, key=lambda at: abs(at - x), default=x)
        if x != self.view.cursor:
            self.put_cursor(x)
            self.post_message(self.CursorMoved(self, x))

    def action_move(self, columns: int) -> None:
        """Move the cursor by columns; the first time it comes to the last point in sight."""
        picture, cursor = self._picture, self.view.cursor
        cell = picture.cell(cursor) if picture and cursor is not None else None
        if picture is None or cell is None:
            self.action_edge(1)
            return
        to = max(0, min(cell + columns, picture.wide - 1))
        if to != cell:
            self._point(picture.x(to))

    def action_edge(self, last: int) -> None:
        """Move the cursor to the first or the last column that there is something in."""
        if self._picture is not None and self._extent is not None:
            (first, end), (start, stop) = self._picture.window, self._extent
            self._point(max(first, min(end, stop)) if last else min(end, max(first, start)))

    def action_drop_cursor(self) -> None:
        """Take the cursor away; without one the key is for others."""
        if self.view.cursor is None:
            raise SkipAction
        self.put_cursor(None)
        self.post_message(self.CursorMoved(self, None))

    def _look(self, view: ChartView) -> None:
        if view != self.view:
            self.view = view
            self.post_message(self.ViewChanged(self, view))

    def action_zoom(self, factor: float) -> None:
        """Show a window this many times as wide."""
        if self._whole is not None:
            least = LEAST_STEPS if self._axis in ("step", "tokens") else 0
            self._look(self.view.zoomed(self._whole, factor, least))

    def action_pan(self, share: float) -> None:
        """Move the window by a share of its width."""
        if self._whole is not None:
            self._look(self.view.panned(self._whole, share))

    def action_whole(self) -> None:
        """Show all there is."""
        self._look(self.view.zoomed_out())

    def action_log(self) -> None:
        """Make y logarithmic, or linear again."""
        self._look(replace(self.view, log_y=not self.view.log_y))

    def on_click(self, event: events.Click) -> None:
        """A click puts the cursor on its column."""
        picture = self._picture
        if picture is not None and 0 <= event.x - picture.left < picture.wide:
            self._point(picture.x(event.x - picture.left))
