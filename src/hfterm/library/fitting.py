"""Which screens can open a thing, by its name."""

from __future__ import annotations

from pathlib import Path

from hfterm.errors import HftermError
from hfterm.hub import refs, starter
from hfterm.library.facts import CHAT_SCREENS, MODEL_SCREENS, folder_facts, gguf_facts
from hfterm.library.types import Mode
from hfterm.paths import expanded

ROWS = (".csv", ".tsv", ".json", ".jsonl", ".parquet", ".arrow")
"""Ends of data files, whose rows the Library shows; the last three are of nothing else."""

TEXTS = (".txt", ".md", ".py", ".rst", ".log", ".html", ".tex")
"""Ends of texts, which Tokenize opens whole."""

RUN_FILES = {"recipe.toml", "trainer_state.json", "trainer_log.jsonl"}
"""What a folder of a run holds one of."""

MODEL_FILES = {"config.json", "adapter_config.json", "tokenizer.json", "tokenizer_config.json"}
"""What a folder of a model holds one of."""


def fitting(ref: str) -> tuple[Mode, ...]:
    """The screens for a model, a data set, a run or a file, the most fitting first.

    A model of the hub that is not here is not asked for: any screen may be the one.

    Raises:
        HftermError: the name can't be that of a thing.
    """
    place = _place(ref)
    if place is None:
        return CHAT_SCREENS
    if place.is_file():
        return _of_file(place)
    try:
        return _of_folder(place)
    except OSError as error:
        raise HftermError(
            "unreadable", f"{ref} can't be read: {error.strerror}.", "Check its permissions."
        ) from error


def _place(ref: str) -> Path | None:
    """Where a thing is; None for one of the hub that is not here yet."""
    if starter.is_starter(ref):
        return starter.starter_path(ref)
    try:
        path = expanded(ref)
        if ref and path.exists():
            return path
    except (OSError, ValueError):
        pass  # a name too long, or with a NUL in it
    if "/" in ref and refs.HUB_ID.match(ref) and len(ref) <= refs.LONGEST_ID:
        return refs.main_snapshot(ref)
    raise HftermError(
        "not-found",
        f"{ref!r} is neither in the starter kit, nor a path on this machine, nor a hub id "
        "(owner/name).",
        refs.suggestion(ref) or "Check the spelling; hfterm library lists what is here.",
    )


def _of_folder(folder: Path) -> tuple[Mode, ...]:
    names = {file.name for file in folder.iterdir()}
    if names & RUN_FILES or any("tfevents" in name for name in names):
        return ("train",)
    if any(name.endswith(ROWS[3:]) for name in names) and not names & MODEL_FILES:
        return ("library",)
    return folder_facts(folder).screens


def _of_file(path: Path) -> tuple[Mode, ...]:
    name = path.name.lower()
    if name.endswith(".gguf"):
        return gguf_facts(path).screens
    if name == "tokenizer.json":
        return ("tokenize",)
    if name == "config.json":
        return ("models",)
    if name.endswith(ROWS):
        return ("library",)
    if name.endswith(TEXTS):
        return ("tokenize",)
    if "tfevents" in name or name.endswith(".wandb"):
        return ("train",)
    return MODEL_SCREENS if name.endswith(".safetensors") else ()
