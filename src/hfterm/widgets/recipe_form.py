"""The form over a recipe: a field for each key, a few to a line."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import ClassVar

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input

from hfterm.errors import HftermError
from hfterm.training.recipe import Recipe
from hfterm.training.recipe_text import RecipeField, fields, recipe_of, set_values, toml_value
from hfterm.widgets.fields import Choice, Field

LINES: tuple[tuple[str, ...], ...] = (
    ("name", "task"),
    ("model.ref", "model.tokenizer", "model.device"),
    ("data.ref", "data.train", "data.eval"),
    ("data.columns", "data.shuffle", "data.max_length"),
    ("method.name", "method.quant", "method.target_modules"),
    ("method.r", "method.alpha", "method.dropout", "method.bias"),
    ("method.rslora", "method.dora", "compare"),
    ("training.epochs", "training.max_steps", "training.batch_size", "training.accumulate"),
    ("training.learning_rate", "training.scheduler"),
    ("training.warmup", "training.weight_decay", "training.seed", "training.precision"),
    ("training.log_every", "training.eval_every", "training.save_every", "training.keep"),
    ("training.metric", "training.early_stopping", "training.load_best", "folds"),
    ("training.processes", "data.labels", "training.accelerate_config"),
    ("prompts",),
    ("also",),
)
"""What stands on which line, in four columns. ``also`` takes any other key, as ``key=value``."""

LABELS = {
    "model.ref": "model", "data.ref": "data", "method.name": "method",
    "method.target_modules": "targets", "training.accelerate_config": "accelerate config",
    "training.learning_rate": "learning rate", "training.weight_decay": "weight decay",
    "training.batch_size": "batch", "training.max_steps": "max steps",
    "training.log_every": "log every", "training.eval_every": "eval every",
    "training.save_every": "save every", "training.early_stopping": "early stop",
    "training.load_best": "load best", "data.max_length": "max length",
}  # fmt: skip
HINTS = {
    "model.ref": "minilm, a path, a hub id",
    "model.tokenizer": "its own",
    "data.ref": "reviews, a file, a glob, a hub id",
    "data.eval": "none",
    "data.columns": "text=text label=label",
    "data.labels": "negative positive",
    "method.target_modules": "the usual ones; all-linear",
    "training.metric": "the task's first",
    "training.accelerate_config": "none",
    "compare": "full lora",
    "prompts": "texts to ask at each evaluation, separated by ;",
    "also": "other keys: training.optimizer=adafactor data.mask=0.2",
}
WIDE = frozenset({
    "name", "task", "model.ref", "data.ref", "data.columns", "method.target_modules", "compare",
    "training.learning_rate", "training.scheduler", "training.accelerate_config",
})  # fmt: skip
"""Fields that take two columns of the four; a field alone on its line takes all."""

LISTS = frozenset({"data.labels", "method.target_modules", "compare"})
FIRST_HELP = {
    "also": "Any other key of a recipe, as key=value; several are separated by spaces.",
    "prompts": "Texts that the model is asked at each evaluation; separated by ;",
    "data.columns": "What the data calls what the task reads: role=column, separated by spaces.",
}


def _help_of(key: str, known: RecipeField | None) -> str:
    """What a field is called in a recipe, what it is, and what it takes."""
    if known is None:
        return FIRST_HELP[key]
    about = FIRST_HELP.get(key) or f"{known.about}."
    words = f"{key}: {about[0].lower()}{about[1:]}"
    if key in LISTS:
        return f"{words}\nSeparate several by spaces."
    if known.choices or key in FIRST_HELP:  # what it takes is said, or seen
        return words
    return f"{words}\nIt takes {known.expects}."


def words_of(key: str, value: object) -> str:
    """A value of a recipe as its field shows it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return ""
    if isinstance(value, dict):
        return " ".join(f"{role}={_quoted(str(name))}" for role, name in value.items())
    if isinstance(value, list | tuple):
        if key == "prompts":
            return "; ".join(f'"{item}"' if ";" in str(item) else str(item) for item in value)
        return " ".join(_quoted(str(item)) for item in value)
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    return str(value)


def _quoted(word: str) -> str:
    """A word of a list, in quotation marks where it would else be several."""
    return f'"{word}"' if not word or set(word) & set(" ,='[]") else word


def _words(text: str, between: str, quotes: str = "\"'") -> list[str]:
    """What stands between separators; within quotation marks these are none."""
    reader = shlex.shlex(text, posix=True)
    reader.whitespace, reader.whitespace_split = between, True
    reader.quotes, reader.escape, reader.commenters = quotes, "", ""
    try:
        return list(reader)
    except ValueError:
        raise HftermError(
            "recipe", f"{text} can't be read: a quotation mark is not closed.", "Close it."
        ) from None


def _setting(key: str, value: object) -> str:
    """``key=value`` for the last line: a value as TOML has it, in quotation marks if need be."""
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, str) and toml_value(value) != value:
        text = f'"{value}"'
    else:
        text = words_of(key, value)
    return shlex.quote(f"{key}={text}") if set(text) & set(" \"'") else f"{key}={text}"


