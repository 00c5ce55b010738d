"""Configs and classes, opened the one way that dry run, real loading and Show code share.

Imports torch and transformers inside functions: for an engine process.
"""

from __future__ import annotations

import copy
from collections.abc import Generator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, cast

from hfterm.building_lock import building
from hfterm.errors import HftermError
from hfterm.hub.model_refs import cached_model, describe, resolve_model
from hfterm.hub.model_source import ModelSource
from hfterm.job import Job
from hfterm.models.catalogue import concrete_name, concrete_types, model_types, unknown_architecture
from hfterm.models.opening_errors import explain_config, explain_loading
from hfterm.models.types import LoadingReport, Mismatch, ModelSpec
from hfterm.system.large_import import large_import
from hfterm.tokenization.loading import importing

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig
    from transformers.modeling_utils import PreTrainedModel

MOST_LABELS = 100_000
"""More than any head has; each gets a name, so that a slip of the finger would fill the memory."""

OFFSET_POSITIONS = frozenset({
    "roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet",
    "xmod", "data2vec-text", "longformer", "esm", "ibert", "luke",
})  # fmt: skip
"""Architectures whose first positions belong to padding (RoBERTa's 514 are 512 tokens)."""


def import_modelling() -> None:
    """Import what every model class stands on, quietly; the first call takes seconds."""
    with importing(), large_import("transformers.modeling_utils"):
        from transformers import modeling_utils
        from transformers.conversion_mapping import get_checkpoint_conversion_mapping
        from transformers.models.auto import modeling_auto
        from transformers.utils import logging

        _ = modeling_utils, modeling_auto
        # the first to ask has the mapping of every architecture built: a quarter of a second
        get_checkpoint_conversion_mapping("")
        logging.set_verbosity_error()
        logging.disable_progress_bar()


def find(ref: str, job: Job, *, whole: bool = False) -> ModelSource:
    """What `ref` names. A hub id's small files are fetched; with `whole`, all that is loaded.

    Raises:
        HftermError: it names nothing, or the hub can't be asked.
    """
    import_modelling()
    source = resolve_model(ref, model_types())
    if source.kind != "hub":
        return source
    from hfterm.hub.model_download import download_description, download_model

    try:
        if whole:
            return describe(ref, "cache", download_model(ref, job))
        return describe(ref, "hub", download_description(ref, job))
    except HftermError as error:
        cached = cached_model(ref)
        if cached is not None and not whole:
            return describe(ref, "cache", cached)  # its config is here, if only that
        if "/" in ref:
            raise
        unknown = unknown_architecture(ref)
        raise HftermError(
            error.kind, f"{unknown.message} {error.message}", unknown.remedy or error.remedy
        ) from error


def load_config(
    source: ModelSource, num_labels: int | None = None, *, allow_code: bool = False
) -> PreTrainedConfig:
    """The config of a model.

    Raises:
        HftermError: it is broken, of no architecture that transformers knows, or needs code
            that may not be run.
    """
    from transformers import AutoConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    try:
        if source.kind == "architecture":
            config = CONFIG_MAPPING[source.path]()
        else:
            target = source.path
            if source.base:
                target = find(source.base, Job()).path
            config = AutoConfig.from_pretrained(
                target,
                trust_remote_code=allow_code,
                local_files_only=True,
                **({"gguf_file": source.gguf} if source.gguf else {}),
            )
    except HftermError:
        raise
    except Exception as error:
        # configs raise whatever their __init__ does: ValueError, KeyError, TypeError, ImportError,
        # and huggingface_hub's StrictDataclass errors
        raise explain_config(source, error) from error
    if num_labels is None and source.base:
        num_labels = source.labels  # the head is the adapter's, and not the base's
    if num_labels is not None:
        if not 1 <= num_labels <= MOST_LABELS:
            raise HftermError(
                "bad-labels",
                f"{num_labels:,} is no number of labels that a head could have.",
                f"Choose 1 to {MOST_LABELS:,}.",
            )
        config.num_labels = num_labels
    if source.label_names and config.num_labels == len(source.label_names):
        config.id2label = dict(enumerate(source.label_names))
        config.label2id = {name: number for number, name in enumerate(source.label_names)}
    return config


