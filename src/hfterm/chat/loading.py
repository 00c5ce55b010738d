"""Load a causal model for a chat, an adapter on top of it if one is named.

Imports torch, transformers and peft inside functions: for an engine process.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from hfterm.building_lock import building
from hfterm.chat.prompting import has_template
from hfterm.chat.types import LlmInfo, LlmSpec
from hfterm.errors import HftermError
from hfterm.inference.loading import OpenModel, check_blocks, give_back, load_model
from hfterm.job import Job
from hfterm.models.devices import devices
from hfterm.models.memory import weight_sizes
from hfterm.models.opening import concrete_of, find, load_config
from hfterm.models.placement import device_for
from hfterm.models.types import ModelSpec
from hfterm.paths import expanded
from hfterm.sizes import size_text
from hfterm.system.own_memory import own_memory

if TYPE_CHECKING:
    from transformers.modeling_utils import PreTrainedModel

CAUSAL = "AutoModelForCausalLM"


def model_spec(spec: LlmSpec) -> ModelSpec:
    """The base model of a chat, as other screens load it."""
    return ModelSpec(
        ref=spec.ref, auto=CAUSAL, dtype=spec.dtype, quantization=spec.quantization,
        double_quant=spec.double_quant, device=spec.device, allow_pickle=spec.allow_pickle,
        allow_code=spec.allow_code,
    )  # fmt: skip


def load_llm(spec: LlmSpec, job: Job) -> tuple[LlmInfo, OpenModel]:
    """Load what `spec` says.

    Raises:
        HftermError: as `load_model`; the tokenizer is missing, the adapter is another model's, or
            the context is longer than the model's.
    """
    began = time.monotonic()
    try:
        opened = load_model(model_spec(spec), job)
    except HftermError as error:
        if error.kind != "memory":
            raise
        raise no_memory(spec, job, "Memory ran out") from error
    check_blocks(opened)
    tokenizer = opened.text
    context = _context(spec, opened)
    if spec.adapter:
        job.progress(f"putting {spec.adapter} on top")
        opened = OpenModel(opened.info, _with_adapter(opened.model, spec), tokenizer)
    _read_in(opened.model, job)
    give_back()
    notes = [] if opened.info.verdict == "complete" else [opened.info.meaning]
    if not has_template(tokenizer):
        notes.append("It has no chat template: your text is continued, not answered.")
    info = LlmInfo(
        spec=spec,
        name=opened.info.cls,
        parameters=opened.info.parameters,
        dtype=opened.info.dtype,
        footprint=opened.model.get_memory_footprint(),
        memory=own_memory(),
        seconds=time.monotonic() - began,
        context=context,
        has_template=has_template(tokenizer),
        note=" ".join(notes),
        tokenizer=str(tokenizer.name_or_path),
        ends=tuple(sorted(ends_of(opened))),
        base=opened.info,
        device=opened.info.device,
    )
    return info, opened


def _read_in(model: PreTrainedModel, job: Job) -> None:
    """Read the weights that are only mapped, as the first answer would have to.

    A checkpoint that is loaded in its own dtype takes no memory until it is read: its process would
    be said to take less than its weights, and less than with a smaller dtype.
    """
    import torch

    job.progress("reading the weights")
    for weight in model.parameters():
        job.check()
        if weight.device.type == "cpu":
            weight.detach().contiguous().view(-1).view(torch.uint8)[:: resource.getpagesize()].sum()


def no_memory(spec: LlmSpec, job: Job, what: str) -> HftermError:
    """Memory ran out while loading: with the figures, and the next smaller way of loading.

    Args:
        spec: what was loaded, and how.
        job: told how far looking at the config is.
        what: how it showed.
    """
    config = load_config(find(spec.ref, job), allow_code=spec.allow_code)
    sizes = weight_sizes(concrete_of(CAUSAL, config), config)
    stored = "float32" if str(config.dtype) in ("None", "torch.float32") else "bfloat16"
    way = spec.quantization if spec.quantization != "none" else spec.dtype
    takes = sizes.get({"auto": stored, "float16": "bfloat16", "fp4": "nf4"}.get(way, way), 0)  # pyright: ignore[reportCallIssue, reportArgumentType]
    smaller = {name: size for name, size in sizes.items() if size < takes}
    remedy = "Choose a smaller model, or free memory."
    if smaller:
        best = max(smaller, key=smaller.__getitem__)
        option = "--dtype" if best == "bfloat16" else "--quant"
        remedy = f"{best} takes {size_text(smaller[best])}: F7, or {option} on the command line."
    return HftermError(
        "memory",
        f"{what} while {spec.ref} was loaded: its weights take {size_text(takes)} that "
        f"way, and {_room(device_for(spec.device))}.",
        remedy,
    )


def _room(device: str) -> str:
    """What there is to take: a limit of the process counts before what is free."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if device == "cpu" and limit != resource.RLIM_INFINITY:
        return f"a process may take {size_text(limit)} in all here (ulimit -v)"
    free = next((room.free for room in devices() if room.name.startswith(device)), 0)
    return f"{size_text(free)} are free"


def ends_of(opened: OpenModel) -> frozenset[int]:
    """The tokens that end an answer: those of the checkpoint, and the tokenizer's own."""
    config = opened.model.generation_config
    ends = config.eos_token_id
    found = {ends} if isinstance(ends, int) else set(cast("Sequence[int]", ends or ()))
    if isinstance(opened.text.eos_token_id, int):
        found.add(opened.text.eos_token_id)
    return frozenset(found)


def _context(spec: LlmSpec, opened: OpenModel) -> int | None:
    limit = opened.info.limit
    if spec.context and limit is not None and spec.context > limit:
        raise HftermError(
            "context-too-long",
            f"A context of {spec.context:,} tokens is asked for, and {spec.ref} has positions for "
            f"{limit:,}.",
            f"Set the context to {limit:,} or less, or to 0 for all.",
        )
    return spec.context or limit


def _with_adapter(model: PreTrainedModel, spec: LlmSpec) -> PreTrainedModel:
    from peft import PeftModel

    folder = expanded(spec.adapter)
    if not (folder / "adapter_config.json").is_file():
        raise HftermError(
            "no-adapter",
            f"{spec.adapter} is no adapter: it has no adapter_config.json.",
            "Name the folder that training wrote (model/ in a run's folder).",
        )
    try:
        with building():
            # the model's own class stays in use: peft's wrapper would hide what generate asks for
            adapted = PeftModel.from_pretrained(model, str(folder))
    except (ValueError, RuntimeError, KeyError, TypeError, OSError) as error:
        # peft finds none of the layers it names, or weights of another shape
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        # torch's first line says only that there are mistakes, the next one which
        told = (line for line in lines if not line.startswith("Error(s) in "))
        first = next(told, type(error).__name__)
        raise HftermError(
            "other-base",
            f"The adapter {spec.adapter} does not fit {spec.ref}: {first[:300]}",
            f"It was trained on {_base_of(folder)}: choose that model.",
        ) from error
    return cast("PreTrainedModel", adapted)


def _base_of(folder: Path) -> str:
    import msgspec

    config = msgspec.json.decode((folder / "adapter_config.json").read_bytes(), type=dict)
    return str(config.get("base_model_name_or_path") or "another model")
