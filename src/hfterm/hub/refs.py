"""What a user means by a model name: a starter kit name, a path, or a hub id.

Standard library only: the UI process resolves names too.
"""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hfterm import paths
from hfterm.errors import HftermError
from hfterm.hub import starter
from hfterm.paths import expanded

HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?$")
VOCABULARY_FILES = frozenset(
    {"vocab.txt", "vocab.json", "merges.txt", "tokenizer.model", "spiece.model",
     "sentencepiece.bpe.model", "tekken.json"}
)  # fmt: skip
"""What tokenizer.json holds as well."""

LONGEST_ID = 200
"""Characters; the hub allows 96 for each of the two parts."""

TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "merges.txt",
    "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "tekken.json",
    "added_tokens.json", "special_tokens_map.json",
)  # fmt: skip


@dataclass(frozen=True)
class ResolvedRef:
    """A reference and where it is.

    `kind` is ``starter``, ``path``, ``cache`` (a hub id that the cache holds) or ``hub`` (one
    that must be downloaded: `folder` is None then).
    """

    ref: str
    kind: Literal["starter", "path", "cache", "hub"]
    folder: Path | None

    @property
    def tokenizer_json(self) -> Path | None:
        """Its tokenizer.json, if there is one."""
        if self.folder is None:
            return None
        file = self.folder / "tokenizer.json"
        return file if file.exists() else None

    @property
    def has_tokenizer_files(self) -> bool:
        """Whether the folder holds anything a tokenizer could be made of."""
        if self.folder is None:
            return False
        return any((self.folder / name).exists() for name in TOKENIZER_FILES) or any(
            self.folder.glob("*.model")
        )


def resolve(ref: str) -> ResolvedRef:
    """Find out what `ref` names.

    Raises:
        HftermError: it names nothing that could be a model here or on the hub.
    """
    ref = ref.strip()
    if not ref:
        raise HftermError("empty", "No model is named.", "Type a starter name, a path or a hub id.")
    if starter.is_starter(ref):
        return ResolvedRef(ref, "starter", installed_model(ref))
    looks_like_a_path = ref.startswith(("/", "./", "../", "~"))
    path = Path(ref)
    try:
        path = expanded(path)
        is_path = looks_like_a_path or path.exists()
    except (OSError, ValueError) as error:
        # a name too long, or with a NUL in it
        if looks_like_a_path:
            raise no_path(ref, error) from error
        is_path = False
    if is_path:
        return _path(ref, path)
    if len(ref) > LONGEST_ID or not HUB_ID.match(ref):
        raise HftermError(
            "not-found",
            f"{_short(ref)!r} is neither a path on this machine nor a hub id (owner/name).",
            "Check the spelling; paths start with /, ./ or ~.",
        )
    cached = cached_snapshot(ref)
    if cached is not None:
        return ResolvedRef(ref, "cache", cached)
    return ResolvedRef(ref, "hub", None)


HUB_PAGES = ("huggingface.co", "www.huggingface.co", "hf.co")
"""Where a model has its page, whose address may be pasted."""


def suggestion(ref: str) -> str:
    """A sentence on what a `ref` that is none may mean; empty when nothing is near."""
    if "://" in ref:
        host, *path = ref.partition("://")[2].split("/")
        if host in HUB_PAGES:
            return f"Name it without the address: {'/'.join(path[:2])}"
        return "The address of a chat server goes into Chat's load window (F7), or after --url."
    near = difflib.get_close_matches(ref, [item.name for item in starter.STARTER], n=1, cutoff=0.6)
    return f"Did you mean {near[0]!r}?" if near else ""


def installed(ref: str) -> Path:
    """Where a starter item is.

    Raises:
        HftermError: it is not installed.
    """
    found = starter.starter_path(ref)
    if found is None:
        raise HftermError(
            "not-installed",
            f"{ref!r} is in the starter kit but is not installed.",
            f"Run: hfterm starter {ref}",
        )
    return found


def installed_model(ref: str) -> Path:
    """The folder of a starter model.

    Raises:
        HftermError: it is not installed, or is a data set.
    """
    found = installed(ref)
    if not found.is_dir():
        raise HftermError(
            "not-a-model", f"{ref!r} is a data set, not a model.", "Name a model: minilm, smollm2."
        )
    return found


def _short(ref: str) -> str:
    return ref if len(ref) <= LONGEST_ID else f"{ref[:LONGEST_ID]}…"


def no_path(ref: str, error: Exception) -> HftermError:
    """The error for a path that can't be looked at."""
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return HftermError(
        "unreadable", f"{_short(ref)!r} can't be looked at: {reason}", "Check the path."
    )


def _path(ref: str, path: Path) -> ResolvedRef:
    try:
        exists, is_dir = path.exists(), path.is_dir()
    except (OSError, ValueError) as error:
        raise no_path(ref, error) from error
    if not exists:
        raise HftermError(
            "not-found", f"There is no file or folder {ref}.", "Check the spelling of the path."
        )
    folder = path if is_dir else path.parent
    if not is_dir and path.name not in TOKENIZER_FILES:
        raise HftermError(
            "not-a-tokenizer",
            f"{ref} is a file, but not one that a tokenizer is made of.",
            "Name the folder, or its tokenizer.json.",
        )
    resolved = ResolvedRef(ref, "path", folder.resolve())
    if not resolved.has_tokenizer_files:
        raise HftermError(
            "no-tokenizer",
            f"The folder {ref} has no tokenizer (no tokenizer.json, vocab.txt, *.model …).",
            "Choose a folder saved with tokenizer.save_pretrained().",
        )
    return resolved


def cache_folder(ref: str, kind: Literal["model", "dataset"] = "model") -> Path:
    """Where the hub cache keeps a repository, whether or not it is there."""
    return paths.hub_cache_dir() / f"{kind}s--{ref.replace('/', '--')}"


def main_snapshot(ref: str) -> Path | None:
    """The snapshot folder of a repository's main branch as the cache knows it, or None.

    The folder need not exist.
    """
    folder = cache_folder(ref)
    try:
        return folder / "snapshots" / (folder / "refs" / "main").read_text("utf-8").strip()
    except (OSError, ValueError):  # not there, or no text
        return None


def cached_snapshot(ref: str) -> Path | None:
    """The snapshot folder of a hub id in the cache that holds a tokenizer, or None."""
    snapshot = main_snapshot(ref)
    if snapshot is None or not ResolvedRef(ref, "cache", snapshot).has_tokenizer_files:
        return None
    return snapshot if _is_whole(cache_folder(ref), snapshot) else None


def _is_whole(folder: Path, snapshot: Path) -> bool:
    """Whether no tokenizer file is missing that the repository has, as far as the cache knows.

    A download that broke off leaves a folder that another tokenizer might be read from.
    """
    try:
        tree = json.loads((folder / "trees" / f"{snapshot.name}.json").read_bytes())
        listed: set[str] = set(tree["files"])
    except (OSError, ValueError, KeyError, TypeError):  # the listing is a cache's own affair
        return True
    needed = listed.intersection(TOKENIZER_FILES)
    if "tokenizer.json" in needed:
        needed -= VOCABULARY_FILES
    return all((snapshot / name).exists() for name in needed)


def cached_models() -> list[str]:
    """Hub ids in the cache that have a tokenizer, sorted."""
    found: list[str] = []
    for folder in sorted(paths.hub_cache_dir().glob("models--*")):
        ref = folder.name.removeprefix("models--").replace("--", "/")
        if cached_snapshot(ref) is not None:
            found.append(ref)
    return found
