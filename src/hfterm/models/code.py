"""Show code for the Models screen: short scripts that run as they are and print the same figures.

Nothing heavy is imported here: the scripts are text, and the UI process makes them.
"""

from __future__ import annotations

import msgspec

from hfterm.errors import HftermError
from hfterm.hub.model_refs import resolve_model
from hfterm.hub.model_source import ModelSource
from hfterm.models.code_parts import (
    config_lines,
    from_pretrained,
    imports,
    load_imports,
    load_lines,
)
from hfterm.models.configuration import OWN
from hfterm.models.types import HEADS, LoraEstimate, ModelOverview, ModelSpec

META = (
    'device_map="meta"',
    "ignore_mismatched_sizes=True",
    "output_loading_info=True",
    'dtype="auto"',
)
"""A dry run: shapes and the loading report, no weights."""


def classes_code(overview: ModelOverview, spec: ModelSpec) -> str:
    """The Classes tab: every class, and what loading the checkpoint into it would leave."""
    source = overview.source
    if source.weights == "none":
        return (
            "from transformers.models.auto import modeling_auto\n\n"
            f"model_type = {overview.model_type!r}\n"
            "for name, auto in sorted(vars(modeling_auto).items()):\n"
            '    mapping = getattr(auto, "_model_mapping", None)\n'
            '    if name.startswith("AutoModel") and mapping is not None:\n'
            "        concrete = mapping._model_mapping.get(model_type)\n"
            "        if concrete:\n"
            "            print(name, concrete)\n"
        )
    names = [report.auto for report in overview.classes if report.verdict != "refused"]
    listed = "".join(f"    transformers.{name},\n" for name in names)
    sets = '"missing_keys", "unexpected_keys", "mismatched_keys"'
    return (
        "import transformers\n\n"
        "transformers.logging.set_verbosity_error()\n"
        f"classes = [\n{listed}]\n"
        "for auto in classes:\n"
        f"    model, report = {_told(source, spec)}\n"
        f"    missing, unexpected, mismatched = (report[name] for name in ({sets}))\n"
        f"{_base_lines(source, spec, sets)}"
        "    counts = len(missing), len(unexpected), len(mismatched)\n"
        "    print(auto.__name__, type(model).__name__, *counts)\n"
    )


def _told(source: ModelSource, spec: ModelSpec) -> str:
    return from_pretrained(source, "auto", spec, extra=META).replace("\n", "\n    ").rstrip()


def _base_lines(source: ModelSource, spec: ModelSpec, sets: str) -> str:
    """What an adapter's base leaves, which its own report does not say."""
    if not source.base:
        return ""
    return (
        "    # the report is the adapter's; here is what its base leaves\n"
        f"    _, base = {_told(_found(source.base), spec)}\n"
        "    mark = '.modules_to_save.default'\n"
        "    brought = {name.replace(mark, '') for name in model.state_dict() if mark in name}\n"
        f"    below = [base[name] for name in ({sets})]\n"
        "    missing = missing | (below[0] - brought)\n"
        "    unexpected = unexpected | below[1]\n"
        "    mismatched = {key for key, *_ in [*mismatched, *below[2]]}\n"
    )


def config_code(source: ModelSource) -> str:
    """The Config tab: every field with its default."""
    return (
        imports("AutoConfig", torch=False)
        + config_lines(source)
        + "default = type(config)().to_dict()\n"
        f"own = {OWN!r}  # what a checkpoint says of itself\n"
        "for name, value in sorted(config.to_dict().items()):\n"
        "    same = name in own or name in default and default[name] == value\n"
        "    mark = '' if same else '*'\n"
        "    print(mark, name, repr(value), repr(default.get(name)))\n"
    )


def _meta_model(source: ModelSource, spec: ModelSpec, cls: str) -> str:
    """``model = …`` on the meta device."""
    if source.weights == "none" or spec.random:
        build = f"{cls}.from_config" if cls.startswith("AutoModel") else cls
        return (
            f"{config_lines(source, spec.num_labels)}"
            'with torch.device("meta"):\n'
            f"    model = {build}(config)\n"
            "for parameter in model.parameters():\n"
            "    parameter.data = parameter.data.to(config.dtype or torch.float32)\n"
        )
    call = from_pretrained(source, cls, spec, extra=META)
    return f"model, report = {call}"


def _meta_imports(source: ModelSource, spec: ModelSpec, cls: str) -> str:
    bare = source.weights == "none" or spec.random
    names = [cls, "AutoConfig"] if bare else [cls, "logging"]
    quiet = "" if bare else "logging.set_verbosity_error()\n"
    return imports(*names, torch=bare) + quiet


def parameters_code(source: ModelSource, spec: ModelSpec, cls: str) -> str:
    """The Parameters tab: every parameter's shape and dtype, and the sum."""
    return (
        _meta_imports(source, spec, cls)
        + _meta_model(source, spec, cls)
        + "for name, parameter in model.named_parameters(remove_duplicate=False):\n"
        "    print(name, list(parameter.shape), parameter.dtype, parameter.numel())\n"
        "print(sum(parameter.numel() for parameter in model.parameters()))\n"
    )


