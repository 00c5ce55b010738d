"""What is wrong with a recipe, found before anything starts. No torch: it takes a second at most.

What only the library knows (whether the architecture has such a head, say) is found by the
training process itself, which says it in the same way.
"""

from __future__ import annotations

import math
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from hfterm import paths
from hfterm.errors import HftermError
from hfterm.hub.model_refs import read_object, resolve_model
from hfterm.hub.model_source import ModelSource
from hfterm.inference.code_opening import has_tokenizer
from hfterm.job import Job
from hfterm.models.opening import OFFSET_POSITIONS
from hfterm.paths import expanded
from hfterm.sizes import size_text
from hfterm.system import reach
from hfterm.training.code_model import adapter_error, no_tokenizer
from hfterm.training.data import splits
from hfterm.training.data_files import local_files
from hfterm.training.encoding import no_template
from hfterm.training.labels import check_held, label_names
from hfterm.training.recipe import Recipe, expand
from hfterm.training.rows import Batch, check_rows
from hfterm.training.targets import unknown_target

HUB_SECONDS = 3.0
POSITIONS = ("max_position_embeddings", "n_positions", "max_seq_len", "n_ctx")
SIZES = ("hidden_size", "d_model", "n_embd", "dim")
ROWS_CHECKED = 1_000
"""Rows of each split whose shape is looked at before a start; the encoding looks at all."""

OPTIMIZER_BYTES = 8
"""AdamW keeps two float32 numbers for each that it trains."""


def check(recipe: Recipe, job: Job | None = None) -> None:
    """Refuse what can't work.

    Raises:
        HftermError: what is wrong, and what to do.
    """
    job = job or Job()
    one = expand(recipe, "check")[0]
    _check_hub(one)
    job.progress(f"checking {recipe.model.ref}")
    source = resolve_model(recipe.model.ref, ())
    _check_device(recipe)
    if recipe.training.accelerate_config:
        _check_file(recipe.training.accelerate_config)
    if source.kind in ("starter", "path", "cache"):
        _check_model(recipe, source)
        _check_tokenizer(recipe, source)
    train, held = splits(one, job)
    names = label_names(one, train, held)
    check_held(one, names, held)
    for rows in (train, held):
        if rows is not None:
            check_rows(one, cast("Batch", rows[:ROWS_CHECKED]))


def _check_hub(recipe: Recipe) -> None:
    """A data set or a model that must be fetched needs the hub."""
    wanted: list[str] = []
    if not local_files(recipe.data.ref):
        wanted.append(recipe.data.ref)
    if resolve_model(recipe.model.ref, ()).kind == "hub":
        wanted.append(recipe.model.ref)
    if not wanted:
        return
    name = reach.offline_variable(os.environ)
    endpoint = os.environ.get("HF_ENDPOINT") or reach.DEFAULT_ENDPOINT
    reason = f"{name} is set" if name else ""
    if not reason:
        found = reach.reach(endpoint, HUB_SECONDS)
        if found.reachable:
            return
        reason = found.reason
    raise HftermError(
        "offline",
        f"{wanted[0]} is not on this machine, and the hub can't be reached ({reason}).",
        "Name a starter (minilm, reviews) or a path, or mend the connection (HF_ENDPOINT names a "
        "mirror).",
    )


def _check_device(recipe: Recipe) -> None:
    device = recipe.model.device
    gpu = _gpu(int(device.partition(":")[2] or 0) if device.startswith("cuda") else 0)
    if (device.startswith("cuda") and not gpu) or (device == "mps" and sys.platform != "darwin"):
        raise HftermError(
            "no-device",
            f"There is no device {device} here.",
            "Choose cpu or auto in model.device; hfterm doctor says what there is.",
        )
    if recipe.training.precision == "fp16" and (device == "cpu" or not gpu):
        raise HftermError(
            "no-device",
            'training.precision = "fp16" needs a GPU, and there is none.',
            'Choose "bf16", or "no".',
        )


def _gpu(number: int) -> bool:
    """Whether there seems to be a GPU; only its driver knows."""
    return (
        sys.platform == "darwin"
        or Path(f"/dev/nvidia{number}").exists()
        or Path("/dev/kfd").exists()
        or Path("/dev/dxg").exists()  # WSL
    )


def _check_file(name: str) -> None:
    if not expanded(name).is_file():
        raise HftermError(
            "not-found",
            f"There is no file {name}.",
            "accelerate config writes one; name it in training.accelerate_config.",
        )


def _check_model(recipe: Recipe, source: ModelSource) -> None:
    if source.base:
        raise adapter_error(recipe.model.ref)
    if source.weights == "none":
        raise HftermError(
            "no-weights",
            f"{recipe.model.ref} has no weights.",
            "Name a folder with model.safetensors.",
        )
    if source.gguf:
        return
    config = cast("Mapping[str, object]", read_object(Path(source.path) / "config.json"))
    _check_length(recipe, config)
    shapes = header_shapes(Path(source.path))
    if not shapes:
        return
    hidden = next((config[name] for name in SIZES if isinstance(config.get(name), int)), None)
    if hidden is not None and not any(hidden in shape for shape in shapes.values()):
        raise HftermError(
            "another-model",
            f"{recipe.model.ref} holds weights of another model: its config.json says a width of "
            f"{hidden}, and no weight has it.",
            "Name the checkpoint that this config.json belongs to.",
        )
    _check_targets(recipe, shapes)
    _check_space(recipe, shapes)


