"""What a class costs on this machine: every plan, judged against every device."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from hfterm.errors import HftermError
from hfterm.job import Job
from hfterm.models.devices import devices
from hfterm.models.kv_cache import kv_cache_size
from hfterm.models.memory import estimate, judge, weight_sizes
from hfterm.models.memory_types import JudgedPlan, MemoryReport, Way
from hfterm.models.opening import position_limit
from hfterm.models.types import LoadingReport
from hfterm.models.verdicts import modules_of

if TYPE_CHECKING:
    from transformers import PreTrainedConfig
    from transformers.modeling_utils import PreTrainedModel

USUAL_CONTEXT = 512
"""Tokens, when nobody says and the model takes as many."""

BFLOAT16 = 2


def memory_report(
    ref: str, model: PreTrainedModel, config: PreTrainedConfig, report: LoadingReport, *,
    context: int = 0, batch: int = 1, rank: int = 8, targets: Sequence[str] = (),
    only: Way | None = None, job: Job | None = None,
) -> MemoryReport:  # fmt: skip
    """Every plan for a class.

    Args:
        ref: the model, as the user named it.
        model: the class on the meta device.
        config: its config.
        report: what loading it leaves: a new head is not quantized.
        context: tokens a sequence; 0 for the model's limit, `USUAL_CONTEXT` at most.
        batch: sequences at once.
        rank: of LoRA.
        targets: names of the modules that LoRA adapts.
        only: the plan that is asked for; where it doesn't fit the others come with it, for one of
            them may.
        job: told of the plans.

    Raises:
        HftermError: context or batch is no number of anything, or beyond the model.
    """
    limit = position_limit(config)
    context = context or min(limit or USUAL_CONTEXT, USUAL_CONTEXT)
    if context < 1 or batch < 1:
        raise HftermError(
            "bad-size", "Context and batch count from 1.", "Type whole numbers, 512 and 1 say."
        )
    if limit is not None and context > limit:
        raise HftermError(
            "beyond-limit",
            f"{ref} takes {limit:,} tokens, not {context:,}.",
            f"Choose {limit:,} or less.",
        )
    missing = (*report.missing, *(found.name for found in report.mismatched))
    new = modules_of(missing)
    estimated = partial(
        estimate, type(model), config, context=context, batch=batch, rank=rank, targets=targets,
        new_modules=new, job=job,
    )  # fmt: skip
    here = devices()
    plans = estimated(only=only)
    if only and any(plan.total > room.free for plan in plans for room in here):
        plans = estimated()
    return MemoryReport(
        ref=ref,
        cls=type(model).__name__,
        parameters=sum(weight.numel() for weight in model.parameters()),
        context=context,
        batch=batch,
        weights={str(k): v for k, v in weight_sizes(type(model), config, new).items()},
        kv_cache=kv_cache_size(config, context, batch, BFLOAT16),
        devices=tuple(here),
        plans=tuple(
            JudgedPlan(plan, tuple(judge(plan, room, plans) for room in here)) for plan in plans
        ),
    )
