"""The lines that open a model and its tokenizer in a script, as `loading` does it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from hfterm.errors import HftermError
from hfterm.hub.model_refs import resolve_model
from hfterm.models.code_parts import imports, load_imports, load_lines, source_of, tokenizer_lines
from hfterm.models.types import LoadedInfo

TOKENIZER_FILES = ("tokenizer*", "vocab.*", "*.model", "tekken.json")
"""What a folder with a tokenizer has one of."""


def has_tokenizer(folder: str) -> bool:
    """Whether a folder holds a tokenizer.

    Asked before AutoTokenizer is, which makes an empty one for a folder that has only a config.
    """
    path = Path(folder)
    return path.is_dir() and any(True for name in TOKENIZER_FILES for _ in path.glob(name))


def opened(info: LoadedInfo) -> str:
    """Imports, tokenizer and model."""
    # the class that a checkpoint was saved from is none that an Auto class always finds
    auto = info.spec.auto or info.cls
    spec = msgspec.structs.replace(info.spec, auto=auto, device=info.device)
    names = [*load_imports(info.source, spec), "AutoTokenizer", "logging"]
    return (
        "import inspect\n\n"
        + imports(*names)
        + "logging.set_verbosity_error()\n"
        + _tokenizer(info)
        + load_lines(info.source, spec, info.skipped)
    )


def _tokenizer(info: LoadedInfo) -> str:
    source, wanted = info.source, info.spec.tokenizer
    if not wanted:
        base = source.base if source.base and not has_tokenizer(source.path) else ""
        return tokenizer_lines(source, info.spec, base)
    folder, extra = wanted, ""
    if not has_tokenizer(wanted):
        try:  # a starter's name is none that transformers knows
            found = resolve_model(wanted, ())
        except HftermError:  # it was there when the model was loaded
            pass
        else:
            folder = source_of(found)
            extra = f", gguf_file={found.gguf!r}" if found.gguf else ""
    return f"tokenizer = AutoTokenizer.from_pretrained({folder!r}{extra})\n"
