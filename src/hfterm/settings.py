"""The user's settings: read from the settings file and the environment, never failing.

What the settings are stands in `settings_fields`; writing them, in `settings_edit`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from hfterm.settings_fields import FIELDS, Field, Settings, defect, did_you_mean
from hfterm.tomlfile import line_of, one_line, read_toml, shown_path

__all__ = [
    "FIELDS",
    "Field",
    "Settings",
    "environment",
    "keymap_problems",
    "load",
]


def load(path: Path, environ: Mapping[str, str] | None = None) -> tuple[Settings, list[str]]:
    """Read the settings: the defaults, over them the file, over both ``HFTERM_<FIELD>``.

    Never raises. What is right applies, also beside what is wrong.

    Args:
        path: the settings file; one that does not exist is fine.
        environ: where the overrides come from; the process's own environment by default.

    Returns:
        The settings, and one line for each problem: file, line, key, value, what is right.
    """
    name = shown_path(path)
    file = read_toml(path)
    problems = list(file.problems)
    values: dict[str, Any] = {}
    for key, value in file.data.items():
        number = line_of(file.text, key)
        place = f"{name} line {number}" if number else name
        if key not in FIELDS:
            hint = did_you_mean(key, FIELDS) or ". hfterm has no such setting."
            problems.append(f"{place}: unknown key {one_line(key)!r}{hint}")
        elif wrong := defect(key, value):
            problems.append(f"{place}: {key} = {_shown(value)}: {wrong}")
            if key == "keymap" and isinstance(value, dict):
                values[key] = _sound_keys(value)
        else:
            values[key] = value
    values |= _overrides(os.environ if environ is None else environ, problems)
    return msgspec.structs.replace(Settings(), **values), problems


def environment(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """What the settings mean to Textual and to huggingface_hub, which read their environment.

    To be added to the process's own before either is imported, and to the engine's. A
    variable the user has set is left as it is.
    """
    wanted = {"TEXTUAL_ANIMATIONS": settings.animations, "HF_ENDPOINT": settings.hub_endpoint}
    return {name: value for name, value in wanted.items() if value and not environ.get(name)}


def keymap_problems(keymap: Mapping[str, str], known_ids: Iterable[str]) -> list[str]:
    """One line for each id of the keymap that no binding has."""
    known = set(known_ids)
    return [
        f"keymap: no binding has the id {one_line(name)!r}{did_you_mean(name, known)}"
        for name in keymap
        if name not in known
    ]


def _overrides(environ: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    """The values that ``HFTERM_<FIELD>`` variables give. An empty variable gives none."""
    values: dict[str, Any] = {}
    for key, field in FIELDS.items():
        variable = f"HFTERM_{key.upper()}"
        if not (raw := environ.get(variable, "")):
            continue
        value = _from_text(raw, field)
        if wrong := defect(key, value):
            problems.append(f"{variable}={one_line(raw)}: {wrong}")
        else:
            values[key] = value
    return values


def _from_text(raw: str, field: Field) -> object:
    """A variable's value as the field's type, or as it is when it cannot be that."""
    if field.kind is str:
        return raw
    if field.kind is bool:
        words = {"1": True, "true": True, "yes": True, "on": True}
        words |= {"0": False, "false": False, "no": False, "off": False}
        return words.get(raw.strip().lower(), raw)
    try:
        import tomllib  # rarely needed, and the start waits for every import

        return tomllib.loads(f"value = {raw}")["value"]
    except (ValueError, RecursionError):
        return raw


def _sound_keys(keymap: dict[str, Any]) -> dict[str, str]:
    return {name: keys for name, keys in keymap.items() if isinstance(keys, str) and keys.strip()}


def _shown(value: object) -> str:
    """A value from the file, in a message."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return one_line(f'"{value}"' if isinstance(value, str) else str(value))
