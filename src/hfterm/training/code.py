"""Show code for Train: a script without hfterm that gives the same losses as the run.

Nothing heavy is imported here: the scripts are text, and the UI process makes them. They do what
`building`, `encoding` and `worker` do, call by call.
"""

from __future__ import annotations

import re
from textwrap import indent

from hfterm.training.anchoring import anchored
from hfterm.training.arguments import LIBRARY, trainer_arguments
from hfterm.training.code_data import fold_lines, label_lines, rows_lines
from hfterm.training.code_model import model_lines, model_source, tokenizer_lines
from hfterm.training.code_scores import score_arguments, score_lines
from hfterm.training.code_tasks import collator_of, encode_lines, map_lines
from hfterm.training.recipe import Recipe, expand
from hfterm.training.run_files import slug

SHOW = '''
class Show(TrainerCallback):
    """Print each row of the log, in full."""

    def on_log(self, args, state, control, logs=None, **kwargs):
        if state.is_world_process_zero:
            print({"step": state.global_step} | logs, flush=True)


'''
MODULES = {
    "inspect": "import inspect",
    "os": "import os",
    "re": "import re",
    "bitsandbytes": "import bitsandbytes",
    "np": "import numpy as np",
    "torch": "import torch",
}
PARTS = {
    "datasets": ("ReadInstruction", "load_dataset"),
    "peft": ("LoraConfig", "get_peft_model", "prepare_model_for_kbit_training"),
    "transformers": (
        "AutoModelForCausalLM", "AutoModelForMaskedLM", "AutoModelForQuestionAnswering",
        "AutoModelForSeq2SeqLM", "AutoModelForSequenceClassification",
        "AutoModelForTokenClassification", "AutoTokenizer", "BitsAndBytesConfig",
        "DataCollatorForLanguageModeling", "DataCollatorForSeq2Seq",
        "DataCollatorForTokenClassification", "DataCollatorWithPadding", "EarlyStoppingCallback",
        "PrinterCallback", "Trainer", "TrainerCallback", "TrainingArguments", "set_seed",
    ),
}  # fmt: skip
"""What a script may import: what it uses of these, it does."""


def train_code(recipe: Recipe) -> str:
    """The script of a recipe; it loops where the recipe is several runs.

    Raises:
        HftermError: the model or the data is nowhere.
    """
    recipe = anchored(recipe)
    runs = expand(recipe, recipe.name)
    source = model_source(recipe)
    evaluates = bool(recipe.data.eval or recipe.folds)
    top = (
        rows_lines(recipe)
        + label_lines(recipe)
        + tokenizer_lines(recipe, source)
        + encode_lines(recipe)
        + score_lines(recipe)
        + SHOW
    )
    each = fold_lines(recipe) if recipe.folds else ""
    each += "".join(map_lines(recipe, name) for name in ("train", "held")[: 1 + evaluates])
    methods = {run.method.name: run for run in runs}
    for number, (method, run) in enumerate(methods.items()):
        lines = model_lines(run, source)
        if len(methods) > 1:
            lines = f"{'elif' if number else 'if'} method == {method!r}:\n{indent(lines, '    ')}"
        each += lines
    each += _trainer_lines(recipe, evaluates=evaluates)
    if len(runs) > 1:
        body = top + _loop(recipe, runs, each, evaluates=evaluates)
    else:
        fold = f"fold = {recipe.fold}\n" if recipe.folds else ""
        body = f"{top}name = {slug(runs[0].name)!r}\n{fold}{each}"
    return _head(recipe) + _tidy(_imports(body) + body)


def _head(recipe: Recipe) -> str:
    """How it is started, where that needs more than python."""
    training, device = recipe.training, recipe.model.device
    if training.accelerate_config:
        more = f" --num_processes {training.processes}" if training.processes > 1 else ""
        told = f"--config_file {training.accelerate_config}{more}"
    elif training.processes > 1:
        told = f"--num_processes {training.processes}" + (" --cpu" if device == "cpu" else "")
    elif ":" in device and device.startswith("cuda"):
        return f"# start it with: CUDA_VISIBLE_DEVICES={device.partition(':')[2]} python SCRIPT\n"
    else:
        return ""
    return f"# start it with: accelerate launch {told} SCRIPT\n"


def _imports(body: str) -> str:
    """The import lines of what a script uses."""
    used = set(re.findall(r"\w+", body))
    plain = [line for name, line in MODULES.items() if name in used]
    lines = "\n".join(plain) + ("\n" if plain else "")
    for package, names in PARTS.items():
        found = [name for name in names if name in used]
        if found:
            listed = "".join(f"    {name},\n" for name in found)
            line = f"from {package} import {', '.join(found)}\n"
            lines += line if len(line) <= 100 else f"from {package} import (\n{listed})\n"
    return f"{lines}\n"


def _tidy(script: str) -> str:
    """Two empty lines around what is defined."""
    apart = re.sub(r"\n+(?=(?:def|class) )", "\n\n\n", script)
    return re.sub(r"\n{3,}", "\n\n\n", apart)


def _trainer_lines(recipe: Recipe, *, evaluates: bool) -> str:
    told = trainer_arguments(recipe, evaluates=evaluates)
    if not (recipe.training.load_best or recipe.training.early_stopping):
        del told["metric_for_best_model"], told["greater_is_better"]
    told |= {"save_total_limit": recipe.training.keep, "disable_tqdm": True}
    if recipe.model.device == "cpu":
        told["use_cpu"] = True
    lines = "".join(
        f"    {name}={value!r},\n"
        for name, value in told.items()
        if name not in LIBRARY or value != LIBRARY[name]
    )
    parts = ["model=model", "args=args", f"data_collator={collator_of(recipe)}"]
    parts.append("train_dataset=train")
    parts += ["eval_dataset=held"] if evaluates else []
    parts += ["processing_class=tokenizer", *score_arguments(recipe)]
    patience = recipe.training.early_stopping
    parts.append(
        f"callbacks=[Show(), EarlyStoppingCallback({patience})]"
        if patience
        else "callbacks=[Show()]"
    )
    passed = "".join(f"    {part},\n" for part in parts)
    return (
        f"args = TrainingArguments(\n    output_dir=name,\n{lines})\n"
        f"trainer = Trainer(\n{passed})\n"
        "trainer.remove_callback(PrinterCallback)  # which rounds\n"
        "trainer.train()\n"
        'trainer.save_model(f"{name}/model")\n'
    )


def _loop(recipe: Recipe, runs: list[Recipe], each: str, *, evaluates: bool) -> str:
    """All runs one after the other, and what they come to."""
    listed = "".join(f"    {(slug(run.name), run.method.name, run.fold)!r},\n" for run in runs)
    begin = f"runs = [\n{listed}]\n"
    if not evaluates:
        return f"{begin}for name, method, fold in runs:\n{indent(each, '    ')}"
    name = "loss" if recipe.metric == "perplexity" else recipe.metric
    each += (
        'evaluations = [row for row in trainer.state.log_history if "eval_loss" in row]\n'
        f'results.setdefault(method, []).append(evaluations[-1]["eval_{name}"])\n'
    )
    return (
        f"{begin}results = {{}}\nfor name, method, fold in runs:\n{indent(each, '    ')}"
        "for method, values in results.items():\n"
        "    spread = np.std(values, ddof=1 % len(values))\n"
        f'    print(method, "eval_{name}", np.mean(values), "±", spread)\n'
    )
