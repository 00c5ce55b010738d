"""Predictions as tables and lines: what both the Predict screen and the command show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hfterm.inference.types import (
    Answering,
    Choosing,
    Classification,
    Embedding,
    Generation,
    LabelScore,
    Loss,
    MaskFilling,
    Prediction,
    Seq2Seq,
    Step,
    Tagging,
    Value,
    ZeroShot,
)
from hfterm.text import displayable, elide_middle, label_name, token_label
from hfterm.widgets.data_grid import Cell, GridColumn, Rows, Tone
from hfterm.widgets.model_tables import bar

BAR = 24
"""Cells of a bar of probability 1."""

NONE = Cell("–", "dim")


def tables(prediction: Prediction) -> list[Rows]:
    """The tables of a prediction, the one that matters most first."""
    match prediction:
        case Classification():
            found = [label_rows(prediction.scores, best=prediction.best)]
            if prediction.loss is not None and prediction.loss.gradients:
                found.append(gradient_rows(prediction.loss))
            return found
        case Tagging():
            return [_tagged(prediction), _entities(prediction)]
        case Answering():
            return [_answers(prediction)]
        case MaskFilling():
            return [_fillings(prediction)]
        case Generation():
            return [step_rows(prediction.steps)]
        case Embedding():
            return [_similarity(prediction), _vectors(prediction)]
        case ZeroShot():
            return [label_rows(prediction.scores, best=prediction.scores[0].id)]
        case Choosing():
            return [label_rows(prediction.scores, best=prediction.best, title="choice")]
        case Seq2Seq():
            return [step_rows(prediction.steps), _encoder(prediction)]


def detail(prediction: Prediction) -> list[str]:
    """What stands under the table: a few lines."""
    match prediction:
        case Classification():
            lines = [_fitting(prediction.tokens, prediction.windows, prediction.cut)]
            if prediction.loss is not None:
                lines.append(_loss(prediction.loss))
            return lines
        case Tagging():
            return [
                f"{len(prediction.entities):,} entities"
                + (f" · {prediction.windows} windows" if prediction.windows > 1 else "")
                + (f" · {prediction.cut:,} tokens cut off" if prediction.cut else "")
            ]
        case Answering():
            return [
                f"“No answer” scores {prediction.no_answer:.4f} · "
                + _fitting(
                    prediction.tokens, prediction.windows, prediction.cut, "their best spans kept"
                )
            ]
        case MaskFilling():
            return [_fitting(prediction.tokens, 1, prediction.cut)]
        case Generation():
            rate = len(prediction.steps) / prediction.seconds if prediction.seconds else 0.0
            return [
                prediction.text,
                f"{prediction.prompt_tokens:,} + {len(prediction.steps):,} tokens · "
                f"{rate:.1f} tokens/s · ended by {prediction.ended}"
                + (f" · the prompt's first {prediction.cut:,} cut off" if prediction.cut else ""),
            ]
        case Embedding():
            return [
                f"{len(prediction.texts):,} × {len(prediction.vectors[0]):,} · "
                f"{prediction.pooling} pooling"
                + (f" · {prediction.cut:,} tokens cut off" if prediction.cut else "")
            ]
        case ZeroShot():
            taken = f"Entailment is the label {prediction.entailment}."
            lost = f"Of the text, {prediction.cut:,} tokens were cut off: it did not fit."
            return [prediction.note or taken, *([lost] if prediction.cut else [])]
        case Choosing():
            return [
                f"{prediction.tokens:,} tokens with the longest option"
                + (f" · the text's last {prediction.cut:,} cut off" if prediction.cut else "")
            ]
        case Seq2Seq():
            same = "the same tokens as" if prediction.same_as_generate else "other tokens than"
            return [
                prediction.text,
                f"encoder states {list(prediction.shape)} · starts with {prediction.start} · "
                f"ended by {prediction.ended} · {same} generate()"
                + (f" · the text's last {prediction.cut:,} cut off" if prediction.cut else ""),
            ]


def _fitting(
    tokens: int, windows: int, cut: int, joined: str = "their logits averaged"
) -> str:  # fmt: skip
    parts = [f"{tokens:,} tokens"]
    if windows > 1:
        parts.append(f"read in {windows:,} windows, {joined}")
    if cut:
        parts.append(f"the last {cut:,} cut off")
    return " · ".join(parts)


def _loss(loss: Loss) -> str:
    line = (
        f"loss for label {loss.label}: {loss.by_labels:.6f} by labels=, "
        f"{loss.by_hand:.6f} by {loss.function}"
    )
    return f"{line} · gradient norm {loss.norm:.6f}" if loss.gradients else line


def label_rows(scores: Iterable[LabelScore], *, best: int, title: str = "label") -> Rows:
    """Labels, likeliest first: logit, probability, and a bar of it."""
    ranked = sorted(scores, key=lambda score: -score.probability)
    columns = (
        GridColumn("", most=1),
        GridColumn("id", right=True),
        GridColumn(title, most=40),
        GridColumn("logit", right=True),
        GridColumn("probability", right=True),
        GridColumn("", most=BAR),
    )
    cells: list[list[Cell]] = []
    for score in ranked:
        tone: Tone = "accent" if score.id == best else ""
        cells.append(
            [
                Cell("▸" if score.id == best else "", "accent"),
                Cell(str(score.id), "dim"),
                Cell(elide_middle(label_name(score.label), 40), tone),
                Cell(f"{score.logit:.4f}"),
                Cell(f"{score.probability:.4f}", tone),
                Cell(bar(score.probability, BAR), "accent"),
            ]
        )
    values = [[None, s.id, s.label, s.logit, s.probability, None] for s in ranked]
    return Rows(columns, cells, values)


def gradient_rows(loss: Loss) -> Rows:
    """The norm of every module's gradient."""
    most = max((found.norm for found in loss.gradients), default=0.0) or 1.0
    columns = (
        GridColumn("gradient of", most=48),
        GridColumn("norm", right=True),
        GridColumn("", most=BAR),
        GridColumn("parameters", right=True),
    )
    cells = [
        [
            Cell(displayable(found.module)),
            Cell(f"{found.norm:.6f}"),
            Cell(bar(found.norm / most, BAR), "accent"),
            Cell(f"{found.parameters:,}", "dim"),
        ]
        for found in loss.gradients
    ]
    values = [[found.module, found.norm, None, found.parameters] for found in loss.gradients]
    return Rows(columns, cells, values)


