"""Zero-shot classification by entailment (Yin et al., 2019): a label is a hypothesis to test.

Imports torch inside functions: for an engine process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hfterm.errors import HftermError
from hfterm.inference.inputs import check_finite, prepare
from hfterm.inference.loading import OpenModel, memory_errors
from hfterm.inference.types import LabelScore, Long, ZeroShot

if TYPE_CHECKING:
    from torch import Tensor

TEMPLATE = "This example is {}."


def entailment_label(opened: OpenModel) -> tuple[int, int, str]:
    """(entailment id, contradiction id, note): by name, else the last and the first label."""
    labels = [label.lower() for label in opened.info.labels]
    entailment = next((i for i, label in enumerate(labels) if label.startswith("entail")), None)
    opposite = next((i for i, label in enumerate(labels) if label.startswith("contra")), None)
    if entailment is not None:
        if opposite is None:  # as the library's pipeline takes it
            opposite = 0 if entailment else len(labels) - 1
        return entailment, opposite, ""
    last = len(labels) - 1
    return (
        last,
        0,
        f"No label of this model is named entailment: {opened.info.labels[last]} is taken for it. "
        "A model fine-tuned on NLI has one.",
    )


def zero_shot(
    opened: OpenModel, text: str, candidates: Sequence[str], *, template: str = TEMPLATE,
    multi_label: bool = False, long: Long = "ask",
) -> ZeroShot:  # fmt: skip
    """How likely each candidate label is.

    Args:
        opened: a sequence classification model, fine-tuned on NLI to mean something.
        text: the text.
        candidates: the labels.
        template: the hypothesis; ``{}`` is where the label goes.
        multi_label: each label by itself (entailment against contradiction), not all together.
        long: what to do with a text that does not fit.

    Raises:
        HftermError: no candidates, or a template without ``{}``.
    """
    import torch

    names = [name.strip() for name in candidates if name.strip()]
    if not names:
        raise HftermError(
            "no-labels", "There are no candidate labels.", "Name some, separated by commas."
        )
    if "{}" not in template:
        raise HftermError(
            "template",
            f"The hypothesis {template!r} has no place for the label.",
            "Write {} in it.",
        )
    entailment, opposite, note = entailment_label(opened)
    rows: list[Tensor] = []
    cut = 0
    for name in names:
        # a window would be another premise: a text that does not fit is cut or refused
        prepared = prepare(
            opened, text, template.replace("{}", name), "truncate" if long == "window" else long
        )
        cut = max(cut, prepared.cut)
        with memory_errors("this text"), torch.no_grad():
            rows.append(opened.model(**prepared.inputs).logits[0].float())
    logits = torch.stack(rows)
    check_finite(opened, logits)
    if multi_label or len(names) == 1:
        shares = torch.softmax(logits[:, [opposite, entailment]], dim=1)[:, 1]
    else:
        shares = torch.softmax(logits[:, entailment], dim=0)
    scores = [
        LabelScore(index, name, float(logits[index, entailment]), float(shares[index]))
        for index, name in enumerate(names)
    ]
    scores.sort(key=lambda score: -score.probability)
    return ZeroShot(tuple(scores), opened.info.labels[entailment], cut, note)
