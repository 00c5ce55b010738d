"""What is known of a model, as plain data: both processes read it, so nothing heavy is here."""

from __future__ import annotations

from typing import Literal

import msgspec

from hfterm.hub.model_source import ModelSource

Family = Literal["encoder", "decoder", "encoder–decoder", "vision", "audio", "multimodal", "other"]
Verdict = Literal[
    "complete", "new head", "mismatched", "incomplete", "wrong architecture", "untrained", "refused"
]

SIX_HEADS = (
    "AutoModel",
    "AutoModelForMaskedLM",
    "AutoModelForSequenceClassification",
    "AutoModelForTokenClassification",
    "AutoModelForQuestionAnswering",
    "AutoModelForMultipleChoice",
)
"""The tutorial's, in its order."""

FIRST = (*SIX_HEADS, "AutoModelForCausalLM", "AutoModelForSeq2SeqLM")
"""The order in which classes are listed; the others follow by name."""


HEADS = ("classifier", "score", "qa_outputs")
"""What peft trains and saves along with an adapter for a task with labels (`modules_to_save`)."""


class Mismatch(msgspec.Struct, frozen=True):
    """A weight that the checkpoint has in another shape than the class."""

    name: str
    checkpoint: tuple[int, ...]
    model: tuple[int, ...]


class LoadingReport(msgspec.Struct, frozen=True):
    """What loading a checkpoint into a class leaves: the library's own sets, sorted.

    Attributes:
        missing: the class has them, the checkpoint does not; they would start at random.
        unexpected: the checkpoint has them, the class has no use for them.
        mismatched: both have them, in different shapes; they would start at random.
    """

    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: tuple[Mismatch, ...] = ()


class ClassReport(msgspec.Struct, frozen=True):
    """One thing that can be done with a model.

    Attributes:
        task: in words.
        auto: the Auto class.
        concrete: the class it chooses.
        missing: as in `LoadingReport`.
        unexpected: as in `LoadingReport`.
        mismatched: as in `LoadingReport`.
        verdict: in a word or two.
        meaning: the verdict as a sentence.
        remedy: what to do about it; empty when there is nothing to do.
    """

    task: str
    auto: str
    concrete: str
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: tuple[Mismatch, ...] = ()
    verdict: Verdict = "untrained"
    meaning: str = ""
    remedy: str = ""


class ConfigEntry(msgspec.Struct, frozen=True):
    """One field of a config, nested ones with dots.

    Attributes:
        value: as JSON.
        default: what the architecture has when nobody says otherwise, as JSON; empty when it
            has no such field.
        differs: whether they are not equal.
    """

    name: str
    value: str
    default: str
    differs: bool


class ModelOverview(msgspec.Struct, frozen=True):
    """What a model is and what can be done with it.

    Attributes:
        parameters: of `main`, tied ones once; None when it can't be built from the config.
        main: the class the checkpoint was saved from, or the plain model.
        dtype: of the weights, as stored.
        classes: every Auto class that knows the model, `FIRST` first.
        absent: (Auto class, task) of those of `FIRST` that do not.
        labels: by id.
        limit: tokens the model has positions for; None when it has no limit of its own.
        notes: what to know besides, a sentence each.
    """

    source: ModelSource
    model_type: str
    family: Family
    parameters: int | None
    main: str
    dtype: str
    classes: tuple[ClassReport, ...]
    absent: tuple[tuple[str, str], ...]
    labels: tuple[str, ...]
    limit: int | None
    notes: tuple[str, ...] = ()

    def of(self, auto: str) -> ClassReport | None:
        """What an Auto class makes of it."""
        return next((found for found in self.classes if found.auto == auto), None)


class Parameter(msgspec.Struct, frozen=True):
    """One parameter.

    Attributes:
        shape: as in the module.
        dtype: as stored, without ``torch.``.
        count: values; 0 when it is tied, since it is counted where it is tied to.
        trainable: whether it takes a gradient as it is loaded.
        tied_to: the parameter it is the same tensor as; empty when it is its own.
        state: ``stored``, ``new`` (not in the checkpoint), ``mismatched``, or ``random`` (there
            is no checkpoint).
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    count: int
    trainable: bool
    tied_to: str = ""
    state: Literal["stored", "new", "mismatched", "random"] = "stored"


class ParameterTree(msgspec.Struct, frozen=True):
    """All parameters of a class, in the module's order."""

    cls: str
    parameters: tuple[Parameter, ...]

    @property
    def total(self) -> int:
        """Values, tied ones once."""
        return sum(found.count for found in self.parameters)


