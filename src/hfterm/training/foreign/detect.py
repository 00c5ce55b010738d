"""Which program's run a path is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hfterm.errors import HftermError
from hfterm.paths import expanded
from hfterm.training.curves import CurveSource
from hfterm.training.foreign.llamafactory import LlamaFactoryLog
from hfterm.training.foreign.tensorboard import TensorBoardRun
from hfterm.training.foreign.trainer_state import FILE as TRAINER_FILE
from hfterm.training.foreign.trainer_state import TrainerRun, newest_state
from hfterm.training.foreign.wandb_offline import WandbRun
from hfterm.training.metrics_file import MetricsTail, unreadable

SourceKind = Literal["hfterm", "trainer", "tensorboard", "wandb", "llama-factory"]
ORDER: tuple[SourceKind, ...] = ("hfterm", "wandb", "llama-factory", "tensorboard", "trainer")

OWN_FILE = "metrics.jsonl"
LLAMA_FILE = "trainer_log.jsonl"
EVENTS = "tfevents"
"""What TensorBoard knows its files by: this anywhere in the name."""
CHECKPOINT = "checkpoint-"
DEPTH = 2
MOST_FOLDERS = 2000
"""Folders that are looked into: a path may be somebody's home."""


@dataclass(frozen=True)
class ForeignSource:
    """A run that can be read.

    Attributes:
        kind: of which program.
        path: what `open_source` opens.
        name: to tell it from others in a list.
    """

    kind: SourceKind
    path: Path
    name: str


def open_source(source: ForeignSource) -> CurveSource:
    """A reader of a run; nothing is read yet."""
    return reader_of(source.kind, source.path)


def reader_of(kind: str, path: str | Path) -> CurveSource:
    """A reader of a kind of run.

    Raises:
        HftermError: there is no such kind.
    """
    match kind:
        case "hfterm":
            return MetricsTail(path)
        case "trainer":
            return TrainerRun(path)
        case "tensorboard":
            return TensorBoardRun(path)
        case "wandb":
            return WandbRun(path)
        case "llama-factory":
            return LlamaFactoryLog(path)
        case _:
            raise HftermError("unknown-kind", f"There is no kind of run called {kind}.")


def detect(path: str | Path) -> ForeignSource:
    """The one run that a path is.

    Of a Trainer's output folder that also has event files or another log, these are taken: they
    are written at every step, and ``trainer_state.json`` with the checkpoints only.

    Args:
        path: a file, or a folder that holds a run or is looked into two folders deep.

    Raises:
        HftermError: nothing is recognised, or several runs are.
    """
    found = detect_all(path)
    place = expanded(path)
    live = [source for source in found if source.kind != "trainer"]
    here = [source for source in live if place in (source.path, _folder(source))]
    saved = [source for source in found if source.kind == "trainer" and source.path == place]
    for choice in (here, live if len(live) == 1 else saved, found):
        if len({source.path for source in choice if source.kind == choice[0].kind}) == 1:
            return choice[0]
    names = ", ".join(source.name for source in found[:5])
    raise HftermError(
        "several",
        f"{path} holds {len(found)} runs: {names}{', …' if len(found) > 5 else ''}.",
        "Name one of them.",
    )


def detect_all(path: str | Path) -> list[ForeignSource]:
    """Every run in a path; those that are written at every step come first.

    Raises:
        HftermError: there is none.
    """
    place = expanded(path)
    try:
        if not place.exists():
            raise HftermError("not-found", f"There is no {path}.", "Check the path.")
        if place.is_dir():
            found = list(_of_folder(place))
            if not found and not any(place.iterdir()):
                raise HftermError(
                    "empty", f"{path} is an empty folder.", "Name the folder of a run."
                )
        else:
            found = _of_file(place)
            with place.open("rb"):
                pass
    except (OSError, ValueError) as error:  # a null in a path is a ValueError
        raise unreadable(place, error) from error
    if not found:
        raise HftermError(
            "not-recognised",
            f"{path} holds no run that can be read.",
            "Runs of hfterm, Trainer, TensorBoard, wandb and LLaMA-Factory can be read.",
        )
    return sorted(found, key=lambda source: ORDER.index(source.kind))


def _folder(source: ForeignSource) -> Path:
    return source.path if source.kind in ("tensorboard", "trainer") else source.path.parent


def _of_file(path: Path) -> list[ForeignSource]:
    name = path.parent.name or path.name
    if path.name == OWN_FILE:
        return [ForeignSource("hfterm", path, name)]
    if path.name == LLAMA_FILE:
        return [ForeignSource("llama-factory", path, name)]
    if path.name == TRAINER_FILE:
        return [ForeignSource("trainer", path, name)]
    if EVENTS in path.name:
        return [ForeignSource("tensorboard", path, path.name)]
    if path.suffix == ".wandb":
        return [ForeignSource("wandb", path, name)]
    return []


def _of_folder(place: Path) -> Iterator[ForeignSource]:
    folders = [(place, 0)]
    for folder, depth in folders:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            if not depth:
                raise
            continue
        name = str(folder.relative_to(place)) if depth else folder.resolve().name
        kinds: set[SourceKind] = set()
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if depth < DEPTH and len(folders) < MOST_FOLDERS and entry.name[0] != ".":
                    folders.append((Path(entry.path), depth + 1))
                if entry.name.startswith(CHECKPOINT):
                    kinds.add("trainer")
                continue
            for source in _of_file(Path(entry.path)):
                if source.kind in ("tensorboard", "trainer"):
                    kinds.add(source.kind)
                else:
                    yield ForeignSource(source.kind, source.path, name)
        if "tensorboard" in kinds:
            yield ForeignSource("tensorboard", folder, name)
        of_its_own = not depth or not folder.name.startswith(CHECKPOINT)
        if "trainer" in kinds and of_its_own and newest_state(folder) is not None:
            yield ForeignSource("trainer", folder, name)
