"""What a prediction is asked with, as plain data."""

from __future__ import annotations

from typing import Literal

import msgspec

from hfterm.inference.types import Long, Pooling

Task = Literal[
    "text-classification", "token-classification", "question-answering", "fill-mask",
    "text-generation", "feature-extraction", "zero-shot", "multiple-choice", "seq2seq",
]  # fmt: skip

AUTO_OF: dict[Task, str] = {
    "text-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "question-answering": "AutoModelForQuestionAnswering",
    "fill-mask": "AutoModelForMaskedLM",
    "text-generation": "AutoModelForCausalLM",
    "feature-extraction": "AutoModel",
    "zero-shot": "AutoModelForSequenceClassification",
    "multiple-choice": "AutoModelForMultipleChoice",
    "seq2seq": "AutoModelForSeq2SeqLM",
}
"""The Auto class of each task."""

OVERLAP = 4
"""Windows of a long text share a quarter of their tokens with the one before."""

LONGEST_ANSWER = 30
"""Tokens of an answer, at most."""

ANSWER_EDGES = 20
"""Starts and ends of answers that are tried, a window."""

SEED = 0
"""Of the rows that are taken from all over a file."""

TASKS: tuple[Task, ...] = tuple(AUTO_OF)


class TaskOptions(msgspec.Struct, frozen=True, kw_only=True):
    """A task and all it may need besides the text.

    Attributes:
        pair: a second sequence, for text-classification.
        label: the id of a label whose loss is wanted; None for no loss.
        backward: also gradients.
        labels: candidates of zero-shot, options of multiple-choice.
        template: the hypothesis of zero-shot.
        multi_label: zero-shot: each label by itself.
        question: of question-answering.
        top: candidates of fill-mask, answers of question-answering.
        pooling: of feature-extraction.
        normalize: of feature-extraction: vectors of length 1.
        new_tokens: text-generation and seq2seq: at most so many.
        temperature: text-generation; 0 is greedy.
        top_p: text-generation.
        seed: text-generation.
        chat: text-generation: the text goes into the chat template.
        long: what to do with a text that does not fit.
    """

    task: Task
    pair: str | None = None
    label: int | None = None
    backward: bool = False
    labels: tuple[str, ...] = ()
    template: str = "This example is {}."
    multi_label: bool = False
    question: str = ""
    top: int = 5
    pooling: Pooling = "mean"
    normalize: bool = True
    new_tokens: int = 40
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    chat: bool = False
    long: Long = "ask"


class BatchOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows, and how many at once.

    Attributes:
        column: of the text; empty for ``text``, or the only one with words.
        label_column: empty for ``label`` where there is one.
        question_column: question-answering: empty for ``question``, else the one question.
        size: rows at once.
        most: rows at most; None for all.
        shuffled: from all over the file (with the seed `SEED`), not the first ones.
    """

    column: str = ""
    label_column: str = ""
    question_column: str = ""
    size: int = 32
    most: int | None = None
    shuffled: bool = False
