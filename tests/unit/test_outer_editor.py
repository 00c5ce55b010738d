"""A message that goes through an editor of the user's and comes back, or why it does not."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import pytest
from textual.app import App

from hfterm.errors import HftermError
from hfterm.screens.chat.outer_editor import edited


class Lending(App[None]):
    """An app that has no terminal to lend, and does as if."""

    lent = 0

    @contextmanager
    def suspend(self) -> Generator[None]:
        self.lent += 1
        yield


@pytest.fixture(autouse=True)
def no_editor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)


@pytest.mark.parametrize(
    ("visual", "editor", "text"),
    [
        ("", "sed -i s/cats/dogs/", "about dogs\nand “more”"),
        ("sed -i 's/cats/the birds/'", "false", "about the birds\nand “more”"),  # it comes first
        ("", "true", "about cats\nand “more”"),
        ("", "truncate -s 0", ""),
    ],
)
def test_what_the_editor_leaves_is_the_message(
    monkeypatch: pytest.MonkeyPatch, visual: str, editor: str, text: str
) -> None:
    monkeypatch.setenv("VISUAL", visual)
    monkeypatch.setenv("EDITOR", editor)
    app = Lending()
    assert edited(app, "about cats\nand “more”") == text
    assert app.lent == 1


@pytest.mark.parametrize(
    ("editor", "kind", "words", "lent"),
    [
        ("", "no-editor", "Neither $VISUAL nor $EDITOR is set.", 0),
        ("no-such-editor-anywhere", "no-editor", "no-such-editor-anywhere can't be started", 1),
        ("sed 's/open", "no-editor", "can't be started: No closing quotation", 0),
        ("false", "editor-failed", "false ended with exit code 1.", 1),
    ],
)
def test_an_editor_that_will_not_do_is_said(
    monkeypatch: pytest.MonkeyPatch, editor: str, kind: str, words: str, lent: int
) -> None:
    monkeypatch.setenv("EDITOR", editor)
    app = Lending()
    with pytest.raises(HftermError) as caught:
        edited(app, "about cats")
    assert caught.value.kind == kind
    assert words in caught.value.message
    assert caught.value.remedy
    assert app.lent == lent
