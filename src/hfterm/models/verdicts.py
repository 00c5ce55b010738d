"""A loading report in words: what it means for the user, and what to do."""

from __future__ import annotations

from collections.abc import Iterable

from hfterm.models.types import LoadingReport, Verdict

BACKBONE_SHARE = 0.5
"""A checkpoint that has less than this share of a class's backbone is another architecture's."""


def modules_of(names: Iterable[str]) -> list[str]:
    """The outermost modules that hold parameters: ``classifier.weight`` → ``classifier``."""
    found = dict.fromkeys(name.rpartition(".")[0] or name for name in names)
    return [
        module
        for module in found
        if not any(module.startswith(f"{other}.") for other in found if other != module)
    ]


def judge(
    report: LoadingReport, total: int, backbone: int, missing_backbone: int
) -> tuple[Verdict, str, str]:
    """Verdict, meaning and remedy of a report.

    Args:
        report: the library's sets.
        total: parameters by name that the class has.
        backbone: of these, those of the base model.
        missing_backbone: of these, those that the checkpoint lacks.
    """
    if backbone and missing_backbone > backbone * (1 - BACKBONE_SHARE):
        return (
            "wrong architecture",
            f"The checkpoint has hardly any of the class's weights: {len(report.missing):,} of "
            f"{total:,} would start at random.",
            "Choose a class of the architecture that the weights come from.",
        )
    if report.mismatched:
        return "mismatched", _shapes(report), _way_out(report)
    if missing_backbone:
        names = _some(modules_of(report.missing))
        return (
            "incomplete",
            f"{len(report.missing):,} weights are not in the checkpoint ({names}): part of the "
            "model would start at random.",
            "Fetch the checkpoint again, or fine-tune before using it.",
        )
    if report.missing:
        names = _some(modules_of(report.missing))
        return (
            "new head",
            f"The head is new ({names}): it starts at random, and what it says means nothing yet.",
            "Train it first (fine-tune or LoRA), or open a checkpoint that has it.",
        )
    if report.unexpected:
        names = _some(modules_of(report.unexpected))
        return "complete", f"Every weight is there; {names} of the checkpoint is not used.", ""
    return "complete", "Every weight is there.", ""


def _shapes(report: LoadingReport) -> str:
    first = report.mismatched[0]
    more = len(report.mismatched) - 1
    others = f", and {more} more" if more else ""
    return (
        f"Size mismatch: {first.name} is {_shape(first.checkpoint)} in the checkpoint and "
        f"{_shape(first.model)} in the class{others}."
    )


def _way_out(report: LoadingReport) -> str:
    first = report.mismatched[0]
    labels = first.checkpoint[0] if first.checkpoint else 0
    same = len(first.checkpoint) == len(first.model) and first.checkpoint[1:] == first.model[1:]
    keep = f"Load it with num_labels={labels}, " if same and labels else "Choose another class, "
    return (
        f"{keep}or with ignore_mismatched_sizes=True: then "
        f"{_some(modules_of(m.name for m in report.mismatched))} starts at random."
    )


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(str(size) for size in shape) if shape else "a number"


def _some(names: list[str], most: int = 3) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
