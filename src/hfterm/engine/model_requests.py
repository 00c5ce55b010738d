"""Requests about models: what they are, loading one, and what its head says."""

from __future__ import annotations

from typing import ClassVar

from hfterm.engine.protocol import Lane, Request
from hfterm.inference.options import BatchOptions, TaskOptions
from hfterm.inference.types import BatchTable, Prediction
from hfterm.models.memory_types import MemoryReport
from hfterm.models.types import (
    Architecture,
    ConfigEntry,
    LoadedInfo,
    LoraEstimate,
    ModelComparison,
    ModelOverview,
    ModelSpec,
    ParameterTree,
)


class ListArchitectures(Request[list[Architecture]], frozen=True, kw_only=True):
    """Every architecture that transformers knows."""

    RESULT: ClassVar[object] = list[Architecture]
    LANE: ClassVar[Lane] = "views"


class DescribeModel(Request[ModelOverview], frozen=True, kw_only=True):
    """What a model is, and what each class would make of it; no weights are read."""

    RESULT: ClassVar[object] = ModelOverview
    LANE: ClassVar[Lane] = "views"
    spec: ModelSpec


class ListConfig(Request[list[ConfigEntry]], frozen=True, kw_only=True):
    """A model's config beside the architecture's default."""

    RESULT: ClassVar[object] = list[ConfigEntry]
    LANE: ClassVar[Lane] = "views"
    spec: ModelSpec


class ListParameters(Request[ParameterTree], frozen=True, kw_only=True):
    """The parameters of a class; no weights are read."""

    RESULT: ClassVar[object] = ParameterTree
    LANE: ClassVar[Lane] = "views"
    spec: ModelSpec


class EstimateMemory(Request[MemoryReport], frozen=True, kw_only=True):
    """What a class costs, for every purpose and precision, on this machine's devices."""

    RESULT: ClassVar[object] = MemoryReport
    LANE: ClassVar[Lane] = "views"
    spec: ModelSpec
    context: int = 0
    batch: int = 1
    rank: int = 8
    targets: tuple[str, ...] = ()


class EstimateLora(Request[LoraEstimate], frozen=True, kw_only=True):
    """What a LoRA adapter adds to a class; no targets means the usual ones."""

    RESULT: ClassVar[object] = LoraEstimate
    LANE: ClassVar[Lane] = "views"
    spec: ModelSpec
    rank: int = 8
    targets: tuple[str, ...] = ()


class CompareModels(Request[ModelComparison], frozen=True, kw_only=True):
    """Two models: classes, parameters, configs, weights."""

    RESULT: ClassVar[object] = ModelComparison
    LANE: ClassVar[Lane] = "long"
    first: ModelSpec
    second: ModelSpec


class LoadModel(Request[LoadedInfo], frozen=True, kw_only=True):
    """Load a model; the one that was loaded before goes."""

    RESULT: ClassVar[object] = LoadedInfo
    LANE: ClassVar[Lane] = "long"
    spec: ModelSpec


class PredictText(Request[Prediction], frozen=True, kw_only=True):
    """What a model says of a text; it is loaded if it is not."""

    RESULT: ClassVar[object] = Prediction
    LANE: ClassVar[Lane] = "long"
    spec: ModelSpec
    text: str
    options: TaskOptions


class PredictRows(Request[BatchTable], frozen=True, kw_only=True):
    """What a model says of every row of a file; with `out`, also written there."""

    RESULT: ClassVar[object] = BatchTable
    LANE: ClassVar[Lane] = "long"
    spec: ModelSpec
    source: str
    options: TaskOptions
    batch: BatchOptions
