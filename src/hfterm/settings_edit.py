"""Writing the settings file: the documented one, and one value changed in the user's own."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

from hfterm.errors import HftermError
from hfterm.settings_fields import FIELDS, Settings, SettingValue, defect, did_you_mean, toml_value
from hfterm.tomlfile import read_toml, shown_path

# A key with a value on one line: indent, key, sign, value, the rest (a comment, a \r).
_ASSIGNMENT = r"""^([ \t]*)(["']?){key}\2([ \t]*=[ \t]*)
    (?:"(?:\\.|[^"\\])*"|'[^']*'|[^\s#"']+)([ \t]*(?:\#.*)?\r?)$"""


def documented_toml(settings: Settings) -> str:
    """A settings file that explains itself: above each key what it does, allows and defaults to.

    A key that has its default is commented out, so that a later, better default applies.
    """
    defaults = Settings()
    parts = ["# Settings of hfterm. A line that begins with # is a comment.\n"]
    for key, field in FIELDS.items():
        value: SettingValue = getattr(settings, key)
        default: SettingValue = getattr(defaults, key)
        comments = [*field.doc.splitlines(), f"Allowed: {field.expects}."]
        comments.append(f"Default: {toml_value(default)}  Variable: HFTERM_{key.upper()}")
        lines = [f"# {line}" for line in comments]
        lines.append(f"{'# ' if value == default else ''}{key} = {toml_value(value)}")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def save_value(path: Path, key: str, value: str | bool | int) -> None:
    """Change one setting in the settings file; comments and all other lines stay as they are.

    A file that does not exist is written with every setting explained. The file is replaced
    in one step: whoever reads it meanwhile sees the old or the new one.

    Raises:
        HftermError: ``settings``: the key or value is wrong, or the file cannot be changed
            (it is not TOML, not writable, or its key stands where one line cannot hold it).
    """
    name = shown_path(path)
    if key not in FIELDS:
        raise HftermError("settings", f"There is no setting {key!r}{did_you_mean(key, FIELDS)}")
    if wrong := defect(key, value):
        raise HftermError("settings", f"{key} = {toml_value(value)}: {wrong}.")
    file = read_toml(path)
    if not file.sound:
        raise HftermError("settings", file.problems[0], "Mend that line; nothing was changed.")
    old = file.text if path.exists() else documented_toml(Settings())
    new = _with_value(old, key, toml_value(value))
    try:
        changed = tomllib.loads(new)
    except ValueError:
        changed = {}
    if changed != {**file.data, key: value}:
        raise HftermError(
            "settings",
            f"{name}: {key} cannot be changed here: it is not written on a line of its own.",
            f"Change it yourself to {key} = {toml_value(value)}.",
        )
    try:
        _replace(path, new)
    except OSError as error:
        reason = error.strerror or str(error)
        raise HftermError(
            "settings", f"{name} cannot be written: {reason}.", "It is as it was."
        ) from error


def _with_value(text: str, key: str, literal: str) -> str:
    """The file with `key` set: in its line, else below its commented default, else on top."""
    lines = text.split("\n")
    tables = (i for i, line in enumerate(lines) if line.lstrip().startswith("["))
    end = next(tables, len(lines))  # after this, keys belong to a table
    assignment = re.compile(_ASSIGNMENT.replace("{key}", re.escape(key)), re.VERBOSE)
    for i in range(end):
        if found := assignment.match(lines[i]):
            indent, quote, sign, rest = found.groups()
            lines[i] = f"{indent}{quote}{key}{quote}{sign}{literal}{rest}"
            return "\n".join(lines)
    ending = "\r" if "\r\n" in text else ""
    commented = re.compile(rf"^#[ \t]*{re.escape(key)}[ \t]*=")
    place = next((i + 1 for i in range(end) if commented.match(lines[i])), _after_head(lines[:end]))
    lines.insert(place, f"{key} = {literal}{ending}")
    return "\n".join(lines)


def _after_head(lines: list[str]) -> int:
    """Where a new key goes: below the comment a file opens with."""
    head = 0
    while head < len(lines) and lines[head].lstrip().startswith("#"):
        head += 1
    return head


def _replace(path: Path, text: str) -> None:
    """Write a file beside the old one and put it in its place."""
    import tempfile  # not needed to read settings, which happens before the first frame

    target = path.resolve()  # a link into a dotfiles folder stays a link
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            Path(temporary).chmod(target.stat().st_mode & 0o7777)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
