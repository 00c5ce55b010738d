"""Spans of a text, marked: entities, and answers in their context."""

from __future__ import annotations

from textual.content import Content

from hfterm.inference.types import Answering, Prediction, Tagging
from hfterm.text import displayable, label_name

AROUND = 300
"""Characters shown on each side of an answer in a long context."""


def highlighted(prediction: Prediction, text: str, row: int = 0) -> Content | None:
    """The text with what was found in it marked; None when nothing can be."""
    if isinstance(prediction, Tagging) and prediction.entities:
        spans = [(e.start, e.end, e.label) for e in prediction.entities]
        return _marked(text, spans, 0, len(text))
    if isinstance(prediction, Answering) and row < len(prediction.answers):
        found = prediction.answers[row]
        if found.start is None or found.end is None:
            return None
        start, end = max(0, found.start - AROUND), min(len(text), found.end + AROUND)
        return _marked(text, [(found.start, found.end, "")], start, end)
    return None


def _marked(text: str, spans: list[tuple[int, int, str]], start: int, end: int) -> Content:
    parts: list[Content | str] = ["…" if start else ""]
    at = start
    for first, last, label in spans:
        if first < at or last > end:
            continue
        parts.append(Content(displayable(text[at:first])))
        parts.append(Content.styled(displayable(text[first:last]), "reverse"))
        if label:
            parts.append(Content.styled(f"‹{label_name(label)}›", "$accent"))
        at = last
    parts.append(Content(displayable(text[at:end])))
    parts.append("…" if end < len(text) else "")
    return Content.assemble(*parts)