def own_classes(config: PreTrainedConfig) -> dict[str, str]:
    """Auto class → class of the repository's own; empty unless its code was allowed to run."""
    if not type(config).__module__.startswith("transformers_modules"):
        return {}
    return {
        auto: str(reference).rpartition(".")[2]
        for auto, reference in config.auto_map.items()
        if auto.startswith("AutoModel")
    }


def _own_class(reference: str, folder: str) -> type[PreTrainedModel]:
    from transformers.dynamic_module_utils import get_class_from_dynamic_module

    try:
        found = get_class_from_dynamic_module(reference, folder, local_files_only=True)
    except Exception as error:
        # anybody's code: what it imports may be missing, and it may raise whatever it likes
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise HftermError(
            "bad-code",
            f"The Python in {folder} can't be run: {first[:300]}",
            "Install what it imports, or choose another model.",
        ) from error
    return cast("type[PreTrainedModel]", found)


def concrete_of(auto: str, config: PreTrainedConfig) -> type[PreTrainedModel]:
    """The class that an Auto class chooses for a config.

    A concrete class may be named as well; no name stands for the class the checkpoint was saved
    from, else the plain model.

    Raises:
        HftermError: it knows none.
    """
    import transformers

    from hfterm.models.catalogue import auto_classes, classes_of

    own = own_classes(config)
    if not auto:
        known = classes_of(config.model_type) | own
        wanted = config.architectures or ()
        auto = next((a for a, name in known.items() if name in wanted), "AutoModel")
    if auto in own:
        return _own_class(str(config.auto_map[auto]), str(config.name_or_path))
    if auto not in auto_classes():
        # a concrete class, named by the user
        cls = getattr(transformers, auto, None)
        if isinstance(cls, type) and issubclass(cls, transformers.PreTrainedModel):
            _check_architecture(cls, config)
            return cls
        raise HftermError(
            "no-class", f"transformers has no class {auto!r}.", "Name an AutoModel class."
        )
    name = concrete_name(auto, config.model_type)
    if not name:
        raise HftermError(
            "no-class",
            f"{auto} has no class for {config.model_type}.",
            f"Models (Alt+2), or hfterm classes {config.model_type}, lists the classes it has.",
        )
    found = concrete_types(auto, config)
    if isinstance(found, list | tuple):  # the config's own `architectures` chooses
        options = cast("tuple[type[PreTrainedModel], ...]", tuple(c for c in found if c))
        wanted = config.architectures or []
        return next((cls for cls in options if cls.__name__ in wanted), options[0])
    return cast("type[PreTrainedModel]", found)


def _check_architecture(cls: type[PreTrainedModel], config: PreTrainedConfig) -> None:
    """Refuse a class of another architecture, which would fail at a field the config lacks."""
    wanted = cls.config_class
    parts = tuple(config.sub_configs.values())  # a model of several has classes for each
    if wanted is None or isinstance(config, wanted) or issubclass(wanted, parts):
        return
    raise HftermError(
        "wrong-architecture",
        f"{cls.__name__} is a class of {wanted.model_type}, and this is a {config.model_type} "
        "model: its config is another one.",
        f"Choose one that the Classes tab, or hfterm classes {config.model_type}, lists.",
    )


def on_meta(
    cls: type[PreTrainedModel], config: PreTrainedConfig, dtype: torch.dtype | None = None
) -> PreTrainedModel:
    """A model with shapes and no weights: nothing is allocated.

    Raises:
        HftermError: the class can't be built from this config.
    """
    import torch

    try:
        with building(), torch.device("meta"):
            return cls._from_config(copy.deepcopy(config), dtype=dtype or config.dtype)  # pyright: ignore[reportPrivateUsage]
    except Exception as error:
        # a model's __init__ raises whatever a field that is missing or out of range makes it
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise HftermError(
            "unbuildable",
            f"{cls.__name__} can't be built from this config: {first[:200]}",
            "Set the field that it names, or name a real checkpoint's config.",
        ) from error


def arguments(source: ModelSource, spec: ModelSpec | None = None) -> dict[str, object]:
    """What `from_pretrained` is told in every case: nothing runs code or asks the terminal."""
    spec = spec or ModelSpec(ref=source.ref)
    told: dict[str, object] = {
        "trust_remote_code": spec.allow_code,
        "local_files_only": True,
        "output_loading_info": True,
        "dtype": "auto",
    }
    if source.gguf:
        told["gguf_file"] = source.gguf
    else:
        told["use_safetensors"] = None if spec.allow_pickle else True
    return told


