"""What every tab of the Tokenize screen is given, and what it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message

from hfterm.widgets.tab_page import TabPage

if TYPE_CHECKING:
    from hfterm.tokenization.types import Encoding, TokenizerInfo


AT_ONCE = 20_000
"""Characters of a text that is encoded at each key: that takes about as long as drawing it."""


@dataclass(frozen=True)
class Subject:
    """What the screen is about right now.

    Attributes:
        ref: the tokenizer, as the user named it.
        info: what it is; None until it is known.
        text: the text, whole.
        pair: the second sequence; None when there is none.
        path: the file the text came from; None for a typed text.
        encoding: the tokens; None until they are there.
    """

    ref: str
    info: TokenizerInfo | None = None
    text: str = ""
    pair: str | None = None
    path: str | None = None
    add_special_tokens: bool = True
    encoding: Encoding | None = None

    @property
    def source(self) -> str:
        """What a script gives to ``from_pretrained``: the folder, else the hub id."""
        if self.info is None:
            return self.ref
        in_cache = "/snapshots/" in self.info.path
        return self.ref if in_cache else self.info.path

    @property
    def fast(self) -> bool:
        """Whether it has the Rust backend, as far as is known."""
        return self.info is None or self.info.kind == "fast"

    @property
    def script_text(self) -> str | Path:
        """The text, or the file it came from, for a script."""
        return Path(self.path) if self.path else self.text


class TokenSelected(Message):
    """A token was selected below; its span belongs selected in the text."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self.index = index


class TokenWanted(Message):
    """A token should be shown in the table, and in its text."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self.index = index


class ModelWanted(Message):
    """A tokenizer should be opened."""

    def __init__(self, ref: str) -> None:
        super().__init__()
        self.ref = ref


class TokenizePage(TabPage):
    """A tab."""

    subject: Subject | None = None

    def show(self, subject: Subject) -> None:
        """The page is in sight, or its subject changed while it was."""
        self.subject = subject
        self.refresh_page(subject)

    def refresh_page(self, subject: Subject) -> None:
        """Bring the page up to date with `subject`."""

    def select_token(self, index: int) -> None:
        """A token was selected elsewhere."""

    def say_scope(
        self, subject: Subject, *, pair: bool = False, follows_specials: bool = False
    ) -> None:
        """Say where the page looks at something else than the table does.

        Args:
            subject: what the table shows.
            pair: whether the page takes the second sequence in.
            follows_specials: whether the page leaves out the special tokens when the table does.
        """
        parts: list[str] = []
        if subject.pair and not pair:
            parts.append("the text without its pair")
        if not subject.add_special_tokens and not follows_specials:
            parts.append("with the special tokens that the table leaves out")
        if parts:
            self.notice.show(f"Here: {', '.join(parts)}.", severity="note")
