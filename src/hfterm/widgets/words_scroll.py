"""A scroll that is as high as its words."""

from __future__ import annotations

from textual.containers import VerticalScroll
from textual.geometry import Size


class WordsScroll(VerticalScroll):
    """As high as what it holds, up to its `max-height`.

    The scrollbar's column is always kept free. Were it not, words could need more lines with a
    scrollbar than without, and either of the two heights would hold, as it happens.
    """

    HELP = "## Words\n`↑` and `↓` scroll where there is more than fits."

    DEFAULT_CSS = """
    WordsScroll {
        height: auto;
        scrollbar-gutter: stable;
        scrollbar-size: 0 1;
    }
    """

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """The height at the width that is left: Textual's takes the gutter for words' place."""
        return super().get_content_height(container, viewport, width - self.scrollbar_size_vertical)
