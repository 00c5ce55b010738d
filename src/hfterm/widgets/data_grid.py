"""One table widget for every view: rows are asked for only when they are drawn.

Its cost is that of the rows on screen, whatever their number: a source is any object with a
length and a `row`. A repaint of 50 rows takes about 5 ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from hfterm.text import displayable, fit
from hfterm.widgets.sized import Sized

Tone = Literal["", "dim", "special", "accent", "warning", "error"]
"""How a cell is drawn. Colour never says it alone: a glyph or a word does."""

Value = str | int | float | bool | None
"""What a cell holds for export."""

SAMPLE = 64
"""Rows looked at to choose the widths of columns."""


@dataclass(frozen=True)
class Cell:
    """What is drawn in a cell: already safe to show."""

    text: str
    tone: Tone = ""


@dataclass(frozen=True)
class GridColumn:
    """A column.

    Attributes:
        label: header; its unit stands here once, never in the cells.
        right: numbers are right-aligned.
        most: widest, in cells.
        stretch: takes exactly the width that the others leave, and is cut to it.
        name: in a file, where there is no label. A column with neither is only drawn.
    """

    label: str
    right: bool = False
    most: int = 28
    stretch: bool = False
    name: str = ""


class GridSource(Protocol):
    """Rows of a grid, as they are asked for."""

    @property
    def columns(self) -> Sequence[GridColumn]:
        """The columns, the same for every row."""
        ...

    def __len__(self) -> int: ...

    def row(self, index: int) -> Sequence[Cell]:
        """What is drawn."""
        ...

    def values(self, index: int) -> Sequence[Value]:
        """What is exported and copied."""
        ...


@dataclass(frozen=True)
class Rows:
    """A source over rows that are all there."""

    columns: Sequence[GridColumn]
    cells: Sequence[Sequence[Cell]]
    exported: Sequence[Sequence[Value]] | None = None

    def __len__(self) -> int:
        return len(self.cells)

    def row(self, index: int) -> Sequence[Cell]:
        """What is drawn."""
        return self.cells[index]

    def values(self, index: int) -> Sequence[Value]:
        """What is exported: the cells' text unless other values were given."""
        if self.exported is not None:
            return self.exported[index]
        return [cell.text for cell in self.cells[index]]


NO_ROWS = Rows((), ())