class RecipeForm(VerticalScroll, can_focus=False):
    """Fields for every key; what they hold is a recipe, or an error that names one."""

    HELP = """\
## Recipe
`Tab` and `↑` `↓` go from field to field, `←` `→` change a ‹choice›. Every key of a recipe is here
or can be written into the last line. `F5` checks it against the data and tries two real steps,
`F7` starts it, `alt+q` puts it in the queue.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "line(-1)", "Line above", show=False, id="form.up",
                tooltip="The field above"),
        Binding("down", "line(1)", "Line below", show=False, id="form.down",
                tooltip="The field below"),
    ]  # fmt: skip

    DEFAULT_CSS = """
    RecipeForm { height: auto; max-height: 1fr; scrollbar-size: 1 1; }
    RecipeForm > .options { height: 1; width: 100%; }
    RecipeForm Field, RecipeForm Choice { width: 1fr; margin-right: 0; padding-right: 2; }
    RecipeForm Field.-wide, RecipeForm Choice.-wide { width: 2fr; }
    """

    class Changed(Message):
        """A field holds something else."""

    class Submitted(Message):
        """Enter was pressed in a field."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._fields: dict[str, RecipeField] = fields()
        self._others: dict[str, str] = {}
        self._quiet = False

    def compose(self) -> ComposeResult:
        """The lines."""
        for line in LINES:
            with Horizontal(classes="options"):
                for key in line:
                    yield self._widget(key)

    def _widget(self, key: str) -> Widget:
        label = LABELS.get(key, key.rpartition(".")[2])
        known = self._fields.get(key)
        id_ = self._field_id(key)
        if known is not None and known.choices:
            values = known.choices if known.choices != ("false", "true") else ("no", "yes")
            widget: Widget = Choice(label, values, words_of(key, known.default), id=id_) if (
                known.default is not None
            ) else Choice(label, values, id=id_)  # fmt: skip
        else:
            value = words_of(key, known.default) if known is not None else ""
            widget = Field(label, value, placeholder=HINTS.get(key, ""), id=id_)
        (widget.input if isinstance(widget, Field) else widget).tooltip = _help_of(key, known)
        widget.set_class(key in WIDE, "-wide")
        return widget

    @staticmethod
    def _field_id(key: str) -> str:
        return f"recipe-{key.replace('.', '-')}"

    # -- values ------------------------------------------------------------------------------

    def show(self, recipe: Recipe) -> None:
        """Fill the fields."""
        table = msgspec.to_builtins(recipe)
        self._quiet = True
        shown = {key for line in LINES for key in line}
        others: list[str] = []
        for key, known in self._fields.items():
            part, _, name = key.rpartition(".")
            value = table[part][name] if part else table[name]
            if key in shown:
                self._set(key, words_of(key, value))
            elif value != msgspec.to_builtins(known.default) and key not in ("fold", "group"):
                others.append(_setting(key, value))
        self._set("also", " ".join(others))
        self._quiet = False

    def _set(self, key: str, text: str) -> None:
        widget = self.query_one(f"#{self._field_id(key)}")
        if isinstance(widget, Choice):
            widget.value = text if text in widget.values else widget.values[0]
        elif isinstance(widget, Input):
            with self.prevent(Input.Changed):
                widget.value = text

    def value(self, key: str) -> str:
        """What a field holds."""
        widget = self.query_one(f"#{self._field_id(key)}")
        if isinstance(widget, Choice):
            return widget.value
        return widget.value.strip() if isinstance(widget, Input) else ""

    def recipe(self) -> Recipe:
        """The recipe that the fields hold.

        Raises:
            HftermError: ``recipe``: a value is wrong; it is named.
        """
        table: dict[str, object] = {}
        for line in LINES:
            for key in line:
                text = self.value(key)
                if key == "also" or (not text and key != "name"):
                    continue
                part, _, name = key.rpartition(".")
                owner = table.setdefault(part, {}) if part else table
                assert isinstance(owner, dict)
                owner[name] = self._typed(key, text)
        also = self.value("also")
        if also:
            set_values(table, _settings(also))
        return recipe_of(table, "The form")

    def _typed(self, key: str, text: str) -> object:
        """A field's text as the value that TOML would have."""
        if key == "data.columns":
            pairs = [item.partition("=") for item in _words(text, " ,")]
            return {role: name for role, _, name in pairs}
        if key == "method.target_modules" and text == "all-linear":
            return text
        if key in LISTS:
            return [word.strip("[]") for word in _words(text, " ,")]
        if key == "prompts":
            return [part.strip() for part in _words(text, ";", '"') if part.strip()]
        known = self._fields[key]
        if known.choices == ("false", "true"):
            return text == "yes"
        default = known.default
        if isinstance(default, int | float) and not isinstance(default, bool):
            return _number(text, whole=isinstance(default, int) and "whole" in known.expects)
        return text

    # -- moving ------------------------------------------------------------------------------

    def action_line(self, by: int) -> None:
        """Go to the field above or below the one with the focus."""
        focused = self.screen.focused
        lines = [
            [w for w in row.query("Input, Choice") if w.focusable]
            for row in self.query(".options").results(Horizontal)
        ]
        for number, line in enumerate(lines):
            if focused in line:
                place = focused.region.x
                target = number + by
                if 0 <= target < len(lines):
                    nearest = min(lines[target], key=lambda w: abs(w.region.x - place))
                    nearest.focus()
                elif by < 0:
                    self.screen.focus_previous()
                else:
                    self.screen.focus_next()
                return

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        if not self._quiet:
            self.post_message(self.Changed())

    @on(Choice.Changed)
    def _chosen(self, event: Choice.Changed) -> None:
        event.stop()
        self.post_message(self.Changed())

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Submitted())


def _number(text: str, *, whole: bool) -> object:
    try:
        return int(text.replace(",", "").replace("_", "")) if whole else float(text)
    except ValueError:
        return text


def _settings(text: str) -> Sequence[str]:
    """``key=value`` settings in a line; a value in brackets or quotes may hold spaces."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise HftermError(
            "recipe", f"The last line can't be read: {error}.", "Close the quotation marks."
        ) from None
