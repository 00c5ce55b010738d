"""Recipes as TOML: read with errors that name key, value and what is right; changed; written."""

from __future__ import annotations

import difflib
import inspect
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, cast, get_args, get_origin

import msgspec

from hfterm.errors import HftermError
from hfterm.training.arguments import OPTIMIZERS
from hfterm.training.recipe import (
    COLUMNS,
    METRICS,
    OPTIONAL_COLUMNS,
    DataPart,
    MethodPart,
    ModelPart,
    Recipe,
    TrainingPart,
)

PARTS: dict[str, type[msgspec.Struct]] = {
    "": Recipe,
    "model": ModelPart,
    "data": DataPart,
    "method": MethodPart,
    "training": TrainingPart,
}
"""The tables of a recipe by name; the keys above all tables are the recipe's own."""

MOST_SHOWN = 4
DEVICE = re.compile(r"auto|cpu|mps|(cuda|xpu|npu|hpu)(:\d+)?")


class RecipeField(NamedTuple):
    """A key of a recipe.

    Attributes:
        key: as in ``training.batch_size``; the recipe's own keys have no dot.
        expects: what is right for it, in words.
        choices: the values there are; empty when any is possible.
        default: None where there is none.
        about: what it is, as the docstring of its table says.
    """

    key: str
    expects: str
    choices: tuple[str, ...]
    default: object
    type: object
    about: str


def fields() -> dict[str, RecipeField]:
    """Every key there is, in the order of the file."""
    found: dict[str, RecipeField] = {}
    for table, part in PARTS.items():
        about = _about(part)
        for field in msgspec.structs.fields(part):
            if not table and field.name in PARTS:
                continue
            key = f"{table}.{field.name}" if table else field.name
            default = None if field.default is msgspec.NODEFAULT else field.default
            if field.default_factory is not msgspec.NODEFAULT:
                default = field.default_factory()
            found[key] = RecipeField(
                key, _expects(field.type), _choices(field.type), default, field.type,
                about.get(field.name, ""),
            )  # fmt: skip
    return found


def _about(part: type[msgspec.Struct]) -> dict[str, str]:
    _, _, attributes = (inspect.getdoc(part) or "").partition("Attributes:\n")
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", attributes, re.MULTILINE)
    return {
        name: " ".join(text.split()).removesuffix(".").replace("``", "`") for name, text in found
    }


def parse_recipe(text: str, source: str = "The recipe") -> Recipe:
    """A recipe from TOML.

    Args:
        text: the TOML.
        source: what it is called in messages.

    Raises:
        HftermError: ``recipe``: it is not TOML, or a key or a value is wrong.
    """
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise HftermError("recipe", f"{source} is not TOML: {error}.", "Mend that place.") from None
    return recipe_of(data, source)


