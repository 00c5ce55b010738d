"""Answers in Markdown: nothing a model wrote is left out."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Markdown
from textual.widgets._markdown import MarkdownBlock, MarkdownBullet

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


LONG = """\
Here are tips:

1. **First** tip is
   that you `code`.
2. Second:
   - nested one
   - nested two
     goes on

     para in nested
3. third

   ```python
   x = 1
   ```
4. four
5. five
6. six
7. seven
8. eight
9. nine
10. ten
11. eleven

After the list.

> a quote
> with *more*
>
> - list in it
> - another

| a | b |
|---|---|
| 1 | 2 |
| 3 | 4 |

* star
* star two

# Heading

```python
def f():
    return 1
```

Last para
two lines
- list right after
"""
"""Every block there is, lists in lists among them."""


def blocks(widget: Widget) -> list[object]:
    """What is in a widget: classes, texts, bullets."""
    found: list[object] = []
    for child in widget.children:
        # Textual's own table makes later cells of another class
        name = type(child).__name__.replace("MarkdownTableCellContents", "Static")
        text = child._content.plain if isinstance(child, MarkdownBlock) else ""
        symbol = child.symbol if isinstance(child, MarkdownBullet) else ""
        found.append((name, text, symbol, blocks(child)))
    return found


def drawn_lines(view: Markdown) -> list[str]:
    """The lines of the widget as they are on screen."""
    strips = view.screen._compositor.render_strips()
    return ["".join(part.text for part in strip) for strip in strips[: view.size.height]]


@pytest.mark.parametrize("seed", range(12))
async def test_what_comes_in_pieces_looks_like_the_whole(seed: int) -> None:
    """Wherever it is cut, and whether frames are drawn in between or not."""
    chance = random.Random(seed)
    app = Answer()
    async with app.run_test(size=(60, 100)) as pilot:
        view = app.query_one(Markdown)
        await view.update(LONG)
        await pilot.pause()
        whole, lines = blocks(view), drawn_lines(view)
        assert sum("nested" in line for line in lines) == 3
        # an answer that is gone on with begins with a part
        at = chance.randrange(len(LONG)) if seed % 2 else 0
        await view.update(LONG[:at])
        while at < len(LONG):
            count = chance.choice([1, 2, 3, 5, 8, 20])
            await view.append(LONG[at : at + count])
            at += count
            if chance.random() < 0.3:
                await pilot.pause()
        await pilot.pause()
        assert blocks(view) == whole
        assert drawn_lines(view) == lines


async def test_the_items_before_the_last_one_are_left_alone() -> None:
    app = Answer()
    async with app.run_test(size=(60, 40)) as pilot:
        view = app.query_one(Markdown)
        await view.append("1. one\n2. two\n")
        await pilot.pause()
        before = list(view.query("GrowingParagraph"))
        await view.append("3. three")
        await view.append(" and more\n\n4")  # a figure alone is a paragraph yet
        await view.append(". four")
        await pilot.pause()
        after = list(view.query("GrowingParagraph"))
        assert after[:2] == before
        assert [p._content.plain for p in after] == ["one", "two", "three and more", "four"]
        assert len(view.query("GrowingOrderedList")) == 1
