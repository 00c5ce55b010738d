"""Load a model and its tokenizer as a `ModelSpec` says.

Imports torch and transformers inside functions: for an engine process.
"""

from __future__ import annotations

import copy
import gc
import math
import time
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from hfterm.building_lock import building
from hfterm.errors import HftermError
from hfterm.hub.model_source import ModelSource
from hfterm.inference.code_opening import has_tokenizer
from hfterm.job import Job
from hfterm.models import verdicts
from hfterm.models.catalogue import family_of
from hfterm.models.lora import output_names
from hfterm.models.opening import (
    arguments,
    concrete_of,
    dry_run,
    find,
    labels_of,
    load_config,
    on_meta,
    position_limit,
    reading,
    report_of,
    with_base,
)
from hfterm.models.opening_errors import NO_MEMORY, explain_loading, out_of_memory
from hfterm.models.overview import backbone_of
from hfterm.models.placement import device_for
from hfterm.models.types import LoadedInfo, LoadingReport, ModelSpec
from hfterm.models.verdicts import modules_of
from hfterm.system.own_memory import trim

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase
    from transformers.modeling_utils import PreTrainedModel


@dataclass(frozen=True)
class OpenModel:
    """A model that is loaded, its tokenizer, and what is known of both."""

    info: LoadedInfo
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase | None

    @property
    def text(self) -> PreTrainedTokenizerBase:
        """The tokenizer.

        Raises:
            HftermError: the model has none.
        """
        if self.tokenizer is None:
            raise HftermError(
                "no-tokenizer",
                f"{self.info.spec.ref} has no tokenizer.",
                "Name another model's, minilm say: F7 on the screen, --tokenizer in a command.",
            )
        return self.tokenizer


@contextmanager
def memory_errors(what: str) -> Generator[None]:
    """Turn torch's ways to say that memory ran out into one error for people."""
    try:
        yield
    # torch.OutOfMemoryError is a RuntimeError, and so is the CPU's; transformers makes a ValueError
    # of a MemoryError while it pads
    except (MemoryError, RuntimeError, ValueError) as error:
        if ran_out(error):
            raise out_of_memory(what) from error
        raise


def ran_out(error: BaseException | None) -> bool:
    """Whether an error, or one that it came from, says that there was no memory."""
    while error is not None:
        text = str(error).lower()
        if isinstance(error, MemoryError) or any(words in text for words in NO_MEMORY):
            return True
        error = error.__cause__ or error.__context__
    return False


def load_model(spec: ModelSpec, job: Job | None = None) -> OpenModel:
    """Load what `spec` says: the real weights, or random ones.

    Raises:
        HftermError: no such model or class, weights that can't be read or need a yes, or no
            memory for it.
    """
    import torch

    job = job or Job()
    began = time.monotonic()
    job.progress(f"looking at {spec.ref}")
    source = find(spec.ref, job, whole=not spec.random)
    config = load_config(source, spec.num_labels, allow_code=spec.allow_code)
    cls = concrete_of(spec.auto, config)
    device = device_for(spec.device)
    random = spec.random or source.weights == "none"
    job.progress(f"loading {cls.__name__}")
    torch.manual_seed(spec.seed)
    skipped: tuple[str, ...] = ()
    with memory_errors(spec.ref):
        if random:
            model, report = _random(cls, config, spec, device), LoadingReport()
        else:
            if spec.quantization != "none":
                skipped = unquantized_modules(source, cls, config, spec, job)
            model, report = _pretrained(source, cls, config, spec, device, skipped, job)
    model.eval()
    give_back()
    job.progress(f"loading the tokenizer of {spec.ref}")
    tokenizer = _tokenizer(source, spec, job)
    weights = list(model.parameters())
    dtypes = Counter[str]()
    for weight in weights:
        dtypes[str(weight.dtype).removeprefix("torch.")] += weight.numel()
    verdict, meaning = (
        ("random", "Every weight is random.") if random else _verdict(model, config, report)
    )
    if spec.auto == "AutoModelForCausalLM" and reads_both_ways(config):
        meaning += " It reads in both directions (is_decoder is off), so it can't generate well."
    info = LoadedInfo(
        spec=spec,
        cls=cls.__name__,
        model_type=config.model_type,
        parameters=sum(_count(weight) for weight in weights),
        dtype=spec.quantization if spec.quantization != "none" else dtypes.most_common(1)[0][0],
        footprint=model.get_memory_footprint(),
        seconds=time.monotonic() - began,
        verdict=verdict,
        meaning=meaning,
        labels=labels_of(config),
        limit=position_limit(config),
        tokenizer=type(tokenizer).__name__ if tokenizer is not None else "",
        source=source,
        skipped=skipped,
        device=device,
    )
    return OpenModel(info, model, tokenizer)


