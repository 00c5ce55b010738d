"""The lines of a training script that load the model and put the method on it; text only."""

from __future__ import annotations

from hfterm.errors import HftermError
from hfterm.hub.model_refs import resolve_model
from hfterm.hub.model_source import ModelSource
from hfterm.inference.code_opening import has_tokenizer
from hfterm.models.code_parts import ANY_DEVICE, source_of
from hfterm.models.types import HEADS
from hfterm.training.loss_scale import COUNTED
from hfterm.training.recipe import AUTO_CLASSES, Recipe
from hfterm.training.targets import PEFT_TASKS, USUAL

LABELS = (
    "id2label=dict(enumerate(labels))",
    "label2id={label: number for number, label in enumerate(labels)}",
)
DRAFT = """\
# what the checkpoint lacks must not be quantized, nor the output layer
{draft}lacking = [*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])]
heads = {heads!r}
skipped = [*heads, *(key.rpartition(".")[0] or key for key in lacking)]
for path, module in draft.named_modules():
    if path.endswith(heads) or module is draft.get_output_embeddings():
        skipped.append(path.rpartition(".")[2])
"""
PREPARE = """\
for module in model.modules():
    if isinstance(module, bitsandbytes.nn.Linear4bit):
        # on a CPU an evaluation would repack it, into a path without gradients
        module.support_avx512bf16_for_cpu = False
model = prepare_model_for_kbit_training(
    model,
    use_gradient_checkpointing=True,
    gradient_checkpointing_kwargs={"use_reentrant": False},
)
"""
TARGETS = """\
# the query and value projections, by this model's names
names = {{name.rpartition(".")[2] for name, _ in model.named_modules()}}
usual = [
{usual}]
targets = next((list(some) for some in usual if names.issuperset(some)), "all-linear")
"""


def model_source(recipe: Recipe) -> ModelSource:
    """Where the model is.

    Raises:
        HftermError: it is nowhere, or is an adapter.
    """
    source = resolve_model(recipe.model.ref, ())
    if source.base:
        raise adapter_error(recipe.model.ref)
    return source


def adapter_error(ref: str) -> HftermError:
    """The error for a model that is only an adapter on another."""
    return HftermError(
        "adapter",
        f"{ref} is an adapter.",
        "Merge it into its base first (Train, After), and train the merged model.",
    )


def no_tokenizer(ref: str) -> HftermError:
    """The error for a model without a tokenizer."""
    return HftermError(
        "no-tokenizer",
        f"{ref} has no tokenizer that can be opened.",
        "Name another model's in model.tokenizer.",
    )


def tokenizer_lines(recipe: Recipe, source: ModelSource) -> str:
    """``tokenizer``, with a token to pad with."""
    named = recipe.model.tokenizer
    if named and not has_tokenizer(named):
        source, named = resolve_model(named, ()), ""
    extra = f", gguf_file={source.gguf!r}" if source.gguf and not named else ""
    return (
        f"tokenizer = AutoTokenizer.from_pretrained({named or source_of(source)!r}{extra})\n"
        "if tokenizer.pad_token is None:\n"
        "    tokenizer.pad_token = tokenizer.eos_token\n"
    )


MEAN = f"""\
# Trainer takes any forward with **kwargs for one that divides its loss by the labels of all batches
# and processes of a step; the loss of one that doesn't would be summed over them
forward = inspect.getsource(type(model).forward)
if not re.search(r"{COUNTED}", forward):
    model.accepts_loss_kwargs = False
"""


def model_lines(recipe: Recipe, source: ModelSource) -> str:
    """``model``, with its adapter on it."""
    quantized = recipe.quantization != "none"
    lines = _quantization_lines(recipe, source) if quantized else ""
    lines += f"set_seed({recipe.training.seed})\n"
    more = ["quantization_config=quantization", 'device_map={"": device}'] if quantized else []
    dtype = recipe.model.dtype
    if dtype == "auto":
        dtype = "bfloat16" if quantized else "float32"
    lines += f"model = {_call(recipe, source, f'dtype={dtype!r}', *more)}"
    training = recipe.training
    if training.accumulate > 1 or training.processes > 1 or training.accelerate_config:
        lines += MEAN
    if recipe.method.name == "full":
        return lines
    return lines + (PREPARE if quantized else "") + _adapter_lines(recipe)


def _call(recipe: Recipe, source: ModelSource, *more: str) -> str:
    """A ``from_pretrained`` call, one argument a line."""
    told = [repr(source_of(source))]
    if recipe.task in ("text-classification", "token-classification"):
        told += LABELS
    if recipe.task == "text-classification":
        told.append('problem_type="single_label_classification"')
    told += [*more, "ignore_mismatched_sizes=True"]
    told.append(f"gguf_file={source.gguf!r}" if source.gguf else "use_safetensors=True")
    lines = "".join(f"    {part},\n" for part in told)
    return f"{AUTO_CLASSES[recipe.task]}.from_pretrained(\n{lines})\n"


def _quantization_lines(recipe: Recipe, source: ModelSource) -> str:
    device = repr(recipe.model.device)
    if recipe.model.device == "auto":
        device = ANY_DEVICE
    draft = _call(recipe, source, 'device_map="meta"', "output_loading_info=True")
    told = ["load_in_8bit=True"]
    if recipe.quantization == "nf4":
        told = [
            "load_in_4bit=True",
            'bnb_4bit_quant_type="nf4"',
            "bnb_4bit_use_double_quant=True",
            'bnb_4bit_compute_dtype="bfloat16"',
        ]
    lines = "".join(f"    {part},\n" for part in [*told, "llm_int8_skip_modules=skipped"])
    return (
        f"device = {device}\n"
        + DRAFT.format(draft=f"draft, report = {draft}", heads=HEADS)
        + f"quantization = BitsAndBytesConfig(\n{lines})\n"
    )


def _adapter_lines(recipe: Recipe) -> str:
    method = recipe.method
    lines, targets = (
        "",
        repr(
            method.target_modules
            if isinstance(method.target_modules, str)
            else [*method.target_modules]
        ),
    )
    if not method.target_modules:
        lines, targets = (
            TARGETS.format(usual="".join(f"    {some!r},\n" for some in USUAL)),
            "targets",
        )
    told = [f"r={method.r}", f"lora_alpha={method.alpha}", f"lora_dropout={method.dropout}"]
    told.append(f"target_modules={targets}")
    told += [f"bias={method.bias!r}"] if method.bias != "none" else []
    told += ["use_rslora=True"] if method.rslora else []
    told += ["use_dora=True"] if method.dora else []
    task = PEFT_TASKS.get(recipe.task)
    told += [f"task_type={task!r}"] if task else []
    called = "".join(f"    {part},\n" for part in told)
    return (
        f"{lines}lora = LoraConfig(\n{called})\n"
        "model = get_peft_model(model, lora)\n"
        "model.print_trainable_parameters()\n"
    )
