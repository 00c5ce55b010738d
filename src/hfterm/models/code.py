"""Show code for the Models screen: short scripts that run as they are and print the same figures.

Nothing heavy is imported here: the scripts are text, and the UI process makes them.
"""

from __future__ import annotations

from hfterm.models.code_parts import (
    config_lines,
    from_pretrained,
    imports,
    load_imports,
    load_lines,
    source_of,
)
from hfterm.models.lora import HEADS
from hfterm.models.types import LoraEstimate, ModelOverview, ModelSource, ModelSpec

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
    told = from_pretrained(source, "auto", spec, extra=META).replace("\n", "\n    ").rstrip()
    return (
        "import transformers\n\n"
        "transformers.logging.set_verbosity_error()\n"
        f"classes = [\n{listed}]\n"
        "for auto in classes:\n"
        f"    model, report = {told}\n"
        '    missing = len(report["missing_keys"])\n'
        '    unexpected = len(report["unexpected_keys"])\n'
        '    mismatched = len(report["mismatched_keys"])\n'
        "    print(auto.__name__, type(model).__name__, missing, unexpected, mismatched)\n"
    )


def config_code(source: ModelSource) -> str:
    """The Config tab: every field with its default."""
    return (
        imports("AutoConfig", torch=False)
        + config_lines(source)
        + "default = type(config)().to_dict()\n"
        "for name, value in sorted(config.to_dict().items()):\n"
        "    mark = '' if name in default and default[name] == value else '*'\n"
        "    print(mark, name, repr(value), repr(default.get(name)))\n"
    )


def _meta_model(source: ModelSource, spec: ModelSpec, cls: str) -> str:
    """``model = …`` on the meta device."""
    if source.weights == "none" or spec.random:
        return (
            f"{config_lines(source, spec.num_labels)}"
            'with torch.device("meta"):\n'
            f"    model = {cls}(config)\n"
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
    """The LoRA tab, by peft itself."""
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


def compare_code(source: ModelSource, first: ModelSpec, second: ModelSpec) -> str:
    """The Compare tab: parameters of both, and the weights that differ."""
    names = [first.auto or "AutoModel", second.auto or "AutoModel"]
    ref = source_of(source) if second.ref == first.ref else second.ref
    calls = (
        f"{names[0]}.from_pretrained({source_of(source)!r})",
        f"{names[1]}.from_pretrained({ref!r})",
    )
    if source.weights == "none":
        return (
            imports("AutoConfig", torch=False)
            + "import transformers\n\n"
            + config_lines(source)
            + f"for name in {names!r}:\n"
            "    auto = getattr(transformers, name)\n"
            "    build = getattr(auto, 'from_config', auto)\n"
            "    model = build(config)\n"
            "    print(name, type(model).__name__, sum(p.numel() for p in model.parameters()))\n"
        )
    return (
        imports(*names, "logging") + "logging.set_verbosity_error()\n"
        f"torch.manual_seed({first.seed})\n"
        f"first = {calls[0]}\n"
        f"torch.manual_seed({first.seed})\n"
        f"second = {calls[1]}\n"
        "for model in (first, second):\n"
        "    print(type(model).__name__, sum(p.numel() for p in model.parameters()))\n"
        "weights = dict(second.named_parameters())\n"
        "for name, weight in first.named_parameters():\n"
        "    other = weights.get(name)\n"
        "    if other is None or other.shape != weight.shape:\n"
        "        print(name, list(weight.shape), None if other is None else list(other.shape))\n"
        "    elif not torch.equal(weight, other):\n"
        "        print(name, float((weight - other).norm() / weight.norm()))\n"
    )


def load_code(source: ModelSource, spec: ModelSpec, skipped: tuple[str, ...] = ()) -> str:
    """The Load tab: the same model, and what it is."""
    return (
        imports(*load_imports(source, spec))
        + load_lines(source, spec, skipped)
        + "print(type(model).__name__, model.dtype, model.get_memory_footprint())\n"
    )
