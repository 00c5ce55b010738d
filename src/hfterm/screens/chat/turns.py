"""A branch of a conversation as the Talk tab shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from textual.content import Content

from hfterm.chat.conversation_types import ChatMessage
from hfterm.chat.words import answer_words
from hfterm.errors import HftermError
from hfterm.screens.chat.session import Session, is_full
from hfterm.text import foreign
from hfterm.widgets.turn_view import Turn

METER = 10
"""Cells of the context's meter."""

EMPTY = Content.from_markup(
    "[b]Nothing was said yet.[/b]\n\n"
    "Write a message below; [b]Enter[/b] sends it, and loads the model first.\n"
    "[b]F6[/b] chooses the model, [b]F7[/b] how it is loaded and what that takes,\n"
    "[b]alt+s[/b] the sampling and the system prompt, [b]F3[/b] earlier conversations."
)


def turns_of(session: Session, path: Sequence[ChatMessage]) -> list[Turn]:
    """The messages of a branch, from its beginning, with their figures."""
    turns: list[Turn] = []
    for at, said in enumerate(path):
        siblings = session.store.siblings(said.id)
        if said.id not in siblings:  # another hfterm deletes the conversation just now
            return turns
        turn = _turn(said, (siblings.index(said.id) + 1, len(siblings)))
        if at < session.left_out:
            turn = replace(turn, facts="left out of the prompt")
        turns.append(turn)
    return turns


def _turn(said: ChatMessage, branch: tuple[int, int]) -> Turn:
    facts = answer_words(said.note) if said.note is not None else ""
    speaker = said.note.model if said.note is not None else ""
    return Turn(said.id, said.role, said.content, facts, branch, speaker)


def remedy_of(error: HftermError, *, any_token: bool) -> str:
    """What to press after an answer failed, with a part of it or before."""
    if is_full(error):
        return "alt+d leaves the oldest turns out; alt+n begins a new conversation."
    if error.kind == "no-continue":
        return "alt+g answers anew. " + error.remedy
    if error.kind == "cut":
        return "What came is kept. F5 goes on with it, alt+g asks anew."
    if error.kind in ("engine-died", "unloaded") and any_token:
        return "What came is kept. F5 loads the model again and goes on."
    if error.kind == "engine-died":
        return "F7 shows what each way of loading takes; F5 tries again."
    return error.remedy


def meter(used: int, context: int | None) -> Content:
    """How full the context is."""
    if not used or not context:
        return foreign(f"context {context:,} tokens" if context else "")
    full = min(METER, round(METER * used / context))
    return foreign(f"{used:,}/{context:,} tokens {'▰' * full}{'▱' * (METER - full)}")
