"""Why a config or a checkpoint can't be opened, and what to do: the library's errors in words."""

from __future__ import annotations

from pathlib import Path

from hfterm.errors import HftermError
from hfterm.hub.model_source import ModelSource
from hfterm.models.catalogue import model_types, unknown_architecture

NO_MEMORY = (
    "out of memory", "can't allocate memory", "cannot allocate memory", "alloc_cpu", "bad_alloc",
)  # fmt: skip
"""What torch, safetensors, C++ and the system say when there is none."""


def explain_config(source: ModelSource, error: Exception) -> HftermError:
    """Why a config can't be made, and what to do."""
    text = " ".join(str(error).split())  # the reason may be on the second line
    first = text or type(error).__name__
    if "trust_remote_code" in text:
        return remote_code(source)
    if "does not recognize this architecture" in text or isinstance(error, KeyError):
        named = _model_type(source)
        if named and named not in model_types():
            return unknown_architecture(named)
    if "Unrecognized model" in text or "model_type" in text:
        return HftermError(
            "no-model-type",
            f"The config of {source.ref} does not say which architecture it is (model_type).",
            "Add its model_type, or choose another config.",
        )
    return HftermError(
        "bad-config",
        f"transformers can't make a config of {source.ref}: {first[:300]}",
        "Check the field that it names in config.json.",
    )


def _model_type(source: ModelSource) -> str:
    from hfterm.hub.model_refs import CONFIG, read_object

    file = Path(source.path) if source.kind == "config" else Path(source.path) / CONFIG
    try:
        return str(read_object(file).get("model_type") or "")
    except HftermError:
        return ""


def remote_code(source: ModelSource) -> HftermError:
    """The error for a model whose repository wants its own Python run."""
    files = ", ".join(source.code) or "a Python file"
    return HftermError(
        "remote-code",
        f"{source.ref} needs Python from its repository ({files} in {source.path}), which hfterm "
        "does not run unless you say yes.",
        "Read that code first; hfterm asks before it runs (on the command line: --allow-code).",
    )


def explain_loading(source: ModelSource, error: Exception) -> HftermError:
    """Why a checkpoint can't be loaded, and what to do."""
    text = str(error).strip()
    first = text.splitlines()[0] if text else type(error).__name__
    if isinstance(error, HftermError):
        return error
    if "trust_remote_code" in text:
        return remote_code(source)
    if source.weights == "pickle" and isinstance(error, OSError):
        return HftermError(
            "pickle",
            f"{source.ref} has its weights only as pickle (.bin), which can run code when opened.",
            "Convert it to safetensors; or load it on Models, Predict or Attention with “.bin "
            "files” set to yes (F7; in a command --allow-pickle).",
        )
    if source.weights == "none":
        return HftermError(
            "no-weights",
            f"{source.ref} has no weights here.",
            "Fetch the whole checkpoint, or set “weights” to random (F7; in a command --random).",
        )
    if isinstance(error, MemoryError) or any(words in text.lower() for words in NO_MEMORY):
        return out_of_memory(source.ref)
    if "ignore_mismatched_sizes" in text or "size mismatch" in text.lower():
        number = str(source.labels) if source.labels else "the checkpoint's number"
        return HftermError(
            "mismatched",
            f"Weights of {source.ref} have another shape than the class expects.",
            f"Set “labels” to {number} (F7), or “other shapes” to start at random.",
        )
    return HftermError(
        "bad-weights",
        f"The weights of {source.ref} can't be opened: {first[:300]}",
        "The files may be cut or damaged; fetch them again.",
    )


def out_of_memory(what: str) -> HftermError:
    """The error for memory that ran out."""
    return HftermError(
        "memory",
        f"Memory ran out with {what}.",
        "Try a smaller batch or text, bfloat16 or nf4, or free memory; nothing else is lost.",
    )
