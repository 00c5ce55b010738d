"""An answer as it comes, whatever generates it: each token sent on, and why it ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from hfterm.chat.decoding import Decoder, StopText
from hfterm.chat.distributions import Seen
from hfterm.chat.types import Alternative, Answer, Sampling, StopReason, Token
from hfterm.errors import HftermError
from hfterm.job import Job
from hfterm.system.own_memory import own_memory


def room_for(prompt_tokens: int, context: int | None, sampling: Sampling) -> int:
    """Tokens that may be generated after a prompt.

    Args:
        prompt_tokens: of the prompt.
        context: tokens that fit; None when that is not known.
        sampling: asks for at most so many.

    Raises:
        HftermError: the prompt alone fills the context.
    """
    if context is None:
        return sampling.max_new_tokens
    if prompt_tokens >= context:
        raise HftermError(
            "context-full",
            f"The conversation has {prompt_tokens:,} tokens and the context takes {context:,}.",
            "Drop the oldest turns, shorten a message, or begin a new conversation.",
        )
    return min(sampling.max_new_tokens, context - prompt_tokens)


def without_end(ids: Sequence[int], ends: frozenset[int]) -> list[int]:
    """The tokens of an answer that is to go on: those that end it are left out."""
    kept = list(ids)
    while kept and kept[-1] in ends:
        kept.pop()
    return kept


class AnswerRecord:
    """What came of an answer so far.

    Args:
        decoder: gives the text of each token.
        names: gives tokens as people read them.
        sampling: its stop strings, and how many tokens were asked for.
        room: how many may be generated.
        ends: the tokens that end an answer.
        job: is sent each token.
        began: when the prompt was given, by `time.monotonic`.
    """

    def __init__(
        self, decoder: Decoder, names: Callable[[Sequence[int]], list[str]], sampling: Sampling,
        room: int, ends: frozenset[int], job: Job, began: float,
    ) -> None:  # fmt: skip
        self._decoder = decoder
        self._names = names
        self._cut = room < sampling.max_new_tokens
        self._ends = ends
        self._job = job
        self._began = began
        self._stops = StopText(sampling.stop)
        self._ids: list[int] = []
        self._text = ""
        self._ttft = 0.0
        self.stopped = False
        """Whether the user stopped it."""

    def take(self, seen: Seen) -> bool:
        """A token came; whether to stop after it."""
        if not self._ids:
            self._ttft = time.monotonic() - self._began
        text = self._stops.take(self._decoder.step(seen.id))
        self._text += text
        self._ids.append(seen.id)
        self._job.send(self._token(seen, text))
        if self._job.cancelled is not None and self._job.cancelled():
            self._job.partial = self.stopped = True
        return self.stopped or self._stops.met or self._ended

    @property
    def _ended(self) -> bool:
        return bool(self._ids) and self._ids[-1] in self._ends

    def _token(self, seen: Seen, text: str) -> Token:
        name, *names = self._names([seen.id, *(id_ for id_, _ in seen.best)])
        alternatives = tuple(
            Alternative(id_, other, share)
            for (id_, share), other in zip(seen.best, names, strict=True)
        )
        return Token(seen.id, text, name, seen.probability, seen.entropy, alternatives)

    def finish(self, prompt: str, prompt_tokens: int, reused: int) -> Answer:
        """The answer: no more comes, so that what was held back is let go."""
        rest = ""
        if not self._stops.met:
            rest = self._stops.take(self._decoder.rest())
            if not self._stops.met:
                rest += self._stops.rest()
        if rest:
            self._text += rest
            self._job.send(Token(-1, rest))
        return Answer(
            text=self._text,
            ids=tuple(self._ids),
            tokens=len(self._ids),
            prompt_tokens=prompt_tokens,
            reused_tokens=reused,
            ttft=self._ttft,
            seconds=time.monotonic() - self._began,
            memory=own_memory(),
            stop_reason=self._reason(),
            prompt=prompt,
        )

    def _reason(self) -> StopReason:
        if self.stopped:
            return "stopped"
        if self._stops.met:
            return "stop string"
        if self._ended:
            return "end"
        return "context full" if self._cut else "length"
