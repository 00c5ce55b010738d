"""The lines that scripts about models share: how one is opened."""

from __future__ import annotations

from pathlib import Path

from hfterm.hub.model_source import ModelSource
from hfterm.models.types import AUTO_DEVICE, ModelSpec

ANY_DEVICE = 'torch.accelerator.current_accelerator(check_available=True) or "cpu"'
"""What `AUTO_DEVICE` is in a script."""


def source_of(source: ModelSource) -> str:
    """What a script gives to ``from_pretrained``: the folder; for the cache, the hub id."""
    if source.kind in ("cache", "hub"):
        return source.ref
    return source.path


def config_lines(source: ModelSource, num_labels: int | None = None) -> str:
    """``config = …``."""
    if source.kind == "architecture":
        line = f"config = AutoConfig.for_model({source.path!r})\n"
    else:
        target = source.base or source_of(source)
        extra = f", gguf_file={source.gguf!r}" if source.gguf else ""
        line = f"config = AutoConfig.from_pretrained({target!r}{extra})\n"
    set_ = _labels(source, num_labels).items()
    return line + "".join(f"config.{name} = {value}\n" for name, value in set_)


def _labels(source: ModelSource, num_labels: int | None) -> dict[str, str]:
    """What a config is told of its labels; as `load_config` tells it."""
    count, names = source.labels if num_labels is None else num_labels, source.label_names
    if names and count == len(names):
        ids = {name: number for number, name in enumerate(names)}
        return {"id2label": repr(dict(enumerate(names))), "label2id": repr(ids)}
    return {} if count is None else {"num_labels": str(count)}


def from_pretrained(
    source: ModelSource, auto: str, spec: ModelSpec, *, extra: tuple[str, ...] = ()
) -> str:
    """A ``from_pretrained`` call, one argument a line."""
    told = [repr(source_of(source))]
    told += [f"{name}={value}" for name, value in _labels(source, spec.num_labels).items()]
    if source.gguf:
        told.append(f"gguf_file={source.gguf!r}")
    elif not spec.allow_pickle:
        told.append("use_safetensors=True")
    if spec.allow_code:
        told.append("trust_remote_code=True")
    told += extra
    return f"{auto}.from_pretrained(\n" + "".join(f"    {part},\n" for part in told) + ")\n"


def tokenizer_lines(source: ModelSource, spec: ModelSpec, other: str = "") -> str:
    """``tokenizer = …``."""
    target = other or spec.tokenizer or source_of(source)
    if source.kind == "config" and not spec.tokenizer:
        target = str(Path(source.path).parent)
    extra = f", gguf_file={source.gguf!r}" if source.gguf else ""
    return f"tokenizer = AutoTokenizer.from_pretrained({target!r}{extra})\n"


def imports(*names: str, torch: bool = True) -> str:
    """Torch first, then names of transformers, sorted."""
    line = f"from transformers import {', '.join(sorted(set(names)))}\n\n"
    return f"import torch\n{line}" if torch else line


def load_lines(source: ModelSource, spec: ModelSpec, skipped: tuple[str, ...] = ()) -> str:
    """``model = …``, as hfterm loads it."""
    auto = spec.auto or "AutoModel"
    seed = f"torch.manual_seed({spec.seed})\n"
    before, device = "", repr(spec.device)
    if spec.device == AUTO_DEVICE:
        before, device = f"device = {ANY_DEVICE}\n", "device"
    move = f"model = model.to({device})\n" if spec.device != "cpu" else ""
    if spec.random or source.weights == "none":
        dtype = "" if spec.dtype == "auto" else f", dtype=torch.{spec.dtype}"
        built = (
            f"{auto}.from_config(config{dtype})"
            if auto.startswith("AutoModel")
            else f"{auto}(config)"
        )
        before += config_lines(source, spec.num_labels)
        return f"{before}{seed}model = {built}\n{move}model.eval()\n"
    extra: list[str] = []
    if spec.ignore_mismatched:
        extra.append("ignore_mismatched_sizes=True")
    if spec.quantization == "none":
        extra.append('dtype="auto"' if spec.dtype == "auto" else f"dtype=torch.{spec.dtype}")
    else:
        dtype = "bfloat16" if spec.dtype == "auto" else spec.dtype
        before += quantization_lines(spec, skipped)
        extra += [
            "quantization_config=quantization",
            f'device_map={{"": {device}}}',
            f"dtype=torch.{dtype}",
        ]
        move = ""
    call = from_pretrained(source, auto, spec, extra=tuple(extra))
    return f"{before}{seed}model = {call}{move}model.eval()\n"


def quantization_lines(spec: ModelSpec, skipped: tuple[str, ...]) -> str:
    """``quantization = BitsAndBytesConfig(…)``."""
    told = (
        ["load_in_8bit=True"]
        if spec.quantization == "int8"
        else [
            "load_in_4bit=True",
            f'bnb_4bit_quant_type="{spec.quantization}"',
            f"bnb_4bit_use_double_quant={spec.double_quant}",
            "bnb_4bit_compute_dtype=torch.bfloat16",
        ]
    )
    told.append(f"llm_int8_skip_modules={list(skipped)!r}")
    lines = "".join(f"    {part},\n" for part in told)
    return f"quantization = BitsAndBytesConfig(\n{lines})\n"


def load_imports(source: ModelSource, spec: ModelSpec) -> list[str]:
    """The names of transformers that `load_lines` uses."""
    names = [spec.auto or "AutoModel"]
    if spec.random or source.weights == "none":
        names.append("AutoConfig")
    elif spec.quantization != "none":
        names.append("BitsAndBytesConfig")
    return names
