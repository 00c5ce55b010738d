"""The error for a target module that the model has not."""

from __future__ import annotations

import difflib

from hfterm.errors import HftermError


def unknown_target(target: str, known: list[str]) -> HftermError:
    """The error for a target module that is none."""
    near = difflib.get_close_matches(target, known, 1, 0.5)
    hint = f"Did you mean {near[0]}? " if near else ""
    return HftermError(
        "unknown-target",
        f"method.target_modules has {target!r}, which is no linear module of the model.",
        f'{hint}It has: {", ".join(known)}; or "all-linear".',
    )
