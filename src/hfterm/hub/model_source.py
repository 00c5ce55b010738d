"""Where a model is, as plain data: nothing heavy is here."""

from __future__ import annotations

from typing import Literal

import msgspec

SourceKind = Literal["starter", "path", "cache", "hub", "architecture", "config"]
Weights = Literal["safetensors", "pickle", "gguf", "none"]


class ModelSource(msgspec.Struct, frozen=True):
    """Where a model is and what its files are.

    Attributes:
        ref: as the user named it.
        kind: what it named.
        path: what `from_pretrained` opens: a folder, or a hub id; for an architecture, its name;
            for a config, the file.
        weights: in which form the weights are there.
        gguf: the file's name when `weights` is ``gguf``.
        size: bytes of the weights' files.
        base: the base model's reference when the folder holds an adapter, else empty.
        auto: the Auto class that an adapter was trained for, else empty.
        labels: of the classification head that an adapter brings; None when it brings none.
        label_names: what they are called, when a file beside the adapter says it.
        code: Python files that a ``trust_remote_code`` load would run, else empty.
    """

    ref: str
    kind: SourceKind
    path: str
    weights: Weights = "none"
    gguf: str = ""
    size: int = 0
    base: str = ""
    auto: str = ""
    labels: int | None = None
    label_names: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
