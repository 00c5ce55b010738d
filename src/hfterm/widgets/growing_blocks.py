"""Markdown blocks that grow where they stand, while a model writes them.

Textual takes a list that goes on away and builds all of it anew, five times a second: the longer
the list, the longer no key is heard. Here the last item grows, and the others are left alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget
from textual.widgets import Markdown
from textual.widgets._markdown import (
    MarkdownBlock,
    MarkdownBlockQuote,
    MarkdownBullet,
    MarkdownBulletList,
    MarkdownFence,
    MarkdownList,
    MarkdownListItem,
    MarkdownOrderedList,
    MarkdownParagraph,
    MarkdownTable,
)


class LaidOutOnce(Widget):
    """A widget that is as large as a layout made it.

    Textual lays all out once more for every widget that got another size in a layout, in case it
    scrolls: this one does not.
    """

    def _size_updated(
        self, size: Size, virtual_size: Size, container_size: Size, layout: bool = True
    ) -> bool:
        return super()._size_updated(size, virtual_size, container_size, layout=False)


class Row(Horizontal, LaidOutOnce):
    """An item of a list."""


class Column(Vertical, LaidOutOnce):
    """What is in an item."""


class GrowingParagraph(MarkdownParagraph, LaidOutOnce):
    """A paragraph that has the screen laid out anew only when it needs another line."""

    def set_content(self, content: Content) -> None:
        """Show a text."""
        before, self._content = self._content, content
        width = self.content_size.width  # 0 until it is laid out
        as_high = width > 0 and self._lines(before, width) == self._lines(content, width)
        # to ask for a layout before it is mounted, which lays it out, makes Textual forget the next
        self.update(content, layout=self.is_mounted and not as_high)

    def _lines(self, content: Content, width: int) -> int:
        # as Textual itself asks for them
        return content.get_height(self.styles, width)  # pyright: ignore[reportArgumentType]


class GrowingList(MarkdownList, LaidOutOnce):
    """A list whose last item grows, and that takes further items.

    It comes after Textual's own list among the bases: default styles are those of the first.
    """

    def symbols(self, items: Sequence[MarkdownListItem], many: int) -> list[str]:
        """What stands before the first `many` items of this list, of which `items` are some."""
        raise NotImplementedError

    def compose_rows(self) -> ComposeResult:
        """A row an item."""
        items = items_of(self)
        yield from map(_row, self.symbols(items, len(items)), items)
        self._blocks.clear()

    @property
    def rows(self) -> list[Row]:
        """The items."""
        return [child for child in self.children if isinstance(child, Row)]

    async def go_on(self, block: GrowingList, first: int) -> None:
        """Take a list whose first item is the one numbered `first` here, from 0."""
        rows, items = self.rows, items_of(block)
        kept = len(rows) if len(rows) <= first + len(items) else first
        for row in rows[kept:]:  # they were read as something else by now
            await row.remove()
        symbols = self.symbols(items, first + len(items))
        for row, symbol in zip(rows[:kept], symbols, strict=False):
            bullet = row.query_one(MarkdownBullet)
            if bullet.symbol != symbol:
                bullet.symbol = symbol
                bullet.refresh(layout=True)  # 10 is wider than 9
        if first < kept:
            await grow(rows[kept - 1].query_one(Column), blocks_of(items[kept - 1 - first]))
        more = list(map(_row, symbols[kept:], items[kept - first :]))
        if more:
            await self.mount_all(more)


class GrowingBulletList(MarkdownBulletList, GrowingList):
    """A list with bullets."""

    def compose(self) -> ComposeResult:
        """The items."""
        return self.compose_rows()

    def symbols(self, items: Sequence[MarkdownListItem], many: int) -> list[str]:
        """The bullets, which tell how deep in other lists they are."""
        return [item.bullet for item in items[:1]] * many


class GrowingOrderedList(MarkdownOrderedList, GrowingList):
    """A list with numbers."""

    _start = 1

    def compose(self) -> ComposeResult:
        """The items."""
        self._start = int(items_of(self)[0].bullet)
        return self.compose_rows()

    def symbols(self, items: Sequence[MarkdownListItem], many: int) -> list[str]:
        """The numbers, as wide as the longest: they count up, whatever the model wrote."""
        numbers = [f"{number}. " for number in range(self._start, self._start + many)]
        width = max(map(len, numbers), default=0) + 1
        return [number.rjust(width) for number in numbers]


class GrowingMarkdown(Markdown, LaidOutOnce):  # pyright: ignore[reportIncompatibleMethodOverride]
    """Markdown made of such blocks."""

    def get_block_class(self, block_name: str) -> type[MarkdownBlock]:
        """The class of a kind of block."""
        return GROWING.get(block_name) or super().get_block_class(block_name)


GROWING: dict[str, type[MarkdownBlock]] = {
    "paragraph_open": GrowingParagraph,
    "bullet_list_open": GrowingBulletList,
    "ordered_list_open": GrowingOrderedList,
}


def blocks_of(block: MarkdownBlock) -> list[MarkdownBlock]:
    """What is in a block that was read and is not on screen."""
    return block._blocks  # pyright: ignore[reportPrivateUsage]


def items_of(block: MarkdownBlock) -> list[MarkdownListItem]:
    """The items of a list that was read and is not on screen."""
    return [item for item in blocks_of(block) if isinstance(item, MarkdownListItem)]


def _row(symbol: str, item: MarkdownListItem) -> Row:
    bullet = MarkdownBullet()
    bullet.symbol = symbol
    return Row(bullet, Column(*blocks_of(item)))


async def grow(container: Widget, blocks: Sequence[MarkdownBlock], again: int = 0) -> None:
    """Have what a container shows go on as `blocks` do.

    Args:
        container: shows blocks.
        blocks: those, and further ones; only the last of those can be another.
        again: how many of the last ones of those `blocks` are: a list that is the first of them is
            there from its last item on. 0 for all, and whole.
    """
    old = [child for child in container.children if isinstance(child, MarkdownBlock)]
    old = old[max(0, len(old) - again) if again else 0 :]
    same = min(len(old), len(blocks))
    for each in old[same:]:  # what they begin with was read as something else
        await each.remove()
    tail = again > 0 and same == 1
    if same and not await _grown(old[same - 1], blocks[same - 1], tail=tail):
        await old[same - 1].remove()
        same -= 1
    if blocks[same:]:
        await container.mount_all(blocks[same:])


async def _grown(old: MarkdownBlock, new: MarkdownBlock, *, tail: bool) -> bool:
    """Whether a block could take another's text."""
    if type(old) is not type(new):
        return False
    if isinstance(old, GrowingList) and isinstance(new, GrowingList):
        await old.go_on(new, len(old.rows) - 1 if tail else 0)
    elif isinstance(old, MarkdownBlockQuote):
        await grow(old, blocks_of(new))
    elif isinstance(old, GrowingParagraph | MarkdownFence | MarkdownTable):
        await old._update_from_block(new)  # pyright: ignore[reportPrivateUsage]
    else:
        return False
    return True
