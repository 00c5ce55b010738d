"""Overviews that were made before: the dry run of files that have not changed is not run again.

Only the standard library and msgspec, so that an answer from here needs neither torch nor
transformers. What was made with other versions of them, or of other files, is not found.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from contextlib import suppress
from pathlib import Path

import msgspec

from hfterm import __version__, paths
from hfterm.errors import HftermError
from hfterm.hub.model_refs import resolve_model
from hfterm.hub.model_source import ModelSource
from hfterm.models.types import ModelOverview, ModelSpec
from hfterm.system.whole_file import write_atomic

MOST = 200
"""Overviews that are kept; the oldest go."""

LIBRARIES = ("transformers", "torch", "peft", "safetensors")

_decode = msgspec.msgpack.Decoder(ModelOverview).decode


def known_overview(spec: ModelSpec) -> ModelOverview | None:
    """The overview that was made of just these files with just these versions, or None."""
    file = overview_file(spec)
    if file is None:
        return None
    try:
        return _decode(file.read_bytes())
    except (OSError, msgspec.MsgspecError):
        return None


def keep_overview(file: Path | None, overview: ModelOverview) -> None:
    """Remember an overview. A disk that is full or read-only costs time later, nothing else.

    Args:
        file: from `overview_file`, asked before the overview was made: files that were written
            meanwhile make another name.
        overview: what was made.
    """
    if file is None:
        return
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, msgspec.msgpack.encode(overview))
        kept = sorted(file.parent.glob("*.msgpack"), key=lambda found: found.stat().st_mtime)
        for old in kept[:-MOST]:
            old.unlink()


def overview_file(spec: ModelSpec) -> Path | None:
    """Where the overview of `spec` is kept; None for what lies in no folder of this machine."""
    try:
        source = resolve_model(spec.ref, ())
        stamps = _stamps(source)
    except (HftermError, OSError):
        return None
    if not stamps:
        return None
    versions = [importlib.metadata.version(name) for name in LIBRARIES]
    asked = (spec.ref, spec.num_labels, spec.allow_pickle, spec.allow_code)
    text = repr((__version__, versions, asked, source, stamps))
    name = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
    return paths.cache_dir() / "overviews" / f"{name}.msgpack"


def _stamps(source: ModelSource) -> list[tuple[str, int, int]]:
    """(path, size, time of change) of every file that an overview depends on."""
    if source.kind not in ("starter", "path", "cache", "config"):
        return []
    path = Path(source.path)
    files = [path] if path.is_file() else sorted(path.iterdir())
    found = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.is_file()]
    if source.base:
        below = _stamps(resolve_model(source.base, ()))
        if not below:  # a base on the hub: it may change unseen
            return []
        found += below
    return found
