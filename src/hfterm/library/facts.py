"""What a folder holds, by its config, its model card and the headers of its weights.

Standard library only: nothing is loaded, and no code of a checkpoint runs.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from hfterm.chat.gguf_files import read_header
from hfterm.errors import HftermError
from hfterm.hub.refs import TOKENIZER_FILES
from hfterm.library.types import ItemKind, Mode

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib")
"""Ends of files that Python unpickles: whoever wrote one decides what is run."""

NOT_PICKLES = ("tokenizer.bin",)

LONGEST_HEADER = 100_000_000
"""Bytes of a safetensors header, as the format allows."""

CARD = 64_000
"""Bytes of a model card that are read for its licence."""

CAUSAL = ("ForCausalLM", "LMHeadModel")
_LICENCE = re.compile(r"^licen[sc]e:\s*[\"']?([^\"'\n#]+)", re.MULTILINE)

MODEL_SCREENS: tuple[Mode, ...] = ("models", "tokenize", "predict", "attention", "train")
CHAT_SCREENS: tuple[Mode, ...] = ("chat", *MODEL_SCREENS)


@dataclass(frozen=True)
class Facts:
    """What was found. The fields are those of `LibraryItem`."""

    kind: ItemKind
    what: str = ""
    parameters: int | None = None
    dtype: str = ""
    licence: str = ""
    pickles: tuple[str, ...] = ()
    problem: str = ""
    screens: tuple[Mode, ...] = ()


def folder_facts(folder: Path) -> Facts:
    """What is in a folder of a model, an adapter or a tokenizer.

    Raises:
        OSError: it can't be listed.
    """
    names = {file.name for file in folder.iterdir()}
    pickles = tuple(sorted(name for name in names if is_pickle(name)))
    parameters, dtype, problem = _weights(folder, names)
    card = _licence(folder / "README.md")
    if "adapter_config.json" in names:
        config, wrong = _object(folder / "adapter_config.json")
        base = str(config.get("base_model_name_or_path") or "")
        method = str(config.get("peft_type") or "adapter")
        chat = config.get("task_type") == "CAUSAL_LM"
        method = {"LORA": "LoRA"}.get(method, method)
        return Facts(
            "adapter", f"{method} of {_short(base)}" if base else method, parameters, dtype, card,
            pickles, problem or wrong, ("chat",) if chat else ("predict", "models"),
        )  # fmt: skip
    if "config.json" in names:
        config, wrong = _object(folder / "config.json")
        what = _class(config)
        weights = any(name.endswith((".safetensors", *PICKLES)) for name in names)
        screens: tuple[Mode, ...] = MODEL_SCREENS
        if what.endswith(CAUSAL):
            screens = CHAT_SCREENS
        if not weights:
            screens = ("models", "tokenize")
            what = f"{what} · no weights"
        return Facts(
            "model", what, parameters, dtype, card, pickles, wrong or problem, screens
        )  # fmt: skip
    ggufs = sorted(name for name in names if name.endswith(".gguf"))
    if ggufs:
        return gguf_facts(folder / ggufs[0], card)
    if names & set(TOKENIZER_FILES) or any(name.endswith(".model") for name in names):
        what = ""
        if "tokenizer_config.json" in names:
            config, problem = _object(folder / "tokenizer_config.json")
            what = str(config.get("tokenizer_class") or "")
        return Facts(
            "tokenizer", what, licence=card, pickles=pickles, problem=problem,
            screens=("tokenize",),
        )  # fmt: skip
    return Facts("unknown", parameters=parameters, dtype=dtype, licence=card, pickles=pickles)


def gguf_facts(file: Path, licence: str = "") -> Facts:
    """What a GGUF file says of itself."""
    try:
        header = read_header(file)
    except HftermError as error:
        return Facts("GGUF", licence=licence, problem=error.message, screens=("chat",))
    return Facts("GGUF", header.architecture, licence=licence, screens=("chat", "models"))


def is_pickle(name: str) -> bool:
    """Whether a file's name is that of a pickle."""
    return name.endswith(PICKLES) and name not in NOT_PICKLES