def _check_tokenizer(recipe: Recipe, source: ModelSource) -> None:
    if recipe.model.tokenizer:
        if has_tokenizer(recipe.model.tokenizer):  # a tokenizer alone, just trained say
            folder = Path(recipe.model.tokenizer)
        else:
            other = resolve_model(recipe.model.tokenizer, ())
            if other.kind == "hub" or other.gguf:
                return
            folder = Path(other.path)
    elif source.gguf:
        return
    else:
        folder = Path(source.path)
    if not has_tokenizer(str(folder)):
        raise no_tokenizer(recipe.model.tokenizer or recipe.model.ref)
    if recipe.task == "chat-sft" and not _has_template(folder):
        raise no_template()


def _has_template(folder: Path) -> bool:
    """Whether a tokenizer's folder has a chat template, in one of the places it may be in."""
    if (folder / "chat_template.jinja").exists() or (folder / "chat_template.json").exists():
        return True
    if any(folder.glob("additional_chat_templates/*")):
        return True
    told = folder / "tokenizer_config.json"
    return told.exists() and bool(read_object(told).get("chat_template"))


def _check_length(recipe: Recipe, config: Mapping[str, object]) -> None:
    limit = next((v for name in POSITIONS if isinstance(v := config.get(name), int)), 0)
    if config.get("model_type") in OFFSET_POSITIONS:
        pad = config.get("pad_token_id")
        limit -= (pad if isinstance(pad, int) else 1) + 1
    relative = "relative_attention_num_buckets" in config
    if limit > 0 and not relative and recipe.data.max_length > limit:
        raise HftermError(
            "too-long",
            f"data.max_length = {recipe.data.max_length:,}: {recipe.model.ref} takes {limit:,} "
            "tokens at most.",
            f"Give {limit:,} or less.",
        )


def header_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the weights in a folder's safetensors files; no weight is read."""
    from safetensors import SafetensorError, safe_open

    found: dict[str, tuple[int, ...]] = {}
    for file in folder.glob("*.safetensors"):
        try:
            with safe_open(file, "numpy") as opened:
                for name in opened.keys():  # noqa: SIM118  # it is no mapping
                    found[name] = tuple(opened.get_slice(name).get_shape())
        except (SafetensorError, OSError) as error:
            raise HftermError(
                "broken-weights", f"{file} is broken: {error}", "Fetch the model again."
            ) from error
    return found


def _check_targets(recipe: Recipe, shapes: Mapping[str, tuple[int, ...]]) -> None:
    targets = recipe.method.target_modules
    methods = recipe.compare or (recipe.method.name,)
    if isinstance(targets, str) or not targets or set(methods) == {"full"}:
        return
    modules = [
        name.removesuffix(".weight")
        for name, shape in shapes.items()
        if name.endswith(".weight") and len(shape) == 2 and "embed" not in name
    ]
    for target in targets:
        if not any(module == target or module.endswith(f".{target}") for module in modules):
            known = list(dict.fromkeys(module.rpartition(".")[2] for module in modules))
            raise unknown_target(target, known)


def _check_space(recipe: Recipe, shapes: Mapping[str, tuple[int, ...]]) -> None:
    values = sum(math.prod(shape) for shape in shapes.values())
    one = values * (4 + OPTIMIZER_BYTES)
    if recipe.method.name != "full" and not recipe.compare:
        # an adapter is small; a head may come with it
        one = max(4 * 1024 * 1024, values // 50 * (4 + OPTIMIZER_BYTES))
    needed = one * (recipe.training.keep + 2)
    root = paths.runs_dir()
    while not root.exists():
        root = root.parent
    free = shutil.disk_usage(root).free
    if needed > free:
        raise HftermError(
            "no-space",
            f"The checkpoints take up to {size_text(needed)}, and {root} has {size_text(free)} "
            "free.",
            "Free some room, keep fewer (training.keep), choose lora, or set XDG_DATA_HOME.",
        )


def warnings_of(train: Mapping[str, int], held: Mapping[str, int]) -> list[str]:
    """What the labels of two splits say to one who looks at them."""
    found: list[str] = []
    total, other = sum(train.values()), sum(held.values())
    if total and other:
        for name in train:
            share, held_share = train[name] / total, held.get(name, 0) / other
            if abs(share - held_share) > 0.2:
                found.append(
                    f"{name} is {100 * share:.0f} % of train and {100 * held_share:.0f} % of eval: "
                    "the rows seem to be sorted; data.shuffle = true mixes them."
                )
                break
    if total and min(train.values()) / total < 0.05:
        least = min(train, key=lambda name: train[name])
        found.append(f"{least} has only {train[least]:,} of {total:,} rows.")
    return found
