"""Two models side by side: class against class, base against fine-tuned."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from hfterm.hub.model_source import ModelSource
from hfterm.job import Job
from hfterm.models.configuration import config_entries
from hfterm.models.opening import concrete_of, dry_run, find, load_config, on_meta
from hfterm.models.parameters import parameter_tree
from hfterm.models.types import Difference, ModelComparison, ModelSpec

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedConfig
    from transformers.modeling_utils import PreTrainedModel


def compare_models(first: ModelSpec, second: ModelSpec, job: Job | None = None) -> ModelComparison:
    """Classes, parameters, configs, and every weight that differs.

    Weights are read tensor by tensor where both checkpoints are safetensors, so that memory
    holds two tensors at a time. A name is the same with the base model's prefix as without it
    (``bert.embeddings…`` of a fine-tuned head, ``embeddings…`` of its base), as for loading.
    """
    job = job or Job()
    left, right = (_open(spec, job) for spec in (first, second))
    differences: list[Difference] = []
    names = (type(left.model).__name__, type(right.model).__name__)
    if names[0] != names[1]:
        differences.append(Difference("class", "class", names[0], names[1]))
    trees = (parameter_tree(left.model), parameter_tree(right.model))
    differences += _config(left.config, right.config)
    shapes = [{p.name: list(p.shape) for p in tree.parameters} for tree in trees]
    prefixes = (left.model.base_model_prefix, right.model.base_model_prefix)
    for pair in paired(shapes[0], shapes[1], prefixes):
        one, other = (
            str(side[name]) if name else "–" for side, name in zip(shapes, pair, strict=True)
        )
        if one != other:
            differences.append(Difference("parameter", pair[0] or pair[1] or "", one, other))
    equal, changed = _weights(left.source, right.source, prefixes, job)
    differences += changed
    return ModelComparison(
        first=first.ref,
        second=second.ref,
        sources=(left.source, right.source),
        first_class=names[0],
        second_class=names[1],
        first_parameters=trees[0].total,
        second_parameters=trees[1].total,
        equal_weights=equal,
        differences=tuple(differences),
        meaning=_meaning(first, second, names, (trees[0].total, trees[1].total), equal, changed),
    )


def paired(
    first: Iterable[str], second: Iterable[str], prefixes: tuple[str, str]
) -> list[tuple[str | None, str | None]]:
    """The names of two models' weights, beside each other; None where one has no such weight.

    Args:
        first: of one model.
        second: of the other.
        prefixes: of their base models, without the dot; one side may have it and the other not.
    """
    names, others = list(first), dict.fromkeys(second)
    short = {name.removeprefix(f"{prefixes[1]}."): name for name in others.keys() - set(names)}
    pairs: list[tuple[str | None, str | None]] = []
    for name in names:
        other = name if name in others else short.get(name.removeprefix(f"{prefixes[0]}."))
        pairs.append((name, other))
        others.pop(other or "", None)
    return [*pairs, *((None, name) for name in others)]


class _Side:
    def __init__(self, source: ModelSource, config: PreTrainedConfig, model: PreTrainedModel):
        self.source = source
        self.config = config
        self.model = model


def _open(spec: ModelSpec, job: Job) -> _Side:
    job.progress(f"looking at {spec.ref}")
    source = find(spec.ref, job)
    config = load_config(source, spec.num_labels, allow_code=spec.allow_code)
    cls = concrete_of(spec.auto, config)
    if source.weights == "none":
        return _Side(source, config, on_meta(cls, config))
    return _Side(source, config, dry_run(source, cls, config, spec, job)[0])


def _config(left: PreTrainedConfig, right: PreTrainedConfig) -> list[Difference]:
    sides = [{e.name: e.value for e in config_entries(config)} for config in (left, right)]
    return [
        Difference("config", name, sides[0].get(name, "–"), sides[1].get(name, "–"))
        for name in sorted({*sides[0], *sides[1]} - {"_name_or_path"})
        if sides[0].get(name) != sides[1].get(name)
    ]


def _tensors(source: ModelSource) -> dict[str, Path]:
    """Each tensor's name in the checkpoint, and the safetensors file that holds it."""
    from safetensors import safe_open

    found: dict[str, Path] = {}
    for file in sorted(Path(source.path).glob("*.safetensors")):
        with safe_open(file, framework="pt") as opened:
            found |= dict.fromkeys(opened.keys(), file)
    return found


def _weights(
    left: ModelSource, right: ModelSource, prefixes: tuple[str, str], job: Job
) -> tuple[int, list[Difference]]:
    from safetensors import safe_open

    if {left.weights, right.weights} != {"safetensors"}:
        return 0, []
    if left.path != right.path and "hub" in (left.kind, right.kind):
        return 0, []  # only the headers are here
    if left.path == right.path:
        return len(_tensors(left)), []
    files = (_tensors(left), _tensors(right))
    equal, changed = 0, list[Difference]()
    pairs = paired(sorted(files[0]), sorted(files[1]), prefixes)
    for number, (name, same) in enumerate(pairs):
        job.progress("comparing weights", number, len(pairs), "weights")
        if name is None or same is None:
            there = ("–" if name is None else "stored", "–" if same is None else "stored")
            changed.append(Difference("weight", name or same or "", *there))
            continue
        with safe_open(files[0][name], "pt") as a, safe_open(files[1][same], "pt") as b:
            one, other = a.get_tensor(name), b.get_tensor(same)
        if one.shape != other.shape:
            sides = (str(list(one.shape)), str(list(other.shape)))
            changed.append(Difference("weight", name, *sides))
        elif (distance := _distance(one, other)) or one.dtype != other.dtype:
            kinds = (str(one.dtype).removeprefix("torch."), str(other.dtype).removeprefix("torch."))
            changed.append(Difference("weight", name, *kinds, distance))
        else:
            equal += 1
    return equal, changed


def _distance(one: Tensor, other: Tensor) -> float:
    difference = one.double() - other.double()
    norm = float(one.double().norm())
    return float(difference.norm()) / norm if norm else float(difference.norm())


def _meaning(
    first: ModelSpec, second: ModelSpec, names: tuple[str, str], totals: tuple[int, int],
    equal: int, changed: list[Difference],
) -> str:  # fmt: skip
    left, right = totals
    if first.ref == second.ref and names[0] == names[1] and left == right:
        return (
            f"{first.auto} and {second.auto} give the same class, {names[0]}, with the same "
            f"{left:,} parameters. Auto chooses by the config: it fits code that takes any model; "
            "the class itself says what the code was written for, and refuses others."
        )
    if first.ref == second.ref:
        sign = "+" if right >= left else "−"
        return f"{names[1]} against {names[0]}: {sign}{abs(right - left):,} parameters."
    if not equal and not changed:
        return (
            "No weights were compared: that takes safetensors on both sides, and of a hub model "
            "that it was loaded once."
        )
    if not changed:
        return "Every stored weight is equal."
    moved = sum(1 for found in changed if found.distance)
    others = len(changed) - moved
    return (
        f"Of the stored weights, {moved:,} with other values, and {others:,} with another shape or "
        "dtype, or in one of the two only."
    )