def reads_both_ways(config: PreTrainedConfig) -> bool:
    """Whether the architecture is an encoder's, and the config does not make a decoder of it."""
    return family_of(config.model_type) == "encoder" and not config.to_dict().get("is_decoder")


def give_back() -> None:
    """Return to the system what loading freed: quantizing leaves the whole float model behind."""
    gc.collect()
    trim()


def _count(weight: object) -> int:
    """Values that a parameter stands for; a packed 4-bit weight knows its own shape."""
    from torch import nn

    parameter = cast("nn.Parameter", weight)
    state = getattr(parameter, "quant_state", None)
    shape = getattr(state, "shape", None)
    return math.prod(cast("tuple[int, ...]", shape)) if shape is not None else parameter.numel()


def _random(
    cls: type[PreTrainedModel], config: PreTrainedConfig, spec: ModelSpec, device: str
) -> PreTrainedModel:
    import torch

    if spec.quantization != "none":
        raise HftermError(
            "random-quantized",
            "Random weights can't be quantized while loading.",
            "Choose no quantization, or save the model first.",
        )
    dtype = (
        config.dtype if spec.dtype == "auto" else cast("torch.dtype", getattr(torch, spec.dtype))
    )
    try:
        with building():
            model = cls._from_config(copy.deepcopy(config), dtype=dtype or torch.float32)  # pyright: ignore[reportPrivateUsage]
    except (AttributeError, TypeError, ValueError, KeyError) as error:
        # what a config lacks, a model's __init__ stumbles over in one of these ways
        raise HftermError(
            "unbuildable",
            f"{cls.__name__} can't be built from this config: {error}",
            "Set the field that it names.",
        ) from error
    return placed(model, device)


def _pretrained(
    source: ModelSource, cls: type[PreTrainedModel], config: PreTrainedConfig, spec: ModelSpec,
    device: str, skipped: tuple[str, ...], job: Job,
) -> tuple[PreTrainedModel, LoadingReport]:  # fmt: skip
    import torch

    told = arguments(source, spec) | {"ignore_mismatched_sizes": spec.ignore_mismatched}
    if spec.dtype != "auto":
        told["dtype"] = getattr(torch, spec.dtype)
    if spec.quantization != "none":
        told |= _quantized(spec, device, skipped)
    with reading(source, job):
        try:
            loaded = cast(
                "tuple[PreTrainedModel, Mapping[str, object]]",
                cls.from_pretrained(source.path, config=copy.deepcopy(config), **told),  # pyright: ignore[reportArgumentType]
            )
        except Exception as error:
            # safetensors, pickle, torch and bitsandbytes each have their own families here
            raise explain_loading(source, error) from error
    model, report = loaded[0], report_of(loaded[1])
    if source.base:
        base = find(source.base, job)
        report = with_base(model, report, dry_run(base, cls, config, spec, job)[1])
    if spec.quantization == "none" and device != "cpu":
        model = placed(model, device)
    return model, report


BLOCK, ROWS = 64, 32
"""Inputs, unless a weight says otherwise, and outputs of a layer that are packed at a time."""