def _tagged(tagging: Tagging) -> Rows:
    columns = (
        GridColumn("#", right=True),
        GridColumn("token", most=30),
        GridColumn("span", right=True),
        GridColumn("label", most=30),
        GridColumn("probability", right=True),
        GridColumn("", most=BAR),
    )
    cells = [
        [
            Cell(str(token.index), "dim"),
            Cell(token_label(token.token)),
            NONE if token.start is None else Cell(f"{token.start}:{token.end}", "dim"),
            Cell(label_name(token.label), "dim" if token.label == "O" else "accent"),
            Cell(f"{token.probability:.4f}"),
            Cell(bar(token.probability, BAR), "accent"),
        ]
        for token in tagging.tokens
    ]
    values = [
        [t.index, t.token, None if t.start is None else f"{t.start}:{t.end}", t.label,
         t.probability, None]
        for t in tagging.tokens
    ]  # fmt: skip
    return Rows(columns, cells, values)


def _entities(tagging: Tagging) -> Rows:
    columns = (
        GridColumn("entity", most=20),
        GridColumn("text", most=50),
        GridColumn("span", right=True),
        GridColumn("probability", right=True),
    )
    cells = [
        [
            Cell(label_name(found.label), "accent"),
            Cell(elide_middle(displayable(found.text), 50)),
            Cell(f"{found.start}:{found.end}", "dim"),
            Cell(f"{found.probability:.4f}"),
        ]
        for found in tagging.entities
    ]
    values = [[e.label, e.text, f"{e.start}:{e.end}", e.probability] for e in tagging.entities]
    return Rows(columns, cells, values)


def _answers(answering: Answering) -> Rows:
    columns = (
        GridColumn("", most=1),
        GridColumn("answer", most=60),
        GridColumn("span", right=True),
        GridColumn("score", right=True),
        GridColumn("probability", right=True),
        GridColumn("", most=BAR),
    )
    cells: list[list[Cell]] = []
    for index, found in enumerate(answering.answers):
        tone: Tone = "accent" if index == 0 else ""
        none = found.start is None
        text = "no answer" if none else elide_middle(displayable(found.text), 60)
        cells.append(
            [
                Cell("▸" if index == 0 else "", "accent"),
                Cell(text, "special" if none else tone),
                NONE if none else Cell(f"{found.start}:{found.end}", "dim"),
                Cell(f"{found.score:.4f}"),
                Cell(f"{found.probability:.4f}", tone),
                Cell(bar(found.probability, BAR), "accent"),
            ]
        )
    values = [
        [None, a.text, None if a.start is None else f"{a.start}:{a.end}", a.score, a.probability,
         None]
        for a in answering.answers
    ]  # fmt: skip
    return Rows(columns, cells, values)


