"""Small screens over a screen: a question, a script, a log, help, a choice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, TypeVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Markdown, OptionList, Static
from textual.widgets.option_list import Option

from hfterm.engine.requests import KnownModel
from hfterm.paths import expanded, short_ref
from hfterm.text import displayable, elide_middle, foreign

T = TypeVar("T")

CLOSE = Binding("escape", "close", "Close", id="modal.close", tooltip="Close this window")


class Modal(ModalScreen[T]):
    """A window in the middle of the screen; Esc closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [CLOSE]

    DEFAULT_CSS = """
    Modal { align: center middle; background: $background 60%; }
    Modal > Vertical {
        width: 90%; max-width: 110; height: auto; max-height: 90%;
        background: $surface; border: round $border; border-title-color: $foreground;
        border-subtitle-color: $text-muted; padding: 0 1;
    }
    Modal Input { background: $panel; }
    Modal OptionList {
        border: none; height: auto; max-height: 16; background: transparent;
        text-wrap: nowrap; text-overflow: ellipsis;
    }
    Modal OptionList:focus { border: none; }
    Modal .hint { color: $text-muted; }
    Modal VerticalScroll { height: auto; max-height: 100%; }
    """

    def look(self) -> None:
        """Find out what it shows of a disk; called beside the interface, before it opens."""

    def action_close(self) -> None:
        """Close without an answer."""
        self.dismiss(None)


