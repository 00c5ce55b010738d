"""Models side by side, in a table."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from hfterm.chat.agreement import agreement
from hfterm.chat.prompt_sets import Reply
from hfterm.text import displayable
from hfterm.widgets.data_grid import Cell, GridColumn


class SideRows:
    """A row a model: the mean of its figures over all prompts, and how far it agrees."""

    columns: Sequence[GridColumn] = (
        GridColumn("model", most=40),
        GridColumn("tokens/s", right=True),
        GridColumn("first ms", right=True),
        GridColumn("process MB", right=True),
        GridColumn("tokens", right=True),
        GridColumn("ended by", most=14),
        GridColumn("same first words", right=True),
        GridColumn("like the first %", right=True),
    )

    def __init__(self, replies: Sequence[Reply]) -> None:
        ordered = sorted(replies, key=lambda reply: reply.model)
        models = list(dict.fromkeys(reply.model for reply in replies))
        by_model = {model: list(group) for model, group in groupby(ordered, lambda r: r.model)}
        first = {reply.prompt: reply for reply in by_model[models[0]]} if models else {}
        self._values = [_summed(model, by_model[model], first) for model in models]

    def __len__(self) -> int:
        return len(self._values)

    def row(self, index: int) -> Sequence[Cell]:
        """What is drawn."""
        model, rate, ttft, memory, tokens, ended, start, like = self._values[index]
        fastest = rate is not None and rate == max(each[1] or 0 for each in self._values)
        return (
            Cell(displayable(str(model))),
            _number(rate, ".1f", "★ " if fastest and len(self) > 1 else ""),
            _number(ttft, ",.0f"),
            _number(memory, ",.0f"),
            _number(tokens, ",.0f"),
            Cell(str(ended or "–"), "dim"),
            _number(start, ".1f"),
            _number(like, ".1f"),
        )

    def values(self, index: int) -> Sequence[str | int | float | None]:
        """What is exported."""
        return self._values[index]


Row = tuple[
    str, float | None, float | None, float | None, float | None, str, float | None, float | None
]


def _summed(model: str, replies: Sequence[Reply], first: dict[str, Reply]) -> Row:
    answers = [reply.answer for reply in replies if reply.answer is not None]
    if not answers:
        return model, None, None, None, None, "failed", None, None
    pairs = [
        agreement(other.answer.text, reply.answer.text)
        for reply in replies
        if reply.answer is not None
        and (other := first.get(reply.prompt)) is not None
        and other.answer is not None
    ]
    own = first and next(iter(first.values())).model == model
    count = len(answers)
    # a server that answers in one piece has no rate, and its memory is elsewhere
    rates = [answer.tokens_per_s for answer in answers if answer.tokens_per_s]
    memory = max(answer.memory for answer in answers)
    ended = ", ".join(sorted({answer.stop_reason for answer in answers}))
    return (
        model,
        sum(rates) / len(rates) if rates else None,
        1000 * sum(answer.ttft for answer in answers) / count,
        memory / 1e6 if memory else None,
        sum(answer.tokens for answer in answers) / count,
        ended,
        None if own or not pairs else sum(pair.same_start for pair in pairs) / len(pairs),
        None if own or not pairs else 100 * sum(pair.similarity for pair in pairs) / len(pairs),
    )


def _number(value: float | None, form: str, mark: str = "") -> Cell:
    return Cell("–", "dim") if value is None else Cell(f"{mark}{value:{form}}")


class ReplyRows:
    """Every answer, for a file."""

    columns: Sequence[GridColumn] = tuple(
        GridColumn(name)
        for name in (
            "prompt", "model", "answer", "tokens", "tokens_per_s", "ttft_s", "memory_mb",
            "stop_reason", "error",
        )
    )  # fmt: skip

    def __init__(self, replies: Sequence[Reply]) -> None:
        self._replies = list(replies)

    def __len__(self) -> int:
        return len(self._replies)

    def row(self, index: int) -> Sequence[Cell]:
        """What is drawn."""
        return [Cell(displayable(str(value))) for value in self.values(index)]

    def values(self, index: int) -> Sequence[str | int | float | None]:
        """What is exported."""
        reply = self._replies[index]
        answer = reply.answer
        if answer is None:
            return reply.prompt, reply.model, None, None, None, None, None, None, reply.error
        return (
            reply.prompt, reply.model, answer.text, answer.tokens, answer.tokens_per_s,
            answer.ttft, answer.memory / 1e6, answer.stop_reason, "",
        )  # fmt: skip
