"""Requests about recipes: call the domain."""

from __future__ import annotations

from pathlib import Path

from hfterm.engine import training_requests as ask
from hfterm.engine.handlers.registry import Registry
from hfterm.job import Job
from hfterm.training.preview_types import Preview, ProbeResult, RecipeCost

HANDLERS = Registry()


@HANDLERS.answers(ask.CheckRecipe)
def check_recipe(request: ask.CheckRecipe, job: Job) -> None:
    """The check."""
    from hfterm.training.preflight import check

    check(request.recipe, job)


@HANDLERS.answers(ask.PreviewRecipe)
def preview_recipe(request: ask.PreviewRecipe, job: Job) -> Preview:
    """The preview."""
    from hfterm.training.preview import preview

    return preview(request.recipe, job)


@HANDLERS.answers(ask.CostRecipe)
def cost_recipe(request: ask.CostRecipe, job: Job) -> RecipeCost:
    """The cost."""
    from hfterm.training.preview import cost

    return cost(request.recipe, request.labels, job)


@HANDLERS.answers(ask.ProbeRecipe)
def probe_recipe(request: ask.ProbeRecipe, job: Job) -> ProbeResult:
    """The probe."""
    from hfterm.training.probe import probe

    return probe(request.recipe, job)


@HANDLERS.answers(ask.MergeRun)
def merge_run(request: ask.MergeRun, job: Job) -> str:
    """The merged model."""
    from hfterm.training.merging import merge

    return str(merge(Path(request.run), Path(request.out), job))