def memory_code(source: ModelSource, spec: ModelSpec, cls: str, context: int, batch: int) -> str:
    """The Memory tab: weights in float32 and bfloat16, and a full fine-tune's states.

    What follows from shapes alone; hfterm's peaks come from running the class's operations on
    tensors without data.
    """
    return (
        _meta_imports(source, spec, cls)
        + _meta_model(source, spec, cls)
        + "count = sum(parameter.numel() for parameter in model.parameters())\n"
        "buffers = model.buffers()\n"
        "fixed = sum(b.numel() * b.element_size() for b in buffers)\n"
        'print("parameters", count)\n'
        'print("weights in float32", 4 * count + fixed)\n'
        'print("weights in bfloat16", 2 * count + fixed)\n'
        'print("gradients and AdamW states in float32", 4 * count + 8 * count)\n'
        f"# hfterm adds the activations of {batch} × {context} tokens\n"
    )


def lora_code(source: ModelSource, spec: ModelSpec, cls: str, estimate: LoraEstimate) -> str:
    """The LoRA tab, by peft itself; of an adapter, a new one on its base."""
    if source.base:
        base = _found(source.base)
        source = msgspec.structs.replace(base, labels=source.labels, label_names=source.label_names)
    targets = [row.module for row in estimate.rows if row.chosen]
    save = f", modules_to_save={[*HEADS]!r}" if estimate.head else ""
    return (
        "from peft import LoraConfig, get_peft_model\n"
        + _meta_imports(source, spec, cls)
        + _meta_model(source, spec, cls)
        + f"total = sum(parameter.numel() for parameter in model.parameters())\n"
        f"lora = LoraConfig(r={estimate.rank}, target_modules={targets!r}{save})\n"
        "model = get_peft_model(model, lora, low_cpu_mem_usage=True)\n"
        "trainable, _ = model.get_nb_trainable_parameters()\n"
        "print(trainable, total, f'{100 * trainable / total:.3f} %')\n"
    )


def compare_code(
    source: ModelSource, first: ModelSpec, second: ModelSpec, other: ModelSource | None = None
) -> str:
    """The Compare tab: parameters of both, and the weights that differ.

    Args:
        source: what `first` names.
        first: one side.
        second: the other.
        other: what `second` names; None to find out here, where no architecture is known.
    """
    sources = (source, other or (source if second.ref == first.ref else _found(second.ref)))
    names: list[str] = []
    built = ""
    for there, spec in zip(sources, (first, second), strict=True):
        cls = spec.auto or "AutoModel"
        names += [cls, "AutoConfig"] if there.weights == "none" or spec.random else [cls]
        built += f"{_meta_model(there, spec, cls)}models.append(model)\n"
    script = (
        imports(*names, "logging") + "logging.set_verbosity_error()\n"
        "models = []\n"
        f"{built}"
        "shapes = []\n"
        "for model in models:\n"
        "    print(type(model).__name__, sum(p.numel() for p in model.parameters()))\n"
        "    named = model.named_parameters(remove_duplicate=False)\n"
        "    shapes.append({name: list(p.shape) for name, p in named})\n"
        "prefixes = [f'{model.base_model_prefix}.' for model in models]\n\n\n"
        "def pairs(first, second):\n"
        "    short = {n.removeprefix(prefixes[1]): n for n in second.keys() - first.keys()}\n"
        "    found = []\n"
        "    for name in first:\n"
        "        same = name if name in second else short.get(name.removeprefix(prefixes[0]))\n"
        "        found.append((name, first[name], second.pop(same, None)))\n"
        "    return found + [(name, None, other) for name, other in second.items()]\n\n\n"
        "for name, *sides in pairs(*shapes):\n"
        "    if sides[0] != sides[1]:\n"
        "        print(name, *sides)\n"
    )
    whole = all(there.weights == "safetensors" and there.kind != "hub" for there in sources)
    if not whole or sources[0].path == sources[1].path:
        return script
    return (
        "from pathlib import Path\n\n"
        "from safetensors.torch import load_file\n"
        f"{script}"
        "weights = []\n"
        f"for folder in {[there.path for there in sources]!r}:\n"
        "    weights.append({})\n"
        '    for file in sorted(Path(folder).glob("*.safetensors")):\n'
        "        weights[-1] |= load_file(file)\n"
        "for name, one, two in pairs(*weights):\n"
        "    if one is None or two is None:\n"
        "        print(name, 'is stored in one of them')\n"
        "    elif one.shape == two.shape and not torch.equal(one.double(), two.double()):\n"
        "        change = (one.double() - two.double()).norm()\n"
        "        print(name, float(change / (one.double().norm() or 1)))\n"
    )


def _found(ref: str) -> ModelSource:
    try:
        return resolve_model(ref, ())
    except HftermError:
        return ModelSource(ref, "hub", ref)


def load_code(source: ModelSource, spec: ModelSpec, skipped: tuple[str, ...] = ()) -> str:
    """The Load tab: the same model, and what it is."""
    return (
        imports(*load_imports(source, spec))
        + load_lines(source, spec, skipped)
        + "print(type(model).__name__, model.dtype, model.get_memory_footprint())\n"
    )
