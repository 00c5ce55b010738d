"""What heads say, as plain data: the interface reads it, so nothing heavy is here."""

from __future__ import annotations

from typing import Literal

import msgspec

Long = Literal["ask", "truncate", "window"]
"""What is done with a text longer than the model's limit: refuse and say so, cut, or slide."""

Pooling = Literal["mean", "cls", "max", "last"]
Value = str | int | float | bool | None


class LabelScore(msgspec.Struct, frozen=True):
    """One label: its logit, and the probability that softmax (or sigmoid) makes of it."""

    id: int
    label: str
    logit: float
    probability: float


class ModuleGradient(msgspec.Struct, frozen=True):
    """The norm of a module's gradient after backward."""

    module: str
    norm: float
    parameters: int


class Loss(msgspec.Struct, frozen=True):
    """A loss for a label that was chosen, computed both ways.

    Attributes:
        by_labels: what the model gives when called with ``labels``.
        by_hand: the loss function on the logits.
        function: which one that is: ``cross_entropy``, ``mse_loss``,
            ``binary_cross_entropy_with_logits``.
        norm: of the gradient of all parameters together.
        gradients: by module, in the model's order.
    """

    label: int
    by_labels: float
    by_hand: float
    function: str
    norm: float
    gradients: tuple[ModuleGradient, ...]


class Classification(msgspec.Struct, frozen=True, tag=True):
    """A text's class.

    Attributes:
        tokens: of the text, specials included.
        windows: windows it was cut into; their logits are averaged. 1 when it fits.
        cut: tokens that were cut off.
        scores: every label, in the order of the ids.
        best: the id of the likeliest.
        activation: what made probabilities of the logits: ``softmax``, ``sigmoid`` or ``none``.
        loss: for the label that was chosen; None when none was.
    """

    tokens: int
    windows: int
    cut: int
    scores: tuple[LabelScore, ...]
    best: int
    activation: Literal["softmax", "sigmoid", "none"]
    loss: Loss | None = None


class TaggedToken(msgspec.Struct, frozen=True):
    """One token of a tagged text. `start` and `end` are None for a token of no place in it."""

    index: int
    token: str
    start: int | None
    end: int | None
    label: str
    probability: float


class Entity(msgspec.Struct, frozen=True):
    """Tokens of one label in a row. `probability` is their mean."""

    label: str
    text: str
    start: int
    end: int
    probability: float


class Tagging(msgspec.Struct, frozen=True, tag=True):
    """A text's tokens and entities."""

    tokens: tuple[TaggedToken, ...]
    entities: tuple[Entity, ...]
    windows: int
    cut: int


class Answer(msgspec.Struct, frozen=True):
    """A span of the context, or no answer: then `start` and `end` are None.

    Attributes:
        score: start logit plus end logit.
        probability: softmax over the n-best and the no-answer score.
    """

    text: str
    start: int | None
    end: int | None
    score: float
    probability: float


class Answering(msgspec.Struct, frozen=True, tag=True):
    """The n-best answers, best first, and what "no answer" scores (the span of ``[CLS]``).

    Attributes:
        windows: windows the context was read in; the best spans of them all are kept.
        cut: tokens of the context that were cut off.
    """

    answers: tuple[Answer, ...]
    no_answer: float
    tokens: int
    windows: int
    cut: int


class Filling(msgspec.Struct, frozen=True):
    """A candidate for one mask."""

    mask: int
    position: int
    id: int
    token: str
    probability: float
    logit: float
    text: str


class MaskFilling(msgspec.Struct, frozen=True, tag=True):
    """The likeliest tokens of every mask."""

    candidates: tuple[Filling, ...]
    masks: int
    tokens: int
    cut: int


class Step(msgspec.Struct, frozen=True):
    """One step of a decoder: the token it took, and the likeliest ones."""

    index: int
    id: int
    token: str
    probability: float
    logit: float
    alternatives: tuple[tuple[str, float], ...]


