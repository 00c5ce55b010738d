"""hfterm's own two themes, and the user's themes from TOML files. A bad file is a message."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

from textual.color import Color, ColorParseError
from textual.theme import BUILTIN_THEMES, Theme

from hfterm.settings_fields import did_you_mean
from hfterm.tomlfile import one_line, read_toml, shown_path

# One accent, the yellow of the hugging face toned to amber; greys carry the rest. What is
# not the accent, a warning or an error has no hue of its own.
DARK = Theme(
    name="hfterm-dark",
    dark=True,
    primary="#E8B931",
    secondary="#A8A29A",
    accent="#E8B931",
    warning="#E8894A",
    error="#F0656A",
    success="#8FB573",
    foreground="#DEDBD6",
    background="#111111",
    surface="#181817",
    panel="#20201F",
    variables={
        "text-muted": "#9A958D",
        "text-disabled": "#6B6862",
        "foreground-muted": "#9A958D",
        "border": "#E8B931",
        "border-blurred": "#45433F",
        "block-cursor-background": "#E8B931",
        "block-cursor-foreground": "#141310",
        "block-cursor-text-style": "none",
        "block-cursor-blurred-background": "#33312B",
        "block-cursor-blurred-foreground": "#DEDBD6",
        "input-selection-background": "#E8B931 30%",
        "button-color-foreground": "#141310",
        "footer-background": "#181817",
        "footer-key-foreground": "#E8B931",
        "footer-description-foreground": "#9A958D",
        "scrollbar": "#45433F",
        "scrollbar-hover": "#6B6862",
        "scrollbar-active": "#E8B931",
        "scrollbar-background": "#181817",
    },
)

LIGHT = Theme(
    name="hfterm-light",
    dark=False,
    primary="#805A00",
    secondary="#6B665E",
    accent="#805A00",
    warning="#A8480A",
    error="#B3202C",
    success="#3F6B22",
    foreground="#23211E",
    background="#FAF9F6",
    surface="#F2F0EB",
    panel="#E8E5DE",
    variables={
        "text-muted": "#635E56",
        "text-disabled": "#8F8A81",
        "foreground-muted": "#635E56",
        "border": "#805A00",
        "border-blurred": "#C4BFB5",
        "block-cursor-background": "#805A00",
        "block-cursor-foreground": "#FFFDF7",
        "block-cursor-text-style": "none",
        "block-cursor-blurred-background": "#E3D9BF",
        "block-cursor-blurred-foreground": "#23211E",
        "input-selection-background": "#D9A514 35%",
        "button-color-foreground": "#FFFDF7",
        "footer-background": "#F2F0EB",
        "footer-key-foreground": "#805A00",
        "footer-description-foreground": "#635E56",
        "scrollbar": "#C4BFB5",
        "scrollbar-hover": "#8F8A81",
        "scrollbar-active": "#805A00",
        "scrollbar-background": "#F2F0EB",
    },
)

THEMES: tuple[Theme, ...] = (DARK, LIGHT)
"""The themes hfterm brings. The first is the default, and what a missing theme falls back to."""

_COLORS = frozenset(
    {"primary", "secondary", "warning", "error", "success", "accent"}
    | {"foreground", "background", "surface", "panel", "boost"}
)
_STYLES = frozenset(
    {"none", "not", "b", "bold", "d", "dim", "i", "italic", "u", "underline", "uu"}
    | {"o", "overline", "s", "strike", "r", "reverse", "blink"}
)
_FIELDS = tuple(field.name for field in fields(Theme))
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,39}")


class _BadThemeError(Exception):
    """A theme file says something a theme cannot be; the message says what."""


def load_user_themes(folder: Path) -> tuple[list[Theme], list[str]]:
    """Read the themes in a folder, one from each ``*.toml``.

    A file has the fields of Textual's `Theme`: ``primary`` at least, ``name`` (the file's own
    by default), the other colours, ``dark``, and a table ``variables``. Never raises.

    Returns:
        The themes, and one line for each file that is not one: file, key, value, what is right.
    """
    themes: list[Theme] = []
    problems: list[str] = []
    taken = {theme.name for theme in THEMES} | set(BUILTIN_THEMES)
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".toml")
    except FileNotFoundError:
        return [], []
    except OSError as error:
        return [], [f"{shown_path(folder)}: cannot be read: {error.strerror}."]
    for path in paths:
        file = read_toml(path)
        problems += file.problems
        if not file.sound:
            continue  # half a theme looks broken; better the default
        try:
            theme = _theme(file.data, path.stem)
            if theme.name in taken:
                raise _BadThemeError(f"the name {theme.name!r} is taken; choose another")
        except _BadThemeError as error:
            problems.append(f"{shown_path(path)}: {error}.")
        else:
            taken.add(theme.name)
            themes.append(theme)
    return themes, problems


def _theme(data: dict[str, Any], default_name: str) -> Theme:
    """A theme from a file's content. Raises `_BadThemeError`."""
    for key, value in data.items():
        if key not in _FIELDS:
            raise _BadThemeError(f"unknown key {one_line(key)!r}{did_you_mean(key, _FIELDS)}")
        if key in _COLORS:
            _check_color(key, value)
        elif key in ("dark", "ansi") and not isinstance(value, bool):
            raise _BadThemeError(f"{key} must be true or false")
        elif key in ("luminosity_spread", "text_alpha") and not _is_fraction(value):
            raise _BadThemeError(f"{key} must be a number from 0 to 1")
    if "primary" not in data:
        raise _BadThemeError('primary is missing: a theme needs at least primary = "#RRGGBB"')
    name = data.get("name", default_name)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _BadThemeError(f"name = {one_line(str(name))!r}: must be up to 40 letters and digits")
    variables = data.get("variables", {})
    if not isinstance(variables, dict):
        raise _BadThemeError("variables must be a table of names and colours")
    values: dict[str, Any] = {**data, "name": name, "variables": {}}
    theme = Theme(**values)
    _check_variables(variables, theme.to_color_system().generate())
    theme.variables = variables
    return theme


def _is_fraction(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _check_color(key: str, value: object) -> None:
    """Raise `_BadThemeError` unless the value is a colour."""
    if not isinstance(value, str) or not _is_color(value):
        raise _BadThemeError(
            f"{key} = {one_line(str(value))!r}: must be a colour such as #E8B931 or ansi_yellow"
        )


def _is_color(text: str) -> bool:
    try:
        Color.parse(text)
    except (ColorParseError, ValueError, TypeError):  # the last two for numbers out of range
        return False
    return True


def _check_variables(variables: dict[str, Any], known: dict[str, str]) -> None:
    """Raise `_BadThemeError` for a variable that would break Textual's style sheets."""
    for key, value in variables.items():
        if key not in known:
            raise _BadThemeError(f"unknown variable {one_line(key)!r}{did_you_mean(key, known)}")
        if key.endswith("text-style") or key in ("link-style", "link-style-hover"):
            if not isinstance(value, str) or not _STYLES.issuperset(value.split()) or not value:
                raise _BadThemeError(
                    f"{key} = {one_line(str(value))!r}: must be a style such as bold or none"
                )
        else:
            bare = re.sub(r" \d{1,3}%$", "", value) if isinstance(value, str) else value
            if bare not in ("auto", "initial"):
                _check_color(key, bare)
