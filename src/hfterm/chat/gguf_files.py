"""GGUF files: which one a reference means, and what its header says.

Standard library and msgspec only: a header is read in milliseconds, before anything heavy is.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from hfterm.errors import HftermError
from hfterm.hub import starter
from hfterm.hub.refs import HUB_ID, LONGEST_ID, main_snapshot, no_path
from hfterm.paths import expanded

PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")
"""How the parts of a split file are named; llama.cpp opens the first and finds the others."""

OTHER_ENGINE = "Choose the engine transformers for it, or name a .gguf file."

_MAGIC = b"GGUF"
_OLDEST = 2
_LONGEST_STRING = 64 * 1024 * 1024
_STRING, _ARRAY = 8, 9
_SCALARS = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip
"""GGUF's number of a value's type → `struct`'s letter for it."""


class GgufHeader(msgspec.Struct, frozen=True):
    """What a GGUF file says about its model.

    Attributes:
        architecture: as llama.cpp names it.
        context: tokens that the model was trained for; 0 when it does not say.
        file_type: llama.cpp's number of how most weights are stored; -1 when it does not say.
        per_token: bytes of keys and values of one token, in float16; 0 when layers differ.
    """

    architecture: str
    context: int
    file_type: int
    per_token: int = 0


def find_gguf(ref: str) -> Path:
    """The GGUF file that `ref` means: a file, a folder with one, a starter name, a cached hub id.

    Args:
        ref: as the user typed it.

    Raises:
        HftermError: there is no such thing here, it holds no GGUF file or more than one.
    """
    ref = ref.strip()
    if not ref:
        raise HftermError("empty", "No model is named.", "Type a starter name, a path or a hub id.")
    item = starter.find(ref)
    if item is not None:
        return _of_starter(item)
    looks_like_a_path = ref.startswith(("/", "./", "../", "~"))
    try:
        path = expanded(ref)
        exists = path.exists()
    except (OSError, ValueError) as error:
        raise no_path(ref, error) from error
    if exists:
        return _only(ref, path.resolve()) if path.is_dir() else _file(ref, path.resolve())
    if looks_like_a_path or len(ref) > LONGEST_ID or not HUB_ID.match(ref):
        raise HftermError(
            "not-found",
            f"There is no file or folder {ref[:LONGEST_ID]}.",
            "Check the spelling of the path.",
        )
    return _of_cache(ref)


def _of_starter(item: starter.StarterItem) -> Path:
    if item.convert != "gguf":
        raise _no_gguf(item.name)
    file = starter.gguf_of(item)
    if file is None:
        raise HftermError(
            "not-installed",
            f"The GGUF file of {item.title} is not here.",
            f"Run: hfterm starter {item.name}",
        )
    return file.absolute()


def _file(ref: str, path: Path) -> Path:
    # the hub cache links its names to files without one, so the name as typed counts too
    if path.suffix == ".gguf" or ref.endswith(".gguf"):
        return expanded(ref).absolute()
    raise _no_gguf(ref)


def _of_cache(ref: str) -> Path:
    snapshot = main_snapshot(ref)
    if snapshot is None:
        raise HftermError(
            "not-found",
            f"{ref} is no file, and the hub cache does not have it.",
            f"Fetch one of its files: hf download {ref} NAME.gguf",
        )
    return _only(ref, snapshot)


def _only(ref: str, folder: Path) -> Path:
    try:
        # a repository may keep each quantization in a folder of its own
        files = [*folder.glob("*.gguf"), *folder.glob("*/*.gguf")]
    except OSError as error:
        raise HftermError(
            "unreadable",
            f"{folder} can't be read: {error.strerror}.",
            "Check that you may read it.",
        ) from error
    models = sorted(file for file in files if _begins_a_model(file))
    if not models:
        raise _no_gguf(ref)
    if len(models) > 1:
        names = ", ".join(str(file.relative_to(folder)) for file in models)
        raise HftermError(
            "several-gguf",
            f"{ref} has {len(models)} GGUF files: {names[:600]}",
            f"Name one of them, for example {models[0]}",
        )
    return models[0]


