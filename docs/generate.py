"""Write the reference pages from the code: keys, settings, commands, recipes, doctor's checks.

    python docs/generate.py            # write them
    python docs/generate.py --check    # say which are stale, and write nothing

`tests/unit/test_docs.py` does the latter, so that no page can say what is no longer so.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import doctor_page
import recipe_page
import typer.main
from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import key_to_character

from hfterm.app import HftermApp
from hfterm.cli import app as command_line
from hfterm.screens.bindings import OWNERS
from hfterm.screens.registry import SCREENS
from hfterm.settings_fields import FIELDS, Settings, toml_value

HERE = Path(__file__).parent
COMMAND = "python docs/generate.py"
NOTE = f"<!-- Written by `{COMMAND}`; what is changed here is lost. -->\n"

KEY_NAMES = {
    "escape": "Esc", "enter": "Enter", "space": "Space", "delete": "Del", "tab": "Tab",
    "pageup": "PgUp", "pagedown": "PgDn", "home": "Home", "end": "End", "backspace": "Backspace",
    "up": "↑", "down": "↓", "left": "←", "right": "→", "plus": "+", "minus": "-", "slash": "/",
}  # fmt: skip
"""What the keyboard calls the keys that Textual names in one word."""

OWNER_NAMES = {
    "RunPage": "Runs and Monitor: the run under the cursor or in sight",
    "DataRowsPage": "Rows tab",
    "ModelList": "The list of models",
    "ChatLoadModal": "Window: how the model is loaded",
    "LoadModal": "Window: how the model is loaded",
    "FigureModal": "Window: write a figure",
    "Transcript": "The conversation",
    "Composer": "The message being written",
    "DataGrid": "Tables",
    "TextEditor": "Text",
    "TokenStrip": "The tokens in their text",
    "Choice": "Choices: ‹value›",
    "HeadGrid": "The grid of heads",
    "Heatmap": "The map of a head",
    "LinkLines": "Lines between tokens",
    "Scatter": "The plane of hidden states",
    "Chart": "Charts",
    "RecipeForm": "The form of a recipe",
    "StarterOffer": "The offer of the starter kit",
    "Confirm": "Questions",
    "Modal": "Every window",
    "CodeModal": "Window: code",
    "HelpModal": "Window: help",
    "LogsModal": "Window: logs",
    "ModelPicker": "Window: open a model",
}
"""What people call the parts that have keys; the others by the name of their class."""


def key_name(key: str) -> str:
    """A key as the guide writes it: `Alt+P`, `F6`, `?`, `PgDn`."""
    *modifiers, last = key.split("+")
    shown = KEY_NAMES.get(last) or key_to_character(last) or last
    if re.fullmatch(r"f\d+", shown) or (modifiers and len(shown) == 1):
        shown = shown.upper()
    return "+".join([*(word.capitalize() for word in modifiers), shown])


def key_names(binding: Binding) -> list[str]:
    """All keys of a binding."""
    return [key_name(key) for key in binding.key.split(",")]


def screen_of(owner: type[DOMNode]) -> str:
    """The mode of the screen that a part belongs to; empty when several have it."""
    found = re.match(r"hfterm\.screens\.(\w+)", owner.__module__)
    modes = {entry.mode for entry in SCREENS}
    return found[1] if found and found[1] in modes else ""


def owned() -> Iterator[tuple[type[DOMNode], list[Binding]]]:
    """The application and its parts with the bindings that are theirs; every id once."""
    seen: set[str] = set()
    for owner in (HftermApp, *OWNERS):
        own = [
            binding
            for binding in owner.__dict__.get("BINDINGS", ())
            if isinstance(binding, Binding) and binding.id and binding.id not in seen
        ]
        seen |= {binding.id or "" for binding in own}
        if own:
            yield owner, own


def owner_name(owner: type[DOMNode]) -> str:
    """What people call a part of the application."""
    name = owner.__name__
    if name in OWNER_NAMES:
        return OWNER_NAMES[name]
    if name.endswith("Screen"):
        return "The whole screen"
    if name.endswith("Page"):
        return f"{name.removesuffix('Page')} tab"
    return " ".join(re.findall(r"[A-Z][a-z0-9]*", name.removesuffix("Modal"))).capitalize()


def keys_page() -> str:
    """docs/keys.md."""
    parts = [
        "# Keys\n",
        NOTE,
        "Every key, the id that remaps it, and what it does; `hfterm keys` prints the same list.\n"
        "`F1` shows those that act where you are. A letter or digit alone acts while no text is\n"
        "being typed; most have a twin with `Alt` or a function key that always acts. To remap\n"
        "one, write its id into the [settings](settings.md):\n",
        '```toml\n[keymap]\n"tokenize.next-tab" = "f12"\n```\n',
    ]
    everything = list(owned())
    sections = [("Everywhere", [(HftermApp, everything[0][1])])]
    for mode, title in [*((entry.mode, entry.title) for entry in SCREENS), ("", "Parts that "
                        "several screens have")]:  # fmt: skip
        sections.append((title, [(o, b) for o, b in everything[1:] if screen_of(o) == mode]))
    for title, owners in sections:
        parts.append(f"## {title}\n")
        for owner, bindings in owners:
            if owner is not HftermApp:
                parts.append(f"### {owner_name(owner)}\n")
            parts.append(_table(("key", "what it does", "id"), map(_key_row, bindings)))
    return "\n".join(parts)


def _key_row(binding: Binding) -> tuple[str, str, str]:
    keys = ", ".join(_code(name) for name in key_names(binding))
    return keys, binding.tooltip or binding.description, f"`{binding.id}`"


def settings_page() -> str:
    """docs/settings.md."""
    defaults = Settings()
    parts = [
        "# Settings\n",
        NOTE,
        "`~/.config/hfterm/settings.toml`, or where `XDG_CONFIG_HOME` or `HFTERM_SETTINGS` say.\n"
        "`hfterm settings` prints the file with every field explained and the values in force. A\n"
        "variable overrides the file, an option of the command line before both. What can't be\n"
        "read is named at the start and by [`hfterm doctor`](troubleshooting.md); the rest of the\n"
        "file applies.\n",
    ]
    for key, field in FIELDS.items():
        default = toml_value(getattr(defaults, key))
        parts += [
            f"## `{key}`\n",
            " ".join(field.doc.split()) + "\n",
            _table(
                ("default", "allowed", "variable"),
                [(_code(default), field.expects, f"`HFTERM_{key.upper()}`")],
            ),
        ]
    return "\n".join(parts)


def commands_page() -> str:
    """docs/cli.md."""
    parts = [
        "# Commands\n",
        NOTE,
        "What the screens show, for scripts and screen readers. Each takes `--help`. The exit\n"
        "code is 0 when it is done, 1 when it failed (standard error says why and what to do)\n"
        "and 2 for bad usage; 130 after Ctrl+C, 129 when the connection was lost.\n",
    ]
    root = typer.main.get_command(command_line)
    parts += _command(root, None, "hfterm")
    return "\n".join(parts)


def _command(command: typer.main.ClickCommand, parent: object, name: str) -> Iterator[str]:
    context = command.context_class(command, parent=parent, info_name=name)
    params = [param for param in command.params if not getattr(param, "hidden", False)]
    records = [(param, param.get_help_record(context)) for param in params]
    arguments = [
        _argument(record[0], required=param.required)
        for param, record in records
        if param.param_type_name == "argument" and record
    ]
    under = getattr(command, "commands", {})
    path = context.command_path
    words = [path, *arguments, *(["[OPTIONS]"] if len(arguments) < len(params) else [])]
    yield f"## `{path}`\n"
    yield f"```\n{' '.join(words)}{' [COMMAND]' if under else ''}\n```\n"
    yield _paragraph(command.help or "")
    rows = [(_code(record[0]), record[1]) for _, record in records if record]
    if rows:
        yield _table(("argument or option", "what it is"), rows)
    for word, sub in under.items():
        yield from _command(sub, context, word)


def _argument(shown: str, *, required: bool) -> str:
    name = shown.split(maxsplit=1)[0].strip("{}[]").upper()
    return name if required else f"[{name}]"


def _paragraph(text: str) -> str:
    return re.sub(r"\s*\n\s*", " ", text.strip()) + "\n"


def _code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]] | list[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for row in rows:
        cells = (re.sub(r"\s*\n\s*", " ", cell).replace("|", "\\|") for cell in row)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "keys.md": keys_page,
    "settings.md": settings_page,
    "cli.md": commands_page,
    "recipe.md": lambda: recipe_page.page(NOTE, _table),
    "troubleshooting.md": lambda: doctor_page.page(NOTE),
}


def stale() -> list[str]:
    """The pages that are not what would be written now."""

    def written(name: str) -> str:
        file = HERE / name
        return file.read_text(encoding="utf-8") if file.exists() else ""

    return [name for name, page in PAGES.items() if written(name) != page()]


def main() -> int:
    """Write the pages, or say which are stale."""
    if "--check" in sys.argv[1:]:
        names = stale()
        for name in names:
            print(f"docs/{name} is stale: {COMMAND}", file=sys.stderr)
        return 1 if names else 0
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), encoding="utf-8")
        print(f"docs/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
