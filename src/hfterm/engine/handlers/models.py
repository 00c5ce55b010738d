"""Requests about models that are not loaded: open the config, call the domain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hfterm.engine import model_requests as ask
from hfterm.engine.handlers.registry import Registry
from hfterm.job import Job
from hfterm.models import types
from hfterm.models.memory_types import MemoryReport

if TYPE_CHECKING:
    from transformers import PreTrainedConfig
    from transformers.modeling_utils import PreTrainedModel

HANDLERS = Registry()


@HANDLERS.answers(ask.ListArchitectures)
def list_architectures(_: ask.ListArchitectures, job: Job) -> list[types.Architecture]:
    """The architectures."""
    from hfterm.models import catalogue, opening

    opening.import_modelling()
    job.check()
    return catalogue.architectures()


@HANDLERS.answers(ask.DescribeModel)
def describe_model(request: ask.DescribeModel, job: Job) -> types.ModelOverview:
    """The overview, from before when nothing has changed."""
    from hfterm.models.overview_cache import keep_overview, known_overview, overview_file

    file = overview_file(request.spec)
    known = known_overview(request.spec)
    if known is not None:
        return known
    from hfterm.models.overview import overview

    found = overview(request.spec.ref, request.spec, job)
    keep_overview(file, found)
    return found


@HANDLERS.answers(ask.ListConfig)
def list_config(request: ask.ListConfig, job: Job) -> list[types.ConfigEntry]:
    """The config."""
    from hfterm.models import opening
    from hfterm.models.configuration import config_entries

    source = opening.find(request.spec.ref, job)
    return config_entries(opening.load_config(source, allow_code=request.spec.allow_code))


@HANDLERS.answers(ask.ListParameters)
def list_parameters(request: ask.ListParameters, job: Job) -> types.ParameterTree:
    """The parameters."""
    from hfterm.models.parameters import parameter_tree

    model, report, _ = _shape(request.spec, job)  # no report: it has no weights
    return parameter_tree(model, report)


@HANDLERS.answers(ask.EstimateLora)
def estimate_lora(request: ask.EstimateLora, job: Job) -> types.LoraEstimate:
    """LoRA, counted."""
    from hfterm.models.lora import lora_estimate

    model, _, _ = _shape(request.spec, job)
    return lora_estimate(model, request.rank, request.targets or None)


@HANDLERS.answers(ask.EstimateMemory)
def estimate_memory(request: ask.EstimateMemory, job: Job) -> MemoryReport:
    """The memory report."""
    from hfterm.models.lora import default_targets, lora_estimate
    from hfterm.models.memory_report import memory_report

    model, report, config = _shape(request.spec, job)
    targets = list(request.targets) or default_targets(model)
    if request.targets:  # names that are none are said
        rows = lora_estimate(model, request.rank, targets).rows
        targets = [row.module for row in rows if row.chosen]
    return memory_report(
        request.spec.ref, model, config, report or types.LoadingReport(),
        context=request.context, batch=request.batch, rank=request.rank, targets=targets, job=job,
    )  # fmt: skip


@HANDLERS.answers(ask.CompareModels)
def compare_models(request: ask.CompareModels, job: Job) -> types.ModelComparison:
    """Two models."""
    from hfterm.models import compare, opening

    opening.import_modelling()
    return compare.compare_models(request.first, request.second, job)


def _shape(
    spec: types.ModelSpec, job: Job
) -> tuple[PreTrainedModel, types.LoadingReport | None, PreTrainedConfig]:
    """A class on the meta device, what loading would leave (None without weights), the config."""
    from hfterm.models import opening

    source = opening.find(spec.ref, job)
    config = opening.load_config(source, spec.num_labels, allow_code=spec.allow_code)
    cls = opening.concrete_of(spec.auto, config)
    if source.weights == "none" or spec.random:
        return opening.on_meta(cls, config), None, config
    model, report = opening.dry_run(source, cls, config, spec, job)
    return model, report, config
