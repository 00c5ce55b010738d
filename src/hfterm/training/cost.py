"""What a recipe trains and the memory it takes, from shapes alone.

Imports torch, transformers and peft inside functions: for an engine process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hfterm.job import Job
from hfterm.models.memory_types import Precision, Purpose, Way
from hfterm.training.preview_types import RecipeCost
from hfterm.training.recipe import AUTO_CLASSES, Recipe, expand

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PURPOSES: dict[str, Purpose] = {"full": "full fine-tune", "lora": "LoRA", "qlora": "QLoRA"}
"""What the memory plans call the methods."""


def recipe_cost(recipe: Recipe, labels: int, job: Job | None = None) -> RecipeCost:
    """What is trained, and the memory it takes.

    Args:
        recipe: of its methods, the first.
        labels: of the head; 0 for a task without.
        job: told of the plans.

    Raises:
        HftermError: the model is nowhere, has no such head, or no such target module.
    """
    from hfterm.models.memory_report import memory_report
    from hfterm.models.opening import concrete_of, dry_run, find, load_config
    from hfterm.models.types import ModelSpec
    from hfterm.training.code_model import adapter_error

    job = job or Job()
    one = expand(recipe, "cost")[0]
    auto = AUTO_CLASSES[one.task]
    source = find(one.model.ref, job)
    if source.base:
        raise adapter_error(one.model.ref)
    config = load_config(source, labels or None)
    cls = concrete_of(auto, config)
    spec = ModelSpec(
        ref=one.model.ref, auto=auto, num_labels=labels or None, ignore_mismatched=True
    )
    model, report = dry_run(source, cls, config, spec, job)
    targets = _adapted(one, model) if one.method.name != "full" else []
    precision: Precision = one.method.quant if one.method.name == "qlora" else (
        "bfloat16" if one.model.dtype in ("bfloat16", "float16") else "float32"
    )  # fmt: skip
    wanted: Way = PURPOSES[one.method.name], precision
    memory = memory_report(
        one.model.ref, model, config, report, context=one.data.max_length,
        batch=one.training.batch_size, rank=one.method.r, targets=targets, only=wanted, job=job,
    )  # fmt: skip
    trainable, parameters = _counted(one, model)
    return RecipeCost(
        cls=cls.__name__,
        trainable=trainable,
        parameters=parameters,
        targets=tuple(targets),
        plan=next(
            (
                found
                for found in memory.plans
                if (found.plan.purpose, found.plan.precision) == wanted
            ),
            None,
        ),
    )


def _adapted(recipe: Recipe, model: PreTrainedModel) -> list[str]:
    """The last parts of the names of the modules that get an adapter."""
    from hfterm.models.lora import linear_modules, output_names
    from hfterm.training.base_model import lora_config
    from hfterm.training.targets import ALL_LINEAR

    chosen = lora_config(recipe.method, recipe.task, model).target_modules
    if chosen == ALL_LINEAR:
        left_out = output_names(model)
        return [name for name in linear_modules(model) if name not in left_out]
    return sorted({name.rpartition(".")[2] for name in chosen or ()})


def _counted(recipe: Recipe, model: PreTrainedModel) -> tuple[int, int]:
    """Parameters that are trained, and all of them, as peft itself counts them."""
    if recipe.method.name == "full":
        count = sum(weight.numel() for weight in model.parameters())
        return count, count
    from peft import get_peft_model

    from hfterm.training.base_model import lora_config

    config = lora_config(recipe.method, recipe.task, model)
    adapted = get_peft_model(model, config, low_cpu_mem_usage=True)
    trainable, parameters = adapted.get_nb_trainable_parameters()
    return int(trainable), int(parameters)
