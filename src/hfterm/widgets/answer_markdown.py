"""Markdown as a model writes it: nothing it wrote is left out, and links say where they go."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from textual.await_complete import AwaitComplete
from textual.widgets._markdown import MarkdownBlock

from hfterm.widgets.growing_blocks import GrowingMarkdown, grow

ADDRESS = {"link_open": "href", "image": "src"}
"""The attribute of a token that holds where it goes."""

FIGURE = re.compile(r"\d+")
"""A paragraph of that after a list may yet be the number of its next item."""

ITEM = (1, "list_item_open")
"""Level and type of the token that begins an item of a list that is in nothing else."""


def parser() -> MarkdownIt:
    """A parser that keeps what is not Markdown: tags are text, lines end where the model ends them.

    A reasoning model's ``<think>`` is a block of HTML to Markdown, of which nothing would be seen.
    """
    made = MarkdownIt("gfm-like", {"html": False})
    made.core.ruler.push("in_full", _in_full)
    return made


def _in_full(state: StateCore) -> None:
    for block in state.tokens:
        if block.type == "inline":
            block.children = _spelled_out(block.children or [])


def _spelled_out(tokens: list[Token]) -> list[Token]:
    """The tokens with the lines kept, and after each link its address, unless that is its text."""
    made: list[Token] = []
    address, words = "", ""
    for token in tokens:
        made.append(Token("hardbreak", "br", 0) if token.type == "softbreak" else token)
        if token.type in ADDRESS:
            # what was written as an address is one already
            address = "" if token.info == "auto" else str(token.attrGet(ADDRESS[token.type]) or "")
            words = ""
        words += token.content
        if token.type in ("link_close", "image") and address and words != address:
            made.append(Token("text", "", 0, content=f" ({address})"))
    return made


class Tail(NamedTuple):
    """The end of a text, which is read again when more of it comes.

    Attributes:
        line: where it begins, from 0: where the last block begins, or the last item of a list.
        blocks: how many blocks it is.
    """

    line: int = 0
    blocks: int = 0


def tail_of(tokens: Sequence[Token]) -> Tail:
    """The tail of a text that was read."""
    begun = [at for at, token in enumerate(tokens) if token.level == 0 and token.map is not None]
    if not begun:
        return Tail()
    last = tokens[begun[-1]]
    after_list = len(begun) > 1 and tokens[begun[-2]].type.endswith("list_open")
    figure = last.type == "paragraph_open" and FIGURE.fullmatch(tokens[begun[-1] + 1].content)
    blocks = 2 if after_list and figure else 1
    items = [token for token in tokens[begun[-blocks] :] if (token.level, token.type) == ITEM]
    first = items[-1] if items else tokens[begun[-blocks]]
    return Tail(first.map[0] if first.map is not None else 0, blocks)


class AnswerMarkdown(GrowingMarkdown):
    """A model's answer. No link in it opens by itself.

    What is appended costs as much as the block or the list's item it is appended to, however long
    the text before it is.
    """

    def __init__(self, text: str = "") -> None:
        super().__init__(text, parser_factory=parser, open_links=False)
        self._read = 0  # characters that are not read again
        self._tail = Tail()

    def _parse_markdown(self, tokens: Iterable[Token]) -> Iterable[MarkdownBlock]:
        read = list(tokens)
        self._tail = tail_of(read)
        return super()._parse_markdown(read)

    def update(self, markdown: str) -> AwaitComplete:
        """Show another text."""
        shown = super().update(markdown)

        async def update() -> None:
            await shown
            self._read = _offset(markdown, self._tail.line)

        return AwaitComplete(update())

    def append(self, markdown: str) -> AwaitComplete:
        """Go on with the text."""
        self._markdown = self.source + markdown

        async def append() -> None:
            async with self.lock:
                text, again = self.source[self._read :], self._tail.blocks
                blocks = list(self._parse_markdown(parser().parse(text)))
                self._read += _offset(text, self._tail.line)
                with self.app.batch_update():
                    await grow(self, blocks, again)

        return AwaitComplete(append())


def _offset(text: str, line: int) -> int:
    """Where a line begins."""
    return sum(len(each) + 1 for each in text.split("\n", line)[:line])
