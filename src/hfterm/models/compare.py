"""Two models side by side: class against class, base against fine-tuned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hfterm.job import Job
from hfterm.models.configuration import config_entries
from hfterm.models.opening import concrete_of, dry_run, find, load_config, on_meta
from hfterm.models.parameters import parameter_tree
from hfterm.models.types import Difference, ModelComparison, ModelSource, ModelSpec

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedConfig
    from transformers.modeling_utils import PreTrainedModel


def compare_models(first: ModelSpec, second: ModelSpec, job: Job | None = None) -> ModelComparison:
    """Classes, parameters, configs, and every weight that differs.

    Weights are read tensor by tensor where both checkpoints are safetensors, so that memory
    holds two tensors at a time.
    """
    job = job or Job()
    left, right = (_open(spec, job) for spec in (first, second))
    differences: list[Difference] = []
    names = (type(left.model).__name__, type(right.model).__name__)
    if names[0] != names[1]:
        differences.append(Difference("class", "class", names[0], names[1]))
    trees = (parameter_tree(left.model), parameter_tree(right.model))
    differences += _config(left.config, right.config)
    shapes = [{p.name: p.shape for p in tree.parameters} for tree in trees]
    for name in dict.fromkeys((*shapes[0], *shapes[1])):
        sides = [str(list(side[name])) if name in side else "–" for side in shapes]
        if sides[0] != sides[1]:
            differences.append(Difference("parameter", name, sides[0], sides[1]))
    equal, changed = _weights(left.source, right.source, job)
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


def _weights(left: ModelSource, right: ModelSource, job: Job) -> tuple[int, list[Difference]]:
    from safetensors import safe_open

    if {left.weights, right.weights} != {"safetensors"}:
        return 0, []
    if left.path != right.path and "hub" in (left.kind, right.kind):
        return 0, []  # only the headers are here
    if left.path == right.path:
        return len(_tensors(left)), []
    files = (_tensors(left), _tensors(right))
    equal, changed = 0, list[Difference]()
    names = sorted({*files[0], *files[1]})
    for number, name in enumerate(names):
        job.progress("comparing weights", number, len(names), "weights")
        if name not in files[0] or name not in files[1]:
            there = ["stored" if name in side else "–" for side in files]
            changed.append(Difference("weight", name, there[0], there[1]))
            continue
        with safe_open(files[0][name], "pt") as a, safe_open(files[1][name], "pt") as b:
            one, other = a.get_tensor(name), b.get_tensor(name)
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
        f"{moved:,} stored weights have other values; {others:,} have another shape or dtype, "
        "or are in one of the two only."
    )
