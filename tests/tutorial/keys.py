"""The tutorial as data: its sections, files and rows, and what its column of keys says to press.

The grammar is the one that the tutorial explains to its readers ("How to read the keys").
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
TUTORIALS = {"en": DOCS / "tutorial.md", "es": DOCS / "tutorial.es.md"}

WORDS = {
    "en": {"tab": "tab", "to": "to", "row": "row", "type": "type"},
    "es": {"pestaña": "tab", "ir a": "to", "fila": "row", "escribe": "type"},
}
"""The words of the grammar in each language, and what the tests call them."""

NAMED = {
    "Tab": "tab", "Enter": "enter", "Esc": "escape", "Space": "space", "Del": "delete",
    "Home": "home", "End": "end", "PgUp": "pageup", "PgDn": "pagedown",
    "↑": "up", "↓": "down", "←": "left", "→": "right",
    "/": "slash", "<": "less_than_sign", ">": "greater_than_sign", "+": "plus", "-": "minus",
}  # fmt: skip
MODIFIERS = ("Ctrl", "Alt", "Shift")


class Unreadable(Exception):
    """A row does not follow the grammar."""


@dataclass(frozen=True)
class Press:
    """A key, so many times."""

    key: str
    times: int = 1


@dataclass(frozen=True)
class GoTo:
    """Something with a name: a ``tab``, a ``row``, or what ``Tab`` reaches (``to``)."""

    what: str
    name: str


@dataclass(frozen=True)
class Fill:
    """A field, by its label, and what it shall hold."""

    label: str
    value: str


@dataclass(frozen=True)
class Type:
    """A text, to be typed or pasted."""

    text: str


@dataclass(frozen=True)
class Command:
    """A command line."""

    words: tuple[str, ...]


Action = Press | GoTo | Fill | Type | Command


@dataclass(frozen=True)
class Row:
    """A row of a table: what is done, what is pressed, what is seen after that."""

    step: str
    keys: str
    shows: str
    line: int
    actions: tuple[Action, ...]
    expected: tuple[str, ...]


@dataclass
class Section:
    """What begins with ``##``: a walk in one session, with the files it names."""

    title: str
    rows: list[Row] = field(default_factory=list[Row])
    files: dict[str, str] = field(default_factory=dict[str, str])
    outline: list[str] = field(default_factory=list[str])


def textual_key(name: str) -> str:
    """What Textual calls a key that the tutorial names.

    Raises:
        Unreadable: there is no such key.
    """
    *modifiers, last = name.split("+") if len(name) > 1 else [name]
    if any(modifier not in MODIFIERS for modifier in modifiers):
        raise Unreadable(f"`{name}` is no key")
    if last in NAMED:
        last = NAMED[last]
    elif re.fullmatch(r"F([1-9]|1[0-2])", last) or (modifiers and len(last) == 1):
        last = last.lower()
    elif len(last) != 1:
        raise Unreadable(f"`{name}` is no key")
    return "+".join([*(modifier.lower() for modifier in modifiers), last])


CODE = r"`([^`]+)`"


def actions(cell: str, language: str = "en") -> tuple[Action, ...]:
    """What a cell of keys says to do.

    Raises:
        Unreadable: it says something that the grammar does not have.
    """
    words = WORDS[language]
    forms = re.compile(
        rf"(?:(?P<word>{'|'.join(words)}) {CODE}|{CODE} = {CODE}|{CODE}(?: ×(?P<times>\d+))?)"
    )
    done: list[Action] = []
    rest = cell.strip()
    if rest == "–":
        return ()
    while rest:
        found = forms.match(rest)
        if found is None:
            raise Unreadable(f"{rest!r} in {cell!r}")
        word, (_, named, label, value, alone, _) = found["word"], found.groups()
        if word:
            what = words[word]
            done.append(Type(named) if what == "type" else GoTo(what, named))
        elif label:
            done.append(Fill(label, "" if value == " " else value))
        elif alone.startswith("$ "):
            done.append(Command(tuple(shlex.split(alone[2:]))))
        else:
            done.append(Press(textual_key(alone), int(found["times"] or 1)))
        rest = rest[found.end() :]
        if rest and not rest.startswith(", "):
            raise Unreadable(f"{rest!r} in {cell!r}: actions are parted by a comma")
        rest = rest.removeprefix(", ")
    commands = sum(isinstance(one, Command) for one in done)
    if commands and len(done) > 1:
        raise Unreadable(f"{cell!r}: a command stands alone")
    return tuple(done)


def read(text: str, language: str = "en") -> list[Section]:
    """The sections of a tutorial, in order.

    Raises:
        Unreadable: a row does not follow the grammar; its line is named.
    """
    sections: list[Section] = []
    lines = iter(enumerate(text.splitlines(), 1))
    table = False
    for number, line in lines:
        if line.startswith("```"):
            block: list[str] = []
            for _, inner in lines:
                if inner.startswith("```"):
                    break
                block.append(inner)
            _, _, name = line.partition(" ")
            if sections and name:
                sections[-1].files[name] = "".join(f"{one}\n" for one in block)
                sections[-1].outline.append(f"file {name}")
        elif line.startswith("## "):
            sections.append(Section(line[3:]))
        elif line.startswith("#") and sections:
            sections[-1].outline.append(line.split(" ", 1)[0])
        elif line.startswith("|"):
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if len(cells) != 3:
                raise Unreadable(f"line {number}: {len(cells)} cells instead of 3")
            if set(line) <= set("|- :"):
                table = True
            elif table and sections:
                sections[-1].rows.append(_row(cells, number, language))
                sections[-1].outline.append("row")
        else:
            table = False
    return [section for section in sections if section.rows]


def _row(cells: list[str], number: int, language: str) -> Row:
    step, keys, shows = cells
    try:
        done = actions(keys, language)
    except Unreadable as error:
        raise Unreadable(f"line {number}: {error}") from None
    expected = tuple(re.findall(CODE, shows)) if done else ()
    if done and not expected:
        raise Unreadable(f"line {number}: the row says nothing that could be seen")
    return Row(step, keys, shows, number, done, expected)
