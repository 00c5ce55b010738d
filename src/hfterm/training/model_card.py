"""A model card: what a run trained, on what, how, and what came of it."""

from __future__ import annotations

import msgspec

from hfterm.errors import HftermError
from hfterm.sizes import size_text
from hfterm.training import run_files as files
from hfterm.training.recipe import Task
from hfterm.training.recipe_text import write_recipe
from hfterm.training.store import Run

PIPELINES: dict[Task, str] = {
    "text-classification": "text-classification",
    "token-classification": "token-classification",
    "question-answering": "question-answering",
    "masked-lm": "fill-mask",
    "causal-lm": "text-generation",
    "chat-sft": "text-generation",
    "seq2seq": "text2text-generation",
}


def model_card(run: Run) -> str:
    """Markdown with the hub's metadata on top.

    Raises:
        HftermError: the run's recipe is broken.
    """
    recipe = run.recipe
    if recipe is None:
        raise HftermError("recipe", f"The recipe of {run.id} is broken.", "Mend its recipe.toml.")
    adapter = recipe.method.name != "full"
    lines = [
        "---",
        f"base_model: {_quoted(recipe.model.ref)}",
        f"library_name: {'peft' if adapter else 'transformers'}",
        f"pipeline_tag: {PIPELINES[recipe.task]}",
        "tags:",
        "- hfterm",
        *(["- lora"] if adapter else []),
        "---",
        "",
        f"# {recipe.name}",
        "",
        f"{recipe.model.ref} trained for {recipe.task} on {recipe.data.ref} ({recipe.data.train}), "
        f"method {recipe.method.name}: {run.progress.trainable:,} of {run.progress.parameters:,} "
        "parameters.",
        "",
        "## Results",
        "",
        f"Status: {run.status}, step {run.progress.step:,} of {run.progress.total_steps:,}, "
        f"{run.state.seconds:.0f} s, peak memory {size_text(run.state.peak_memory)}.",
        "",
        "| metric | value |",
        "|---|---|",
        *(
            f"| {name} | {value:.6g} |" if not isinstance(value, str) else f"| {name} | {value} |"
            for name, value in sorted(run.progress.metrics.items())
        ),
    ]
    if run.progress.best is not None:
        lines.append(f"| best {recipe.metric} | {run.progress.best:.6g} |")
    lines += ["", "## Recipe", "", "```toml", write_recipe(recipe).strip(), "```"]
    about = files.read_struct(run.path / files.ABOUT, dict[str, msgspec.Raw])
    if about is not None and "packages" in about:
        packages = msgspec.json.decode(about["packages"], type=dict[str, str])
        lines += ["", "## Versions", ""]
        lines.append(", ".join(f"{name} {version}" for name, version in packages.items()))
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()
