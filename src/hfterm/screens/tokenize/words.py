"""What the Tokenize screen says of its subject."""

from __future__ import annotations

from hfterm.screens.tokenize.page import Subject
from hfterm.text import elide_middle
from hfterm.widgets.text_panel import count

SAMPLE = "¡Los Transformadores de Hugging Face son geniales! 👩🏽‍💻 Tokenization is fun."
"""The tutorial's sentence, an emoji of several code points, and English."""


def name_and_facts(subject: Subject) -> tuple[str, str]:
    """The tokenizer's name, and its class and kind, for the line of modes."""
    if not subject.ref:
        return "no tokenizer", "F6 opens one"
    name = elide_middle(subject.ref, 40)
    if subject.info is None:
        return name, ""
    state = "" if subject.info.verified else " · checking with transformers"
    return name, f"{subject.info.cls} · {subject.info.kind}{state}"


def counts(subject: Subject) -> str:
    """How many tokens there are, and what is to be known of them; empty before they are there."""
    encoding = subject.encoding
    if encoding is None:
        return ""
    parts = [count(len(encoding), "token")]
    if len(encoding):
        parts.append(f"{encoding.characters / len(encoding):.1f} chars/token")
    if not subject.add_special_tokens:
        parts.append("no specials added")
    if unknown := encoding.unknown():
        parts.append(f"{unknown:,} unknown")
    return " · ".join(parts)
