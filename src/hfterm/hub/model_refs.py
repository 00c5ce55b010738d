"""What a user means where a model is wanted: weights, an architecture, or a bare config.

Standard library and msgspec only, but for the names of architectures, which are passed in.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Container, Sequence
from pathlib import Path
from typing import cast

import msgspec

from hfterm.errors import HftermError
from hfterm.hub import starter
from hfterm.hub.model_source import ModelSource, SourceKind, Weights
from hfterm.hub.refs import HUB_ID, LONGEST_ID, installed_model, main_snapshot, no_path, suggestion
from hfterm.paths import expanded

CONFIG = "config.json"
ADAPTED = {
    "SEQ_CLS": "AutoModelForSequenceClassification",
    "TOKEN_CLS": "AutoModelForTokenClassification",
    "QUESTION_ANS": "AutoModelForQuestionAnswering",
    "CAUSAL_LM": "AutoModelForCausalLM",
    "SEQ_2_SEQ_LM": "AutoModelForSeq2SeqLM",
    "FEATURE_EXTRACTION": "AutoModel",
}
"""What peft's task types are trained on."""

HEAD_WEIGHTS = (".classifier.weight", ".classifier.out_proj.weight", ".score.weight")
ADAPTER = "adapter_config.json"
LABEL_NAMES = "id2label.json"
"""Beside an adapter: peft has no place for what a config calls ``id2label``."""


def resolve_model(ref: str, architectures: Container[str]) -> ModelSource:
    """Find out what `ref` names: starter, path, cache, architecture, then hub.

    Args:
        ref: as the user typed it.
        architectures: the model types that transformers knows.

    Raises:
        HftermError: it names nothing that could be a model here or on the hub.
    """
    ref = ref.strip()
    if not ref:
        raise HftermError("empty", "No model is named.", "Type a starter name, a path or a hub id.")
    if starter.is_starter(ref):
        return describe(ref, "starter", installed_model(ref))
    looks_like_a_path = ref.startswith(("/", "./", "../", "~"))
    try:
        path = expanded(ref)
        exists = path.exists()
    except (OSError, ValueError) as error:
        if not looks_like_a_path:
            raise _nothing(ref) from error
        raise no_path(ref, error) from error
    if exists:
        return _path(ref, path.resolve())
    if looks_like_a_path:
        raise HftermError(
            "not-found", f"There is no file or folder {ref}.", "Check the spelling of the path."
        )
    if len(ref) > LONGEST_ID or not HUB_ID.match(ref):
        raise _nothing(ref)
    snapshot = cached_model(ref)
    if snapshot is not None:
        found = describe(ref, "cache", snapshot)
        if found.weights != "none":
            return found
    if ref in architectures:
        return ModelSource(ref, "architecture", ref)
    return ModelSource(ref, "hub", ref)


def _nothing(ref: str) -> HftermError:
    return HftermError(
        "not-found",
        f"{ref[:LONGEST_ID]!r} is no path, no architecture and no hub id (owner/name).",
        suggestion(ref) or "Check the spelling; paths start with /, ./ or ~.",
    )


def _path(ref: str, path: Path) -> ModelSource:
    if path.is_dir():
        return describe(ref, "path", path)
    if path.suffix == ".gguf":
        return ModelSource(
            ref, "path", str(path.parent), "gguf", gguf=path.name, size=path.stat().st_size
        )
    if path.name == CONFIG and _has_weights(path.parent):
        return describe(ref, "path", path.parent)
    if path.suffix == ".json":
        read_object(path)
        return ModelSource(ref, "config", str(path))
    if path.suffix in (".safetensors", ".bin"):
        return describe(ref, "path", path.parent)
    raise HftermError(
        "not-a-model",
        f"{ref} is a file, but not one that a model is made of.",
        "Name the folder, its config.json, or a .gguf file.",
    )


def _has_weights(folder: Path) -> bool:
    return any(folder.glob("*.safetensors")) or any(folder.glob("*.bin"))


