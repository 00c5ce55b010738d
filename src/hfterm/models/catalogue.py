"""Which Auto classes know an architecture, and which class each chooses: the library's mappings.

Imports transformers inside functions; no modelling module is imported by asking.
"""

from __future__ import annotations

import difflib
import functools
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from hfterm.errors import HftermError
from hfterm.models.types import FIRST, Architecture, Family

if TYPE_CHECKING:
    from collections.abc import Mapping

    from transformers import PreTrainedConfig

TASKS = MappingProxyType({
    "AutoModel": "hidden states",
    "AutoModelForMaskedLM": "masked language modelling",
    "AutoModelForSequenceClassification": "text classification",
    "AutoModelForTokenClassification": "token classification",
    "AutoModelForQuestionAnswering": "question answering",
    "AutoModelForMultipleChoice": "multiple choice",
    "AutoModelForCausalLM": "text generation",
    "AutoModelForSeq2SeqLM": "sequence to sequence",
    "AutoModelForNextSentencePrediction": "next sentence prediction",
    "AutoModelForPreTraining": "pre-training",
    "AutoModelForTextEncoding": "text encoding",
})  # fmt: skip
"""The Auto classes of text in words; the others are named by their own name."""


def task_of(auto: str) -> str:
    """An Auto class's task in words."""
    if auto in TASKS:
        return TASKS[auto]
    name = auto.removeprefix("AutoModelFor").removeprefix("AutoModel").removeprefix("Auto")
    name = name.replace("Seq2Seq", "SequenceToSequence")
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)
    return words.strip() or auto


@functools.cache
def auto_classes() -> Mapping[str, type[object]]:
    """Every Auto class that opens models, by name, `FIRST` first."""
    from transformers.models.auto import modeling_auto

    found = {
        name: cls
        for name, cls in vars(modeling_auto).items()
        if name.startswith("Auto")
        and isinstance(cls, type)
        and getattr(cls, "_model_mapping", None) is not None
    }
    rest = sorted(name for name in found if name not in FIRST)
    return MappingProxyType({name: found[name] for name in (*FIRST, *rest) if name in found})


@functools.cache
def model_types() -> Mapping[str, str]:
    """The architectures that transformers knows, and the class of their config."""
    from transformers.models.auto import configuration_auto

    names: object = vars(configuration_auto)["CONFIG_MAPPING_NAMES"]
    return MappingProxyType(dict(cast("Mapping[str, str]", names)))


def _mapping(auto: str) -> Mapping[type[PreTrainedConfig], object]:
    """An Auto class's own mapping from configs to classes; private, but there is no other."""
    return cast(
        "Mapping[type[PreTrainedConfig], object]", vars(auto_classes()[auto])["_model_mapping"]
    )


def concrete_name(auto: str, model_type: str) -> str:
    """The class that an Auto class chooses for an architecture; empty when it knows none."""
    names = cast("Mapping[str, str | tuple[str, ...]]", vars(_mapping(auto))["_model_mapping"])
    name = names.get(model_type, "")
    # some have several, and the config chooses: the first is the usual one
    return name if isinstance(name, str) else next((n for n in name if n), "")


def concrete_types(auto: str, config: PreTrainedConfig) -> object:
    """The class, or the several, that an Auto class has for a config; imports their module."""
    return _mapping(auto)[type(config)]


def classes_of(model_type: str) -> dict[str, str]:
    """Auto class → concrete class, for all that know an architecture."""
    named = {auto: concrete_name(auto, model_type) for auto in auto_classes()}
    return {auto: name for auto, name in named.items() if name}


@functools.cache
def family_of(model_type: str) -> Family:
    """Encoder, decoder or encoder–decoder, by what its classes can do.

    An architecture that fills masks reads in both directions, whatever else it can be made to.
    """
    known = classes_of(model_type)
    marks: tuple[tuple[tuple[str, ...], Family], ...] = (
        (("AutoModelForImageTextToText", "AutoModelForMultimodalLM",
          "AutoModelForVisualQuestionAnswering", "AutoModelForZeroShotImageClassification",
          "AutoModelForZeroShotObjectDetection"), "multimodal"),
        (("AutoModelForSpeechSeq2Seq", "AutoModelForCTC", "AutoModelForAudioClassification",
          "AutoModelForTextToWaveform", "AutoModelForTextToSpectrogram",
          "AutoModelForAudioTokenization", "AutoModelForRNNT", "AutoModelForTDT"), "audio"),
        (("AutoModelForSeq2SeqLM",), "encoder–decoder"),
        (("AutoModelForMaskedLM",), "encoder"),
        (("AutoModelForCausalLM",), "decoder"),
        (("AutoModelForTextEncoding", "AutoModelForSequenceClassification",
          "AutoModelForQuestionAnswering"), "encoder"),
    )  # fmt: skip
    for names, family in marks:
        if any(name in known for name in names):
            return family
    if any("Image" in n or "Object" in n or "Depth" in n or "Video" in n or "Segment" in n
           or "Keypoint" in n or "Backbone" in n for n in known):  # fmt: skip
        return "vision"
    return "other"


def architectures() -> list[Architecture]:
    """Every architecture that has at least one class, by name."""
    found = [Architecture(name, family_of(name), len(classes_of(name))) for name in model_types()]
    return sorted((known for known in found if known.classes), key=lambda known: known.name)


def unknown_architecture(name: str) -> HftermError:
    """The error for a model type that this transformers does not have."""
    import transformers

    near = difflib.get_close_matches(name, model_types(), n=3, cutoff=0.6)
    return HftermError(
        "unknown-architecture",
        f"transformers {transformers.__version__} has no architecture {name!r}.",
        f"Did you mean {', '.join(near)}?" if near else "It was removed, or needs remote code.",
    )