def safetensors_header(file: Path) -> Mapping[str, Mapping[str, object]]:
    """Tensor → its dtype, shape and place in the file.

    Raises:
        OSError: the file can't be read.
        ValueError: it is no safetensors file, or is shorter than its header says.
    """
    size = file.stat().st_size
    with file.open("rb") as opened:
        head = opened.read(8)
        if len(head) < 8:
            raise ValueError("it is shorter than a header")
        (length,) = struct.unpack("<Q", head)
        if length > min(size - 8, LONGEST_HEADER):
            raise ValueError("its header is longer than it")
        value: object = json.loads(opened.read(length))
    if not isinstance(value, dict):
        raise ValueError("its header is no object")
    tensors = {
        name: cast("Mapping[str, object]", tensor)
        for name, tensor in cast("dict[str, object]", value).items()
        if name != "__metadata__" and isinstance(tensor, dict)
    }
    ends = [_numbers(tensor.get("data_offsets"))[-1:] for tensor in tensors.values()]
    end = 8 + length + max((at for each in ends for at in each), default=0)
    if end > size:
        raise ValueError(f"it has {size:,} of the {end:,} bytes that its header names")
    return tensors


def _weights(folder: Path, names: set[str]) -> tuple[int | None, str, str]:
    """(parameters, dtype of most of them, what is wrong) of the safetensors files."""
    files = sorted(name for name in names if name.endswith(".safetensors"))
    count: Counter[str] = Counter()
    for name in files:
        try:
            tensors = safetensors_header(folder / name)
        except OSError as error:
            return None, "", f"{name} can't be read ({error.strerror})"
        except (ValueError, RecursionError) as error:
            return None, "", f"{name} is damaged: {error}"
        for tensor in tensors.values():
            count[str(tensor.get("dtype"))] += math.prod(_numbers(tensor.get("shape")))
    missing = _missing_parts(folder, names)
    if missing:
        return None, "", f"{missing} is missing"
    if not count:
        return None, "", ""
    return count.total(), count.most_common(1)[0][0], ""


def _missing_parts(folder: Path, names: set[str]) -> str:
    """The first of the files that an index names and that is not there."""
    if "model.safetensors.index.json" not in names:
        return ""
    index, _ = _object(folder / "model.safetensors.index.json")
    weights = index.get("weight_map")
    if not isinstance(weights, dict):
        return ""
    wanted = {str(file) for file in cast("dict[str, object]", weights).values()}
    return min(wanted - names, default="")


def _numbers(value: object) -> list[int]:
    if not isinstance(value, list):
        return []
    return [each for each in cast("list[object]", value) if isinstance(each, int)]


def _object(file: Path) -> tuple[Mapping[str, object], str]:
    """A JSON object, and what is wrong with it."""
    try:
        value: object = json.loads(file.read_bytes())
    except OSError as error:
        return {}, f"{file.name} can't be read ({error.strerror})"
    except (ValueError, RecursionError):
        return {}, f"{file.name} is not whole JSON"
    if not isinstance(value, dict):
        return {}, f"{file.name} is no object"
    return cast("Mapping[str, object]", value), ""


def _class(config: Mapping[str, object]) -> str:
    classes = config.get("architectures")
    if isinstance(classes, list) and classes:
        return str(cast("list[object]", classes)[0])
    return str(config.get("model_type") or "")


def _licence(card: Path) -> str:
    """The licence that a model card's head names."""
    with suppress(OSError):
        with card.open(encoding="utf-8", errors="replace") as opened:
            head = opened.read(CARD)
        if head.startswith("---") and (found := _LICENCE.search(head.split("\n---", 1)[0])):
            return found[1].strip()
    return ""


def _short(ref: str) -> str:
    """A base model as it is said: the end of a path, the whole of an id."""
    return Path(ref).name if ref.startswith(("/", "./", "~")) else ref