def describe(ref: str, kind: SourceKind, folder: Path) -> ModelSource:
    """What a folder holds.

    Raises:
        HftermError: neither a config nor an adapter nor a GGUF file is in it, or the config is
            none.
    """
    try:
        names = {file.name for file in folder.iterdir()}
    except OSError as error:
        raise HftermError(
            "unreadable",
            f"{folder} can't be read: {error.strerror}.",
            "Check that you may read it.",
        ) from error
    base, auto, labels = "", "", None
    label_names: tuple[str, ...] = ()
    if ADAPTER in names:
        adapter = read_object(folder / ADAPTER)
        base = str(adapter.get("base_model_name_or_path") or "")
        auto = ADAPTED.get(str(adapter.get("task_type")), "")
        labels = _head_labels(folder / "adapter_model.safetensors")
        label_names = _label_names(folder / LABEL_NAMES, labels)
        if not base:
            raise HftermError(
                "no-base",
                f"The adapter in {folder} does not say which model it belongs to.",
                "Set base_model_name_or_path in its adapter_config.json.",
            )
    elif CONFIG not in names:
        ggufs = sorted(name for name in names if name.endswith(".gguf"))
        if len(ggufs) == 1:
            size = (folder / ggufs[0]).stat().st_size
            return ModelSource(ref, kind, str(folder), "gguf", gguf=ggufs[0], size=size)
        raise HftermError(
            "no-config",
            f"The folder {folder} has {len(ggufs)} GGUF files: name one of them."
            if ggufs
            else f"The folder {folder} has no config.json, so it holds no model.",
            f"For example {folder / ggufs[0]}"
            if ggufs
            else "Choose a folder saved with model.save_pretrained().",
        )
    else:
        read_object(folder / CONFIG)
    weights, files = _weights(folder, names)
    code: tuple[str, ...] = ()
    if CONFIG in names and "auto_map" in read_object(folder / CONFIG):
        code = tuple(sorted(name for name in names if name.endswith(".py"))) or ("its repository",)
    size = sum(file.stat().st_size for file in files)
    return ModelSource(
        ref, kind, str(folder), weights, size=size, base=base, auto=auto, labels=labels,
        label_names=label_names, code=code,
    )  # fmt: skip


def _head_labels(file: Path) -> int | None:
    """The labels of the classification head in an adapter's file, by its header."""
    try:
        with file.open("rb") as opened:
            (length,) = struct.unpack("<Q", opened.read(8))
            header = cast("dict[str, dict[str, list[int]]]", json.loads(opened.read(length)))
    except (OSError, ValueError, struct.error, MemoryError):
        return None  # loading says what is wrong with it
    for name, tensor in header.items():
        if name.endswith(HEAD_WEIGHTS) and tensor.get("shape"):
            return tensor["shape"][0]
    return None


def _label_names(file: Path, count: int | None) -> tuple[str, ...]:
    """What the labels of an adapter's head are called; empty unless each one has a name."""
    try:
        names = msgspec.json.decode(file.read_bytes(), type=dict[int, str])
    except (OSError, msgspec.DecodeError):
        return ()  # numbers do without
    return (
        tuple(names[n] for n in range(len(names))) if set(names) == set(range(count or 0)) else ()
    )


def write_label_names(folder: Path, names: Sequence[str]) -> None:
    """Put what the labels are called beside an adapter.

    Raises:
        OSError: it can't be written.
    """
    (folder / LABEL_NAMES).write_bytes(msgspec.json.encode(dict(enumerate(names))))


def _weights(folder: Path, names: set[str]) -> tuple[Weights, list[Path]]:
    safe = [name for name in names if name.endswith(".safetensors")]
    if safe:
        return "safetensors", [folder / name for name in safe]
    pickled = [
        name
        for name in names
        if name.startswith(("pytorch_model", "adapter_model")) and name.endswith(".bin")
    ]
    return ("pickle", [folder / name for name in pickled]) if pickled else ("none", [])


def read_object(file: Path) -> dict[str, object]:
    """A JSON file that holds an object.

    Raises:
        HftermError: it can't be read, or is none.
    """
    try:
        value: object = json.loads(file.read_bytes())
    except OSError as error:
        raise HftermError(
            "unreadable", f"{file} can't be read: {error.strerror}.", "Check that you may read it."
        ) from error
    except (ValueError, RecursionError) as error:
        raise HftermError(
            "bad-config",
            f"{file} is not whole JSON ({error}).",
            "It was probably cut while copying or downloading; fetch it again.",
        ) from error
    if not isinstance(value, dict):
        raise HftermError(
            "bad-config", f"{file} is JSON, but no object.", "Name a model's config.json."
        )
    return cast("dict[str, object]", value)


def cached_model(ref: str) -> Path | None:
    """The snapshot folder of a hub id in the cache that holds a config or an adapter, or None."""
    snapshot = main_snapshot(ref)
    if snapshot and ((snapshot / CONFIG).exists() or (snapshot / ADAPTER).exists()):
        return snapshot
    return None
