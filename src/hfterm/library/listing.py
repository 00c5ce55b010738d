"""Everything that is on this machine, from all the places where it may be."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from hfterm import paths
from hfterm.chat.gguf_files import parts_of
from hfterm.hub import starter
from hfterm.job import Job
from hfterm.library.facts import Facts, folder_facts, gguf_facts, is_pickle
from hfterm.library.hub_cache import cached_items
from hfterm.library.types import Library, LibraryFile, LibraryItem, Place
from hfterm.paths import expanded
from hfterm.surrogates import whole_text
from hfterm.system.disk import folder_size, free_bytes
from hfterm.training.store import list_runs

DEPTH = 4
"""Folders below one that the user names in which models are looked for."""

DATA = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
"""Ends of the names of data sets. JSON is not among them: most JSON files are something else."""

DATA_SET = Facts("data set", "rows", screens=("library", "train"))
MARKS = ("config.json", "adapter_config.json", "tokenizer.json", "tokenizer_config.json")
COUNTING = 5.0
"""Seconds that counting the bytes of one folder may take."""


def list_library(job: Job, folders: Sequence[str] = ()) -> Library:
    """Look at every place.

    Args:
        job: told of the places; can stop it.
        folders: more folders, whose models and data sets are found up to `DEPTH` below.

    Raises:
        Cancelled: the job was cancelled.
    """
    problems: list[str] = []
    items: list[LibraryItem] = []
    job.progress("looking at the starter kit")
    items += _starter(job)
    job.progress("looking at the hub cache")
    cached, parts = cached_items(job, problems)
    items += cached
    job.progress("looking at the runs")
    items += _runs(job, problems)
    items += _trained(job, problems)
    for folder in folders:
        job.progress(f"looking at {folder}")
        items += _below(expanded(folder), job, problems)
    named = [item for item in items if _is_named(item, problems)]
    named.sort(key=lambda item: (-item.used, item.ref))
    return Library(named, free_bytes(paths.hub_cache_dir()), parts, problems)


def files_of(path: str) -> list[LibraryFile]:
    """The files of an item, the largest first.

    Raises:
        OSError: the folder can't be read.
    """
    place = Path(path)
    found = [place] if place.is_file() else [f for f in place.rglob("*") if f.is_file()]
    files = [
        LibraryFile(
            whole_text(str(file.relative_to(place)) if file != place else file.name),
            file.stat().st_size,
            is_pickle(file.name),
        )
        for file in found
    ]
    return sorted(files, key=lambda file: (-file.size, file.name))


def item_of(
    folder: Path, facts: Facts, place: Place, job: Job, *, ref: str = "", deletable: bool = False
) -> LibraryItem:
    """An item that is a folder or a file on this machine."""
    changed, used = times_of(folder)
    what = folder.suffix[1:] if facts.kind == "data set" else facts.what
    return LibraryItem(
        ref=ref or str(folder), kind=facts.kind, place=place, path=str(folder), what=what,
        parameters=facts.parameters, dtype=facts.dtype, licence=facts.licence,
        size=folder_size(folder, job, COUNTING).total if folder.is_dir() else _size(folder),
        changed=changed, used=used, pickles=facts.pickles, problem=facts.problem,
        screens=facts.screens, deletable=deletable,
    )  # fmt: skip


def times_of(path: Path) -> tuple[float, float]:
    """(written, read) last, of the files in a folder or of a file."""
    files = [path] if path.is_file() else [file for file in path.glob("*") if file.is_file()]
    changed = used = 0.0
    for file in files:
        with suppress(OSError):
            stat = file.stat()
            changed, used = max(changed, stat.st_mtime), max(used, stat.st_atime)
    return changed, used


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _starter(job: Job) -> Iterator[LibraryItem]:
    for item in starter.STARTER:
        if not item.installed:
            continue
        facts = DATA_SET
        if item.kind == "model":
            with suppress(OSError):
                facts = folder_facts(item.location)
        licence = item.licence.split(" (")[0].split(";")[0]
        yield item_of(
            item.location, replace(facts, licence=licence), "starter kit", job, ref=item.name,
            deletable=True,
        )  # fmt: skip


def _runs(job: Job, problems: list[str]) -> Iterator[LibraryItem]:
    """The models and adapters that runs wrote; checkpoints are the run's own affair."""
    for run in list_runs():
        for folder in _subfolders(run.path, problems):
            if not folder.name.startswith("checkpoint-") and _is_marked(folder):
                with suppress(OSError):
                    yield item_of(folder, folder_facts(folder), "run", job)


def _trained(job: Job, problems: list[str]) -> Iterator[LibraryItem]:
    for folder in _subfolders(paths.tokenizers_dir(), problems):
        with suppress(OSError):
            yield item_of(folder, folder_facts(folder), "trained here", job, deletable=True)


def _below(root: Path, job: Job, problems: list[str], depth: int = DEPTH) -> Iterator[LibraryItem]:
    try:
        there = root.is_dir()
    except OSError as error:
        problems.append(f"{root} can't be read: {error.strerror}.")
        return
    if not there:
        problems.append(f"There is no folder {root}.")
        return

    def failed(error: OSError) -> None:
        problems.append(f"{error.filename} can't be read: {error.strerror}.")

    for parent, folders, names in os.walk(root, onerror=failed):
        job.check()
        here = Path(parent)
        if len(here.relative_to(root).parts) >= depth:
            folders.clear()
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if any(mark in names for mark in MARKS):
            with suppress(OSError):
                yield item_of(here, folder_facts(here), "folder", job)
            folders[:] = [name for name in folders if not name.startswith("checkpoint-")]
            continue
        for name in sorted(names):
            file = here / name
            if name.endswith(DATA):
                yield item_of(file, DATA_SET, "folder", job)
            elif name.endswith(".gguf") and parts_of(file)[0] == file:
                yield item_of(file, gguf_facts(file), "folder", job)


def _is_named(item: LibraryItem, problems: list[str]) -> bool:
    """Whether its name is UTF-8. Nothing could open another, and one must not hide the rest."""
    if whole_text(item.path) == item.path:
        return True
    problems.append(f"{whole_text(item.path)}: its name is not UTF-8; rename it to see it here.")
    return False


def _subfolders(folder: Path, problems: list[str]) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except FileNotFoundError:
        return []
    except OSError as error:
        problems.append(f"{folder} can't be read: {error.strerror}.")
        return []


def _is_marked(folder: Path) -> bool:
    return any((folder / mark).exists() for mark in MARKS)
