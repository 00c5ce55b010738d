"""What the library says of a thing."""

from __future__ import annotations

from typing import Literal

import msgspec

ItemKind = Literal["model", "adapter", "tokenizer", "data set", "GGUF", "unknown"]
Place = Literal["starter kit", "hub cache", "run", "trained here", "folder"]
Mode = Literal["tokenize", "models", "predict", "attention", "train", "chat", "library"]


class LibraryItem(msgspec.Struct, frozen=True, kw_only=True):
    """One model, adapter, tokenizer or data set.

    Attributes:
        ref: what opens it on a screen or a command: a starter name, a hub id or a path.
        kind: what it is.
        place: where it comes from.
        path: the folder or file.
        what: its class, or its format: ``BertModel``, ``LoRA of minilm``, ``csv``.
        parameters: numbers in its safetensors files, by their headers; None when unknown.
        dtype: of most of them, as safetensors calls it (``F32``); of a GGUF, its file type.
        licence: as its model card says; empty when it does not.
        size: bytes on disk, all revisions of it.
        revision: the commit that is used, for a hub repository.
        revisions: how many of it are here.
        changed: when it was last written, in seconds since 1970.
        used: when it was last read, as the file system tells; 0 when it does not.
        pickles: files that run code when they are loaded (PyTorch's pickles).
        problem: why it can't be used, in words; empty when nothing is known.
        screens: where it can be opened, the most fitting first.
        deletable: whether hfterm may delete it: it, or the hub, brought it.
    """

    ref: str
    kind: ItemKind
    place: Place
    path: str
    what: str = ""
    parameters: int | None = None
    dtype: str = ""
    licence: str = ""
    size: int = 0
    revision: str = ""
    revisions: int = 1
    changed: float = 0.0
    used: float = 0.0
    pickles: tuple[str, ...] = ()
    problem: str = ""
    screens: tuple[Mode, ...] = ()
    deletable: bool = False


class Library(msgspec.Struct, frozen=True):
    """All of it.

    Attributes:
        items: the things, those read last first.
        free: bytes that are free where the hub cache is; None when that can't be told.
        parts: bytes of downloads that were broken off.
        problems: folders that could not be read, in words.
    """

    items: list[LibraryItem]
    free: int | None
    parts: int
    problems: list[str]


class LibraryFile(msgspec.Struct, frozen=True):
    """A file of an item."""

    name: str
    size: int
    pickle: bool


class Verified(msgspec.Struct, frozen=True):
    """What a look at every byte found.

    Attributes:
        right: files whose hash, or whose form, is as it should be.
        unknown: files that nothing is known about.
        wrong: (file, what is wrong with it).
    """

    right: int
    unknown: int
    wrong: list[tuple[str, str]]
