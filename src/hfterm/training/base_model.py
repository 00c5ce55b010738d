"""The model of a recipe: its weights, quantized or not, and the method's adapter on them.

Imports torch and transformers inside functions: for a process that trains.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

from hfterm.errors import HftermError
from hfterm.hub.model_source import ModelSource
from hfterm.inference.loading import unquantized_modules
from hfterm.job import Job
from hfterm.models.lora import linear_modules
from hfterm.models.opening import arguments, concrete_of, load_config, reading, report_of
from hfterm.models.opening_errors import explain_loading
from hfterm.models.placement import device_for
from hfterm.models.types import LoadingReport, ModelSpec
from hfterm.training.code_model import adapter_error
from hfterm.training.recipe import AUTO_CLASSES, MethodPart, Recipe
from hfterm.training.targets import ALL_LINEAR, PEFT_TASKS, unknown_target, usual_targets

if TYPE_CHECKING:
    import torch
    from peft import LoraConfig
    from transformers import PreTrainedConfig, PreTrainedModel


def load_base(
    recipe: Recipe,
    source: ModelSource,
    names: tuple[str, ...],
    job: Job,
) -> tuple[PreTrainedModel, tuple[str, ...]]:
    """The model that is trained or adapted, and the modules of it that are new.

    Raises:
        HftermError: the weights are another architecture's, or can't be read.
    """
    import torch
    from transformers import set_seed

    from hfterm.models.verdicts import modules_of

    if source.base:
        raise adapter_error(recipe.model.ref)
    config = load_config(source, len(names) if names else None)
    if names:
        config.id2label = dict(enumerate(names))
        config.label2id = {name: number for number, name in enumerate(names)}
    cls = concrete_of(AUTO_CLASSES[recipe.task], config)
    if recipe.task == "text-classification":
        # a checkpoint's own head may have been another kind
        config.problem_type = "single_label_classification"
    spec = ModelSpec(ref=recipe.model.ref, auto=AUTO_CLASSES[recipe.task])
    told = arguments(source, spec) | {"ignore_mismatched_sizes": True, "dtype": dtype_of(recipe)}
    told |= _quantized(recipe, source, cls, config, spec, job)
    set_seed(recipe.training.seed)
    with reading(source, job):
        try:
            loaded = cls.from_pretrained(source.path, config=config, **told)  # pyright: ignore[reportArgumentType, reportCallIssue]
        except Exception as error:
            # safetensors, torch and bitsandbytes each have their own families here
            raise explain_loading(source, error) from error
    model, told_report = cast("tuple[PreTrainedModel, dict[str, object]]", loaded)
    report = report_of(told_report)
    _check_backbone(recipe, model, report)
    new = modules_of([*report.missing, *(found.name for found in report.mismatched)])
    if recipe.quantization == "none":
        torch.nn.Module.to(model, device_of(recipe))
    return model, tuple(new)


def _check_backbone(recipe: Recipe, model: PreTrainedModel, report: LoadingReport) -> None:
    """Refuse weights of another model: nearly all would start at random."""
    prefix = f"{type(model).base_model_prefix}."
    names = [name for name, _ in model.named_parameters() if name.startswith(prefix)]
    absent = {*report.missing, *(found.name for found in report.mismatched)}
    missing = [name for name in names if name in absent]
    if names and len(missing) > len(names) / 2:
        raise HftermError(
            "another-model",
            f"{recipe.model.ref} holds weights of another model: {len(missing):,} of "
            f"{len(names):,} weights of {type(model).__name__} are not in it.",
            "Name the checkpoint that its config.json belongs to.",
        )


def dtype_of(recipe: Recipe) -> torch.dtype:
    """What the weights are kept in while training."""
    import torch

    if recipe.model.dtype == "auto":
        return torch.bfloat16 if recipe.quantization != "none" else torch.float32
    return cast("torch.dtype", getattr(torch, recipe.model.dtype))


def device_of(recipe: Recipe) -> str:
    """Where this process puts the model: of several that train, each has a device of its own.

    Raises:
        HftermError: there is no such device.
    """
    return device_for(recipe.model.device, int(os.environ.get("LOCAL_RANK", "0")))


def _quantized(
    recipe: Recipe,
    source: ModelSource,
    cls: type[PreTrainedModel],
    config: PreTrainedConfig,
    spec: ModelSpec,
    job: Job,
) -> dict[str, object]:
    if recipe.quantization == "none":
        return {}
    import logging

    import torch
    from transformers import BitsAndBytesConfig

    # it warns at every layer and step of int8
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    skipped = list(unquantized_modules(source, cls, config, spec, job))
    if recipe.quantization == "int8":
        how = BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=skipped)
    else:
        how = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
            llm_int8_skip_modules=skipped,
        )
    return {"quantization_config": how, "device_map": {"": device_of(recipe)}}


def keep_gradients(model: torch.nn.Module) -> None:
    """Keep evaluations from damaging the gradients of a 4-bit base on a CPU.

    bitsandbytes repacks its weights for AVX512-BF16 at the first forward pass in evaluation mode,
    into a path without autograd.
    """
    import bitsandbytes

    for module in model.modules():
        if isinstance(module, bitsandbytes.nn.Linear4bit):  # pyright: ignore[reportPrivateImportUsage]
            module.support_avx512bf16_for_cpu = False


def with_method(recipe: Recipe, model: PreTrainedModel) -> PreTrainedModel:
    """The model with the method's adapter on it, if it has one.

    Raises:
        HftermError: a target is no module of the model.
    """
    if recipe.method.name == "full":
        return model
    from peft import get_peft_model, prepare_model_for_kbit_training

    config = lora_config(recipe.method, recipe.task, model)
    if recipe.quantization != "none":
        keep_gradients(model)
        model = cast(
            "PreTrainedModel",
            prepare_model_for_kbit_training(
                model,
                use_gradient_checkpointing=True,
                gradient_checkpointing_kwargs={"use_reentrant": False},
            ),
        )
    return cast("PreTrainedModel", get_peft_model(model, config))


def lora_config(method: MethodPart, task: str, model: PreTrainedModel) -> LoraConfig:
    """Peft's config of a method.

    Raises:
        HftermError: ``unknown-target``: a target is no linear module of the model.
    """
    from peft import LoraConfig

    known = linear_modules(model)
    targets: str | list[str] = ALL_LINEAR
    if not method.target_modules:
        targets = usual_targets(known)
    elif method.target_modules != ALL_LINEAR:
        targets = list(method.target_modules)
        for target in targets:
            if target not in known and not any(
                name.endswith(f".{target}") for name, _ in model.named_modules()
            ):
                raise unknown_target(target, list(known))
    return LoraConfig(
        r=method.r,
        lora_alpha=method.alpha,  # pyright: ignore[reportArgumentType]
        lora_dropout=method.dropout,
        target_modules=targets,
        bias=method.bias,
        use_rslora=method.rslora,
        use_dora=method.dora,
        task_type=PEFT_TASKS.get(task),  # pyright: ignore[reportArgumentType]
    )
