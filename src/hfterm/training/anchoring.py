"""Paths of a recipe, made independent of the folder that its process is in.

Standard library only.
"""

from __future__ import annotations

import msgspec

from hfterm.hub import starter
from hfterm.paths import expanded
from hfterm.training.recipe import Recipe


def anchored(recipe: Recipe) -> Recipe:
    """The recipe with absolute paths: a run is in its own folder, and a script may be anywhere."""
    replace = msgspec.structs.replace
    model, data, training = recipe.model, recipe.data, recipe.training
    return replace(
        recipe,
        model=replace(model, ref=_path(model.ref), tokenizer=_path(model.tokenizer)),
        data=replace(data, ref=_path(data.ref)),
        training=replace(training, accelerate_config=_path(training.accelerate_config)),
    )


def _path(ref: str) -> str:
    if not ref or starter.is_starter(ref):
        return ref
    path = expanded(ref)
    try:
        here = path.exists() or any(sign in ref for sign in "*?[")
    except (OSError, ValueError):  # a name that no path can have
        return ref
    return str(path.absolute()) if here or ref.startswith(("./", "../", "~")) else ref
