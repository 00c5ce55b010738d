"""Reading a TOML file that a person wrote: what can be read, and what is wrong with the rest."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Any, NamedTuple

from hfterm.paths import home_relative
from hfterm.sizes import size_text

MAX_BYTES = 1_000_000
"""Longer files are not somebody's settings."""

_MAX_REPAIRS = 20


class TomlFile(NamedTuple):
    """What was found in a file.

    Attributes:
        text: the file as it is; empty when it could not be read.
        data: the keys that could be read. Values are as `tomllib` gives them.
        problems: one line each, naming the file, the line and what is wrong.
        sound: whether the whole file is TOML.
    """

    text: str
    data: dict[str, Any]
    problems: list[str]
    sound: bool


def read_toml(path: Path) -> TomlFile:
    """Read a TOML file. Never raises; a file that does not exist is an empty one."""
    name = shown_path(path)
    try:
        text = _read(path)
    except FileNotFoundError:
        return TomlFile("", {}, [], sound=True)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        return _unreadable(f"{name} line {line}: not UTF-8 text; nothing in it was used.")
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL in it
        reason = error.strerror if isinstance(error, OSError) else None
        return _unreadable(f"{name}: cannot be read: {one_line(reason or str(error))}.")
    problems: list[str] = []
    data = _parse(text, name, problems)
    return TomlFile(text, data, problems, sound=not problems)


def shown_path(path: Path) -> str:
    """A path inside a message."""
    return one_line(home_relative(path), 300)


def one_line(text: str, limit: int = 60) -> str:
    """Foreign text inside a message: printable, on one line, not long."""
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"


def line_of(text: str, key: str) -> int | None:
    """The number of the first line that assigns `key` or opens its table, counted from 1."""
    found = re.search(rf"^[ \t\[]*[\"']?{re.escape(key)}[\"']?[ \t]*[=.\]]", text, re.MULTILINE)
    return text.count("\n", 0, found.start()) + 1 if found else None


def _unreadable(problem: str) -> TomlFile:
    return TomlFile("", {}, [problem], sound=False)


def _read(path: Path) -> str:
    kind = path.stat().st_mode
    if stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind):
        raise OSError(None, "it is not a file")  # opening it could wait for ever
    with path.open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise OSError(None, f"it is longer than {size_text(MAX_BYTES)}")
    return raw.decode("utf-8-sig")


def _parse(text: str, name: str, problems: list[str]) -> dict[str, Any]:
    """Parse, and where a line is broken leave that line out and try again."""
    import tomllib  # only where there is a file: the start waits for every import

    lines = text.replace("\r\n", "\n").split("\n")
    for _ in range(_MAX_REPAIRS):
        try:
            return tomllib.loads("\n".join(lines))
        except RecursionError:
            problems.append(f"{name}: nested too deeply; nothing in it was used.")
            return {}
        except ValueError as error:  # TOMLDecodeError, or a number of too many digits
            number = _broken_line(str(error), lines)
            if number is None:
                problems.append(f"{name}: not TOML: {one_line(str(error), 160)}.")
                return {}
            what = re.sub(r" \(at [^()]*\)$", "", str(error))
            content = one_line(lines[number].strip())
            problems.append(f"{name} line {number + 1}: not TOML: {content} ({one_line(what)}).")
            _leave_out(lines, number)
    problems.append(f"{name}: too many broken lines; nothing in it was used.")
    return {}


def _broken_line(message: str, lines: list[str]) -> int | None:
    """The index of the line a TOML error is about, if it can be told."""
    if found := re.search(r"\(at line (\d+), column \d+\)$", message):
        number = int(found[1]) - 1
        # A line that is not closed is only noticed at the start of the next one.
        while number > 0 and not lines[number].strip():
            number -= 1
    elif message.endswith("(at end of document)"):
        number = max((i for i, line in enumerate(lines) if line.strip()), default=-1)
    else:
        return None
    return number if 0 <= number < len(lines) and lines[number].strip() else None


def _leave_out(lines: list[str], number: int) -> None:
    """Blank a line; with a broken table header goes its table, which would else join another."""
    is_header = lines[number].lstrip().startswith("[")
    lines[number] = ""
    while is_header and (number := number + 1) < len(lines):
        if lines[number].lstrip().startswith("["):
            return
        lines[number] = ""
