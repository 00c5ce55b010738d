"""The files that a data set's name means here. Nothing heavy: scripts are written with it too."""

from __future__ import annotations

import glob
from pathlib import Path

from hfterm.errors import HftermError
from hfterm.hub import starter
from hfterm.hub.refs import HUB_ID, installed
from hfterm.paths import expanded, full_path
from hfterm.training.rows import shown

BUILDERS = {
    ".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json",
    ".parquet": "parquet", ".txt": "text", ".text": "text",
}  # fmt: skip
"""The builder of `datasets` for each kind of file."""


def local_files(ref: str) -> list[str]:
    """The files that `ref` names here; empty when it can only be a hub id.

    Raises:
        HftermError: it is a path, and nothing is there; or a starter set that is not installed.
    """
    if starter.is_starter(ref):
        path = installed(ref)
        if path.is_dir():
            raise HftermError(
                "not-a-data-set",
                f"{ref!r} is a model, not a data set.",
                "Name reviews or sms-spam.",
            )
        return [str(path)]
    if ref.endswith(".py"):
        raise script_error(ref)
    try:
        path = expanded(ref)
        is_file, is_dir = path.is_file(), path.is_dir()
        globbed = (
            sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207  # absolute ones as well
            if any(sign in ref for sign in "*?[") and not is_file
            else None
        )
    except (OSError, ValueError):  # a name that no path can have
        raise _nothing(ref) from None
    if is_file:
        return [str(path)]
    if globbed is not None:
        found = [name for name in globbed if Path(name).is_file()]
        if not found:
            raise HftermError("not-found", f"No file matches {ref}.", "Check data.ref.")
        return found
    if is_dir:
        found = sorted(str(p) for p in path.iterdir() if p.suffix.lower() in BUILDERS)
        if found:
            return found
        scripts = [p.name for p in path.glob("*.py")]
        if scripts:
            raise script_error(ref)
        raise HftermError(
            "not-a-data-set",
            f"The folder {ref} holds no .csv, .tsv, .json, .jsonl, .parquet or .txt file.",
            "Name a file in data.ref.",
        )
    if ref.startswith(("/", "./", "../", "~")) or path.suffix.lower() in BUILDERS:
        raise HftermError(
            "not-found",
            f"There is no file {full_path(ref)}.",
            "Check data.ref; put the file back, or name another.",
        )
    if not HUB_ID.match(ref):
        raise _nothing(ref)
    return []


def _nothing(ref: str) -> HftermError:
    return HftermError(
        "not-found",
        f"{shown(ref)} is neither a file here nor a hub id (owner/name).",
        "Check data.ref.",
    )


def script_error(ref: str) -> HftermError:
    """The error for a data set that is a program."""
    return HftermError(
        "script-data-set",
        f"{ref} is a data set made by a Python script, which datasets no longer runs.",
        "Save its rows as Parquet, CSV or JSONL and name that file in data.ref.",
    )
