"""Text generation with every token's probability.

Imports torch and transformers inside functions: for an engine process.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from hfterm.errors import Cancelled, HftermError
from hfterm.inference.inputs import check_finite, ensure_padding, prepare, token_names
from hfterm.inference.loading import OpenModel, memory_errors
from hfterm.inference.types import Generation, Long, Step
from hfterm.job import Job

if TYPE_CHECKING:
    from torch import FloatTensor, LongTensor, Tensor

ALTERNATIVES = 3


def generate(
    opened: OpenModel, text: str, *, new_tokens: int = 40, temperature: float = 0.0,
    top_p: float = 1.0, seed: int = 0, chat: bool = False, long: Long = "ask",
    job: Job | None = None, partial: bool = False,
) -> Generation:  # fmt: skip
    """Continue a text.

    Args:
        opened: a causal model.
        text: the prompt.
        new_tokens: at most so many.
        temperature: 0 is greedy; else sampling.
        top_p: share of the probability that is sampled from.
        seed: of sampling.
        chat: put the text into the chat template, as a user's message.
        long: ``truncate`` and ``window`` both drop the beginning of a prompt that does not fit.
        job: told of every token.
        partial: when stopped, give the tokens until then.

    Raises:
        HftermError: the prompt does not fit, or there is no chat template.
    """
    import torch

    job = job or Job()
    ensure_padding(opened)
    prompt = _chat(opened, text) if chat else text
    # a prompt that is cut leaves room for what is asked, or half of the context
    spare = max(1, min(new_tokens, (opened.info.limit or 0) // 2))
    prepared = prepare(
        opened, prompt, long="truncate" if long == "window" else long, special=not chat,
        spare=spare,
    )  # fmt: skip
    ids = prepared.inputs["input_ids"]
    length = int(ids.shape[1])
    asked = min(new_tokens, opened.info.limit - length) if opened.info.limit else new_tokens
    torch.manual_seed(seed)
    began = time.monotonic()

    def each(sequences: LongTensor, _: FloatTensor, **__: object) -> Tensor:
        try:
            job.progress("generating", int(sequences.shape[1]) - length, asked, "tokens")
        except Cancelled:
            if not partial:
                raise
            job.partial = True
        shape = (sequences.shape[0],)
        return torch.full(shape, job.partial, dtype=torch.bool, device=sequences.device)

    def finite(_: LongTensor, scores: FloatTensor) -> FloatTensor:
        if bool((scores.isnan() | scores.isposinf()).any()):  # sampling would fail in torch
            check_finite(opened, scores)
        return scores

    told: dict[str, object] = {"do_sample": temperature > 0}
    if temperature > 0:
        told |= {"temperature": temperature, "top_p": top_p, "top_k": 0}
    from transformers import LogitsProcessorList, StoppingCriteriaList

    with memory_errors("this generation"), torch.no_grad():
        output = opened.model.generate(  # pyright: ignore[reportCallIssue]
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=asked,
            output_logits=True,
            return_dict_in_generate=True,
            logits_processor=LogitsProcessorList([finite]),  # pyright: ignore[reportArgumentType]
            stopping_criteria=StoppingCriteriaList([each]),  # pyright: ignore[reportArgumentType]
            **told,
        )
    seconds = time.monotonic() - began
    new = cast("list[int]", output.sequences[0, length:].tolist())
    rows = cast("Sequence[Tensor]", output.logits)
    steps = [step_of(opened, index, id_, rows[index][0]) for index, id_ in enumerate(new)]
    ends = opened.model.generation_config.eos_token_id if opened.model.generation_config else None
    stops = {ends} if isinstance(ends, int) else set(ends or ())
    ended = "end token" if new and new[-1] in stops else "length"
    if ended == "length" and asked < new_tokens:
        ended = "context full"
    if job.partial:
        ended = "you"
    shown = str(opened.text.decode(new, skip_special_tokens=True))
    return Generation(prompt, shown, tuple(steps), length, ended, seconds, prepared.cut)


def step_of(opened: OpenModel, index: int, id_: int, logits: Tensor) -> Step:
    """What a step took, and what else was likely. `logits`: float[vocabulary]."""
    import torch

    row = logits.float()
    shares = torch.softmax(row, dim=-1)
    best = shares.topk(ALTERNATIVES)
    taken, *names = token_names(opened, [id_, *best.indices.tolist()])
    return Step(
        index, id_, taken, float(shares[id_]), float(row[id_]),
        tuple(zip(names, best.values.tolist(), strict=True)),
    )  # fmt: skip


def _chat(opened: OpenModel, text: str) -> str:
    if not opened.text.chat_template:
        raise HftermError(
            "no-template",
            f"The tokenizer of {opened.info.spec.ref} has no chat template.",
            "Set “as” to text, or choose a chat model.",
        )
    return str(
        opened.text.apply_chat_template(
            [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
        )
    )
