"""What a model is, and what each class would make of it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from hfterm.errors import HftermError
from hfterm.hub.model_source import ModelSource
from hfterm.job import Job
from hfterm.models import verdicts
from hfterm.models.catalogue import classes_of, family_of, task_of
from hfterm.models.opening import (
    concrete_of,
    dry_run,
    find,
    labels_of,
    load_config,
    on_meta,
    own_classes,
    position_limit,
    reading,
)
from hfterm.models.types import FIRST, ClassReport, Family, ModelOverview, ModelSpec

if TYPE_CHECKING:
    from transformers import PreTrainedConfig
    from transformers.modeling_utils import PreTrainedModel


def overview(ref: str, spec: ModelSpec | None = None, job: Job | None = None) -> ModelOverview:
    """Describe a model: every class that knows it, with what loading it would leave.

    No weights are read and none are allocated. `spec` says the number of labels, and what the
    user allowed; the rest of it is of no matter.

    Raises:
        HftermError: there is no such model, or its config can't be read.
    """
    job = job or Job()
    spec = spec or ModelSpec(ref=ref)
    job.progress(f"looking at {ref}")
    source = find(ref, job)
    with reading(source, job, dry=True):
        return _overview(source, spec, job)


def _overview(source: ModelSource, spec: ModelSpec, job: Job) -> ModelOverview:
    config = load_config(source, spec.num_labels, allow_code=spec.allow_code)
    known = classes_of(config.model_type) | own_classes(config)
    if not known:
        raise HftermError(
            "no-class",
            f"No Auto class knows {config.model_type}: it is a part of other models.",
            "Name the model it is a part of.",
        )
    main_auto = _main_auto(source, config, known)
    main = known[main_auto]
    notes = _notes(source, config, code_runs=spec.allow_code)
    reports: dict[str, ClassReport] = {}
    counted: PreTrainedModel | None = None
    base_names: set[str] = set()
    try:
        counted = on_meta(concrete_of(main_auto, config), config)
        if source.weights != "none":
            base_names = _names(on_meta(concrete_of(next(iter(known)), config), config))
    except HftermError as error:
        own = "its own default config" if source.kind == "architecture" else "this config"
        reason = error.message.partition(": ")[2].rstrip(".")
        notes.append(
            f"transformers can't build {main} from {own} ({reason}), so there are no parameters "
            "to count. A checkpoint's config.json may have what is missing."
        )
    classes: list[ClassReport] = []
    for number, (auto, name) in enumerate(known.items()):
        job.progress(f"trying {name}", number, len(known), "classes")
        if name not in reports:
            report, model = _try(source, auto, name, config, spec, base_names, job)
            reports[name] = report
            if name == main and model is not None:
                counted = model
        classes.append(_renamed(reports[name], auto))
    if any(report.verdict in ("complete", "new head") for report in classes):
        classes = [_named_otherwise(report) for report in classes]
    weights = list(counted.parameters()) if counted is not None else []
    dtypes = Counter(str(p.dtype).removeprefix("torch.") for p in weights)
    return ModelOverview(
        source=source,
        model_type=config.model_type,
        family=_family(config),
        parameters=sum(p.numel() for p in weights) if counted is not None else None,
        main=main,
        dtype=dtypes.most_common(1)[0][0] if dtypes else "",
        classes=tuple(classes),
        absent=tuple((auto, task_of(auto)) for auto in FIRST if auto not in known),
        labels=labels_of(config),
        limit=position_limit(config),
        notes=tuple(notes),
    )


def _main_auto(source: ModelSource, config: PreTrainedConfig, known: dict[str, str]) -> str:
    """The Auto class of what the checkpoint was saved from, else the plain model's."""
    if source.auto in known:
        return source.auto
    wanted = config.architectures or ()
    return next((auto for auto, name in known.items() if name in wanted), next(iter(known)))


def _family(config: PreTrainedConfig) -> Family:
    if config.is_encoder_decoder:
        return "encoder–decoder"
    family = family_of(config.model_type)
    if family == "encoder" and getattr(config, "is_decoder", False):
        return "decoder"
    return family


def _notes(source: ModelSource, config: PreTrainedConfig, *, code_runs: bool) -> list[str]:
    notes: list[str] = []
    if source.kind == "architecture":
        notes.append(
            f"The {config.model_type} architecture with the sizes of its default config; it has "
            "no weights."
        )
    if source.base:
        notes.append(f"An adapter on {source.base}: the base's weights, with the adapter on top.")
    if source.weights == "pickle":
        notes.append("Its weights are pickle files (.bin), which can run code when opened.")
    if source.code:
        files = f"Its repository brings Python ({', '.join(source.code)}), which "
        notes.append(
            files + ("runs, as you said yes." if code_runs else "is not run without your yes.")
        )
    return notes


def _names(model: PreTrainedModel) -> set[str]:
    return {name for name, _ in model.named_parameters(remove_duplicate=False)}


def backbone_of(names: set[str], base: set[str], prefix: str) -> set[str]:
    """Which of a class's parameters belong to the base model; its pooler is a head as well."""
    return {
        name
        for name in names
        if (name in base or name.removeprefix(f"{prefix}.") in base)
        and "pooler" not in name.split(".")
    }


def _try(
    source: ModelSource, auto: str, name: str, config: PreTrainedConfig, spec: ModelSpec,
    base: set[str], job: Job,
) -> tuple[ClassReport, PreTrainedModel | None]:  # fmt: skip
    report = ClassReport(task_of(auto), auto, name)
    if source.weights == "none":
        meaning = "No weights: it would start at random from the config."
        return msgspec.structs.replace(report, meaning=meaning), None
    try:
        cls = concrete_of(auto, config)
        model, found = dry_run(source, cls, config, spec, job)
    except HftermError as error:
        return msgspec.structs.replace(
            report, verdict="refused", meaning=error.message, remedy=error.remedy
        ), None
    names = _names(model)
    backbone = backbone_of(names, base, cls.base_model_prefix)
    verdict, meaning, remedy = verdicts.judge(
        found, len(names), len(backbone), len(backbone.intersection(found.missing))
    )
    return msgspec.structs.replace(
        report, missing=found.missing, unexpected=found.unexpected, mismatched=found.mismatched,
        verdict=verdict, meaning=meaning, remedy=remedy,
    ), model  # fmt: skip


def _named_otherwise(report: ClassReport) -> ClassReport:
    """A class that finds nothing where others find all looks for the weights by other names."""
    if report.verdict != "wrong architecture":
        return report
    where = report.missing[0].partition(".")[0] if report.missing else ""
    return msgspec.structs.replace(
        report,
        meaning=f"{report.concrete} looks for the weights under “{where}.”, where this checkpoint "
        f"has none: {len(report.missing):,} would start at random.",
        remedy="Choose another class; the weights would have to be renamed for this one.",
    )


def _renamed(report: ClassReport, auto: str) -> ClassReport:
    return msgspec.structs.replace(report, auto=auto, task=task_of(auto))
