"""What a recipe would do and cost, before it does it. Plain data; nothing heavy is here."""

from __future__ import annotations

import msgspec

from hfterm.models.memory_types import JudgedPlan


class LabelCount(msgspec.Struct, frozen=True):
    """How many rows, or words, have a label."""

    name: str
    train: int
    held: int


class PreviewRow(msgspec.Struct, frozen=True):
    """A row as the model takes it.

    Attributes:
        tokens: as the tokenizer names them.
        learnt: whether the loss looks at each token; empty where the label is the row's.
        label: the row's label, or the answer's place; empty where there is none.
        cut: tokens that are cut off.
    """

    tokens: tuple[str, ...]
    learnt: tuple[bool, ...]
    label: str
    cut: int


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """The data of a recipe.

    Attributes:
        columns: name and kind of each column of the data.
        lengths: (tokens up to, rows) of a histogram.
        measured: rows whose tokens were counted.
        cut: of these, those longer than `data.max_length`.
        longest: tokens.
        steps: optimizer steps of the whole run.
        warnings: what to think of before starting, a sentence each.
    """

    columns: tuple[tuple[str, str], ...]
    train_rows: int
    eval_rows: int
    labels: tuple[LabelCount, ...]
    lengths: tuple[tuple[int, int], ...]
    measured: int
    cut: int
    longest: int
    rows: tuple[PreviewRow, ...]
    steps: int
    warnings: tuple[str, ...]


class RecipeCost(msgspec.Struct, frozen=True, kw_only=True):
    """What a recipe trains, and the memory it takes.

    Attributes:
        cls: the class that is trained.
        trainable: parameters.
        parameters: all of them.
        targets: modules with an adapter.
        plan: the memory at the peak, and what each device says to it; None where the method has
            no plan.
    """

    cls: str
    trainable: int
    parameters: int
    targets: tuple[str, ...]
    plan: JudgedPlan | None


class ProbeResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a few real steps took.

    Attributes:
        step_seconds: of one optimizer step.
        eval_seconds: of one evaluation over all rows to evaluate on.
        peak_memory: largest resident memory of the process, bytes.
        total_seconds: of the whole run, from these.
        losses: of the steps.
    """

    step_seconds: float
    eval_seconds: float
    peak_memory: int
    total_seconds: float
    losses: tuple[float, ...]
