"""The settings there are: their types, defaults, limits, and the words that explain them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any, cast

import msgspec

from hfterm.system.terminal import COLOR_SETTINGS

_TYPE_NAMES = {str: "a text", bool: "true or false", int: "a whole number", dict: "a table"}

SettingValue = str | bool | int | dict[str, str]


class Settings(msgspec.Struct, frozen=True):
    """What the user chose. `FIELDS` says what each means."""

    theme: str = "hfterm-dark"
    color: str = "auto"
    mouse: bool = True
    animations: str = "none"
    pixels: str = "off"
    restore_session: bool = True
    model: str = ""
    live_delay_ms: int = 60
    max_editor_chars: int = 200_000
    logs_lines: int = 2_000
    hub_endpoint: str = ""
    library_folders: str = ""
    keymap: dict[str, str] = {}  # msgspec copies an empty default

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders of `library_folders`."""
        return tuple(folder for folder in self.library_folders.split(":") if folder)


class Field(msgspec.Struct, frozen=True):
    """One setting, explained.

    Attributes:
        doc: what it does, in sentences for the settings file.
        kind: the type a value must have.
        allowed: the only values there are; empty when any will do.
        least: the smallest number allowed.
        most: the largest number allowed.
        pattern: what a text must match, as a regular expression over the whole of it.
        wanted: what `pattern` asks for, in words.
    """

    doc: str
    kind: type[str] | type[bool] | type[int] | type[dict[str, str]]
    allowed: tuple[str, ...] = ()
    least: int = 0
    most: int = 0
    pattern: str = ""
    wanted: str = ""

    @property
    def expects(self) -> str:
        """The values that are right, in words."""
        if self.allowed:
            return "one of " + ", ".join(toml_value(value) for value in self.allowed)
        if self.kind is int:
            return f"a whole number from {self.least} to {self.most}"
        return self.wanted or _TYPE_NAMES[self.kind]


FIELDS: dict[str, Field] = {
    "theme": Field(
        "The colours: hfterm-dark, hfterm-light, any theme of Textual (ansi-dark keeps your\n"
        "terminal's own colours), or one of yours: a TOML file in the folder themes beside\n"
        "this file.",
        str,
        pattern=r".+",
        wanted="the name of a theme",
    ),
    "color": Field(
        "How many colours the terminal can show. hfterm doctor says what auto found, and why.",
        str,
        allowed=tuple(COLOR_SETTINGS),
    ),
    "mouse": Field(
        "Whether hfterm takes the mouse. With false the terminal's own selection works\n"
        "everywhere; every action has a key.",
        bool,
    ),
    "animations": Field(
        "Moving parts. Over a slow connection, none is the quickest.",
        str,
        allowed=("none", "basic", "full"),
    ),
    "pixels": Field(
        "Attention maps as real pixels (p on the Attention screen), for terminals that have them.\n"
        "auto asks the terminal at the start; kitty and sixel take its word for it.",
        str,
        allowed=("off", "auto", "kitty", "sixel"),
    ),
    "restore_session": Field(
        "Whether hfterm begins where it was left: screens, texts, selections. They are kept in\n"
        "session.json, readable only by you, beside the folder of the logs; false keeps nothing.",
        bool,
    ),
    "model": Field(
        "The model whose tokenizer is open at the start: the name of one in the starter kit,\n"
        "a folder or a hub id. Empty: the starter kit's.",
        str,
        wanted="a starter kit name, a folder or a hub id",
    ),
    "live_delay_ms": Field(
        "How long after a key a text of more than 20,000 characters is encoded, in milliseconds;\n"
        "shorter ones are at once.",
        int,
        least=0,
        most=5_000,
    ),
    "max_editor_chars": Field(
        "Texts of more characters open read-only.",
        int,
        least=1_000,
        most=10_000_000,
    ),
    "logs_lines": Field(
        "How many lines the Logs panel keeps.",
        int,
        least=100,
        most=1_000_000,
    ),
    "hub_endpoint": Field(
        "The address of a hub other than huggingface.co, such as a mirror. The variable\n"
        "HF_ENDPOINT overrides it.",
        str,
        pattern=r"(https?://[^\s/]+\S*)?",
        wanted="an address that begins with https:// or http://, or an empty text",
    ),
    "library_folders": Field(
        "More folders that the Library looks through for models and data sets, separated as in\n"
        "PATH (by a colon).",
        str,
        wanted="folders separated by colons, or an empty text",
    ),
    "keymap": Field(
        "Your own keys: the id of a binding, and the keys that trigger it, comma-separated.",
        dict,
        wanted='a table of binding ids and keys, such as { copy = "y" }',
    ),
}
"""Every setting, in the order of the settings file."""


def toml_value(value: SettingValue) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, dict):
        # A JSON string is a TOML basic string, but for DEL, which TOML wants escaped.
        return msgspec.json.encode(value).decode("utf-8").replace("\x7f", "\\u007f")
    pairs = ", ".join(f"{toml_value(key)} = {toml_value(keys)}" for key, keys in value.items())
    return f"{{ {pairs} }}" if pairs else "{}"


def defect(key: str, value: Any) -> str:
    """What is wrong with a value for a field, in words; empty when it is right.

    Args:
        key: a key of `FIELDS`.
        value: whatever a file or a variable holds.
    """
    field = FIELDS[key]
    # bool is an int to Python, not to people.
    if type(value) is not field.kind:
        return f"must be {field.expects}"
    if isinstance(value, str):
        if any(0xD800 <= ord(char) <= 0xDFFF for char in value):
            return "must be text that UTF-8 can hold"
        if field.allowed and value not in field.allowed:
            return f"must be {field.expects}{did_you_mean(value, field.allowed)}"
        if field.pattern and not re.fullmatch(field.pattern, value):
            return f"must be {field.expects}"
    if isinstance(value, int) and field.kind is int and not field.least <= value <= field.most:
        return f"must be {field.expects}"
    if isinstance(value, dict):
        for name, keys in cast(dict[str, object], value).items():
            if not isinstance(keys, str) or not keys.strip():
                return f"must be {field.expects}; {name!r} has no keys"
    return ""


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """`` Did you mean "theme"?``, or nothing when nothing is near. Begins with a full stop."""
    near = difflib.get_close_matches(wrong.lower(), list(known), n=1, cutoff=0.65)
    return f". Did you mean {near[0]!r}?" if near else ""