class Generation(msgspec.Struct, frozen=True, tag=True):
    """A continuation.

    Attributes:
        prompt: what the model was given, chat template applied if it was.
        ended: ``end token``, ``length``, ``context full`` or ``you``.
        cut: tokens that were cut off the prompt's beginning.
    """

    prompt: str
    text: str
    steps: tuple[Step, ...]
    prompt_tokens: int
    ended: str
    seconds: float
    cut: int


class Embedding(msgspec.Struct, frozen=True, tag=True):
    """Pooled hidden states of several texts.

    Attributes:
        vectors: float32[texts, hidden].
        norms: of the vectors before normalisation.
        similarity: float32[texts, texts]: cosine.
        tokens: of each text, specials included.
    """

    texts: tuple[str, ...]
    vectors: tuple[tuple[float, ...], ...]
    norms: tuple[float, ...]
    similarity: tuple[tuple[float, ...], ...]
    tokens: tuple[int, ...]
    cut: int
    pooling: str


class ZeroShot(msgspec.Struct, frozen=True, tag=True):
    """Candidate labels, likeliest first.

    Attributes:
        cut: tokens that were cut off, with the label that takes most.
        note: which of the model's labels was taken.
    """

    scores: tuple[LabelScore, ...]
    entailment: str
    cut: int
    note: str = ""


class Choosing(msgspec.Struct, frozen=True, tag=True):
    """Choices in the order they were given.

    Attributes:
        best: an index.
        tokens: of the text with the longest choice.
        cut: tokens of the text that were cut off for it.
    """

    scores: tuple[LabelScore, ...]
    best: int
    tokens: int
    cut: int


class EncodedToken(msgspec.Struct, frozen=True):
    """One position of the encoder: its token and the norm of its last hidden state."""

    index: int
    token: str
    norm: float


class Seq2Seq(msgspec.Struct, frozen=True, tag=True):
    """Encoder states, and the decoder step by step over them.

    Attributes:
        shape: of the encoder's last hidden state: [batch, tokens, hidden].
        encoder: its positions.
        start: the token the decoder starts with.
        steps: greedy.
        same_as_generate: whether `generate` takes the same tokens.
        cut: tokens of the text that were cut off.
    """

    shape: tuple[int, int, int]
    encoder: tuple[EncodedToken, ...]
    start: str
    steps: tuple[Step, ...]
    text: str
    ended: str
    same_as_generate: bool
    cut: int


Prediction = (
    Classification | Tagging | Answering | MaskFilling | Generation | Embedding | ZeroShot
    | Choosing | Seq2Seq
)  # fmt: skip
"""What any task says; the wire knows them by their class's name."""


class ClassScore(msgspec.Struct, frozen=True):
    """How well one label was found: counts, and precision, recall and F1 of 0 to 1."""

    label: str
    support: int
    precision: float
    recall: float
    f1: float


class Metrics(msgspec.Struct, frozen=True):
    """Predictions against the labels that came with the rows.

    Attributes:
        rows: that had a label.
        accuracy: share of equal labels; for answers the share of exact matches.
        f1: macro, over the labels that occur; for answers the mean token F1.
        weighted_f1: weighted by support.
        classes: by label.
        confusion: int[labels, labels]: rows are the true labels, columns the predicted ones.
        labels: of `confusion`.
    """

    rows: int
    accuracy: float
    f1: float
    weighted_f1: float
    classes: tuple[ClassScore, ...] = ()
    labels: tuple[str, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()


class BatchTable(msgspec.Struct, frozen=True):
    """What a batch gave, one row an input.

    Attributes:
        columns: their names.
        rows: the values, in the order of the input.
        seconds: of the predictions, reading the file not counted.
        cut: texts that were longer than the model's limit and were cut.
        metrics: when labels were there.
        note: what to know about it.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    seconds: float
    cut: int
    metrics: Metrics | None = None
    note: str = ""
