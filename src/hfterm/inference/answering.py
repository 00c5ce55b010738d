"""Extractive question answering over `AutoModelForQuestionAnswering`.

transformers 5 has no pipeline for it any more: the best span is found here as in the SQuAD
scripts (Devlin et al., BERT, 2019, section 4.3). Imports torch inside functions.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

from hfterm.errors import HftermError
from hfterm.inference.inputs import check_finite, offsets_of, prepare
from hfterm.inference.loading import OpenModel, memory_errors
from hfterm.inference.options import ANSWER_EDGES, LONGEST_ANSWER
from hfterm.inference.types import Answer, Answering, Long

if TYPE_CHECKING:
    from torch import Tensor


def answer(
    opened: OpenModel, question: str, context: str, *, best: int = 5, longest: int = LONGEST_ANSWER,
    long: Long = "ask",
) -> Answering:  # fmt: skip
    """The likeliest spans of `context`.

    A context that does not fit is read in overlapping windows, unless `long` says truncate.
    "No answer" is the span of the first token (``[CLS]``), at its lowest over the windows.

    Raises:
        HftermError: no context, a tokenizer without offsets, or logits that are no numbers.
    """
    import torch

    if not context.strip():
        raise HftermError(
            "no-context", "There is no context to find an answer in.", "Type or open one."
        )
    if not question.strip():
        raise HftermError("no-question", "There is no question.", "Type one.")
    if not opened.text.is_fast:
        raise HftermError(
            "no-offsets",
            f"{opened.info.tokenizer} is a Python tokenizer: it knows no offsets, so no answer can "
            "be cut out of the text.",
            "Use the fast tokenizer of the same model.",
        )
    prepared = prepare(
        opened, question, context, long, only_pair=True, always_window=long != "truncate"
    )
    with memory_errors("this context"), torch.no_grad():
        output = opened.model(**prepared.inputs)
    starts: Tensor = output.start_logits.float().cpu()
    ends: Tensor = output.end_logits.float().cpu()
    check_finite(opened, torch.stack([starts, ends]))
    spans: dict[tuple[int, int], float] = {}
    no_answer = math.inf
    cls_id = opened.text.cls_token_id
    for window in range(prepared.windows):
        offsets = offsets_of(prepared, window) or []
        ids = cast("list[int]", prepared.inputs["input_ids"][window].tolist())
        place = ids.index(cast("int", cls_id)) if cls_id in ids else 0
        no_answer = min(no_answer, float(starts[window, place] + ends[window, place]))
        inside = torch.tensor([s == 1 for s in prepared.encoding.sequence_ids(window)])
        first = starts[window].masked_fill(~inside, -math.inf)
        last = ends[window].masked_fill(~inside, -math.inf)
        count = min(ANSWER_EDGES, int(inside.sum()))
        for start in first.topk(count).indices.tolist():
            for end in last.topk(count).indices.tolist():
                if start <= end < start + longest:
                    span = (offsets[start][0], offsets[end][1])
                    score = float(first[start] + last[end])
                    spans[span] = max(score, spans.get(span, -math.inf))
    ranked = sorted(spans.items(), key=lambda item: -item[1])[:best]
    scores = torch.tensor([score for _, score in ranked] + [no_answer])
    shares = torch.softmax(scores, dim=0).tolist()
    answers = [
        Answer(context[start:end], start, end, score, share)
        for ((start, end), score), share in zip(ranked, shares, strict=False)
    ]
    answers.append(Answer("", None, None, no_answer, shares[-1]))
    answers.sort(key=lambda found: -found.score)
    return Answering(tuple(answers), no_answer, prepared.tokens, prepared.windows, prepared.cut)
