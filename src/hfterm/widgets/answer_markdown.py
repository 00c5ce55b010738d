"""Markdown as a model writes it: nothing it wrote is left out, and links say where they go."""

from __future__ import annotations

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from textual.widgets import Markdown

ADDRESS = {"link_open": "href", "image": "src"}
"""The attribute of a token that holds where it goes."""


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


def answer_markdown(text: str = "") -> Markdown:
    """The widget for a model's answer. No link in it opens by itself."""
    return Markdown(text, parser_factory=parser, open_links=False)
