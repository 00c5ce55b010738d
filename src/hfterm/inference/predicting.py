"""One text, any task.

Imports torch inside functions: for an engine process.
"""

from __future__ import annotations

from hfterm.errors import HftermError
from hfterm.inference.answering import answer
from hfterm.inference.choosing import choose
from hfterm.inference.classification import classify
from hfterm.inference.embedding import embed
from hfterm.inference.filling import fill
from hfterm.inference.generating import generate
from hfterm.inference.loading import OpenModel, memory_errors
from hfterm.inference.options import TaskOptions
from hfterm.inference.seq2seq import decode_by_hand
from hfterm.inference.tagging import tag
from hfterm.inference.types import Prediction
from hfterm.inference.zero_shot import zero_shot
from hfterm.job import Job


def predict(
    opened: OpenModel,
    text: str,
    options: TaskOptions,
    job: Job | None = None,
    *,
    partial: bool = False,
) -> Prediction:
    """What a model says of a text.

    Args:
        opened: a model with the task's head.
        text: the text; for feature-extraction one text a line.
        options: the task and what it needs besides.
        job: told of every token of a generation.
        partial: a generation that is stopped gives what it has.

    Raises:
        HftermError: the text does not fit, something is missing, or the logits are no numbers.
    """
    with memory_errors("this text"):
        return _predict(opened, text, options, job, partial=partial)


def _predict(
    opened: OpenModel, text: str, options: TaskOptions, job: Job | None, *, partial: bool
) -> Prediction:
    if options.task != "question-answering" and not text.strip():  # there it is the context
        raise HftermError("empty", "There is no text to predict.", "Type or open one.")
    match options.task:
        case "text-classification":
            return classify(
                opened, text, options.pair, label=options.label, backward=options.backward,
                long=options.long,
            )  # fmt: skip
        case "token-classification":
            return tag(opened, text, options.long)
        case "question-answering":
            return answer(opened, options.question, text, best=options.top, long=options.long)
        case "fill-mask":
            return fill(opened, text, top=options.top, long=options.long)
        case "text-generation":
            return generate(
                opened, text, new_tokens=options.new_tokens, temperature=options.temperature,
                top_p=options.top_p, seed=options.seed, chat=options.chat, long=options.long,
                job=job, partial=partial,
            )  # fmt: skip
        case "feature-extraction":
            return embed(
                opened, text.splitlines(), pooling=options.pooling, normalize=options.normalize,
                long=options.long,
            )  # fmt: skip
        case "zero-shot":
            return zero_shot(
                opened, text, options.labels, template=options.template,
                multi_label=options.multi_label, long=options.long,
            )  # fmt: skip
        case "multiple-choice":
            return choose(opened, text, options.labels, options.long)
        case "seq2seq":
            return decode_by_hand(
                opened, text, new_tokens=options.new_tokens, long=options.long, job=job
            )
