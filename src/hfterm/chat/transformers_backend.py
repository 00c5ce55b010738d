"""A chat over transformers: `generate` itself, watched token by token.

Imports torch and transformers inside functions: for an engine process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from hfterm.chat.answer_record import AnswerRecord, room_for, without_end
from hfterm.chat.decoding import TokenNames, decoder_for
from hfterm.chat.distributions import Force, NotFinite, Watch
from hfterm.chat.kept_cache import KeptCache
from hfterm.chat.loading import load_llm
from hfterm.chat.prompting import Prompt, prompt
from hfterm.chat.types import (
    Answer,
    Ask,
    LlmInfo,
    LlmSpec,
    Sampling,
)
from hfterm.errors import Cancelled, HftermError
from hfterm.inference.loading import memory_errors
from hfterm.job import Job

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor
    from transformers.utils.generic import ModelOutput

PIECE = 2048
"""Tokens of a long prompt that are read at once; between two, a cancel is seen."""


class TransformersBackend:
    """A loaded causal model and its kept cache."""

    def __init__(self, spec: LlmSpec, job: Job) -> None:
        self._info, self._opened = load_llm(spec, job)
        self._kept = KeptCache()
        self._ends = frozenset(self._info.ends)
        job.progress("warming up")
        self._warm_up()

    @property
    def info(self) -> LlmInfo:
        """What is loaded."""
        return self._info

    def _warm_up(self) -> None:
        """Generate two tokens: the library imports and prepares as it goes, once."""
        import torch

        ids = torch.tensor([[next(iter(self._ends), 0)]], device=self._opened.model.device)
        with torch.no_grad():
            self._opened.model.generate(  # pyright: ignore[reportCallIssue]
                input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=2,
                **_arguments(Sampling(), self._ends),
            )  # fmt: skip

    def answer(self, ask: Ask, job: Job) -> Answer:
        """Generate; see `Backend`.

        Raises:
            HftermError: the prompt is refused by the template or does not fit, the model's numbers
                are no numbers, or memory ran out.
        """
        began = time.monotonic()
        tokenizer = self._opened.text
        given = without_end(ask.prefix_ids, self._ends)
        asked = prompt(
            tokenizer, ask.messages, self._info.spec.ref, prefix=ask.prefix, prefix_ids=given
        )
        room = room_for(len(asked.ids), self._info.context, ask.sampling)
        names = TokenNames(tokenizer)
        record = AnswerRecord(
            decoder_for(tokenizer, given), names.of, ask.sampling, room, self._ends, job, began
        )
        try:
            with memory_errors("this answer"):
                reused = self._generate(ask, asked, room, record, job)
        except BaseException:
            self._kept.forget()
            raise
        return record.finish(asked.text, len(asked.ids), reused)

    def read(self, text: str, most: int, job: Job) -> tuple[list[int], np.ndarray]:
        """See `Backend`."""
        import torch

        encoded = self._opened.text(text, truncation=False, padding=False)
        ids = cast("list[int]", encoded["input_ids"])[: min(most, self._info.context or most)]
        if not ids:
            return [], torch.zeros(0, 0).numpy()
        job.check()
        forward = cast("Callable[..., ModelOutput]", self._opened.model)
        with torch.no_grad(), memory_errors("this text"):
            tensor = torch.tensor([ids], device=self._opened.model.device)
            logits = cast("Tensor", forward(input_ids=tensor)["logits"])[0]
            return ids, torch.log_softmax(logits.float(), dim=-1).cpu().numpy()

    def _generate(self, ask: Ask, asked: Prompt, room: int, record: AnswerRecord, job: Job) -> int:
        """Run `generate`; how many tokens of the prompt came from the kept cache."""
        import torch
        from transformers import LogitsProcessorList, StoppingCriteriaList

        model, told = self._opened.model, _arguments(ask.sampling, self._ends)
        watch = Watch(record.take)
        processors = [watch, *_penalties(ask.sampling)]
        if ask.force >= 0:
            processors.append(Force(ask.force))
        ids = torch.tensor([asked.ids], device=model.device)
        cache, reused = None, 0
        if model._supports_default_dynamic_cache():  # pyright: ignore[reportPrivateUsage, reportCallIssue]
            config = model.config.get_text_config(decoder=True)
            cache, reused = self._kept.begin(config, ask.conversation, asked.ids)
            told["past_key_values"] = cache
        if ask.sampling.seed is not None:
            torch.manual_seed(ask.sampling.seed)
        else:
            torch.seed()
        with torch.no_grad():
            if cache is not None and not self._read_ahead(ids, reused, cache, job):
                record.stopped = True
                return reused
            try:
                sequences = cast(
                    "Tensor",
                    model.generate(  # pyright: ignore[reportCallIssue]
                        input_ids=ids,
                        attention_mask=torch.ones_like(ids),
                        max_new_tokens=room,
                        logits_processor=LogitsProcessorList(processors),  # pyright: ignore[reportArgumentType]
                        stopping_criteria=StoppingCriteriaList([watch.stop]),  # pyright: ignore[reportArgumentType]
                        **told,
                    ),
                )
            except NotFinite:
                raise HftermError(
                    "not-finite",
                    f"{self._info.spec.ref} gave numbers that are no numbers (NaN).",
                    "Load it in float32 or bfloat16, or check the weights.",
                ) from None
        self._kept.holds(cast("list[int]", sequences[0].tolist()))
        return reused

    def _read_ahead(self, ids: Tensor, reused: int, cache: object, job: Job) -> bool:
        """Read a long prompt in pieces up to the last one; False when the user stopped it."""
        total = int(ids.shape[1])
        forward = cast("Callable[..., object]", self._opened.model)
        for start in range(reused, total - PIECE, PIECE):
            try:
                job.progress("reading the prompt", start, total, "tokens")
            except Cancelled:
                job.partial = True
                return False
            forward(
                input_ids=ids[:, start : start + PIECE], past_key_values=cache, use_cache=True,
                logits_to_keep=1,
            )  # fmt: skip
        return True


def _arguments(sampling: Sampling, ends: frozenset[int]) -> dict[str, object]:
    """What `generate` is told; everything is said, so that no checkpoint's own defaults act."""
    told: dict[str, object] = {"do_sample": sampling.temperature > 0}
    if ends:
        told["eos_token_id"] = sorted(ends)
        told["pad_token_id"] = min(ends)  # one sequence is never padded, and unset it warns
    if sampling.temperature > 0:
        told |= {
            "temperature": sampling.temperature, "top_k": sampling.top_k, "top_p": sampling.top_p,
        }  # fmt: skip
        if sampling.min_p > 0:
            told["min_p"] = sampling.min_p
    return told


def _penalties(sampling: Sampling) -> Sequence[object]:
    """After the watch, which is to see the model's own numbers."""
    from transformers import RepetitionPenaltyLogitsProcessor

    if sampling.repetition_penalty == 1:
        return ()
    return (RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty),)
