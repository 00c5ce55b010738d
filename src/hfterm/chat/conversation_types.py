"""Conversations that are kept, as plain data."""

from __future__ import annotations

import msgspec

from hfterm.chat.types import LlmSpec, Role, Sampling


class AnswerNote(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of how an answer came about.

    Attributes:
        model: the model and how it was loaded, in a few words.
        sampling: how tokens were chosen.
        tokens: how many were generated.
        prompt_tokens: of the prompt.
        ttft: seconds to the first token.
        seconds: to the last.
        stop_reason: a `StopReason`, or ``interrupted`` when nobody could say why it ended.
    """

    model: str = ""
    sampling: Sampling = Sampling()
    tokens: int = 0
    prompt_tokens: int = 0
    ttft: float = 0.0
    seconds: float = 0.0
    stop_reason: str = "interrupted"


class ChatMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message of a conversation, which is a tree.

    Attributes:
        id: its number.
        parent: of the message it follows; None for a first one.
        role: who said it.
        content: what.
        created: seconds since 1970.
        note: of an answer; None for what was typed.
    """

    id: int
    parent: int | None
    role: Role
    content: str
    created: float
    note: AnswerNote | None = None


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation and what it was had with.

    Attributes:
        leaf: the last message of the branch in sight; None when there is none.
        created: seconds since 1970.
        updated: seconds since 1970.
    """

    id: int
    title: str
    spec: LlmSpec | None
    sampling: Sampling
    system: str
    leaf: int | None
    created: float
    updated: float


class ConversationRow(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation in a list.

    Attributes:
        updated: seconds since 1970.
        messages: how many, of all branches.
        model: of the last answer, in a few words.
        snippet: what was said around the first words that were found; empty without a search.
    """

    id: int
    title: str
    updated: float
    messages: int
    model: str
    snippet: str = ""