def _begins_a_model(file: Path) -> bool:
    """Whether a file is a model: neither the eyes of one (mmproj) nor a later part."""
    part = PART.search(file.name)
    return not file.name.startswith("mmproj") and (part is None or int(part[1]) == 1)


def _no_gguf(ref: str) -> HftermError:
    return HftermError("no-gguf", f"{ref} has no GGUF file, which llama.cpp needs.", OTHER_ENGINE)


def parts_of(file: Path) -> Sequence[Path]:
    """A file, or all parts of it that are here if it is split."""
    part = PART.search(file.name)
    if part is None:
        return (file,)
    return sorted(file.parent.glob(f"{file.name[: part.start()]}-*-of-{part[2]}.gguf"))


def read_header(file: Path) -> GgufHeader:
    """Read what stands before the vocabulary.

    Raises:
        HftermError: it can't be read, is no GGUF file, one that is too old, or cut.
    """
    try:
        with file.open("rb") as opened:
            return _header(file, opened)
    except OSError as error:
        raise HftermError(
            "unreadable", f"{file} can't be read: {error.strerror}.", "Check that you may read it."
        ) from error
    except (struct.error, KeyError, ValueError, OverflowError, RecursionError) as error:
        raise HftermError(
            "damaged-gguf",
            f"The header of {file.name} is not whole.",
            "It was probably cut while copying or downloading; fetch it again.",
        ) from error


def _header(file: Path, opened: BinaryIO) -> GgufHeader:
    if opened.read(4) != _MAGIC:
        raise HftermError("not-gguf", f"{file} is not a GGUF file.", OTHER_ENGINE)
    version = _number(opened, "I")
    if not _OLDEST <= version < 1 << 16:  # the other byte order makes it large
        raise HftermError(
            "old-gguf",
            f"{file.name} is GGUF of version {version}, which llama.cpp does not read here.",
            "Convert the model again with a llama.cpp of today.",
        )
    opened.seek(8, 1)  # the number of tensors
    found: dict[str, object] = {}
    for _ in range(_number(opened, "Q")):
        key = _string(opened)
        context = found.get(f"{found.get('general.architecture')}.context_length")
        if key.startswith("tokenizer.") and context is not None:
            break  # what follows is the vocabulary, which takes the longest to step over
        found[key] = _value(opened, _number(opened, "I"))
    architecture = str(found.get("general.architecture") or "")
    return GgufHeader(
        architecture,
        _whole(found.get(f"{architecture}.context_length"), 0),
        _whole(found.get("general.file_type"), -1),
        _per_token(architecture, found),
    )


def _per_token(architecture: str, found: Mapping[str, object]) -> int:
    def number(name: str, default: int = 0) -> int:
        return _whole(found.get(f"{architecture}.{name}", default), 0)

    heads = number("attention.head_count")
    size = number("embedding_length") // heads if heads else 0
    both = number("attention.key_length", size) + number("attention.value_length", size)
    return 2 * number("block_count") * number("attention.head_count_kv", heads) * both


def _whole(value: object, default: int) -> int:
    return value if isinstance(value, int) else default


def _number(opened: BinaryIO, kind: str) -> int:
    (value,) = struct.unpack(f"<{kind}", opened.read(struct.calcsize(f"<{kind}")))
    return int(value)


def _string(opened: BinaryIO) -> str:
    length = _number(opened, "Q")
    raw = opened.read(length) if length <= _LONGEST_STRING else b""
    if len(raw) != length:
        raise struct.error
    return raw.decode()


def _value(opened: BinaryIO, kind: int) -> object:
    """A value; nothing for an array, which is stepped over."""
    if kind == _STRING:
        return _string(opened)
    if kind != _ARRAY:
        letter = f"<{_SCALARS[kind]}"
        return struct.unpack(letter, opened.read(struct.calcsize(letter)))[0]
    inner, length = _number(opened, "I"), _number(opened, "Q")
    if inner in _SCALARS:
        opened.seek(length * struct.calcsize(f"<{_SCALARS[inner]}"), 1)
        return None
    for _ in range(length):
        if inner == _STRING:
            opened.seek(_number(opened, "Q"), 1)
        else:
            _value(opened, inner)
    return None
