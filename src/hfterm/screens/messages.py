"""What screens tell each other and the application, without knowing one another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from hfterm.chat.types import LlmInfo
    from hfterm.models.types import LoadedInfo


@dataclass(frozen=True)
class ScreenCommand:
    """An entry of the palette: what it is called, what it does, the action it runs."""

    title: str
    help: str
    action: str


@dataclass(frozen=True)
class Thing:
    """What is open on a screen.

    Attributes:
        ref: the model.
        text: what it is looked at on; empty when there is none.
        offset: the place in the text.
    """

    ref: str
    text: str = ""
    offset: int = 0


class ModelLoaded(Message):
    """Another model is loaded in the model's engine, or none."""

    def __init__(self, info: LoadedInfo | None) -> None:
        super().__init__()
        self.info = info


class LlmLoaded(Message):
    """Another language model answers in Chat, or none."""

    def __init__(self, info: LlmInfo | None) -> None:
        super().__init__()
        self.info = info


class TokenWanted(Message):
    """A token should be seen on the Tokenize screen."""

    def __init__(self, ref: str, text: str, offset: int) -> None:
        super().__init__()
        self.ref, self.text, self.offset = ref, text, offset


class ModelToOpen(Message):
    """A model should be opened on a screen: for a task of Predict, beside another model, or on a
    text, at a character of it."""

    def __init__(
        self,
        mode: str,
        ref: str,
        *,
        task: str = "",
        against: str = "",
        text: str = "",
        offset: int = 0,
    ) -> None:
        super().__init__()
        self.mode, self.ref, self.task, self.against = mode, ref, task, against
        self.text, self.offset = text, offset
