"""Requests about recipes: whether they can work, what they see, what they cost."""

from __future__ import annotations

from typing import ClassVar

from hfterm.engine.protocol import Lane, Request
from hfterm.training.preview_types import Preview, ProbeResult, RecipeCost
from hfterm.training.recipe import Recipe


class CheckRecipe(Request[None], frozen=True, kw_only=True):
    """Refuse what can't work, before anything starts."""

    RESULT: ClassVar[object] = None
    LANE: ClassVar[Lane] = "views"
    recipe: Recipe


class PreviewRecipe(Request[Preview], frozen=True, kw_only=True):
    """The data as the model will take it."""

    RESULT: ClassVar[object] = Preview
    LANE: ClassVar[Lane] = "views"
    recipe: Recipe


class CostRecipe(Request[RecipeCost], frozen=True, kw_only=True):
    """Parameters that are trained, and memory."""

    RESULT: ClassVar[object] = RecipeCost
    LANE: ClassVar[Lane] = "views"
    recipe: Recipe
    labels: int = 0


class ProbeRecipe(Request[ProbeResult], frozen=True, kw_only=True):
    """A few real steps, in a process of their own."""

    RESULT: ClassVar[object] = ProbeResult
    LANE: ClassVar[Lane] = "long"
    recipe: Recipe


class MergeRun(Request[str], frozen=True, kw_only=True):
    """Merge a run's adapter into its base in full precision; the answer is the folder."""

    RESULT: ClassVar[object] = str
    LANE: ClassVar[Lane] = "long"
    run: str
    out: str