def read_recipe(path: Path) -> Recipe:
    """The recipe in a file.

    Raises:
        HftermError: the file can't be read, or is no recipe.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else "") or str(error)
        raise HftermError(
            "not-found", f"The recipe {path} can't be read: {reason}.", "Check the path."
        ) from None
    return parse_recipe(text, str(path))


def recipe_of(data: Mapping[str, object], source: str = "The recipe") -> Recipe:
    """A recipe from a table of tables.

    Raises:
        HftermError: ``recipe``: a key or a value is wrong; the first few are named.
    """
    problems: list[str] = []
    values = {table: _part(table, part, data, problems) for table, part in PARTS.items()}
    if not problems:
        recipe = msgspec.convert(
            values[""] | {name: values[name] for name in PARTS if name}, Recipe
        )
        problems += defects(recipe)
        if not problems:
            return recipe
    shown = problems[:MOST_SHOWN]
    more = len(problems) - len(shown)
    text = " ".join(shown) + (f" And {more} more." if more > 0 else "")
    raise HftermError("recipe", f"{source}: {text}", "Nothing was started.")


def _part(
    table: str, part: type[msgspec.Struct], data: Mapping[str, object], problems: list[str]
) -> dict[str, object]:
    """The values of one table that are right; what is wrong goes into `problems`."""
    given: object = data if not table else data.get(table, {})
    if not isinstance(given, Mapping):
        problems.append(f"{table} = {_shown(given)}: must be a table, [{table}].")
        return {}
    known = {field.name: field for field in msgspec.structs.fields(part)}
    values: dict[str, object] = {}
    for name, value in cast("Mapping[str, object]", given).items():
        key = f"{table}.{name}" if table else name
        if name not in known:
            problems.append(f"{key} = {_shown(value)}: there is no such key{_near(key)}.")
        elif table or name not in PARTS:
            try:
                values[name] = msgspec.convert(value, known[name].type)
            except msgspec.ValidationError:
                problems.append(f"{key} = {_shown(value)}: must be {_expects(known[name].type)}.")
    for name, field in known.items():
        missing = field.default is msgspec.NODEFAULT and (
            field.default_factory is msgspec.NODEFAULT
        )
        if missing and name not in PARTS and name not in cast("Mapping[str, object]", given):
            key = f"{table}.{name}" if table else name
            problems.append(f"{key} is missing: give {_expects(field.type)}.")
    return values


def defects(recipe: Recipe) -> list[str]:
    """What is wrong with a recipe whose values are each right."""
    found: list[str] = []
    data, training = recipe.data, recipe.training
    roles = COLUMNS[recipe.task] + OPTIONAL_COLUMNS.get(recipe.task, ())
    for role in data.columns:
        if role not in roles:
            found.append(f"data.columns has {role!r}: {recipe.task} reads {', '.join(roles)}.")
    if data.packing:
        found.append("data.packing = true: rows are not packed here; leave it out, or false.")
    if recipe.folds == 1:
        found.append("folds = 1: a cross-validation needs at least 2; 0 is none.")
    if recipe.folds and data.eval:
        found.append(
            f"data.eval = {_shown(data.eval)}: with folds the rows to evaluate on are taken from "
            "data.train; leave eval out."
        )
    if recipe.fold and recipe.fold > recipe.folds:
        found.append(f"fold = {recipe.fold}: there are {recipe.folds} folds.")
    if training.metric and training.metric not in METRICS[recipe.task]:
        found.append(
            f"training.metric = {_shown(training.metric)}: {recipe.task} gives "
            f"{', '.join(METRICS[recipe.task])}."
        )
    evaluates = bool(data.eval or recipe.folds)
    for key, wanted in (
        ("early_stopping", training.early_stopping),
        ("load_best", training.load_best),
        ("eval_every", training.eval_every),
    ):
        if wanted and not evaluates:
            found.append(
                f"training.{key} = {_shown(wanted)}: there is nothing to evaluate on; give "
                'data.eval, such as "train[90%:]".'
            )
    if training.load_best and training.eval_every and training.save_every % training.eval_every:
        found.append(
            f"training.save_every = {training.save_every}: with load_best it must be a multiple "
            f"of eval_every ({training.eval_every})."
        )
    if training.load_best and training.save_every and not training.eval_every:
        found.append(
            f"training.save_every = {training.save_every}: with load_best both are every so many "
            "steps, or both after each epoch; give eval_every."
        )
    if training.optimizer not in OPTIMIZERS:
        near = difflib.get_close_matches(training.optimizer, OPTIMIZERS, 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(OPTIMIZERS[:8])} …"
        found.append(f"training.optimizer = {_shown(training.optimizer)}: no such; {hint}")
    if recipe.model.revision:
        found.append(
            f"model.revision = {_shown(recipe.model.revision)}: only a hub id's main branch is "
            "fetched; for another, fetch it and name its folder in model.ref."
        )
    quantized = recipe.quantization != "none" or "qlora" in recipe.compare
    if quantized and training.processes > 1:
        found.append("training.processes: a quantized base is trained by one process here.")
    if recipe.method.dora and quantized and recipe.method.quant == "int8":
        found.append("method.dora = true: not on an int8 base; choose nf4.")
    if not DEVICE.fullmatch(recipe.model.device):
        found.append(
            f"model.device = {_shown(recipe.model.device)}: must be auto, cpu, or a device such "
            "as cuda:0."
        )
    if len(set(recipe.compare)) < len(recipe.compare):
        found.append(f"compare = {_shown(list(recipe.compare))}: each method once.")
    if len(set(data.labels)) < len(data.labels):
        found.append(f"data.labels = {_shown(list(data.labels))}: each label once.")
    return found


def with_values(recipe: Recipe, settings: Iterable[str]) -> Recipe:
    """A recipe with some keys changed.

    Args:
        recipe: stays as it is.
        settings: ``training.learning_rate=1e-3``, with a value as in TOML; words need no quotes.

    Raises:
        HftermError: ``recipe``: no such key, or the wrong value.
    """
    return recipe_of(set_values(as_table(recipe), settings))


def set_values(table: dict[str, object], settings: Iterable[str]) -> dict[str, object]:
    """`table` with ``key=value`` settings in it.

    Raises:
        HftermError: ``recipe``: one of them is no ``key=value``.
    """
    for setting in settings:
        key, sign, text = setting.partition("=")
        key = key.strip()
        if not sign or not key:
            raise HftermError(
                "recipe",
                f"{setting!r} sets nothing.",
                "Write key=value, such as training.learning_rate=1e-3.",
            )
        name, dot, rest = key.partition(".")
        if dot:
            inner = table.setdefault(name, {})
            if not isinstance(inner, dict):
                raise HftermError("recipe", f"{name!r} is no table.", "Check the key.")
            cast("dict[str, object]", inner)[rest] = toml_value(text)
        else:
            table[key] = toml_value(text)
    return table


def toml_value(text: str) -> object:
    """A value as TOML has it; what is no TOML is a word."""
    try:
        return cast("object", tomllib.loads(f"value = {text.strip()}")["value"])
    except (ValueError, RecursionError):
        return text.strip()


def as_table(recipe: Recipe) -> dict[str, object]:
    """A recipe as tables of plain values, without those that are as they are by default."""
    table = cast("dict[str, object]", msgspec.to_builtins(recipe))
    for name, field in fields().items():
        part, _, key = name.rpartition(".")
        owner = cast("dict[str, object]", table[part]) if part else table
        if field.default is not None and owner.get(key) == msgspec.to_builtins(field.default):
            del owner[key]
    method = cast("dict[str, object]", table["method"])
    method["name"] = recipe.method.name
    return table


def write_recipe(recipe: Recipe) -> str:
    """A recipe as TOML."""
    import tomli_w

    return tomli_w.dumps(as_table(recipe))


def _expects(kind: object) -> str:
    """What a type takes, in words."""
    if get_origin(kind) is Annotated:
        for extra in get_args(kind)[1:]:
            if isinstance(extra, msgspec.Meta) and extra.description:
                return extra.description
        return _expects(get_args(kind)[0])
    if get_origin(kind) is Literal:
        return f"one of {', '.join(str(value) for value in get_args(kind))}"
    words: dict[object, str] = {
        bool: "true or false", int: "a whole number", float: "a number", str: "a word",
    }  # fmt: skip
    return words.get(kind, "something else")


def _choices(kind: object) -> tuple[str, ...]:
    if get_origin(kind) is Literal:
        return tuple(str(value) for value in get_args(kind))
    return ("false", "true") if kind is bool else ()


_ELSEWHERE = {
    "lr": "learning_rate",
    "rank": "r",
    "lora_r": "r",
    "lora_alpha": "alpha",
    "lora_dropout": "dropout",
    "use_rslora": "rslora",
    "use_dora": "dora",
    "num_train_epochs": "epochs",
    "per_device_train_batch_size": "batch_size",
    "per_device_eval_batch_size": "eval_batch_size",
    "gradient_accumulation_steps": "accumulate",
    "gradient_checkpointing": "activation_checkpointing",
    "lr_scheduler_type": "scheduler",
    "warmup_steps": "warmup",
    "warmup_ratio": "warmup",
    "optim": "optimizer",
    "logging_steps": "log_every",
    "eval_steps": "eval_every",
    "save_steps": "save_every",
    "save_total_limit": "keep",
    "max_seq_length": "max_length",
    "model_name": "ref",
    "path": "ref",
}
"""What transformers, peft and trl call a key, and what it is called here."""


def _near(key: str) -> str:
    known = [*fields(), *(name for name in PARTS if name)]
    table, _, last = key.rpartition(".")
    last = _ELSEWHERE.get(last, last)
    here = f"{table}.{last}" if table else last
    near = [name for name in known if name == here]
    near += [name for name in known if name.rpartition(".")[2] == last]
    near += difflib.get_close_matches(here, known, 1, 0.6)
    return f"; did you mean {near[0]}?" if near else ""


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
