"""The tokenizers an engine has open."""

from __future__ import annotations

import threading
from pathlib import Path

from hfterm.job import Job
from hfterm.tokenization.loading import LoadedTokenizer, load, load_quick


class TokenizerStore:
    """Opens each tokenizer once, and again when its files have changed.

    Attributes:
        quick: opened from tokenizer.json only.
        verified: opened through `AutoTokenizer`.
    """

    def __init__(self) -> None:
        self._quick: dict[str, tuple[float, LoadedTokenizer]] = {}
        self._verified: dict[str, tuple[float, LoadedTokenizer]] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, ref: str, job: Job, *, provisional: bool = False) -> LoadedTokenizer:
        """The tokenizer `ref` names; with `provisional`, one that is not yet verified will do."""
        found = self._fresh(self._verified, ref)
        if found is not None:
            return found
        if provisional:
            quick = self._fresh(self._quick, ref)
            if quick is None:
                quick = load_quick(ref)
                if quick is not None:
                    self._quick[ref] = (_stamp(quick), quick)
            if quick is not None:
                return quick
        with self._lock:
            lock = self._locks.setdefault(ref, threading.Lock())
        with lock:
            found = self._fresh(self._verified, ref)
            if found is None:
                found = load(ref, job)
                self._verified[ref] = (_stamp(found), found)
            return found

    def _fresh(
        self, opened: dict[str, tuple[float, LoadedTokenizer]], ref: str
    ) -> LoadedTokenizer | None:
        entry = opened.get(ref)
        if entry is None or entry[0] != _stamp(entry[1]):
            return None
        return entry[1]


def _stamp(loaded: LoadedTokenizer) -> float:
    """Changes when the tokenizer's files are written anew."""
    newest = 0.0
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "chat_template.jinja"):
        try:
            newest = max(newest, (Path(loaded.info.path) / name).stat().st_mtime)
        except OSError:
            continue
    return newest
