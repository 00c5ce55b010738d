"""What the model makes of the recipe's prompts at each evaluation.

Imports torch inside functions: for a process that trains.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from hfterm.training import run_files as files
from hfterm.training.run_types import RunSample

if TYPE_CHECKING:
    from torch import Tensor

    from hfterm.training.building import Built

NEW_TOKENS = 48
MOST_SECONDS = 20.0
"""For the answer to a prompt: a 4-bit model on a CPU takes a second a token."""

LIKELY = 3
"""Candidates that are shown for a label or a masked token."""


def asker(
    folder: Path, built: Built, stopping: Callable[[], bool] = lambda: False
) -> Callable[[int], None]:
    """A function that asks every prompt and writes the answers, given the step.

    The random state is as before afterwards, so that asking changes nothing in the training.

    Args:
        folder: of the run.
        built: what is asked.
        stopping: whether the run is to stop, so that no more is asked.
    """

    def ask(step: int) -> None:
        import torch

        model = built.model
        was_training = model.training
        model.eval()
        try:
            with torch.no_grad(), torch.random.fork_rng():
                for prompt in built.recipe.prompts:
                    answer = answer_to(built, prompt, stopping)
                    if stopping():  # it may be cut short
                        break
                    files.append_line(
                        folder / files.SAMPLES, RunSample(step=step, prompt=prompt, answer=answer)
                    )
        except Exception as error:  # noqa: BLE001
            # a prompt that the model or its chat template can't take must not end the run
            print(f"prompts were not asked: {error}", flush=True)
        finally:
            model.train(was_training)

    return ask


def answer_to(built: Built, prompt: str, stopping: Callable[[], bool] = lambda: False) -> str:
    """What the model says to a prompt: labels, tokens, an answer, or a continuation."""
    task, tokenizer, model = built.recipe.task, built.tokenizer, built.model
    question, _, context = prompt.partition("|||")
    first, second = (question.strip(), context.strip()) if context else (prompt, None)
    if task == "chat-sft":
        text = cast(
            "str",
            tokenizer.apply_chat_template(
                [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
            ),
        )
        inputs = tokenizer(text, add_special_tokens=False, return_tensors="pt")
    else:
        inputs = tokenizer(
            first,
            second,
            truncation=True,
            max_length=built.recipe.data.max_length,
            return_tensors="pt",
        )
    inputs = inputs.to(model.device)
    if task in ("chat-sft", "causal-lm", "seq2seq"):

        def until_stopped(ids: Tensor, _scores: object, **_: object) -> Tensor:
            return ids.new_full((len(ids),), stopping()).bool()

        made = cast(
            "Tensor",
            model.generate(  # pyright: ignore[reportCallIssue]
                **inputs, max_new_tokens=NEW_TOKENS, do_sample=False,
                pad_token_id=tokenizer.pad_token_id, max_time=MOST_SECONDS,
                stopping_criteria=[until_stopped],
            ),
        )[0]  # fmt: skip
        start = 0 if task == "seq2seq" else inputs["input_ids"].shape[1]
        return cast("str", tokenizer.decode(made[start:], skip_special_tokens=True)).strip()
    found = model(**inputs)
    if task == "text-classification":
        return _likely(found.logits[0].softmax(-1), list(built.labels))
    if task == "token-classification":
        kinds = found.logits[0].argmax(-1).tolist()
        tokens = tokenizer.convert_ids_to_tokens(inputs["input_ids"][0].tolist())
        named = [built.labels[kind] for kind in kinds]
        return " ".join(
            f"{token}/{name}" for token, name in zip(tokens, named, strict=True) if name != "O"
        )
    if task == "question-answering":
        from hfterm.training.scoring import best_span

        first, last = best_span(
            found.start_logits[0].float().cpu().numpy(), found.end_logits[0].float().cpu().numpy()
        )
        ids = inputs["input_ids"][0][first : last + 1]
        return cast("str", tokenizer.decode(ids, skip_special_tokens=True)) or "no answer"
    ids = inputs["input_ids"][0]
    masks = ids.eq(cast("int", tokenizer.mask_token_id)).nonzero().flatten().tolist()
    if not masks:
        return f"the prompt has no {tokenizer.mask_token}"
    words = cast("list[str]", tokenizer.convert_ids_to_tokens(list(range(found.logits.shape[-1]))))
    return " · ".join(_likely(found.logits[0, mask].softmax(-1), words) for mask in masks)


def _likely(shares: Tensor, names: list[str]) -> str:
    top = shares.float().topk(min(LIKELY, len(names)))
    return ", ".join(
        f"{names[int(i)]} {float(p):.2f}"
        for p, i in zip(top.values.tolist(), top.indices.tolist(), strict=True)
    )