def check_blocks(opened: OpenModel) -> None:
    """Refuse to run what bitsandbytes would fail at with the first text.

    Where the processor has bfloat16 of its own, 4-bit weights are packed anew before they are first
    used, in blocks along a layer's inputs: `_convert_weight_packed_for_cpu`.

    Raises:
        HftermError: a layer is too narrow.
    """
    spec = opened.info.spec
    if spec.quantization not in ("nf4", "fp4") or opened.info.device != "cpu":
        return
    from bitsandbytes.nn.modules import Linear4bit, Params4bit

    for name, layer in opened.model.named_modules():
        if not isinstance(layer, Linear4bit) or not layer.support_avx512bf16_for_cpu:
            continue
        state = cast("Params4bit", layer.weight).quant_state
        block = (state.blocksize if state is not None else None) or BLOCK
        if layer.in_features % block or layer.out_features % ROWS:
            raise HftermError(
                "narrow",
                f"{spec.ref} can't run in {spec.quantization} on this processor: bitsandbytes "
                f"packs {block} inputs and {ROWS} outputs of a layer at a time, and {name} has "
                f"{layer.in_features} and {layer.out_features}.",
                "Load it in int8 or bfloat16.",
            )


def placed(model: PreTrainedModel, device: str) -> PreTrainedModel:
    """A model on a device."""
    import torch

    torch.nn.Module.to(model, device)  # in place
    return model


def unquantized_modules(
    source: ModelSource, cls: type[PreTrainedModel], config: PreTrainedConfig, spec: ModelSpec,
    job: Job,
) -> tuple[str, ...]:  # fmt: skip
    """What quantization must leave alone.

    A head that the checkpoint lacks: bitsandbytes would quantize what was never initialised. And
    the output layer, as the library has it by default.
    """
    model, report = dry_run(source, cls, config, spec, job)
    return tuple(sorted({*_new_modules(report), *output_names(model)}))


def _quantized(spec: ModelSpec, device: str, skipped: tuple[str, ...]) -> dict[str, object]:
    import logging

    import torch
    from transformers import BitsAndBytesConfig

    # it warns at every layer and step of int8: 53 kB for three tokens
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    if spec.quantization == "int8":
        how = BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=list(skipped))
    else:
        how = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type=spec.quantization,
            bnb_4bit_use_double_quant=spec.double_quant,
            bnb_4bit_compute_dtype=torch.bfloat16,
            llm_int8_skip_modules=list(skipped),
        )
    dtype = torch.bfloat16 if spec.dtype == "auto" else getattr(torch, spec.dtype)
    return {"quantization_config": how, "device_map": {"": device}, "dtype": dtype}


def _new_modules(report: LoadingReport) -> list[str]:
    names = (*report.missing, *(found.name for found in report.mismatched))
    return modules_of(names)


def _verdict(
    model: PreTrainedModel, config: PreTrainedConfig, report: LoadingReport
) -> tuple[str, str]:
    names = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    base_class = concrete_of("AutoModel", config)
    base = {n for n, _ in on_meta(base_class, config).named_parameters(remove_duplicate=False)}
    backbone = backbone_of(names, base, type(model).base_model_prefix)
    verdict, meaning, _ = verdicts.judge(
        report, len(names), len(backbone), len(backbone.intersection(report.missing))
    )
    return verdict, meaning


def _tokenizer(source: ModelSource, spec: ModelSpec, job: Job) -> PreTrainedTokenizerBase | None:
    """The tokenizer; None when there is none, which only the tasks that need it mind."""
    from transformers import AutoTokenizer

    if spec.tokenizer and has_tokenizer(spec.tokenizer):  # a tokenizer alone, just trained say
        folder, gguf = spec.tokenizer, ""
    elif spec.tokenizer:
        other = find(spec.tokenizer, job)
        folder, gguf = other.path, other.gguf
    elif source.kind == "architecture":
        return None
    else:
        folder, gguf = source.path, source.gguf
        if source.kind == "config":
            folder = str(Path(source.path).parent)
        if source.base and not has_tokenizer(folder):
            folder = find(source.base, job).path
    if not gguf and not spec.tokenizer and not has_tokenizer(folder):
        return None
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder,
            trust_remote_code=spec.allow_code,
            local_files_only=True,
            **({"gguf_file": gguf} if gguf else {}),
        )
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        if spec.tokenizer:
            raise HftermError(
                "no-tokenizer",
                f"The tokenizer of {spec.tokenizer} can't be opened: {str(error)[:200]}",
                "Name another model's, minilm say: F7 on the screen, --tokenizer in a command.",
            ) from error
        return None
    return cast("PreTrainedTokenizerBase", tokenizer)
