"""Read every byte of an item and say whether it is as it should be.

A file of the hub cache is named by its hash. Of any other folder the form is looked at: weights
that are as long as their headers say, JSON that is whole.
"""

from __future__ import annotations

import json
from pathlib import Path

from hfterm.errors import HftermError
from hfterm.hub.checksums import algorithm, hash_of
from hfterm.job import Job
from hfterm.library.facts import safetensors_header
from hfterm.library.types import LibraryItem, Verified


def verify(item: LibraryItem, job: Job) -> Verified:
    """Check an item.

    Args:
        item: the item.
        job: told of the bytes; can stop it.

    Raises:
        HftermError: it can't be read.
    """
    place = Path(item.path)
    try:
        files = sorted(place.rglob("*")) if place.is_dir() else [place]
        right, unknown, wrong = 0, 0, list[tuple[str, str]]()
        for file in files:
            if file.is_dir():
                continue
            name = str(file.relative_to(place)) if file != place else file.name
            found = _check(file, item.place == "hub cache", job, f"checking {name}")
            if found is None:
                unknown += 1
            elif found:
                wrong.append((name, found))
            else:
                right += 1
    except OSError as error:
        raise HftermError(
            "unreadable",
            f"{error.filename} can't be read: {error.strerror}.",
            "Check that it is still there and that you may read it.",
        ) from error
    if item.problem:
        wrong.append(("", item.problem))
    return Verified(right, unknown, wrong)


def _check(file: Path, cached: bool, job: Job, stage: str) -> str | None:
    """What is wrong with a file: empty for nothing, None when that can't be told."""
    if not file.exists():
        return "its contents are missing from the cache"
    etag = file.resolve().name if file.is_symlink() else ""
    if cached and (how := algorithm(etag)):
        found = hash_of(file, how, job, stage)
        return "" if found == etag else f"its {how} is {found[:12]}…, not {etag[:12]}…"
    if file.suffix == ".safetensors":
        job.progress(stage)
        try:
            safetensors_header(file)
        except (ValueError, RecursionError) as error:
            return str(error)
        return ""
    if file.suffix == ".json":
        try:
            json.loads(file.read_bytes())
        except (ValueError, RecursionError) as error:
            return f"it is not whole JSON ({error})"
        return ""
    return None
