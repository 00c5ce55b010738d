"""Which characters of a rendered chat template each message produced.

A template is a program, so nobody can ask it. Two experiments tell: rendering the first
messages alone (each result should be the beginning of the whole), and rendering with marks
in place of the contents. A span is given only where the two agree; where only the marks
tell, it is the content alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hfterm.errors import Cancelled
from hfterm.tokenization.views import Message, RoleSpan

Render = Callable[[list[Message]], str]


@dataclass(frozen=True)
class _Content:
    """Where the content of message `message` stands in the whole."""

    message: int
    start: int
    end: int


def role_spans(messages: list[Message], text: str, apply: Render) -> tuple[RoleSpan, ...]:
    """The spans of `messages` in `text`, in order; fewer than messages where they can't be known.

    Args:
        messages: what was rendered.
        text: what the template gave, perhaps with a generation prompt, or left open.
        apply: renders messages without a generation prompt; may raise anything.
    """
    contents = _contents(messages, text, apply)
    ends = [_beginning(messages[: count + 1], text, apply) for count in range(len(messages))]
    if ends[-1] is None and contents and contents[-1].end == len(text):
        ends[-1] = len(text)  # left open for the model to go on with
    spans: list[RoleSpan] = []
    for index, message in enumerate(messages):
        own = [content for content in contents if content.message == index]
        start = ends[index - 1] if index else _first_start(messages, own, text, apply)
        end = ends[index]
        if start is not None and end is not None and _alone(index, start, end, contents):
            spans.append(RoleSpan(message.role, start, end))
        else:
            spans += [RoleSpan(message.role, c.start, c.end) for c in own if c.end > c.start]
    return tuple(sorted(spans, key=lambda span: span.start))


def _beginning(some: list[Message], text: str, apply: Render) -> int | None:
    """How much of the whole `some` alone give, or None when they give something else."""
    rendered = _try(some, apply)
    return len(rendered) if rendered is not None and text.startswith(rendered) else None


def _try(some: list[Message], apply: Render) -> str | None:
    try:
        return apply(some)
    except Cancelled:
        raise
    except Exception:  # noqa: BLE001  # a template may raise anything at messages it dislikes
        return None


def _alone(index: int, start: int, end: int, contents: list[_Content]) -> bool:
    """Whether [start, end) holds the content of message `index`, and no other's."""
    inside = {c.message for c in contents if c.start < end and c.end > start}
    own = [c for c in contents if c.message == index]
    return (
        start < end
        and bool(own)
        and inside <= {index}
        and all(start <= c.start and c.end <= end for c in own)
    )


def _first_start(
    messages: list[Message], own: list[_Content], text: str, apply: Render
) -> int | None:
    """Where the span of the first message begins.

    Before it a template may write what belongs to none (a token that begins the text, a
    system prompt of its own), so its header is taken from where the same role comes again.
    """
    if not own:
        return None
    first, mark = messages[0], _mark(0, 0)
    other = messages[1] if len(messages) > 1 else Message("assistant", "x")
    for before in ([first], [first, other]):
        shorter = _try(before, apply)
        longer = _try([*before, Message(first.role, mark)], apply)
        if shorter is None or longer is None or not longer.startswith(shorter):
            continue
        at = longer.find(mark)
        if at < len(shorter):
            continue
        header = longer[len(shorter) : at]
        if text[: own[0].start].endswith(header):
            return own[0].start - len(header)
    return None


def _contents(messages: list[Message], text: str, apply: Render) -> list[_Content]:
    """Where each content stands, or nothing when the marks do not lead back to `text`."""
    for attempt in range(8):
        marks = [_mark(index, attempt) for index in range(len(messages))]
        if not any(mark in text for mark in marks):
            break
    else:
        return []
    marked = _try(
        [
            Message(message.role, mark if message.content else "")
            for message, mark in zip(messages, marks, strict=True)
        ],
        apply,
    )
    if marked is None:
        return []
    return _align(messages, marks, marked, text)


def _align(messages: list[Message], marks: list[str], marked: str, text: str) -> list[_Content]:
    """Walk both texts: between two marks they are equal, at a mark the content stands."""
    found: list[_Content] = []
    places = sorted(
        (at, index) for index, mark in enumerate(marks) for at in _occurrences(marked, mark)
    )
    position = at_marked = 0
    for number, (at, index) in enumerate(places):
        literal = marked[at_marked:at]
        if not text.startswith(literal, position):
            return []
        position += len(literal)
        at_marked = at + len(marks[index])
        following = places[number + 1][0] if number + 1 < len(places) else len(marked)
        after = marked[at_marked:following]
        last = number + 1 == len(places)
        content = next(
            (
                form
                for form in _forms(messages[index].content)
                if text.startswith(form, position)
                and _goes_on(text, position + len(form), after, last=last)
            ),
            None,
        )
        if content is None:
            return []
        found.append(_Content(index, position, position + len(content)))
        position += len(content)
    return found


def _goes_on(text: str, position: int, after: str, *, last: bool) -> bool:
    """Whether `text` goes on with `after`. Behind the last content it may be open or prompt."""
    if text.startswith(after, position):
        return True
    return last and position == len(text)


def _forms(content: str) -> list[str]:
    """A content as templates write it: as it is, or trimmed."""
    return list(dict.fromkeys((content, content.strip(), content.rstrip(), content.lstrip())))


def _occurrences(text: str, mark: str) -> list[int]:
    places: list[int] = []
    at = text.find(mark)
    while at >= 0:
        places.append(at)
        at = text.find(mark, at + len(mark))
    return places


def _mark(index: int, attempt: int) -> str:
    """A word that no text holds by chance, and that no template takes for anything else."""
    return f"hfterm{attempt}mark{index}qx"