class DataGrid(Sized, ScrollView, can_focus=True):
    """A table with a row cursor."""

    HELP = """\
## Table
`↑` `↓` `PgUp` `PgDn` `Home` `End` move the row, `←` `→` scroll columns that do not fit,
`Enter` acts on the row. `y` copies the row, `Ctrl+E` exports the whole table.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Row up", show=False, id="grid.up", tooltip="One row up"),
        Binding("down", "move(1)", "Row down", show=False, id="grid.down", tooltip="One row down"),
        Binding(
            "pageup", "page(-1)", "Page up", show=False, id="grid.page-up", tooltip="One page up"
        ),
        Binding(
            "pagedown", "page(1)", "Page down", show=False, id="grid.page-down",
            tooltip="One page down",
        ),
        Binding("home", "edge(0)", "First row", show=False, id="grid.first", tooltip="First row"),
        Binding("end", "edge(1)", "Last row", show=False, id="grid.last", tooltip="Last row"),
        Binding(
            "left", "columns(-8)", "Columns left", show=False, id="grid.left",
            tooltip="Scroll to the columns on the left",
        ),
        Binding(
            "right", "columns(8)", "Columns right", show=False, id="grid.right",
            tooltip="Scroll to the columns on the right",
        ),
        Binding(
            "enter", "choose", "Choose row", show=False, id="grid.choose",
            tooltip="Act on the row under the cursor",
        ),
    ]  # fmt: skip

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "grid--header",
        "grid--cursor",
        "grid--dim",
        "grid--special",
        "grid--accent",
        "grid--warning",
        "grid--error",
        "grid--empty",
    }

    DEFAULT_CSS = """
    DataGrid {
        height: 1fr;
        background: transparent;
        scrollbar-size: 1 1;
        scrollbar-color: $border-blurred;
        scrollbar-background: $background;
    }
    DataGrid > .grid--header { color: $text-muted; }
    DataGrid > .grid--cursor {
        background: $block-cursor-blurred-background;
        color: $block-cursor-blurred-foreground;
    }
    DataGrid:focus > .grid--cursor {
        background: $block-cursor-background;
        color: $block-cursor-foreground;
    }
    DataGrid > .grid--dim { color: $text-muted; }
    DataGrid > .grid--special { color: $text-muted; text-style: italic; }
    DataGrid > .grid--accent { color: $accent; }
    DataGrid > .grid--warning { color: $warning; }
    DataGrid > .grid--error { color: $error; }
    DataGrid > .grid--empty { color: $text-muted; }
    DataGrid:ansi > .grid--cursor {
        color: ansi_default; background: ansi_default; text-style: underline;
    }
    DataGrid:ansi:focus > .grid--cursor {
        color: ansi_default; background: ansi_default; text-style: reverse;
    }
    """

    cursor_row = reactive(0, repaint=False)
    empty = reactive("")

    class RowHighlighted(Message):
        """The cursor came to a row by a key or the mouse."""

        def __init__(self, grid: DataGrid, row: int) -> None:
            super().__init__()
            self.grid = grid
            self.row = row

        @property
        def control(self) -> DataGrid:
            """The grid it happened in."""
            return self.grid

    class RowChosen(Message):
        """Enter was pressed on a row, or it was clicked."""

        def __init__(self, grid: DataGrid, row: int) -> None:
            super().__init__()
            self.grid = grid
            self.row = row

        @property
        def control(self) -> DataGrid:
            """The grid it happened in."""
            return self.grid

    def __init__(
        self, *, empty: str = "", id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.source: GridSource = NO_ROWS
        self._widths: list[int] = []
        self._gap = 2
        self._styles: dict[str, Style] = {}
        self.empty = empty

    def set_source(self, source: GridSource, *, cursor: int | None = None) -> None:
        """Show other rows. The cursor stays where it is unless `cursor` says where to go."""
        if [c.label for c in source.columns] != [c.label for c in self.source.columns]:
            self.scroll_to(x=0, animate=False, force=True)
        self.source = source
        self._measure()
        last = max(0, len(source) - 1)
        self.cursor_row = min(self.cursor_row if cursor is None else cursor, last)
        self.refresh()
        if cursor is not None:
            self._show_cursor()

    def move_to(self, row: int) -> None:
        """Put the cursor on a row without telling anybody: something else chose it."""
        if len(self.source):
            self._place(row)

    # -- geometry ------------------------------------------------------------------

    def _measure(self) -> None:
        columns = self.source.columns
        widths = [cell_len(column.label) for column in columns]
        count = len(self.source)
        rows = list(range(min(count, SAMPLE)))
        rows += range(max(SAMPLE, count - SAMPLE // 4), count)  # the longest numbers
        for index in rows:
            for position, cell in enumerate(self.source.row(index)):
                width = cell_len(cell.text)
                if width > widths[position]:
                    widths[position] = min(width, columns[position].most)
        width = self.room().width - 1
        # two cells between columns where there is room for it, one where there is not
        self._gap = 2 if sum(widths) + 2 * len(widths) <= width else 1
        for position, column in enumerate(columns):
            if column.stretch:
                others = sum(widths) - widths[position]
                least = cell_len(column.label)
                widths[position] = max(least, width - others - self._gap * len(widths))
        self._widths = widths
        self._grow(Size(sum(widths) + self._gap * len(widths) - 1, count + 1))

    def _grow(self, size: Size) -> None:
        """Take another virtual size. Only scrollbars that come or go change the screen's layout,
        and laying out the whole screen at each key costs more than all else that a key causes.
        """
        tall, wide = size.height > self.size.height, size.width > self.size.width
        if (tall, wide) != (self.show_vertical_scrollbar, self.show_horizontal_scrollbar):
            self.virtual_size = size
            return
        self.set_reactive(Widget.virtual_size, size)  # pyright: ignore[reportArgumentType]
        if tall:
            self.vertical_scrollbar.window_virtual_size = size.height
        if wide:
            self.horizontal_scrollbar.window_virtual_size = size.width

    def resized(self) -> None:
        """The stretching column takes what is left; what was drawn with other widths goes."""
        self._measure()
        self._show_cursor()
        self.refresh()

    def watch_show_horizontal_scrollbar(self) -> None:
        """The scrollbar takes a line, which the cursor may have been on."""
        self.call_after_refresh(self._show_cursor)

    @property
    def _page(self) -> int:
        return max(1, self.scrollable_content_region.height - 1)

    def _show_cursor(self) -> None:
        if not self.size.height:  # not laid out yet: `resized` comes back here
            return
        top = self.scroll_offset.y
        if self.cursor_row < top:
            self.scroll_to(y=self.cursor_row, animate=False, force=True)
        elif self.cursor_row >= top + self._page:
            self.scroll_to(y=self.cursor_row - self._page + 1, animate=False, force=True)

    # -- drawing -------------------------------------------------------------------

    def notify_style_update(self) -> None:
        """Styles are looked up once per theme and focus, not once per cell."""
        self._styles.clear()
        super().notify_style_update()

    def _style(self, name: str) -> Style:
        style = self._styles.get(name)
        if style is None:
            style = self.rich_style + (
                self.get_component_rich_style(f"grid--{name}", partial=True) if name else Style()
            )
            self._styles[name] = style
        return style

    def render_line(self, y: int) -> Strip:
        """The header, a row, or what stands in an empty table."""
        width = self.scrollable_content_region.width  # what is behind a scrollbar is not seen
        scroll_x, scroll_y = self.scroll_offset
        if not len(self.source):
            text = fit(f" {displayable(self.empty)}", width) if y == 1 else " " * width
            return Strip([Segment(text, self._style("empty"))], width)
        if y == 0:
            cells = [Cell(column.label) for column in self.source.columns]
            return self._line(cells, "header", scroll_x, width)
        index = scroll_y + y - 1
        if index >= len(self.source):
            return Strip([Segment(" " * width, self._style(""))], width)
        name = "cursor" if index == self.cursor_row else ""
        return self._line(self.source.row(index), name, scroll_x, width)

    def _line(self, cells: Sequence[Cell], name: str, scroll_x: int, width: int) -> Strip:
        segments: list[Segment] = []
        base = self._style(name)
        for cell, column, size in zip(cells, self.source.columns, self._widths, strict=True):
            style = base if name or not cell.tone else self._style(cell.tone)
            text = fit(cell.text, size, right=column.right)
            segments.append(Segment(text if self._gap == 1 else f" {text}", style))
            segments.append(Segment(" ", base))
        strip = Strip(segments, sum(self._widths) + self._gap * len(self._widths))
        if strip.cell_length - 1 > scroll_x + width:  # a number that is cut is another number
            cut = strip.crop(scroll_x, scroll_x + width - 1)
            return Strip.join([cut, Strip([Segment("…", base)], 1)])
        return strip.crop_extend(scroll_x, scroll_x + width, base)

    # -- moving --------------------------------------------------------------------

    def _place(self, row: int) -> bool:
        row = max(0, min(row, len(self.source) - 1))
        if row == self.cursor_row:
            self._show_cursor()
            return False
        for changed in (self.cursor_row, row):
            y = changed - self.scroll_offset.y + 1
            if 0 < y < self.size.height:
                self.refresh(Region(0, y, self.size.width, 1))
        self.cursor_row = row
        self._show_cursor()
        return True

    def _go(self, row: int) -> None:
        if len(self.source) and self._place(row):
            self.post_message(self.RowHighlighted(self, self.cursor_row))

    def action_move(self, rows: int) -> None:
        """Move the cursor by rows."""
        self._go(self.cursor_row + rows)

    def action_page(self, pages: int) -> None:
        """Move the cursor by pages."""
        self._go(self.cursor_row + pages * self._page)

    def action_edge(self, last: int) -> None:
        """Move the cursor to the first or the last row."""
        self._go(len(self.source) - 1 if last else 0)

    def action_columns(self, cells: int) -> None:
        """Scroll sideways."""
        self.scroll_to(x=self.scroll_offset.x + cells, animate=False, force=True)

    def action_choose(self) -> None:
        """Act on the row."""
        if len(self.source):
            self.post_message(self.RowChosen(self, self.cursor_row))

    def on_click(self, event: events.Click) -> None:
        """A click puts the cursor on its row."""
        row = self.scroll_offset.y + event.y - 1
        if event.y > 0 and row < len(self.source):
            self._go(row)

    # -- copying and exporting -------------------------------------------------------

    def copy_text(self) -> str:
        """The row under the cursor, tab-separated, with its header."""
        if not len(self.source):
            return ""
        header = "\t".join(column.label for column in self.source.columns)
        values = self.source.values(self.cursor_row)
        return f"{header}\n" + "\t".join("" if value is None else str(value) for value in values)
