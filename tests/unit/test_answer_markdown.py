"""Answers in Markdown: nothing a model wrote is left out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult
from textual.content import Content
from textual.widgets import Markdown

from hfterm.widgets.answer_markdown import AnswerMarkdown, parser

WORDS = st.text("abc", min_size=1, max_size=5)


def rendered(text: str) -> str:
    """The words of a text, as they would be drawn."""
    return "\n".join(
        "".join("\n" if c.type == "hardbreak" else c.content for c in block.children or [])
        for block in parser().parse(text)
        if block.type == "inline"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[here](https://evil.example/x)", "here (https://evil.example/x)"),
        ("[https://good.example](https://evil.example)",
         "https://good.example (https://evil.example)"),
        ("see https://a.example/x", "see https://a.example/x"),
        ("<https://a.example/x>", "https://a.example/x"),
        ("![a cat](https://a.example/cat.png)", "a cat (https://a.example/cat.png)"),
        ("[**bold** words](/x)", "bold words (/x)"),
        ("<think>\nhm\n</think>", "<think>\nhm\n</think>"),
        ("a <b>bold</b> word", "a <b>bold</b> word"),
        ("roses are red\nviolets are blue", "roses are red\nviolets are blue"),
    ],
)  # fmt: skip
def test_what_was_written_is_seen(text: str, words: str) -> None:
    assert rendered(text) == words


@given(WORDS, WORDS, st.sampled_from(["think", "b", "script", "!--", "img src=x"]))
def test_no_tag_takes_words_away(before: str, inside: str, tag: str) -> None:
    text = f"{before}\n<{tag}>\n{inside}\n</{tag}>"
    assert inside in rendered(text)
    assert f"<{tag}>" in rendered(text)


class Answer(App[None]):
    """An answer alone."""

    def compose(self) -> ComposeResult:
        yield AnswerMarkdown()


async def test_it_streams() -> None:
    app = Answer()
    async with app.run_test() as pilot:
        view = app.query_one(Markdown)
        for piece in ("<think>\nso", "me\n</think>\n\n[a](htt", "ps://b.example) and more"):
            await view.append(piece)
        await pilot.pause()
        contents = [block._content for block in view.query("MarkdownParagraph")]
        drawn = [part.plain for part in contents if isinstance(part, Content)]
        assert drawn == ["<think>\nsome\n</think>", "a (https://b.example) and more"]
