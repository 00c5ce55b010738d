"""Where everything is. The only module that knows a folder's place.

XDG places on every system, also on macOS: people look for a terminal program's
files in ``~/.config``, and keep their dotfiles there.
"""

from __future__ import annotations

import os
from pathlib import Path


def _xdg(variable: str, default: str) -> Path:
    value = os.environ.get(variable, "")
    base = Path(value) if value.startswith("/") else Path.home() / default
    return base / "hfterm"


def config_dir() -> Path:
    """Settings and themes."""
    return _xdg("XDG_CONFIG_HOME", ".config")


def data_dir() -> Path:
    """What the user would miss: the starter kit, trained tokenizers, runs."""
    return _xdg("XDG_DATA_HOME", ".local/share")


def state_dir() -> Path:
    """Logs and session state."""
    return _xdg("XDG_STATE_HOME", ".local/state")


def cache_dir() -> Path:
    """What can be made again: overviews of models."""
    return _xdg("XDG_CACHE_HOME", ".cache")


def settings_file() -> Path:
    """The settings file (TOML). ``HFTERM_SETTINGS`` names another."""
    override = os.environ.get("HFTERM_SETTINGS")
    return expanded(override) if override else config_dir() / "settings.toml"


def themes_dir() -> Path:
    """User themes, one TOML file each."""
    return config_dir() / "themes"


def starter_dir() -> Path:
    """The starter kit. ``HFTERM_STARTER`` names another folder (a shared one, say)."""
    override = os.environ.get("HFTERM_STARTER")
    return expanded(override) if override else data_dir() / "starter"


def tokenizers_dir() -> Path:
    """Tokenizers trained here."""
    return data_dir() / "tokenizers"


def runs_dir() -> Path:
    """Training runs."""
    return data_dir() / "runs"


def recipes_dir() -> Path:
    """Recipes that the user saved."""
    return config_dir() / "recipes"


def logs_dir() -> Path:
    """Log files, one per engine process."""
    return state_dir() / "logs"


def hub_cache_dir() -> Path:
    """The Hugging Face hub cache, found as huggingface_hub finds it."""
    if value := os.environ.get("HF_HUB_CACHE"):
        return expanded(value)
    home = os.environ.get("HF_HOME")
    if home:
        return expanded(home) / "hub"
    cache = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(cache) if cache else Path.home() / ".cache"
    return base / "huggingface" / "hub"


def home_relative(path: Path) -> str:
    """A path as a person reads it: ``~/x`` for what is under the home folder."""
    try:
        return f"~/{path.relative_to(Path.home())}"
    except ValueError:
        return str(path)


def short_ref(ref: str) -> str:
    """A reference as a person reads it: a path under the home folder begins with ``~``."""
    return home_relative(Path(ref)) if ref.startswith("/") else ref


def expanded(path: str | Path) -> Path:
    """A path with the home folder for ``~``. As in a shell, ``~nobody`` stays what it is."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def full_path(path: str) -> str:
    """A path as the engine needs it, which may be in another folder."""
    try:
        return str(expanded(path).absolute())
    except FileNotFoundError:  # the working folder was deleted
        return str(expanded(path))