class Prompt(Modal[str]):
    """Asks for one line of text."""

    HELP = "## Question\n`Enter` answers, `Esc` closes."

    def __init__(self, title: str, hint: str, value: str = "", placeholder: str = "") -> None:
        super().__init__()
        self._title = title
        self._hint = hint
        self._value = value
        self._placeholder = placeholder

    def compose(self) -> ComposeResult:
        """A line to type in."""
        with Vertical() as box:
            box.border_title = foreign(self._title)  # pyright: ignore[reportAttributeAccessIssue]
            yield Input(self._value, placeholder=self._placeholder, compact=True)
            yield Label(self._hint, classes="hint", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The answer."""
        if event.value.strip():
            self.dismiss(event.value.strip())


COLORED = 20_000
"""Characters of a script that are coloured at most: it takes a second for five times as many."""


class CodeModal(Modal[None]):
    """The Python that reproduces what the screen shows."""

    HELP = "## Show code\nA script that runs as it is. `y` or `F9` copies it, `Ctrl+E` saves it."

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,f9", "copy", "Copy", id="code.copy", tooltip="Copy the script"),
        Binding("ctrl+e", "save", "Save", id="code.save", tooltip="Save the script to a file"),
        Binding("f2", "close", "Close", show=False, id="code.close", tooltip="Close the script"),
    ]

    def __init__(self, code: str, name: str) -> None:
        super().__init__()
        self.code = code
        self._name = name

    def compose(self) -> ComposeResult:
        """The script, highlighted."""
        from textual.highlight import highlight

        if len(self.code) > COLORED:
            script = foreign(self.code, lines=True)
        else:
            script = highlight(displayable(self.code, lines=True), language="python")
        with Vertical() as box:
            box.border_title = "Show code"
            box.border_subtitle = "y copy · ^e save · Esc close"
            with VerticalScroll():
                yield Static(script, markup=False)

    def action_copy(self) -> None:
        """Copy the script."""
        self.app.copy_to_clipboard(self.code)

    def action_save(self) -> None:
        """Ask where to, and save."""
        self.app.push_screen(
            Prompt("Save the script", "A path; an existing file is not overwritten.", self._name),
            self._save,
        )

    def _save(self, path: str | None) -> None:
        if path is None:
            return
        target = expanded(path)
        try:
            with target.open("x", encoding="utf-8") as file:
                file.write(self.code)
        except OSError as error:
            self.notify(
                f"{target} can't be written: {error.strerror}. Choose another path.",
                severity="error",
                markup=False,
            )
            return
        self.notify(f"Saved {target}", markup=False)


class HelpModal(Modal[None]):
    """Help of the screen and of what has the focus, with every key."""

    HELP = "## Help\n`Esc` closes."

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1,question_mark", "close", "Close", show=False, id="help.close",
                tooltip="Close the help"),
    ]  # fmt: skip

    DEFAULT_CSS = """
    HelpModal #help-keys { margin: 0 2 1 2; }
    """

    def __init__(self, text: str, keys: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._text = text
        self._keys = keys

    def compose(self) -> ComposeResult:
        """The help as Markdown, then the keys, of which there are too many for a widget each."""
        with Vertical() as box:
            box.border_title = "Help"
            box.border_subtitle = "Esc close"
            with VerticalScroll():
                yield Markdown(f"{self._text}\n\n## Keys here", open_links=False)
                keys = Table.grid(padding=(0, 2))
                for key, what in self._keys:
                    keys.add_row(Text(key, "bold", no_wrap=True), Text(what))
                yield Static(keys, id="help-keys")


class LogsModal(Modal[None]):
    """What the engine process printed."""

    HELP = "## Logs\nWhat libraries printed in the engine process. `Esc` closes."

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f8", "close", "Close", show=False, id="logs.close", tooltip="Close the logs"),
        Binding("y,f9", "copy", "Copy", id="logs.copy", tooltip="Copy the log"),
    ]

    DEFAULT_CSS = """
    LogsModal > Vertical { height: 80%; }
    LogsModal VerticalScroll { height: 1fr; }
    """

    def __init__(self, file: Path, lines: Sequence[str]) -> None:
        super().__init__()
        self._file = file
        self._lines = lines

    def compose(self) -> ComposeResult:
        """The end of the log file."""
        with Vertical() as box:
            box.border_title = "Logs"
            where = elide_middle(str(self._file), 50)
            subtitle = foreign(f"{len(self._lines):,} lines · {where}")
            box.border_subtitle = subtitle  # pyright: ignore[reportAttributeAccessIssue]
            with VerticalScroll():
                if self._lines:
                    yield Static(Content("\n").join([foreign(line) for line in self._lines]))
                else:
                    yield Label(
                        "The engine has printed nothing. Library messages appear here.",
                        classes="hint",
                        markup=False,
                    )

    def on_mount(self) -> None:
        """Newest last, and in sight."""
        self.query_one(VerticalScroll).scroll_end(animate=False)

    def action_copy(self) -> None:
        """Copy all that is shown."""
        if self._lines:
            self.app.copy_to_clipboard("\n".join(self._lines))
        else:
            self.notify("There is nothing to copy here.", severity="warning")


def recent_first(known: Sequence[KnownModel], recent: Sequence[str]) -> list[KnownModel]:
    """What was open lately, then the rest of what is here."""
    here = {model.ref: model for model in known}
    lately: list[KnownModel] = []
    for ref in dict.fromkeys(recent):
        model = here.pop(ref, None)
        about = " · ".join(part for part in (model.origin, model.about) if part) if model else ""
        lately.append(KnownModel(ref, "recent", about))
    return [*lately, *here.values()]


class ModelPicker(Modal[str]):
    """Choose a model on this machine, or name any."""

    HELP = """\
## Open a model
`↑` `↓` choose one that is on this machine. Or type: a starter name, a path (`./folder`,
`~/models/x`, a `tokenizer.json`) or a hub id (`owner/name`, whose tokenizer files are fetched).
`Enter` opens, `Esc` closes.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", "Next", show=False, priority=True, id="picker.down",
                tooltip="The next model"),
        Binding("up", "move(-1)", "Before", show=False, priority=True, id="picker.up",
                tooltip="The model before"),
    ]  # fmt: skip

    def __init__(
        self, known: Sequence[KnownModel], current: str, recent: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self._known = recent_first(known, recent)
        self._current = current

    def compose(self) -> ComposeResult:
        """A line to type in, and the models that are here."""
        with Vertical() as box:
            box.border_title = "Open a model"
            box.border_subtitle = "Enter open · ↑ ↓ choose · Esc close"
            yield Input(placeholder="starter name, path or hub id", id="picker-name", compact=True)
            yield OptionList(*self._options(""), markup=False, id="picker-list")
            if not self._known:
                yield Label(
                    "No model on this machine yet: type a path or a hub id.",
                    classes="hint",
                    markup=False,
                )

    def on_mount(self) -> None:
        """Typing filters; the list never takes the focus away from it."""
        self.query_one(OptionList).can_focus = False

    def _options(self, query: str) -> list[Option]:
        return [
            Option(
                Content.assemble(
                    foreign(elide_middle(displayable(short_ref(known.ref)), 44)),
                    "  ",
                    foreign(
                        f"{known.origin} · {known.about}" if known.about else known.origin, "dim"
                    ),
                ),
                id=str(index),
            )
            for index, known in enumerate(self._known)
            if query.lower() in f"{known.ref}\n{short_ref(known.ref)}".lower()
        ]

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter."""
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options(self._options(event.value))
        options.highlighted = None

    def action_move(self, by: int) -> None:
        """Move through the list."""
        options = self.query_one(OptionList)
        if options.option_count:
            at = options.highlighted
            first = 0 if by > 0 else options.option_count - 1
            options.highlighted = first if at is None else (at + by) % options.option_count

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Open what is highlighted, else what was typed."""
        options = self.query_one(OptionList)
        if options.highlighted is not None:
            chosen = options.get_option_at_index(options.highlighted)
            self.dismiss(self._known[int(chosen.id or 0)].ref)
        elif event.value.strip():
            self.dismiss(event.value.strip())
        elif self._known:
            self.dismiss(self._known[0].ref)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A click opens."""
        self.dismiss(self._known[int(event.option.id or 0)].ref)
