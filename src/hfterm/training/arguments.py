"""A recipe's `[training]` as `transformers.TrainingArguments` has it: for the run and its script.

Plain data; nothing heavy is here.
"""

from __future__ import annotations

from hfterm.training.recipe import LESS_IS_BETTER, Recipe

LIBRARY: dict[str, object] = {
    "max_steps": -1,
    "gradient_accumulation_steps": 1,
    "lr_scheduler_type": "linear",
    "warmup_steps": 0,
    "weight_decay": 0,
    "max_grad_norm": 1.0,
    "optim": "adamw_torch_fused",
    "bf16": False,
    "fp16": False,
    "activation_checkpointing": False,
    "load_best_model_at_end": False,
    "metric_for_best_model": None,
    "greater_is_better": None,
    "dataloader_num_workers": 0,
    "eval_strategy": "no",
}
"""What transformers has where nobody says: a script need not repeat it."""

OPTIMIZERS = (
    "adamw_torch_fused", "adamw_torch", "adafactor", "sgd", "adagrad", "rmsprop", "ademamix",
    "stable_adamw", "adamw_anyprecision", "adamw_torch_4bit", "adamw_torch_8bit",
    "adamw_torch_xla", "adamw_torch_npu_fused", "adamw_bnb_8bit", "adamw_8bit", "ademamix_8bit",
    "lion_8bit", "lion_32bit", "paged_adamw_32bit", "paged_adamw_8bit", "paged_ademamix_32bit",
    "paged_ademamix_8bit", "paged_lion_32bit", "paged_lion_8bit", "rmsprop_bnb",
    "rmsprop_bnb_8bit", "rmsprop_bnb_32bit", "galore_adamw", "galore_adamw_8bit",
    "galore_adafactor", "galore_adamw_layerwise", "galore_adamw_8bit_layerwise",
    "galore_adafactor_layerwise", "lomo", "adalomo", "grokadamw", "schedule_free_radam",
    "schedule_free_adamw", "schedule_free_sgd", "apollo_adamw", "apollo_adamw_layerwise",
)  # fmt: skip
"""What transformers has; the first is its default."""


def trainer_arguments(recipe: Recipe, *, evaluates: bool) -> dict[str, object]:
    """The arguments by name, but for the folder and the device.

    Args:
        recipe: of one run.
        evaluates: whether there is something to evaluate on.
    """
    training = recipe.training
    evaluations = _every("eval", training.eval_every) if evaluates else {"eval_strategy": "no"}
    saves = _every("save", training.save_every)
    if training.load_best and not training.save_every:
        saves = _every("save", training.eval_every)
    return {
        "num_train_epochs": training.epochs,
        "max_steps": training.max_steps or -1,
        "per_device_train_batch_size": training.batch_size,
        "per_device_eval_batch_size": training.eval_batch_size,
        "gradient_accumulation_steps": training.accumulate,
        "learning_rate": training.learning_rate,
        "lr_scheduler_type": training.scheduler,
        "warmup_steps": training.warmup,
        "weight_decay": training.weight_decay,
        "max_grad_norm": training.max_grad_norm,
        "optim": training.optimizer,
        "bf16": training.precision == "bf16",
        "fp16": training.precision == "fp16",
        "activation_checkpointing": training.activation_checkpointing,
        "seed": training.seed,
        "logging_steps": training.log_every,
        "logging_first_step": True,
        "logging_nan_inf_filter": False,
        "load_best_model_at_end": training.load_best,
        "metric_for_best_model": _metric(recipe) if evaluates else None,
        "greater_is_better": recipe.metric not in LESS_IS_BETTER if evaluates else None,
        "dataloader_num_workers": training.workers,
        **evaluations,
        **saves,
    }


def _every(what: str, steps: int) -> dict[str, object]:
    if not steps:
        return {f"{what}_strategy": "epoch"}
    return {f"{what}_strategy": "steps", f"{what}_steps": steps}


def _metric(recipe: Recipe) -> str:
    """The metric as Trainer finds it: the perplexity is made of the loss."""
    return "loss" if recipe.metric == "perplexity" else recipe.metric