def _fillings(filling: MaskFilling) -> Rows:
    columns = (
        GridColumn("mask", right=True),
        GridColumn("id", right=True),
        GridColumn("token", most=24),
        GridColumn("logit", right=True),
        GridColumn("probability", right=True),
        GridColumn("", most=BAR),
        GridColumn("text", most=80),
    )
    cells = [
        [
            Cell(str(found.mask), "dim"),
            Cell(str(found.id), "dim"),
            Cell(token_label(found.token), "accent"),
            Cell(f"{found.logit:.4f}"),
            Cell(f"{found.probability:.4f}"),
            Cell(bar(found.probability, BAR), "accent"),
            Cell(displayable(found.text)),
        ]
        for found in filling.candidates
    ]
    values = [
        [f.mask, f.id, f.token, f.logit, f.probability, None, f.text] for f in filling.candidates
    ]
    return Rows(columns, cells, values)


def step_rows(steps: Sequence[Step]) -> Rows:
    """The decoder's steps: what it took, and what else was likely."""
    columns = (
        GridColumn("step", right=True),
        GridColumn("id", right=True),
        GridColumn("token", most=24),
        GridColumn("logit", right=True),
        GridColumn("probability", right=True),
        GridColumn("", most=BAR // 2),
        GridColumn("likeliest", most=70),
    )
    cells = [
        [
            Cell(str(step.index), "dim"),
            Cell(str(step.id), "dim"),
            Cell(token_label(step.token), "accent"),
            Cell(f"{step.logit:.4f}"),
            Cell(f"{step.probability:.4f}"),
            Cell(bar(step.probability, BAR // 2), "accent"),
            Cell(
                "  ".join(f"{token_label(name)} {share:.3f}" for name, share in step.alternatives),
                "dim",
            ),
        ]
        for step in steps
    ]
    values = [[s.index, s.id, s.token, s.logit, s.probability, None, None] for s in steps]
    return Rows(columns, cells, values)


def _encoder(found: Seq2Seq) -> Rows:
    columns = (
        GridColumn("#", right=True),
        GridColumn("encoder token", most=30),
        GridColumn("norm", right=True),
    )
    cells = [
        [
            Cell(str(token.index), "dim"),
            Cell(token_label(token.token)),
            Cell(f"{token.norm:.4f}"),
        ]
        for token in found.encoder
    ]
    values = [[token.index, token.token, token.norm] for token in found.encoder]
    return Rows(columns, cells, values)


def _similarity(found: Embedding) -> Rows:
    columns = (
        GridColumn("text", most=30),
        *(GridColumn(str(index), right=True) for index in range(1, len(found.texts) + 1)),
    )
    cells: list[list[Cell]] = []
    for row, (text, shares) in enumerate(zip(found.texts, found.similarity, strict=True)):
        name = f"{row + 1} {elide_middle(displayable(text), 27)}"
        cells.append(
            [
                Cell(name),
                *(
                    Cell(f"{share:.4f}", "dim" if column == row else "")
                    for column, share in enumerate(shares)
                ),
            ]
        )
    values: list[list[Value]] = [
        [text, *shares] for text, shares in zip(found.texts, found.similarity, strict=True)
    ]
    return Rows(columns, cells, values)


def _vectors(found: Embedding) -> Rows:
    width = len(found.vectors[0])
    columns = (
        GridColumn("#", right=True),
        GridColumn("tokens", right=True),
        GridColumn("norm", right=True),
        GridColumn(f"vector of {width}", most=80),
    )
    cells = [
        [
            Cell(str(index + 1), "dim"),
            Cell(str(found.tokens[index])),
            Cell(f"{found.norms[index]:.4f}"),
            Cell(" ".join(f"{value:+.4f}" for value in vector[:8]) + " …", "dim"),
        ]
        for index, vector in enumerate(found.vectors)
    ]
    values = [
        [index + 1, found.tokens[index], found.norms[index], " ".join(map(repr, vector))]
        for index, vector in enumerate(found.vectors)
    ]
    return Rows(columns, cells, values)