def dry_run(
    source: ModelSource, cls: type[PreTrainedModel], config: PreTrainedConfig,
    spec: ModelSpec | None = None, job: Job | None = None,
) -> tuple[PreTrainedModel, LoadingReport]:  # fmt: skip
    """Load a checkpoint into a class without reading its weights.

    The library's own loading, onto the meta device (transformers, `modeling_utils`), so the
    report is that of the real thing. For an adapter the library reports only the adapter; here
    what its base leaves is added.

    Raises:
        HftermError: the weights can't be opened.
    """
    told = arguments(source, spec) | {"device_map": "meta", "ignore_mismatched_sizes": True}
    model, report = _load(source, cls, config, told, job)
    if source.base:
        base = find(source.base, job or Job())
        report = with_base(model, report, _load(base, cls, config, told, job)[1])
    return model, report


def _load(
    source: ModelSource, cls: type[PreTrainedModel], config: PreTrainedConfig,
    told: Mapping[str, object], job: Job | None,
) -> tuple[PreTrainedModel, LoadingReport]:  # fmt: skip
    with reading(source, job or Job(), dry=True):
        try:
            loaded = cast(
                "tuple[PreTrainedModel, Mapping[str, object]]",
                cls.from_pretrained(source.path, config=copy.deepcopy(config), **told),  # pyright: ignore[reportArgumentType]
            )
        except Exception as error:
            # safetensors, pickle, torch and transformers each have their own families here
            raise explain_loading(source, error) from error
    return loaded[0], report_of(loaded[1])


def with_base(model: PreTrainedModel, adapter: LoadingReport, base: LoadingReport) -> LoadingReport:
    """An adapter's report and its base's as one: what the adapter brings is not missing.

    Args:
        model: with the adapter on it.
        adapter: the report of loading the adapter.
        base: the report of loading its base model.
    """
    names = {name for name, _ in model.named_parameters(remove_duplicate=False)}

    def brought(name: str) -> bool:
        module, _, leaf = name.rpartition(".")
        return f"{module}.modules_to_save.default.{leaf}" in names

    return LoadingReport(
        missing=tuple(sorted({*adapter.missing, *(n for n in base.missing if not brought(n))})),
        unexpected=tuple(sorted({*adapter.unexpected, *base.unexpected})),
        mismatched=tuple({m.name: m for m in (*base.mismatched, *adapter.mismatched)}.values()),
    )


def report_of(info: Mapping[str, object]) -> LoadingReport:
    """The library's report as plain data, sorted."""
    mismatched = cast("set[tuple[str, tuple[int, ...], tuple[int, ...]]]", info["mismatched_keys"])
    return LoadingReport(
        missing=tuple(sorted(cast("set[str]", info["missing_keys"]))),
        unexpected=tuple(sorted(cast("set[str]", info["unexpected_keys"]))),
        mismatched=tuple(
            Mismatch(name, tuple(old), tuple(new)) for name, old, new in sorted(mismatched)
        ),
    )


@contextmanager
def reading(source: ModelSource, job: Job, *, dry: bool = False) -> Generator[None]:
    """What reading a model needs around it: no other is read meanwhile, and GGUF files need more.

    Args:
        source: the model.
        job: told how far the file is read.
        dry: names and shapes are enough.
    """
    if not source.gguf:
        with building(job):
            yield
        return
    from hfterm.hub.gguf_convert import quiet, reading_once, shapes_only

    with building(job), quiet(job), reading_once(), shapes_only() if dry else nullcontext():
        yield


def labels_of(config: PreTrainedConfig) -> tuple[str, ...]:
    """The names of the labels, by id."""
    labels = config.id2label or {}
    return tuple(str(label) for _, label in sorted(labels.items(), key=lambda pair: int(pair[0])))


def position_limit(config: PreTrainedConfig) -> int | None:
    """Tokens that a model has positions for; None when its positions are relative."""
    values = config.to_dict()
    for name in ("max_position_embeddings", "n_positions", "max_seq_len", "n_ctx"):
        if name == "n_positions" and "relative_attention_num_buckets" in values:
            continue  # old T5 configs carry 512, which the model has no use for
        value = values.get(name)
        if isinstance(value, int) and value > 0:
            if config.model_type in OFFSET_POSITIONS:
                pad = values.get("pad_token_id")
                return value - (pad if isinstance(pad, int) else 1) - 1
            return value
    return None
