"""The page about recipes: every key of the TOML, read from the code that reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hfterm.settings_fields import toml_value
from hfterm.training.recipe import AUTO_CLASSES, COLUMNS, METRICS, OPTIONAL_COLUMNS
from hfterm.training.recipe_text import PARTS, fields

Table = Callable[[tuple[str, ...], list[tuple[str, ...]]], str]

EXAMPLE = """\
name = "reviews-lora"
task = "text-classification"

[model]
ref = "minilm"

[data]
ref = "reviews"
shuffle = true
train = "train[:90%]"
eval = "train[90%:]"

[method]
name = "lora"
target_modules = ["query", "value"]

[training]
learning_rate = 2e-3
"""

HEADS = {
    "": "The recipe itself",
    "model": "`[model]`",
    "data": "`[data]`",
    "method": "`[method]`: all weights, an adapter, or one on a quantized base",
    "training": "`[training]`: what is not here is as in `transformers.TrainingArguments`",
}


def tasks_table(table: Table) -> str:
    """What each task loads, reads and is judged by."""
    rows: list[tuple[str, ...]] = []
    for task, auto in AUTO_CLASSES.items():
        read = [f"`{name}`" for name in COLUMNS[task]]
        read += [f"`{name}` if there is one" for name in OPTIONAL_COLUMNS.get(task, ())]
        rows.append((f"`{task}`", f"`{auto}`", ", ".join(read), ", ".join(METRICS[task])))
    return table(("task", "class", "columns", "metrics"), rows)


def _default(value: object) -> str:
    if value is None:
        return "must be given"
    if isinstance(value, float):
        return f"`{value:g}`"
    if isinstance(value, bool | int | str):
        return f"`{toml_value(value)}`"
    return "none" if not value else f"`{value}`"


def _rows(part: str) -> Iterable[tuple[str, ...]]:
    for key, field in fields().items():
        table, _, name = key.rpartition(".")
        if table == part:
            yield f"`{name}`", _default(field.default), field.expects, field.about


def page(note: str, table: Table) -> str:
    """docs/recipe.md."""
    parts = [
        "# Recipes\n",
        note,
        "A recipe is what a run is to do, as TOML: the form on [Train](guide/train.md) writes it,\n"
        "and `hfterm train recipe.toml` starts it. What is left out is as below:\n",
        f"```toml\n{EXAMPLE}```\n",
        "`columns` under `[data]` says what the data calls what the task reads:\n"
        '`columns = { text = "review", label = "stars" }`.\n',
        tasks_table(table),
    ]
    for name in PARTS:
        head = ("key", "default", "allowed", "what it is")
        parts += [f"## {HEADS[name]}\n", table(head, list(_rows(name)))]
    return "\n".join(parts)