class Architecture(msgspec.Struct, frozen=True):
    """An architecture that transformers knows."""

    name: str
    family: Family
    classes: int


class LoraRow(msgspec.Struct, frozen=True):
    """A module's name in a LoRA target list, and what adapting it adds at one rank.

    Attributes:
        module: the last part of the modules' names.
        modules: how many modules have it.
        shapes: the shapes of their weights, each once.
        added: parameters that an adapter on them adds.
    """

    module: str
    modules: int
    shapes: tuple[tuple[int, int], ...]
    added: int
    chosen: bool


class LoraEstimate(msgspec.Struct, frozen=True):
    """What a LoRA adapter adds.

    Attributes:
        cls: the class that is adapted.
        rank: of the adapter.
        rows: every linear module of the model by name.
        added: parameters of the adapter on the chosen ones.
        head: parameters of new modules that are trained and saved along with it.
        full: parameters of a full fine-tune.
        adapter_bytes: of the adapter's file, in float32.
        full_bytes: of the whole model's file, in its own dtype.
        ranks: (rank, parameters added) for a few ranks.
    """

    cls: str
    rank: int
    rows: tuple[LoraRow, ...]
    added: int
    head: int
    full: int
    adapter_bytes: int
    full_bytes: int
    ranks: tuple[tuple[int, int], ...]


class Difference(msgspec.Struct, frozen=True):
    """Something that differs between two models. `kind` is ``class``, ``config``, ``weight`` …

    Attributes:
        distance: for a weight that both have in one shape: the norm of the difference over the
            norm of the first; None otherwise.
    """

    kind: str
    name: str
    first: str
    second: str
    distance: float | None = None


class ModelComparison(msgspec.Struct, frozen=True):
    """Two models side by side. `sources` is what each of them names."""

    first: str
    second: str
    first_class: str
    second_class: str
    first_parameters: int
    second_parameters: int
    equal_weights: int
    differences: tuple[Difference, ...]
    meaning: str
    sources: tuple[ModelSource, ModelSource] | None = None


AUTO_DEVICE = "auto"
"""The accelerator if there is one, else the CPU."""


class ModelSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A model as it is to be loaded: which class, and how.

    Attributes:
        ref: a model reference.
        auto: an Auto class, or a concrete one; empty for the class the checkpoint was saved from.
        dtype: ``auto`` (as stored), ``float32``, ``bfloat16`` or ``float16``.
        quantization: by bitsandbytes, while loading.
        double_quant: whether the scales of nf4 and fp4 are quantized as well.
        device: ``auto`` (the GPU if there is one), ``cpu``, ``cuda:0`` …
        random: all weights at random from the config, none from the checkpoint.
        num_labels: labels of a classification head; None for the config's.
        seed: of whatever starts at random, so that a new head is the same each time.
        ignore_mismatched: weights of another shape start at random instead of being refused.
        allow_pickle: also load ``.bin`` files, which may run code; only after the user's yes.
        allow_code: run the repository's Python (``trust_remote_code``); only after the user's yes.
        tokenizer: another model whose tokenizer is used; empty for the model's own.
    """

    ref: str
    auto: str = "AutoModel"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    quantization: Literal["none", "int8", "nf4", "fp4"] = "none"
    double_quant: bool = True
    device: str = AUTO_DEVICE
    random: bool = False
    num_labels: int | None = None
    seed: int = 0
    ignore_mismatched: bool = False
    allow_pickle: bool = False
    allow_code: bool = False
    tokenizer: str = ""


class LoadedInfo(msgspec.Struct, frozen=True):
    """A model that is loaded.

    Attributes:
        cls: its class.
        parameters: tied ones once; quantized ones count what they stand for.
        dtype: of most weights.
        footprint: bytes of weights and buffers.
        seconds: that loading took.
        verdict: what loading left; ``random`` when nothing was loaded.
        meaning: the verdict in words.
        labels: by id.
        limit: tokens it has positions for; None without a limit of its own.
        tokenizer: the class of its tokenizer; empty when it has none.
        source: what a script gives to ``from_pretrained``.
        skipped: modules that quantization left alone.
        device: where it is: ``cpu``, ``cuda:0`` …
    """

    spec: ModelSpec
    cls: str
    model_type: str
    parameters: int
    dtype: str
    footprint: int
    seconds: float
    verdict: str
    meaning: str
    labels: tuple[str, ...]
    limit: int | None
    tokenizer: str
    source: ModelSource
    skipped: tuple[str, ...] = ()
    device: str = "cpu"
