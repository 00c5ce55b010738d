"""A chat over llama.cpp: a GGUF file, evaluated and sampled token by token.

Imports numpy inside functions: for an engine process.
"""

from __future__ import annotations

import codecs
import secrets
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from hfterm.chat.answer_record import AnswerRecord, room_for, without_end
from hfterm.chat.distributions import NotFinite, seen
from hfterm.chat.llama_library import Loaded, load_gguf
from hfterm.chat.prompting import render
from hfterm.chat.types import (
    Answer,
    Ask,
    LlmInfo,
    LlmSpec,
    Message,
    Sampling,
)
from hfterm.errors import Cancelled, HftermError
from hfterm.job import Job

if TYPE_CHECKING:
    import numpy as np
    from transformers import PreTrainedTokenizerBase

ROWS = 64
"""Positions whose logits are computed at once by `log_probs`: a few MB, whatever the text."""


class LlamaCppBackend:
    """A loaded GGUF model and the keys and values of its last conversation."""

    def __init__(self, spec: LlmSpec, job: Job) -> None:
        self._info, self._model = load_gguf(spec, job)
        self._ends = frozenset(self._info.ends)
        self._conversation = ""
        job.progress("warming up")
        self._model.read([next(iter(self._ends), 0)])  # the file's pages come into memory
        self._model.keep(0)

    @property
    def info(self) -> LlmInfo:
        """What is loaded."""
        return self._info

    def answer(self, ask: Ask, job: Job) -> Answer:
        """Generate; see `Backend`.

        Raises:
            HftermError: the prompt is refused by the template or does not fit, the model's numbers
                are no numbers, or llama.cpp failed.
        """
        began = time.monotonic()
        given = without_end(ask.prefix_ids, self._ends)
        text, ids = self._prompt(ask.messages, ask.prefix, given)
        room = room_for(len(ids), self._model.context, ask.sampling)
        record = AnswerRecord(
            _PieceDecoder(self._model, given), self._names, ask.sampling, room, self._ends, job,
            began,
        )  # fmt: skip
        try:
            reused = self._begin(ask.conversation, ids)
            if self._read_prompt(ids, reused, job):
                self._generate(ask, ids, room, record)
            else:
                record.stopped = True
        except BaseException:
            self._conversation = ""  # nobody knows what the cache holds
            raise
        return record.finish(text, len(ids), reused)

    def _names(self, ids: Sequence[int]) -> list[str]:
        return [self._model.name(id_) for id_ in ids]

    def read(self, text: str, most: int, job: Job) -> tuple[list[int], np.ndarray]:
        """See `Backend`."""
        ids = self._model.tokens(text, begin=True)[: min(most, self._model.context)]
        return ids, self.log_probs(ids, job)

    def log_probs(self, ids: Sequence[int], job: Job) -> np.ndarray:
        """The logarithms of the probabilities of what comes after each token of a text.

        What was kept of a conversation is given up.

        Args:
            ids: the text's tokens.
            job: told how far it is; cancel.

        Returns:
            float32[tokens, vocabulary].

        Raises:
            HftermError: there are more tokens than the context takes, or llama.cpp failed.
            Cancelled: the job was cancelled.
        """
        import numpy as np

        if len(ids) > self._model.context:
            raise HftermError(
                "context-full",
                f"The text has {len(ids):,} tokens and the context takes {self._model.context:,}.",
                "Take a shorter text, or load the model with a longer context.",
            )
        logs = np.empty((len(ids), self._model.vocabulary), dtype=np.float32)
        self._conversation = ""
        self._model.keep(0)
        for start in range(0, len(ids), ROWS):
            job.progress("reading the text", start, len(ids), "tokens")
            rows = self._model.read_all(ids[start : start + ROWS])
            rows = rows - rows.max(axis=1, keepdims=True)
            rows -= np.log(np.exp(rows).sum(axis=1, keepdims=True))
            logs[start : start + ROWS] = rows
        self._model.keep(0)
        return logs

    def _prompt(
        self, messages: Sequence[Message], prefix: str, given: list[int]
    ) -> tuple[str, list[int]]:
        """The prompt as the template makes it, and its tokens with the answer's beginning."""
        model = self._model
        # `render` asks a tokenizer for these two names only
        text = render(
            cast("PreTrainedTokenizerBase", model.template), messages, self._info.spec.ref
        )
        ids = model.tokens(text, begin=not model.template.begins(text))
        ids += given or (model.tokens(prefix, begin=False) if prefix else [])
        if not ids:
            raise HftermError("empty", "The prompt has no tokens.", "Type something first.")
        return text, ids

    def _begin(self, conversation: str, ids: Sequence[int]) -> int:
        """Keep what the cache and `ids` begin with alike; how many tokens that is."""
        same = 0
        if conversation and conversation == self._conversation:
            held = self._model.held()
            # the last token is read in any case: its logits are what comes next
            most = min(len(held), len(ids) - 1)
            same = next((at for at in range(most) if held[at] != ids[at]), most)
        self._conversation = conversation
        return self._model.keep(same)

    def _read_prompt(self, ids: Sequence[int], reused: int, job: Job) -> bool:
        """Evaluate a prompt in batches; False when the user stopped it."""
        step = self._model.batch
        for start in range(reused, len(ids), step):
            try:
                job.progress("reading the prompt", start, len(ids), "tokens")
            except Cancelled:
                job.partial = True
                return False
            self._model.read(ids[start : start + step])
        return True

    def _generate(self, ask: Ask, ids: Sequence[int], room: int, record: AnswerRecord) -> None:
        choose = self._model.chooser(ask.sampling, ids, _seed(ask.sampling))
        force = ask.force
        for left in range(room - 1, -1, -1):
            logits = self._model.logits()
            id_ = choose(logits, force)
            force = -1
            try:
                stop = record.take(seen(id_, logits))
            except NotFinite:
                raise HftermError(
                    "not-finite",
                    f"{self._info.spec.ref} gave numbers that are no numbers (NaN).",
                    "The file may be damaged: fetch it again, or choose another quantization.",
                ) from None
            if stop or left == 0:
                return
            self._model.read([id_])


def _seed(sampling: Sampling) -> int:
    return secrets.randbits(31) if sampling.seed is None else sampling.seed & 0x7FFFFFFF


class _PieceDecoder:
    """The text of llama.cpp's tokens, which are pieces of UTF-8."""

    def __init__(self, model: Loaded, before: Sequence[int]) -> None:
        self._model = model
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")
        for id_ in before[-8:]:  # a character may have begun in them
            self.step(id_)

    def step(self, id_: int) -> str:
        """What the token adds."""
        return self._utf8.decode(self._model.piece(id_))

    def rest(self) -> str:
        """What is left of an incomplete character."""
        return self._utf8.decode(b"", final=True)
