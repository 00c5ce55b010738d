"""What each task needs besides the text: a line of fields that changes with the task."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input

from hfterm.errors import HftermError
from hfterm.inference.options import TASKS, TaskOptions
from hfterm.widgets.fields import Choice, Field

LABEL_NONE = "none"

USES: dict[str, tuple[str, ...]] = {
    "text-classification": ("label", "gradients", "pair"),
    "token-classification": (),
    "question-answering": ("question", "top"),
    "fill-mask": ("top",),
    "text-generation": ("as", "new", "temperature", "top-p", "seed"),
    "feature-extraction": ("pooling", "normalize"),
    "zero-shot": ("labels", "hypothesis", "several"),
    "multiple-choice": ("labels",),
    "seq2seq": ("new",),
}
"""The fields of each task."""


class TaskFields(Vertical):
    """The task, and what it needs."""

    DEFAULT_CSS = """
    TaskFields { height: 2; }
    TaskFields > Horizontal { height: 1; }
    """

    class Changed(Message):
        """Something about the task changed; `task` when another one was chosen."""

        def __init__(self, task: bool) -> None:
            super().__init__()
            self.task = task

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._labels: tuple[str, ...] = ()
        self._sample = ""

    def compose(self) -> ComposeResult:
        """Two lines."""
        with Horizontal():
            yield Choice("task", TASKS, id="task")
            yield Choice("long texts", ("ask", "truncate", "window"), id="task-long")
        with Horizontal():
            yield Choice("loss for", (LABEL_NONE,), id="task-label")
            yield Choice("gradients", ("no", "yes"), id="task-gradients")
            yield Field("pair", "", placeholder="a second text", id="task-pair")
            yield Field("question", "Which library gives access to models?", id="task-question")
            yield Field("best", "5", id="task-top")
            yield Choice("as", ("text", "chat message"), id="task-as")
            yield Field("new tokens", "40", id="task-new")
            yield Field("temperature", "0", id="task-temperature")
            yield Field("top-p", "1", id="task-top-p")
            yield Field("seed", "0", id="task-seed")
            yield Choice("pooling", ("mean", "cls", "max", "last"), id="task-pooling")
            yield Choice("normalize", ("yes", "no"), id="task-normalize")
            yield Field("options", "", placeholder="separated by commas", id="task-labels")
            yield Field("hypothesis", "This example is {}.", id="task-hypothesis")
            yield Choice("several", ("no", "yes"), id="task-several")

    def on_mount(self) -> None:
        """Only the task's own fields are in sight."""
        self._show_fields()

    @property
    def chosen(self) -> str:
        """The task that is chosen."""
        return self._choice("", "task")

    def choose(self, task: str) -> None:
        """Choose a task without telling anybody."""
        self.query_one("#task", Choice).value = task
        self._show_fields()

    def fill_options(self, options: str) -> None:
        """Put a sample into the options, unless some were typed."""
        field = self.query_one("#task-labels", Input)
        if not field.value or field.value == self._sample:
            self._sample = field.value = options

    def show_labels(self, labels: Sequence[str]) -> None:
        """Offer the labels of the model that is loaded."""
        if tuple(labels) != self._labels:
            self._labels = tuple(labels)
            choice = self.query_one("#task-label", Choice)
            choice.values = (LABEL_NONE, *(str(id_) for id_ in range(len(labels))))
            if choice.value not in choice.values:
                choice.value = LABEL_NONE

    def _show_fields(self) -> None:
        wanted = USES[self.chosen]
        row: list[Widget] = [*self.query("Horizontal")[1].children]
        for widget in row:
            own = widget if isinstance(widget, Choice) else widget.query_one(Input)
            widget.display = (own.id or "").removeprefix("task-") in wanted

    @on(Choice.Changed)
    def _choice_changed(self, event: Choice.Changed) -> None:
        event.stop()
        another = event.choice.id == "task"
        if another:
            self._show_fields()
        self.post_message(self.Changed(another))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Changed(False))

    def _choice(self, name: str, whole: str = "") -> str:
        return self.query_one(f"#{whole or f'task-{name}'}", Choice).value

    def _text(self, name: str) -> str:
        return self.query_one(f"#task-{name}", Input).value

    def _number(self, name: str, label: str, least: float, most: float) -> float:
        text = self._text(name).strip()
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            raise HftermError(
                "bad-field",
                f"“{label}” is {text!r}.",
                f"Type a number from {least:,g} to {most:,.0f}.",
            )
        return value

    def options(self) -> TaskOptions:
        """What the fields say.

        Raises:
            HftermError: a field holds what it can't.
        """
        label = self._choice("label")
        values: dict[str, object] = {
            "task": self.chosen, "long": self._choice("long"),
        }  # fmt: skip
        used = USES[self.chosen]
        if "label" in used:
            values["label"] = None if label == LABEL_NONE else int(label)
            values["backward"] = self._choice("gradients") == "yes"
            values["pair"] = self._text("pair") or None
        if "question" in used:
            values["question"] = self._text("question")
        if "top" in used:
            values["top"] = int(self._number("top", "best", 1, 1000))
        if "new" in used:
            values["new_tokens"] = int(self._number("new", "new tokens", 1, 100_000))
        if "as" in used:
            values["chat"] = self._choice("as") != "text"
            values["temperature"] = self._number("temperature", "temperature", 0, 100)
            values["top_p"] = self._number("top-p", "top-p", 0, 1)
            values["seed"] = int(self._number("seed", "seed", 0, 2**31))
        if "pooling" in used:
            values["pooling"] = self._choice("pooling")
            values["normalize"] = self._choice("normalize") == "yes"
        if "labels" in used:
            parts = self._text("labels").split(",")
            values["labels"] = [part.strip() for part in parts if part.strip()]
        if "hypothesis" in used:
            values["template"] = self._text("hypothesis")
            values["multi_label"] = self._choice("several") == "yes"
        return msgspec.convert(values, TaskOptions)
