"""What a LoRA adapter adds, counted from shapes alone.

A rank-r adapter on a weight of shape [out, in] is two matrices, A: [r, in] and B: [out, r]:
``r × (in + out)`` parameters (Hu et al., LoRA, 2021).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hfterm.errors import HftermError
from hfterm.models.types import HEADS, LoraEstimate, LoraRow

if TYPE_CHECKING:
    from transformers.modeling_utils import PreTrainedModel

RANKS = (4, 8, 16, 32, 64)
ALL_LINEAR = "all-linear"
FLOAT32 = 4


def head_modules(model: PreTrainedModel) -> list[str]:
    """The modules that are trained whole and saved along: peft compares the ends of names.

    So DistilBERT's ``pre_classifier`` is one, and RoBERTa's ``classifier`` with all inside it.
    """
    found: list[str] = []
    for name, _ in model.named_modules():
        if name.endswith(HEADS) and not _inside(name, found) and not _adapted(name):
            found.append(name)
    return found


def _inside(name: str, modules: Sequence[str]) -> bool:
    return any(name.startswith(f"{module}.") for module in modules)


def _adapted(name: str) -> bool:
    """Whether a name is of an adapter that the model has already: a new one goes on its base."""
    return any(part.startswith("lora_") or part == "modules_to_save" for part in name.split("."))


def linear_modules(model: PreTrainedModel) -> dict[str, list[tuple[int, int]]]:
    """The [out, in] shapes of every linear module by the last part of its name.

    Conv1D, GPT-2's transposed linear layer, is one as well. What lies inside a head is trained
    with it, and not adapted.
    """
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    found: dict[str, list[tuple[int, int]]] = {}
    heads = head_modules(model)
    for name, module in model.named_modules():
        if _adapted(name):
            continue
        name = name.removesuffix(".base_layer").removesuffix(".original_module")  # noqa: PLW2901
        last = name.rpartition(".")[2]
        if _inside(name, heads):
            continue
        if isinstance(module, nn.Linear):
            found.setdefault(last, []).append((module.out_features, module.in_features))
        elif isinstance(module, Conv1D):
            rows, columns = module.weight.shape
            found.setdefault(last, []).append((int(columns), int(rows)))
    return found


def output_names(model: PreTrainedModel) -> set[str]:
    """The last parts of the names of what ``all-linear`` leaves out: output layer and heads."""
    names = {*HEADS, *(name.rpartition(".")[2] for name in head_modules(model))}
    output = model.get_output_embeddings()
    for name, module in model.named_modules():
        if module is output:
            names.add(name.rpartition(".")[2])
    return names


def default_targets(model: PreTrainedModel) -> list[str]:
    """What peft adapts when nobody says: the query and value projections, by this model's names."""
    names = linear_modules(model)
    for wanted in (
        ("query", "value"), ("q_proj", "v_proj"), ("q_lin", "v_lin"), ("q", "v"),
        ("c_attn",), ("query_key_value",), ("Wqkv",), ("qkv_proj",), ("attn_q", "attn_v"),
    ):  # fmt: skip
        if all(name in names for name in wanted):
            return list(wanted)
    return [name for name in names if name not in output_names(model)]


def lora_estimate(
    model: PreTrainedModel, rank: int = 8, targets: Sequence[str] | None = None
) -> LoraEstimate:
    """Parameters that an adapter adds.

    Args:
        model: on the meta device, say.
        rank: r.
        targets: names of modules, or ``all-linear``; None for `default_targets`.

    Raises:
        HftermError: the rank is no rank, or a target is no linear module of the model.
    """
    if rank < 1:
        raise HftermError("bad-rank", f"A rank of {rank} is none.", "Choose 1 or more, 8 say.")
    shapes = linear_modules(model)
    heads = output_names(model)
    if targets is None:
        targets = default_targets(model)
    elif list(targets) == [ALL_LINEAR]:
        targets = [name for name in shapes if name not in heads]
    unknown = [name for name in targets if name not in shapes]
    if unknown:
        raise HftermError(
            "no-module",
            f"{type(model).__name__} has no linear module named {', '.join(unknown)}.",
            f"It has: {', '.join(shapes)}.",
        )

    def added(name: str, r: int) -> int:
        return sum(r * (rows + columns) for rows, columns in shapes[name])

    rows = tuple(
        LoraRow(name, len(found), tuple(dict.fromkeys(found)), added(name, rank), name in targets)
        for name, found in shapes.items()
    )
    total = sum(added(name, rank) for name in targets)
    trained = [name for name in head_modules(model) if name.rpartition(".")[2] not in targets]
    own = [(name, weight) for name, weight in model.named_parameters() if not _adapted(name)]
    head = sum(weight.numel() for name, weight in own if _inside(name, trained))
    return LoraEstimate(
        cls=type(model).__name__,
        rank=rank,
        rows=rows,
        added=total,
        head=head,
        full=sum(weight.numel() for _, weight in own),
        adapter_bytes=FLOAT32 * (total + head),
        full_bytes=sum(weight.numel() * weight.element_size() for _, weight in own),
        ranks=tuple((r, sum(added(name, r) for name in targets)) for r in RANKS),
    )
